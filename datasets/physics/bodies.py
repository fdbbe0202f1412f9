"""Populations of bodies that are packed in a tissue and painted on a grid.

A population is drawn from a generator (`cytosuite.datasets.physics.shapes`) or from stored voxels
(`cytosuite.datasets.phantoms`); packing knows it as ellipsoids, painting as patches.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cytosuite import large
from cytosuite.datasets.physics.grid import Array, Grid, Image, Labels, slabs
from cytosuite.tiling import Box


@dataclass(frozen=True, slots=True)
class Patch:
    """One body on the voxels of a box.

    Parameters
    ----------
    index : int
        Its number in the population, from 0.
    box : tuple of slice
        The voxels of the grid.
    inside : (n,) int array
        Flat indices, within the box, of the voxels in and near the body.
    position : (3, n) float32 array
        Their positions in units of the semi-axes, along the axes.
    distance : (n,) float32 array
        Distance from the centre relative to the surface: below 1 is inside.
    """

    index: int
    box: Box
    inside: NDArray[np.int64]
    position: Image
    distance: Image

    @property
    def shape(self) -> tuple[int, ...]:
        """Size of the box in voxels."""
        return tuple(span.stop - span.start for span in self.box)

    def on_box(self, values: Image, elsewhere: float = 0.0) -> Image:
        """Return values (n,) of the voxels `inside` as an image of the box."""
        image = np.full(self.shape, elsewhere, np.float32)
        image.reshape(-1)[self.inside] = values
        return image


class Bodies(Protocol):
    """A population of bodies: ellipsoids for packing, patches for painting."""

    @property
    def semi_axes_um(self) -> Array:
        """Semi-axes (N, 3) of the ellipsoids of the same volume, µm."""

    @property
    def rotations(self) -> Array:
        """Directions (N, 3, 3) of the axes, z y x, in columns."""

    @property
    def brightness(self) -> Array:
        """Mean density (N,) of the dye relative to the median nucleus."""

    def __len__(self) -> int:
        """Return the number of bodies."""

    def patches(self, centres_um: Array, grid: Grid, rim_um: float = 0.0) -> Iterator[Patch]:
        """Yield each body that touches a grid, in the voxels of its own box.

        Parameters
        ----------
        centres_um : (N, 3) float array
            Centroids of the bodies.
        grid : Grid
        rim_um : float
            Also yield voxels this far outside of the surface.
        """

    def density(self, patch: Patch, grid: Grid, tile: Image) -> Image:
        """Return the dye (n,) in the voxels of a patch, with `brightness` and soft rim."""


def volumes_um3(bodies: Bodies) -> Array:
    """Return the volume of each body (N,) in µm³."""
    return np.asarray(4 / 3 * np.pi * bodies.semi_axes_um.prod(axis=1))


def extents_um(bodies: Bodies) -> Array:
    """Return half the height, depth and width (N, 3) of the boxes around the ellipsoids, in µm."""
    squares = (bodies.rotations * bodies.semi_axes_um[:, None, :]) ** 2
    return np.asarray(np.sqrt(squares.sum(axis=2)))


@dataclass(frozen=True, slots=True)
class Mixture:
    """Several populations as one; numbers run on from one to the next.

    Parameters
    ----------
    parts : tuple of Bodies
        At least one.
    """

    parts: tuple[Bodies, ...]

    @property
    def semi_axes_um(self) -> Array:
        """Semi-axes (N, 3) of the ellipsoids of the same volume, µm."""
        return np.concatenate([part.semi_axes_um for part in self.parts])

    @property
    def rotations(self) -> Array:
        """Directions (N, 3, 3) of the axes, z y x, in columns."""
        return np.concatenate([part.rotations for part in self.parts])

    @property
    def brightness(self) -> Array:
        """Mean density (N,) of the dye relative to the median nucleus."""
        return np.concatenate([part.brightness for part in self.parts])

    def __len__(self) -> int:
        """Return the number of bodies."""
        return sum(map(len, self.parts))

    def _starts(self) -> list[int]:
        """Return the number of the first body of each part, and the total."""
        return [0, *np.cumsum([len(part) for part in self.parts]).tolist()]

    def patches(self, centres_um: Array, grid: Grid, rim_um: float = 0.0) -> Iterator[Patch]:
        """Yield each body that touches a grid, also voxels `rim_um` outside of its surface."""
        for part, start in zip(self.parts, self._starts(), strict=False):
            own = centres_um[start : start + len(part)]
            for patch in part.patches(own, grid, rim_um):
                yield replace(patch, index=patch.index + start)

    def density(self, patch: Patch, grid: Grid, tile: Image) -> Image:
        """Return the dye (n,) in the voxels of a patch, with `brightness` and soft rim."""
        starts = self._starts()
        part = int(np.searchsorted(starts, patch.index, side="right")) - 1
        own = replace(patch, index=patch.index - starts[part])
        return self.parts[part].density(own, grid, tile)


def paint(bodies: Bodies, centres_um: Array, grid: Grid, tile: Image, out: Image) -> Image:
    """Paint the dye of bodies on an image; where two meet the larger value stays.

    Parameters
    ----------
    bodies, centres_um, grid : Bodies, (N, 3) float array, Grid
    tile : (z, y, x) float32 array
        Periodic noise at the spacing of `grid`, see `physics.dye.chromatin_tile`.
    out : (Z, Y, X) float32 array
        Changed in place and returned.
    """
    for patch in bodies.patches(centres_um, grid, grid.voxel_um / 2):
        painted = patch.on_box(bodies.density(patch, grid, tile))
        np.maximum(out[patch.box], painted, out=out[patch.box])
    return out


def label(bodies: Bodies, centres_um: Array, grid: Grid) -> Labels:
    """Return the labels (Z, Y, X) of at most 65535 bodies: number + 1, 0 is background.

    A voxel is in a body when its centre is; where surfaces cross, the body with the smaller
    distance relative to its surface takes the voxel. Memory: 6 bytes per voxel of a slab, and 2 of
    the rest, on disk where they do not fit.
    """
    labels = large.room(grid.shape, np.uint16)
    for start, stop in slabs(grid.shape):
        slab = labels[start:stop]
        nearest = np.ones(slab.shape, np.float32)
        for patch in bodies.patches(centres_um, grid.slab(start, stop)):
            distance = patch.on_box(patch.distance, 1.0)
            closer = distance < nearest[patch.box]
            slab[patch.box][closer] = patch.index + 1
            nearest[patch.box][closer] = distance[closer]
        large.release(labels)
    return labels
