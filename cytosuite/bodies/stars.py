"""Populations of bodies, and those by their radius in every direction, drawn in their boxes.

A star is all ``v`` with ``|v| <= r(v / |v|)`` in its own axes, z, y, x in µm.
"""

from collections.abc import Iterator
from math import isqrt
from typing import Protocol

import numpy as np

from cytosuite.bodies.grid import Grid, Labels, slabs
from cytosuite.bodies.harmonics import basis, fibonacci_sphere, numbers, radius_table, ring_table
from cytosuite.files import frozen
from cytosuite.volume import memory
from cytosuite.volume.arrays import Box, Doubles, Image, Longs, Rows, Shape
from cytosuite.volume.objects import label_type

ROUNDED = 1 + 1e-5  # for the rounding of a table


@frozen
class Patch:
    """One body on the voxels of a box."""

    index: int  # its number in the population, from 0
    box: Box  # the voxels of the grid
    inside: Longs  # flat indices (n,), in the box, of the voxels in and near the body
    position: Image  # (3, n), in units of the semi-axes, along the axes
    distance: Image  # (n,), from the centre relative to the surface: below 1 is inside

    @property
    def shape(self) -> Shape:
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
    def semi_axes_um(self) -> Doubles:
        """Semi-axes (N, 3) of the ellipsoids of the same volume, µm."""

    @property
    def rotations(self) -> Doubles:
        """Directions (N, 3, 3) of the axes, z y x, in columns."""

    @property
    def brightness(self) -> Doubles:
        """Mean density (N,) of the dye relative to the median nucleus."""

    def __len__(self) -> int:
        """Return the number of bodies."""

    def patches(self, centres_um: Doubles, grid: Grid, rim_um: float = 0.0) -> Iterator[Patch]:
        """Yield each body that touches a grid, also voxels `rim_um` outside of its surface."""

    def density(self, patch: Patch, grid: Grid, tile: Image) -> Image:
        """Return the dye (n,) in the voxels of a patch, with `brightness` and soft rim."""


@frozen
class Stars(Rows):
    """A population of star-shaped bodies, see `Bodies`."""

    axes_um: Doubles  # (N, 3), semi-axes at relative radius 1
    rotations: Doubles  # (N, 3, 3), columns are the directions (z, y, x) of the axes
    coefficients: Doubles  # (N, 2, L + 1, L + 1) of volumes, (N, 2, L + 1) of planes
    brightness: Doubles  # (N,)
    semi_axes_um: Doubles  # (N, 3), of the ellipsoids of the same volume or area
    stretch: Doubles | None = None  # (N, 3), factors along z, y, x, as a map shows them

    def table(self, index: int) -> Image:
        """Return the relative radius of a body over the directions."""
        coefficients = self.coefficients[index]
        return radius_table(coefficients) if coefficients.ndim == 3 else ring_table(coefficients)

    @property
    def reach_um(self) -> Doubles:
        """Distances (N,), µm, that no surface exceeds (Cauchy): ``|c| sqrt((2 l + 1) / 4 π)``."""
        coefficients = self.coefficients
        degree = np.arange(coefficients.shape[-1])
        if coefficients.ndim == 4:
            highest = np.sqrt((coefficients**2).sum(axis=(1, 2)) * (2 * degree + 1) / (4 * np.pi))
        else:
            highest = np.sqrt((coefficients**2).sum(axis=1) * np.where(degree > 0, 2, 1))
        longest = self.axes_um.max(axis=1)
        if self.stretch is not None:
            longest = longest * self.stretch.max(axis=1)
        return np.asarray(highest.sum(axis=1) * longest * ROUNDED)

    def patches(self, centres_um: Doubles, grid: Grid, rim_um: float = 0.0) -> Iterator[Patch]:
        """Yield each body that touches a grid; the cost is per box, not per grid voxel."""
        from cytosuite.bodies import _kernels  # compiled on first use

        stretches = np.ones(self.axes_um.shape) if self.stretch is None else self.stretch
        near = grid.near(centres_um, self.reach_um) if rim_um == 0 else np.arange(len(self))
        for index in near.tolist():
            table = self.table(index)
            axes = self.axes_um[index]
            stretch = stretches[index, :, None]
            rim = 1 + rim_um / float(axes.min() * stretch.min() * table.min())
            spokes = stretch * self.rotations[index] * axes * float(table.max()) * rim
            box = grid.box(centres_um[index], np.sqrt((spokes**2).sum(axis=1)))
            if box is None:
                continue
            ticks = grid.ticks(box, centres_um[index])
            to_axes = np.array((self.rotations[index] / axes / stretch).T, np.float32, order="C")
            yield Patch(index, box, *_kernels.cut_star(*ticks, to_axes, table, rim))

    def density(self, patch: Patch, grid: Grid, tile: Image) -> Image:  # noqa: ARG002
        """Return even dye (n,) of `brightness` with a soft rim of one voxel; `tile` is not used."""
        radius = self.semi_axes_um[patch.index].prod() ** (1 / 3) / grid.voxel_um
        share = np.clip((1 - patch.distance) * radius + 0.5, 0, 1)
        return np.asarray(share * self.brightness[patch.index], np.float32)


def stars_from(coefficients_um: Doubles | Image) -> Stars:
    """Return stars along z, y, x by coefficients (N, (order + 1)²) in µm, see `basis`."""
    count, terms = coefficients_um.shape
    order = isqrt(terms) - 1
    coefficients = np.zeros((count, 2, order + 1, order + 1))
    part, m, degree = numbers(order)
    coefficients[:, part, m, degree] = coefficients_um
    radii = (coefficients_um @ basis(order, fibonacci_sphere()).T).clip(0)
    ball = np.repeat(np.cbrt((radii**3).mean(axis=1))[:, None], 3, axis=1)
    axes = np.ones((count, 3))
    turns = np.broadcast_to(np.eye(3), (count, 3, 3))
    return Stars(axes, turns, coefficients, np.ones(count), ball.astype(np.float64))


def no_labels(bodies: Bodies, grid: Grid) -> Labels:
    """Return the background (Z, Y, X) on which labels of bodies find room, also above 65535."""
    return memory.room(grid.shape, label_type(len(bodies)))


def label(bodies: Bodies, centres_um: Doubles, grid: Grid) -> Labels:
    """Return the labels (Z, Y, X) of bodies: number + 1; where they cross, of the nearer one."""
    labels = no_labels(bodies, grid)
    for start, stop in slabs(grid.shape):
        slab = labels[start:stop]
        nearest = np.ones(slab.shape, np.float32)
        for patch in bodies.patches(centres_um, grid.slab(start, stop)):
            distance = patch.on_box(patch.distance, 1.0)
            closer = distance < nearest[patch.box]
            slab[patch.box][closer] = patch.index + 1
            nearest[patch.box][closer] = distance[closer]
        memory.release(labels)
    return labels
