"""Metrics of an image against its paired truth: similarity, and differences voxel by voxel."""
