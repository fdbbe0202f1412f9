"""Bodies by their radius in every direction: harmonics, their fit to labels, voxels of stars."""

from cytosuite.bodies.harmonics import Fitted, fit

__all__ = ["Fitted", "fit"]
