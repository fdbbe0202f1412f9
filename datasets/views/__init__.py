"""Simulated light-sheet views with the volume that is fused from them."""
