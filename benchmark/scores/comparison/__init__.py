"""Comparison of runs: differences with tests, accepted scores, and the tables made of them."""
