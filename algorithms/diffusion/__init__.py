"""Realistic images from sketches, by a diffusion model."""
