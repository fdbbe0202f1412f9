"""Populations of bodies, packed as ellipsoids and painted as patches, and noise of their dye."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import scipy.fft

from cytosuite.bodies.grid import Grid
from cytosuite.bodies.harmonics import ball
from cytosuite.bodies.stars import Bodies, Patch
from cytosuite.files import frozen
from cytosuite.volume.arrays import Doubles, Image, Rng

BULGE = 1.25  # times the longest semi-axis: as far as bends and roughness reach


def volumes_um3(bodies: Bodies) -> Doubles:
    """Return the volume of each body (N,) in µm³."""
    return np.asarray(4 / 3 * np.pi * bodies.semi_axes_um.prod(axis=1))


def extents_um(bodies: Bodies) -> Doubles:
    """Return half the height, depth and width (N, 3) of the boxes around the ellipsoids, in µm."""
    squares = (bodies.rotations * bodies.semi_axes_um[:, None, :]) ** 2
    return np.asarray(np.sqrt(squares.sum(axis=2)))


@frozen
class Mixture:
    """One or more populations as one; numbers run on from one to the next.

    With `near` they flatten: each place belongs to the ellipsoid of least scaled distance. Of two
    balls of radii ``r`` the border is where ``|x - a| / r_a = |x - b| / r_b``: of equal ones the
    plane in the middle, else it bulges into the larger one.
    """

    parts: tuple[Bodies, ...]
    near: tuple[Doubles, ...] = ()  # of each body (K, 9): centre and form, its own and neighbours'

    @property
    def semi_axes_um(self) -> Doubles:
        """Semi-axes (N, 3) of the ellipsoids of the same volume, µm."""
        return np.concatenate([part.semi_axes_um for part in self.parts])

    @property
    def rotations(self) -> Doubles:
        """Directions (N, 3, 3) of the axes, z y x, in columns."""
        return np.concatenate([part.rotations for part in self.parts])

    @property
    def brightness(self) -> Doubles:
        """Mean density (N,) of the dye relative to the median nucleus."""
        return np.concatenate([part.brightness for part in self.parts])

    def __len__(self) -> int:
        """Return the number of bodies."""
        return sum(map(len, self.parts))

    def _starts(self) -> list[int]:
        return [0, *np.cumsum([len(part) for part in self.parts]).tolist()]

    def split(self, values: Doubles) -> list[Doubles]:
        """Return the values (N, ...) of all bodies as those (n, ...) of each population."""
        return np.split(values, self._starts()[1:-1])

    def patches(self, centres_um: Doubles, grid: Grid, rim_um: float = 0.0) -> Iterator[Patch]:
        """Yield each body that touches a grid, cut where a neighbour is nearer."""
        parts = zip(self.parts, self._starts(), self.split(centres_um), strict=False)
        for part, start, centres in parts:
            for patch in part.patches(centres, grid, rim_um):
                index = patch.index + start
                if self.near and len(near := self.near[index]) > 1:
                    from cytosuite.datasets.physics import _body_kernels  # compiled on first use

                    _body_kernels.press(*grid.ticks(patch.box), patch.inside, near, patch.distance)
                yield replace(patch, index=index)

    def density(self, patch: Patch, grid: Grid, tile: Image) -> Image:
        """Return the dye (n,) in the voxels of a patch, with `brightness` and soft rim."""
        starts = self._starts()
        part = int(np.searchsorted(starts, patch.index, side="right")) - 1
        return self.parts[part].density(
            replace(patch, index=patch.index - starts[part]), grid, tile
        )


def pressed(parts: Sequence[tuple[Bodies, Doubles]]) -> tuple[tuple[Bodies, Doubles], ...]:
    """Return bodies with centres (N, 3) that flatten where they overlap any of the others."""
    everyone = Mixture(tuple(part for part, _ in parts))
    centres = [points for _, points in parts]
    places = np.concatenate(centres)
    axes = everyone.semi_axes_um
    scaled = everyone.rotations / axes[:, None, :]
    forms = (scaled @ scaled.transpose(0, 2, 1))[:, (0, 1, 2, 0, 0, 1), (0, 1, 2, 1, 2, 2)]
    rows = np.concatenate([places, forms], axis=1)
    reach = BULGE * axes.max(axis=1)
    near = []
    for number, place in enumerate(places):
        away = np.sqrt(((places - place) ** 2).sum(axis=1))
        near.append(rows[[number, *np.flatnonzero((away < reach[number] + reach) & (away > 0))]])
    starts = np.cumsum([0, *map(len, centres)])
    return tuple(
        (Mixture((part,), tuple(near[start : start + len(part)])), points)
        for (part, points), start in zip(parts, starts, strict=False)
    )


def paint(bodies: Bodies, centres_um: Doubles, grid: Grid, tile: Image, out: Image) -> Image:
    """Paint the dye of bodies on an image (Z, Y, X) in place; the larger value stays."""
    for patch in bodies.patches(centres_um, grid, grid.voxel_um / 2):
        painted = patch.on_box(bodies.density(patch, grid, tile))
        np.maximum(out[patch.box], painted, out=out[patch.box])
    return out


def chromatin_tile(rng: Rng, grid: Grid, size_um: float, tile_um: float = 24.0) -> Image:
    """Return periodic noise (z, y, x) of mean 0 and deviation 1, in clumps of `size_um`."""
    sizes = [scipy.fft.next_fast_len(int(np.ceil(tile_um / step))) for step in grid.spacing]
    transforms = (scipy.fft.fftfreq, scipy.fft.fftfreq, scipy.fft.rfftfreq)
    waves = [f(n, step) for f, n, step in zip(transforms, sizes, grid.spacing, strict=True)]
    squared = sum(part**2 for part in np.meshgrid(*waves, indexing="ij", sparse=True))
    exponent = -2 * np.pi**2 * squared * size_um**2
    band = np.exp(exponent) - np.exp(9 * exponent)
    tile = scipy.fft.irfftn(
        scipy.fft.rfftn(rng.standard_normal(sizes), workers=1) * band, sizes, workers=1
    )
    return np.asarray(tile / tile.std(), np.float32)


BALL = ball()
