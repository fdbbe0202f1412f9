"""Metrics of tracks, those of the Cell Tracking Challenge, from sequences or their folders."""
