"""Simulated nuclei in spheroids, with the instance labels they were drawn from."""
