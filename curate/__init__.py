"""curate: search, fetch, deduplicate, label, balance and split an image dataset."""

__version__ = "0.1.0"
