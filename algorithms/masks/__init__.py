"""Masks of cells with nuclei from a seed, by a diffusion model of signed distances."""
