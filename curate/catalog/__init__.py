"""The project's memory: one SQLite file, rows in, rows out."""
