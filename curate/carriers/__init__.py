"""What ties rooms together: a module for each thing that people do with a project."""
