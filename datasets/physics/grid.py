"""Regular grids of voxels in space: the detector's, and the finer one of the simulation."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cytosuite import large
from cytosuite.tiling import Box

Array = NDArray[np.float64]
Image = NDArray[np.float32]
Labels = NDArray[np.uint16]
Lengths = tuple[float, ...]  # µm along z, y, x

SLAB = 2**25  # voxels that are worked on at a time
ENOUGH = 2**29  # voxels for a median or a mean of an image, about


@dataclass(frozen=True, slots=True)
class Grid:
    """A regular grid of voxels in space.

    Parameters
    ----------
    shape, spacing : tuple of int, tuple of float
        Voxels, and µm per voxel, along z, y, x.
    origin : tuple of float
        Position in µm of the outer corner of the first voxel.
    first : tuple of int
        Index of the first voxel in the grid this one is a part of: noise drawn per voxel of the
        whole (chromatin) then continues from slab to slab.
    """

    shape: tuple[int, ...]
    spacing: Lengths
    origin: Lengths = (0.0, 0.0, 0.0)
    first: tuple[int, ...] = (0, 0, 0)

    @property
    def voxel_um(self) -> float:
        """Edge in µm of the cube that has the volume of a voxel."""
        return float(np.prod(self.spacing) ** (1 / 3))

    @property
    def size_um(self) -> Lengths:
        """Extent in µm along z, y, x."""
        return tuple(n * step for n, step in zip(self.shape, self.spacing, strict=True))

    def centres(self, axis: int, start: int = 0, stop: int | None = None) -> Image:
        """Return the positions in µm of the voxel centres `start` to `stop` along an axis."""
        index = np.arange(start, self.shape[axis] if stop is None else stop)
        positions = self.origin[axis] + (index + 0.5) * self.spacing[axis]
        return positions.astype(np.float32)

    def slab(self, start: int, stop: int) -> "Grid":
        """Return the part of the grid that holds the planes `start` to `stop`."""
        z, y, x = self.origin
        return replace(
            self,
            shape=(stop - start, *self.shape[1:]),
            origin=(z + start * self.spacing[0], y, x),
            first=(self.first[0] + start, *self.first[1:]),
        )

    def wider(self, voxels: Sequence[int]) -> "Grid":
        """Return the grid with more voxels on both sides of each axis."""
        axes = zip(self.origin, self.spacing, voxels, strict=True)
        return Grid(
            tuple(n + 2 * more for n, more in zip(self.shape, voxels, strict=True)),
            self.spacing,
            tuple(start - more * step for start, step, more in axes),
        )

    def box(self, centre: Array, reach: Array) -> Box | None:
        """Return the voxels with centres within `reach` (3,) of `centre` (3,), µm; None if none."""
        low, high = (
            (end - self.origin) / self.spacing - 0.5 for end in (centre - reach, centre + reach)
        )
        start = np.maximum(np.ceil(low), 0).astype(int)
        stop = np.minimum(high.astype(int) + 1, self.shape)
        if (high < 0).any() or (start >= stop).any():
            return None
        return tuple(map(slice, start.tolist(), stop.tolist()))


def slabs(shape: Sequence[int], most: int | None = None) -> list[tuple[int, int]]:
    """Return first plane and end of slabs of an array, one for all but large ones.

    Parameters
    ----------
    shape : sequence of int
        Voxels along z and the other axes.
    most : int, optional
        Voxels of a slab; one plane at least. `SLAB` without it.

    Notes
    -----
    Sizes alone decide, not the free memory: a result is the same on every machine.

    Examples
    --------
    >>> slabs((5, 10, 10), most=200)
    [(0, 2), (2, 4), (4, 5)]
    """
    thickness = max(1, (SLAB if most is None else most) // max(1, prod(shape[1:])))
    return [(start, min(start + thickness, shape[0])) for start in range(0, shape[0], thickness)]


def some_planes(shape: Sequence[int]) -> slice:
    """Return all planes of an image, or every second, third, ... of one with too many voxels.

    Examples
    --------
    >>> some_planes((1024, 2048, 2048)), some_planes((100, 512, 512))
    (slice(None, None, 8), slice(None, None, 1))
    """
    return slice(None, None, max(1, -(-prod(shape) // ENOUGH)))


def copied(array: NDArray[Any]) -> NDArray[Any]:
    """Return a contiguous copy of an image, made in slabs, on disk where it does not fit."""
    found = large.room(array.shape, array.dtype)
    for start, stop in slabs(array.shape):
        found[start:stop] = array[start:stop]
        large.release(found, array)
    return found
