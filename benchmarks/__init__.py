"""Measures what the station's promises about speed rest on: `python -m benchmarks`."""
