"""Algorithms, datasets and models of this checkout, and the contract of an algorithm."""
