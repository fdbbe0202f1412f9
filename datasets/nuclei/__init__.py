"""Sketches of nuclei and cells with complete annotation."""
