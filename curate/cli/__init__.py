"""The command line: a thin face. One file per noun; each command parses, calls, shows."""
