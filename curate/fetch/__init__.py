"""Room 2: from a URL to a verified image, or to the reason why there is none."""
