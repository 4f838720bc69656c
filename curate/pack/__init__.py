"""The dataset: labels are balanced, split without leaks, and written as a manifest."""
