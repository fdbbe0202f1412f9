"""Compiled loop of the object table: sums over the voxels of each object, plane by plane."""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

Counts: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ObjectSums:
    """Sums over the voxels of objects 1 to N, row 0 stays empty.

    Parameters
    ----------
    voxels : (N + 1,) int64 array
        Sizes.
    places : (N + 1, 3) int64 array
        Sums of the positions z, y, x.
    first, last : (N + 1, 3) int64 array
        The lowest and highest position along each axis.
    light, brightest : (N + 1,) float64 array
        Sum and largest of the grey values.
    """

    voxels: Counts
    places: Counts
    first: Counts
    last: Counts
    light: Floats
    brightest: Floats

    @classmethod
    def of(cls, objects: int) -> "ObjectSums":
        """Return the sums of a number of objects before any plane."""
        three = (objects + 1, 3)
        last, brightest = np.full(three, -1), np.full(objects + 1, -np.inf)
        first = np.full(three, np.iinfo(np.int64).max)
        voxels, places = np.zeros(objects + 1, np.int64), np.zeros(three, np.int64)
        return cls(voxels, places, first, last, np.zeros(objects + 1), brightest)

    def add(self, plane: NDArray[Any], image: NDArray[Any] | None, z: int) -> None:
        """Add the plane at z, (Y, X) numbers of objects, and its grey values."""
        grey = np.zeros((0, 0)) if image is None else np.ascontiguousarray(image, np.float64)
        own = np.ascontiguousarray(plane, np.uint32)
        sums = (self.voxels, self.places, self.first, self.last, self.light, self.brightest)
        _add(own, grey, z, *sums)


@njit(cache=True, nogil=True)
def _add(
    plane: NDArray[np.uint32],
    image: Floats,
    z: int,
    voxels: Counts,
    places: Counts,
    first: Counts,
    last: Counts,
    light: Floats,
    brightest: Floats,
) -> None:
    """Add the runs of equal numbers in a plane to the sums."""
    rows, columns = plane.shape
    for y in range(rows):
        x = 0
        while x < columns:
            begin, label = x, plane[y, x]
            x += 1
            while x < columns and plane[y, x] == label:
                x += 1
            if label == 0:
                continue
            length = x - begin
            voxels[label] += length
            places[label, 0] += z * length
            places[label, 1] += y * length
            places[label, 2] += (begin + x - 1) * length // 2
            first[label, 0] = min(first[label, 0], z)
            first[label, 1] = min(first[label, 1], y)
            first[label, 2] = min(first[label, 2], begin)
            last[label, 0] = max(last[label, 0], z)
            last[label, 1] = max(last[label, 1], y)
            last[label, 2] = max(last[label, 2], x - 1)
            if image.size:
                total, top = light[label], brightest[label]
                for i in range(begin, x):
                    value = image[y, i]
                    total += value
                    if top == top and not value <= top:  # and NaN stays
                        top = value
                light[label], brightest[label] = total, top
