"""Volumes in space, and outlines of tissue: ellipsoids, irregular bodies, shells, masks from files.

Each is a signed distance in µm on a coarse grid, < 0 inside; linear interpolation errs by
``spacing² / (8 radius)``, 0.02 µm for 64 samples across 300 µm.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise, product

import numpy as np
from scipy import ndimage, special

from cytosuite.bodies.grid import Grid
from cytosuite.datasets.physics.shapes import of_length_1
from cytosuite.errors import InputError
from cytosuite.volume import Volume
from cytosuite.volume.arrays import Doubles, Image, Indices, Lengths, Longs, Rng
from cytosuite.volume.objects import box_of

STEPS = 24  # of Newton's method; 12 suffice but for points next to a plane of symmetry
BLUR = 0.8  # of a voxel: makes the shares of tissue in neighbouring voxels one smooth edge
SAMPLES = 64  # along each axis
MARGIN = 4  # samples beyond the surface
DEGREES = (2, 3, 4)  # of the spherical harmonics in an irregular surface: bulges and dents
BEYOND = 1.5  # of the way from the middle to the pole of the inside: middle of the ball
LEAST_CAVITY = 0.05  # of the inside of a blastocyst, and its least mass
WAVES = 6  # of each degree, about random axes


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
        return np.asarray(values + np.sqrt((((index - held) * self.spacing) ** 2).sum(axis=1)))

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


def distance_to_ellipsoid(half: int, spacing: Lengths, semi_axes: Lengths) -> Image:
    """Return the distance to an ellipsoid in the middle of a cube of 2 `half` samples per axis.

    The nearest point to ``y`` is ``a_i² y_i / (t + a_i²)``, ``t`` the largest root of the convex
    ``Σ (a_i y_i / (t + a_i²))² = 1`` (Eberly 2011), by Newton's method in one octant.
    """
    axes = np.reshape(semi_axes, (3, 1, 1, 1))
    ticks = [(np.arange(half) + 0.5) * step for step in spacing]
    points = np.stack(np.meshgrid(*ticks, indexing="ij"))
    squares = axes**2
    t = (axes * points - squares).max(axis=0)
    for _ in range(STEPS):
        share = 1 / (t + squares)
        terms = (axes * points * share) ** 2
        value = terms[0] - 1 + terms[1] + terms[2]
        t += value / (2 * (terms * share).sum(axis=0))
    parts = (points * t / (t + squares)) ** 2
    distance = np.copysign(np.sqrt(parts.sum(axis=0)), t).astype(np.float32)
    for axis in range(3):
        distance = np.concatenate([np.flip(distance, axis), distance], axis)
    return np.asarray(distance)


def distance_from_shares(shares: Image, spacing: Lengths) -> Image:
    """Return the distance by the share of a voxel inside (normal quantile) up to 1.5 voxels."""
    shares = ndimage.gaussian_filter(shares, BLUR, mode="nearest")
    # Far from the surface all weigh alike.
    weights = [slope**2 + 1e-9 for slope in np.gradient(shares, *spacing)]
    widths = [step**2 * (BLUR**2 + 1 / 12) for step in spacing]
    variance = sum(w * width for w, width in zip(weights, widths, strict=True)) / sum(weights)
    return np.asarray(-np.sqrt(variance) * special.ndtri(shares.clip(1e-5, 1 - 1e-5)), np.float32)


def distance_everywhere(near: Image, spacing: Lengths) -> Image:
    """Return the distance (Z, Y, X) by the nearest surface point ``v``: ``v·n``, at corners |v|."""
    steps = np.asarray(spacing, np.float32)
    band = np.abs(near) <= steps.max()
    normals = np.asarray(np.gradient(near, *spacing))[:, band]  # (3, n)
    normals /= np.maximum(np.linalg.norm(normals, axis=0), 1e-6)
    ticks = np.stack(np.nonzero(band)).astype(np.float32) * steps[:, None]
    surface = ticks - near[band] * normals
    number = np.zeros(near.shape, np.int64)
    number[band] = np.arange(band.sum())
    nearest = ndimage.distance_transform_edt(
        ~band, sampling=spacing, return_distances=False, return_indices=True
    )
    number = number[tuple(nearest)]
    place = np.indices(near.shape, np.float32) * steps[:, None, None, None]
    least = _squares(place, surface, number)
    for axis, shift in product(range(3), (1, -1)):
        neighbour = np.roll(number, shift, axis)  # a neighbour's nearest point may be nearer still
        squares = _squares(place, surface, neighbour)
        number = np.where(squares < least, neighbour, number)
        np.minimum(least, squares, out=least)
    along = np.zeros_like(near)
    for axis in range(3):
        along += (place[axis] - surface[axis][number]) * normals[axis][number]
    distance = np.sqrt(np.maximum(along**2, least - np.float32((steps**2).sum())))
    return np.where(band, near, np.copysign(distance, near)).astype(np.float32)


def _squares(place: Image, surface: Image, number: Longs) -> Image:
    """Return the squared distance (Z, Y, X) of each sample to its surface point."""
    squares = np.zeros(number.shape, np.float32)
    for axis in range(3):
        squares += (place[axis] - surface[axis][number]) ** 2
    return squares


def ellipsoid(centre_um: Lengths, semi_axes_um: Lengths) -> Region:
    """Return an ellipsoid of tissue, axes along z, y, x; InputError for an axis of 0."""
    if min(semi_axes_um) <= 0:
        raise InputError(f"semi-axes of tissue must be positive, found {semi_axes_um} µm")
    half = SAMPLES // 2
    spacing = tuple(axis / (half - MARGIN) for axis in semi_axes_um)
    return _centred(distance_to_ellipsoid(half, spacing, semi_axes_um), spacing, centre_um)


def irregular(rng: Rng, centre_um: Lengths, semi_axes_um: Lengths, bumps: float) -> Region:
    """Return an ellipsoid, radius times ``exp(bumps b(u))``; b: Legendre ``P_l(u·v)``, of rms 1."""
    axes = of_length_1(rng.normal(size=(len(DEGREES) * WAVES, 3)))
    weights = rng.normal(size=len(axes))
    field = _harmonics(_sphere(4000), axes, weights)
    scale = bumps / float(np.sqrt((field**2).mean()))
    shrink = float(np.exp(3 * scale * field).mean() ** (-1 / 3))
    reach = float(np.exp(scale * field).max()) * shrink * 1.02  # between the directions tried
    half = SAMPLES // 2
    spacing = tuple(axis * reach / (half - MARGIN) for axis in semi_axes_um)
    ticks = ((np.arange(SAMPLES) - half + 0.5) * reach / (half - MARGIN)).astype(np.float32)
    local = np.stack(np.meshgrid(ticks, ticks, ticks, indexing="ij")).reshape(3, -1)
    radius = np.linalg.norm(local, axis=0)
    surface = shrink * np.exp(scale * _harmonics(local / radius, axes, weights))
    level = (radius / surface - 1).reshape((SAMPLES,) * 3).astype(np.float32)
    slope = np.sqrt(sum(part**2 for part in np.gradient(level, *spacing)))
    near = np.asarray(level / np.maximum(slope, 1e-12), np.float32)  # f / |∇f|, as f is smooth
    return _centred(distance_everywhere(near, spacing), spacing, centre_um)


def shell(
    centre_um: Lengths, semi_axes_um: Lengths, core: float, offset_um: Lengths = (0.0, 0.0, 0.0)
) -> tuple[Region, Region]:
    """Return an ellipsoid of tissue around a core, `core` times as large, and that core."""
    whole = ellipsoid(centre_um, semi_axes_um)
    middle = tuple(place + shift for place, shift in zip(centre_um, offset_um, strict=True))
    inner = ellipsoid(middle, tuple(axis * core for axis in semi_axes_um))
    return whole.minus(inner), whole.intersect(inner)


def blastocyst(
    centre_um: Lengths, semi_axes_um: Lengths, core: float, pole: Doubles, mass_um3: float
) -> tuple[Region, Region, Region, Region | None]:
    """Return an ellipsoid, its layer, a mass of a volume at a pole (unit vector), its cavity.

    The inside is `core` times as large; the mass is the part of it in a ball about a point beyond
    its pole, a lens. One that leaves less than `LEAST_CAVITY` of the inside fills it: a morula.
    """
    inside = ellipsoid(centre_um, tuple(axis * core for axis in semi_axes_um))
    whole = ellipsoid(centre_um, semi_axes_um)
    layer = whole.minus(inside)
    place = np.add(centre_um, BEYOND * core * pole * semi_axes_um)
    z, y, x = np.ix_(*(inside.grid.centres(axis) - place[axis] for axis in range(3)))
    away = np.sort((z**2 + y**2 + x**2)[inside.distance < 0])
    count = max(round(mass_um3 / float(np.prod(inside.spacing))), round(LEAST_CAVITY * len(away)))
    if count > (1 - LEAST_CAVITY) * len(away):
        return whole, layer, inside, None
    ball = ellipsoid(tuple(place.tolist()), (float(np.sqrt(away[count])),) * 3)
    return whole, layer, inside.intersect(ball), inside.minus(ball)


def fill(grid_size_um: Lengths, margin_um: float) -> Region:
    """Return tissue that goes on by a margin (µm) beyond a field of view on all sides."""
    spacing = tuple((size + 2 * margin_um) / (SAMPLES - 2 * MARGIN) for size in grid_size_um)
    origin = tuple(-margin_um - MARGIN * step for step in spacing)
    grid, beyond = Grid((SAMPLES,) * 3, spacing, origin), list[Image]()  # the faces of an axis
    for axis, size in enumerate(grid_size_um):
        ticks = grid.centres(axis).astype(np.float64)
        away = np.maximum(-margin_um - ticks, ticks - (size + margin_um))
        beyond.append(away.astype(np.float32))
    z, y, x = np.ix_(*beyond)
    inside = np.minimum(np.maximum(np.maximum(z, y), x), 0)
    outside = z.clip(0) ** 2 + y.clip(0) ** 2 + x.clip(0) ** 2
    return Region(np.asarray(inside + np.sqrt(outside), np.float32), spacing, origin)


def from_mask(mask: Volume, centre_um: Lengths) -> Region:
    """Return the tissue of a ZYX mask (not 0), its middle at a point; InputError if empty."""
    if mask.axes != "ZYX":
        raise InputError(f"a mask of tissue must have the axes ZYX, found {mask.axes}")
    tissue = mask.array != 0
    box = box_of(tissue)
    if box is None:
        raise InputError(
            f"a mask of tissue is empty: all of its {' x '.join(map(str, tissue.shape))} voxels "
            "are 0; expected tissue where it is not"
        )
    tissue = tissue[box]
    blocks = [-(-size // (SAMPLES - 2 * MARGIN)) for size in tissue.shape]
    filled = [-size % block for size, block in zip(tissue.shape, blocks, strict=True)]
    # Equal borders of whole blocks; voxels missing to whole blocks are shared between both ends.
    edges = [
        (MARGIN * block + rest // 2, MARGIN * block + rest - rest // 2)
        for block, rest in zip(blocks, filled, strict=True)
    ]
    shares = np.pad(tissue, edges)
    for axis, block in enumerate(blocks):
        shape = (*shares.shape[:axis], -1, block, *shares.shape[axis + 1 :])
        shares = shares.reshape(shape).mean(axis=axis + 1, dtype=np.float32)
    spacing = tuple(step * block for step, block in zip(mask.spacing, blocks, strict=True))
    distance = distance_everywhere(distance_from_shares(shares, spacing), spacing)
    odd = np.mod(filled, 2) / 2 * mask.spacing
    return _centred(distance, spacing, tuple(np.add(centre_um, odd).tolist()))


def _centred(distance: Image, spacing: Lengths, centre_um: Lengths) -> Region:
    """Return a region with the middle of its grid at a point."""
    return Region(distance, spacing, Grid.around(distance.shape, spacing, centre_um).origin)


def _sphere(count: int) -> Image:
    """Return directions (3, count) spread evenly: a Fibonacci sphere."""
    turns = np.arange(count) * np.pi * (3 - np.sqrt(5))
    height = 1 - (2 * np.arange(count) + 1) / count
    ring = np.sqrt(1 - height**2)
    return np.stack([height, ring * np.sin(turns), ring * np.cos(turns)]).astype(np.float32)


def _harmonics(directions: Image, axes: Doubles, weights: Doubles) -> Image:
    """Return the weighted sum (n,) of Legendre polynomials of the angles to axes (K, 3)."""
    total = np.zeros(directions.shape[1], np.float32)
    degrees = np.repeat(DEGREES, WAVES)
    for axis, weight, degree in zip(axes.astype(np.float32), weights, degrees, strict=True):
        series = np.polynomial.legendre.leg2poly([0] * degree + [weight])[::-1]
        # Not `axis @ directions`: the last bits of that depend on the kind of processor.
        cosine = axis[0] * directions[0] + axis[1] * directions[1] + axis[2] * directions[2]
        value = np.full_like(cosine, series[0])
        for term in series[1:]:
            value *= cosine
            if term:
                value += np.float32(term)
        total += value
    return total
