"""Fit a simulator's parameters to real images by what both look like to the same measurements."""
