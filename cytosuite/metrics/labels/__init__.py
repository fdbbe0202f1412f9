"""Metrics of instance labels: overlap, detection, and distances of surfaces."""
