"""Fit a simulator's parameters to real images by the same measurements on both."""
