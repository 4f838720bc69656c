"""Benchmarks: run by `make bench`, printed as tables with ratios, never asserted on."""
