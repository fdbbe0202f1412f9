"""The image on which objects are drawn, with the limits of all sources of objects."""

from math import prod

import numpy as np

from cytosuite.errors import InputError
from cytosuite.volume.arrays import Indices, Shape

Pixels = Indices  # places in the flat image
COVERED = 8  # times that the objects of an image cover it
CORNERS = 2**19  # of an object


class Canvas:
    """An image that its objects cover `COVERED` times at most; beyond, `InputError`."""

    def __init__(self, shape: Shape) -> None:
        self.shape, self.left = shape, COVERED * prod(shape)

    def take(self, pixels: Pixels, cost: int = 0) -> Pixels:
        """Return the pixels of an object, which count, at least as many as its cost."""
        self.left -= max(pixels.size, cost)
        if self.left < 0:
            raise InputError(f"expected objects that cover an image {COVERED} times at most")
        return pixels

    def runs(self, starts: Pixels, ends: Pixels) -> Pixels:
        """Return the pixels of runs; each run counts as one pixel at least."""
        lengths = ends - starts
        pixels = np.repeat(ends - np.cumsum(lengths), lengths) + np.arange(lengths.sum())
        return self.take(pixels, lengths.size)
