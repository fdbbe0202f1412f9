"""Datasets: how they are made, where they lie on disk, and their way through algorithms."""
