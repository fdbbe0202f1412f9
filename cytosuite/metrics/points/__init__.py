"""Metrics of points: detection, places, and counts in cells."""
