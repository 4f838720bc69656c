"""A thin face: the audit page and the scoring endpoint."""
