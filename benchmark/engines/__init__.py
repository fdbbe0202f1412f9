"""Engines run one algorithm on cases, one case at a time."""
