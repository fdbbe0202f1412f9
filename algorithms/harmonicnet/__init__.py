"""Nuclei as stars: centres and spherical harmonics of the radius, by a network."""
