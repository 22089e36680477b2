"""Planted faults, each of which the suite must notice: `make mutants`."""
