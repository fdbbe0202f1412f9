"""Linking of the cells that Cellpose3D finds."""
