"""A volume in space: the signed distance to its surface on a coarse grid."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

import numpy as np
from scipy import ndimage

from cytosuite.bodies.grid import Grid
from cytosuite.errors import InputError
from cytosuite.volume.arrays import Doubles, Image, Indices, Lengths, Rng


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """A volume in space: the signed distance to its surface."""

    distance: Image  # (Z, Y, X), µm, negative inside
    spacing: Lengths  # µm between samples
    origin: Lengths  # µm, outer corner of the first sample's voxel

    def __post_init__(self) -> None:
        """Refuse a region that holds nothing."""
        if not (self.distance < 0).any():
            raise InputError(
                "a region of tissue is empty: no sample of its grid lies inside; make it larger "
                "than the part that is taken away"
            )

    @property
    def grid(self) -> Grid:
        """The grid of the samples."""
        return Grid(self.distance.shape, self.spacing, self.origin)

    @property
    def volume_um3(self) -> float:
        """Volume in µm³; voxels at the surface count with the share that lies inside."""
        shares = (0.5 - self.distance / max(self.spacing)).clip(0, 1)
        return float(shares.sum(dtype=np.float64) * np.prod(self.spacing))

    @property
    def depth_um(self) -> float:
        """Radius in µm of the largest ball that fits inside, about."""
        return float(-self.distance.min())

    @property
    def box_um(self) -> Doubles:
        """Lower and upper corner (2, 3) in µm of the box around the region."""
        inside = np.nonzero(self.distance < 0)
        depth = -self.distance[inside]  # a ball of this radius lies inside as well
        ticks = np.stack([self.grid.centres(axis)[index] for axis, index in enumerate(inside)])
        ends = (ticks - depth).min(axis=1), (ticks + depth).max(axis=1)
        return np.array(ends, np.float64)

    def distance_at(self, points_um: Doubles) -> Doubles:
        """Return the distance (n,) at points (n, 3) in µm, beyond the samples to their box."""
        index = (points_um - self.origin) / self.spacing - 0.5
        held = index.clip(0, np.asarray(self.distance.shape) - 1)
        values = ndimage.map_coordinates(self.distance, held.T, np.float64, order=1)
        beyond = (index - held) * self.spacing
        return np.asarray(values + np.sqrt((beyond**2).sum(axis=1)))

    def normals_at(self, points_um: Doubles) -> Doubles:
        """Return unit vectors (n, 3) away from the inside at points (n, 3) in µm."""
        shifts = np.diag(self.spacing)[:, None] / 2  # (3, 1, 3)
        moved = np.concatenate([points_um + shifts, points_um - shifts])
        values = self.distance_at(moved.reshape(-1, 3)).reshape(2, 3, -1)
        slopes = (values[0] - values[1]).T / self.spacing
        length = np.linalg.norm(slopes, axis=1, keepdims=True)
        return np.asarray(slopes / np.maximum(length, 1e-9))

    def draw(self, rng: Rng, count: int) -> Doubles:
        """Return points (count, 3) in µm, uniform in the region."""
        cells = np.flatnonzero(self.distance < np.linalg.norm(self.spacing) / 2)
        points = np.zeros((0, 3))
        while len(points) < count:
            chosen = rng.choice(cells, 2 * (count - len(points)) + 8)
            corner = np.stack(np.unravel_index(chosen, self.distance.shape), axis=1)
            drawn = (corner + rng.random(corner.shape)) * self.spacing + self.origin
            points = np.concatenate([points, drawn[self.distance_at(drawn) < 0]])
        return points[:count]

    def on(self, grid: Grid) -> Image:
        """Return the distance (Z, Y, X) on the voxels of any grid; slabs get the same."""
        image = np.empty(grid.shape, np.float32)
        for plane, values in zip(image, self._planes(grid, grid.centres(0)), strict=True):
            plane[...] = values
        return image

    def above_um(self, grid: Grid) -> Image:
        """Return the height (Y, X) in µm of the region before the first plane of a grid."""
        total = np.zeros(grid.shape[1:], np.float32)
        ticks = self.grid.centres(0)
        low = np.float32(self.box_um[0, 0])
        stop = np.float32(grid.origin[0])
        ticks = np.unique(np.concatenate([[low - max(self.spacing)], ticks, [stop]]))
        ticks = ticks[ticks <= stop]
        planes = pairwise(plane.copy() for plane in self._planes(grid, ticks))
        for height, (before, after) in zip(np.diff(ticks), planes, strict=True):
            inside = np.maximum(-before, 0) + np.maximum(-after, 0)
            ends = np.maximum(np.abs(before) + np.abs(after), np.float32(1e-6))
            total += inside / ends * height  # of the stretch where the line is negative
        return total

    def minus(self, other: "Region") -> "Region":
        """Return the part of this region outside of another, on the samples of this one."""
        return replace(self, distance=np.maximum(self.distance, -other.on(self.grid)))

    def intersect(self, other: "Region") -> "Region":
        """Return the part of this region inside another, on the samples of this one."""
        return replace(self, distance=np.maximum(self.distance, other.on(self.grid)))

    def scaled(self, factor: float, about_um: Lengths) -> "Region":
        """Return a copy with lengths multiplied about a point."""
        origin = tuple(m + (o - m) * factor for m, o in zip(about_um, self.origin, strict=True))
        spacing = tuple(step * factor for step in self.spacing)
        return Region(self.distance * np.float32(factor), spacing, origin)

    def _planes(self, grid: Grid, heights: Image) -> Iterator[Image]:
        """Yield the distance (Y, X) at each height in µm, in an array used again for the next."""
        steps = [self._steps(axis, grid.centres(axis)) for axis in (1, 2)]
        (rows, down, y_beyond), (columns, across, x_beyond) = steps
        squares = y_beyond[:, None] ** 2 + x_beyond**2
        lateral = bool(squares.any())

        @lru_cache(maxsize=2)  # for the next height
        def _sample(index: int) -> Image:
            lines = self.distance[index]
            left = lines[:, columns]
            left += across * (lines[:, columns + 1] - left)
            plane: Image = left[rows]
            plane += down[:, None] * (left[rows + 1] - plane)
            return plane

        result = np.empty(grid.shape[1:], np.float32)
        for index, share, beyond in zip(*self._steps(0, heights), strict=True):
            upper = _sample(int(index))
            np.subtract(_sample(int(index) + 1), upper, out=result)
            result *= share
            result += upper
            if lateral or beyond:
                result += np.sqrt(squares + beyond**2)
            yield result

    def _steps(self, axis: int, ticks: Image) -> tuple[Indices, Image, Image]:
        """Return sample, share of the way to the next, and µm beyond the samples, per tick."""
        index = (ticks.astype(np.float64) - self.origin[axis]) / self.spacing[axis] - 0.5
        held = index.clip(0, self.distance.shape[axis] - 1)
        first = np.minimum(held.astype(np.intp), self.distance.shape[axis] - 2)
        beyond = (index - held) * self.spacing[axis]
        return first, (held - first).astype(np.float32), beyond.astype(np.float32)
