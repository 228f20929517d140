"""Measurements: how fast the system is, as ratios of one run. `python -m bench --help`."""
