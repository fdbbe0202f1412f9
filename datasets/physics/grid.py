"""Regular grids of voxels in space: the detector's, and the finer one of the simulation."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Image = NDArray[np.float32]
Triple = tuple[float, float, float]  # z, y, x


@dataclass(frozen=True, slots=True)
class Grid:
    """A regular grid of voxels in space.

    Parameters
    ----------
    shape : tuple of int
        Voxels along z, y, x.
    spacing : tuple of float
        µm per voxel.
    origin : tuple of float
        Position in µm of the outer corner of the first voxel.
    first : tuple of int
        Index of the first voxel in the grid this one is a part of: noise drawn per voxel of the
        whole (chromatin) then continues from slab to slab.
    """

    shape: tuple[int, int, int]
    spacing: Triple
    origin: Triple = (0.0, 0.0, 0.0)
    first: tuple[int, int, int] = (0, 0, 0)

    @property
    def voxel_um(self) -> float:
        """Edge in µm of the cube that has the volume of a voxel."""
        return float(np.prod(self.spacing) ** (1 / 3))

    @property
    def size_um(self) -> Triple:
        """Extent in µm along z, y, x."""
        z, y, x = (n * step for n, step in zip(self.shape, self.spacing, strict=True))
        return z, y, x

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

    def box(self, centre: Array, reach: Array) -> tuple[slice, slice, slice] | None:
        """Return the voxels whose centres lie within `reach` of `centre`, None if none do.

        Parameters
        ----------
        centre, reach : (3,) float array
            µm.
        """
        spans = []
        for axis in range(3):
            low = (centre[axis] - reach[axis] - self.origin[axis]) / self.spacing[axis] - 0.5
            high = (centre[axis] + reach[axis] - self.origin[axis]) / self.spacing[axis] - 0.5
            start, stop = max(int(np.ceil(low)), 0), min(int(high) + 1, self.shape[axis])
            if high < 0 or start >= stop:
                return None
            spans.append(slice(start, stop))
        return spans[0], spans[1], spans[2]
