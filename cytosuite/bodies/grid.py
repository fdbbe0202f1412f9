"""Regular grids of voxels in space: the detector's, and the finer one of the simulation."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from cytosuite.files import IntPair, frozen
from cytosuite.volume.arrays import (
    Box,
    Doubles,
    Image,
    Indices,
    Longs,
    Shape,
    Shorts,
    Sizes,
    Spacing,
)
from cytosuite.volume.arrays import Lengths as Lengths
from cytosuite.volume.memory import release
from cytosuite.volume.pieces import slab_bounds

Labels = Shorts

SLAB = 2**25  # voxels that are worked on at a time


@frozen
class Grid:
    """A regular grid of voxels in space."""

    shape: Shape  # voxels along z, y, x
    spacing: Lengths  # µm per voxel
    origin: Lengths = (0.0, 0.0, 0.0)  # µm, outer corner of the first voxel
    first: Shape = (0, 0, 0)  # its index in the whole: noise continues from slab to slab

    @property
    def voxel_um(self) -> float:
        """Edge in µm of the cube that has the volume of a voxel."""
        return float(np.prod(self.spacing) ** (1 / 3))

    @property
    def size_um(self) -> Lengths:
        """Extent in µm along z, y, x."""
        return tuple(n * step for n, step in zip(self.shape, self.spacing, strict=True))

    @classmethod
    def around(cls, shape: Shape, spacing: Lengths, middle_um: Spacing) -> "Grid":
        """Return the grid of a shape with its middle at a place (3,) in µm."""
        axes = zip(middle_um, shape, spacing, strict=True)
        return cls(shape, spacing, tuple(float(middle - n * s / 2) for middle, n, s in axes))

    @property
    def layer(self) -> "Grid":
        """One layer of voxels, 1 µm thick, over the plane of the grid."""
        return Grid((1, *self.shape[1:]), (1.0, *self.spacing[1:]), (0.0, *self.origin[1:]))

    def centres(self, axis: int, start: int = 0, stop: int | None = None) -> Image:
        """Return the positions in µm of the voxel centres `start` to `stop` along an axis."""
        index = np.arange(start, self.shape[axis] if stop is None else stop)
        return (self.origin[axis] + (index + 0.5) * self.spacing[axis]).astype(np.float32)

    def ticks(self, box: Box, centre: Spacing = (0, 0, 0)) -> tuple[Image, Image, Image]:
        """Return the positions in µm of the voxels of a box along z, y, x, from a centre."""
        z, y, x = (
            self.centres(axis, span.start, span.stop) - np.float32(centre[axis])
            for axis, span in enumerate(box)
        )
        return z, y, x

    def index_of(self, places_um: Doubles) -> Longs:
        """Return the voxels (..., 3) that hold places, also beyond the grid."""
        return np.floor((places_um - self.origin) / self.spacing).astype(np.int64)

    def place_of(self, index: Doubles | Longs, shift: Doubles | float = 0.5) -> Doubles:
        """Return places (N, 3) in µm in voxels, their centres by themselves."""
        return np.asarray((index + shift) * self.spacing + self.origin)

    def near(self, centres_um: Doubles, reach_um: Doubles) -> Indices:
        """Return the numbers (M,) of balls, centres (N, 3) and radii (N,), that may touch it."""
        reach = reach_um[:, None]
        low = np.asarray(self.origin)
        apart = (centres_um + reach < low) | (centres_um - reach > low + self.size_um)
        return np.flatnonzero(~apart.any(axis=1))

    def slab(self, start: int, stop: int) -> "Grid":
        """Return the part of the grid that holds the planes `start` to `stop`."""
        z, y, x = self.origin
        return replace(
            self,
            shape=(stop - start, *self.shape[1:]),
            origin=(z + start * self.spacing[0], y, x),
            first=(self.first[0] + start, *self.first[1:]),
        )

    def wider(self, voxels: Sizes) -> "Grid":
        """Return the grid with more voxels on both sides of each axis."""
        axes = zip(self.origin, self.spacing, voxels, strict=True)
        return Grid(
            tuple(n + 2 * more for n, more in zip(self.shape, voxels, strict=True)),
            self.spacing,
            tuple(start - more * step for start, step, more in axes),
        )

    def box(self, centre: Doubles, reach: Doubles) -> Box | None:
        """Return the voxels with centres within `reach` (3,) of `centre` (3,), µm; None if none."""
        low, high = (
            (end - self.origin) / self.spacing - 0.5 for end in (centre - reach, centre + reach)
        )
        start = np.maximum(np.ceil(low), 0).astype(int)
        stop = np.minimum(high.astype(int) + 1, self.shape)
        if (high < 0).any() or (start >= stop).any():
            return None
        return tuple(map(slice, start.tolist(), stop.tolist()))


def in_slabs(*arrays: Any) -> Iterator[tuple[Any, ...]]:  # noqa: ANN401
    """Yield views of the `slabs` of arrays of one shape together; release."""
    for start, stop in slabs(arrays[0].shape):
        yield tuple(array[start:stop] for array in arrays)
        release(*arrays)


def slabs(shape: Sizes) -> list[IntPair]:
    """Return first plane and end of slabs of at most `SLAB` voxels, by sizes alone."""
    return slab_bounds(shape, SLAB)
