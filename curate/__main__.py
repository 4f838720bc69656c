"""Lets `python -m curate` do what `curate` does."""

from curate.cli.main import main

if __name__ == "__main__":
    main()
