"""Cellpose 3, a tool of others, as an algorithm: its own network, training and dynamics."""
