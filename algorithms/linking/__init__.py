"""Linking of cells over time."""
