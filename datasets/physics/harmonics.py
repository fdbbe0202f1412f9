"""Bodies by their radius in every direction: random spherical harmonics on ellipsoids.

A body is all ``v`` with ``|v| <= r(v / |v|)`` in its own axes, z, y, x in µm. `Globe` maps a ball,
evenly in degrees: at latitude `l`, x is shown ``1 / cos(l)`` times as long. Eschweiler (2024),
doi:10.1371/journal.pcbi.1011890; recursion: Press et al., Numerical Recipes (2007), section 6.7.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cytosuite.datasets.physics.bodies import Patch
from cytosuite.datasets.physics.grid import Array, Grid, Image, Lengths
from cytosuite.errors import InputError

HIGHEST = 40  # order
LEAST = 0.2  # of the mean radius: no surface comes nearer to the centre
ROUNDED = 1 + 1e-5  # for the rounding of a table
SAMPLES = 3  # of the radius per order and quarter turn: linear interpolation errs by < 1e-3


def legendre(order: int, cosine: Array) -> Array:
    """Return the associated Legendre functions (m, l, n), as of orthonormal real harmonics."""
    found = np.zeros((order + 1, order + 1, len(cosine)))
    found[0, 0] = np.sqrt(1 / (4 * np.pi))
    sine = np.sqrt((1 - cosine**2).clip(0))
    for m in range(1, order + 1):
        found[m, m] = np.sqrt((2 * m + 1) / (2 * m)) * sine * found[m - 1, m - 1]
    for m in range(order):
        found[m, m + 1] = np.sqrt(2 * m + 3) * cosine * found[m, m]
        for l in range(m + 2, order + 1):  # noqa: E741  (the degree's own letter)
            scale = np.sqrt((4 * l * l - 1) / (l * l - m * m))
            past = np.sqrt(((l - 1) ** 2 - m * m) / (4 * (l - 1) ** 2 - 1))
            found[m, l] = scale * (cosine * found[m, l - 1] - past * found[m, l - 2])
    return found


@lru_cache(maxsize=4)
def _basis(order: int) -> tuple[Array, Array]:
    """Return Legendre functions (m, l, n) and cosines, sines (2, m, k) at the angles of a table."""
    steps = SAMPLES * max(order, 6)
    turn = np.linspace(0, 2 * np.pi, 2 * steps + 1)
    angles = np.arange(order + 1)[:, None] * turn
    norm = np.where(np.arange(order + 1) > 0, np.sqrt(2), 1.0)[:, None]
    waves = np.stack([norm * np.cos(angles), norm * np.sin(angles)])
    return legendre(order, np.cos(np.linspace(0, np.pi, steps + 1))), waves


def radius_table(coefficients: Array) -> Image:
    """Return the radius (n, k) at polar angles and azimuths; coefficients (2, L + 1, L + 1)."""
    falling, waves = _basis(coefficients.shape[1] - 1)
    rings = (coefficients[:, :, None] @ falling)[:, :, 0]  # (2, m, n)
    table = np.tensordot(rings, waves, axes=((0, 1), (0, 1)))
    table[:, -1] = table[:, 0]
    return np.asarray(table, np.float32)


def ring_table(coefficients: Array) -> Image:
    """Return the radius (2, k) in a plane, of coefficients (2, L + 1) of √2 cos and sin(l φ)."""
    order = coefficients.shape[1] - 1
    _, waves = _basis(order)
    ring = np.tensordot(coefficients, waves, axes=((0, 1), (0, 1)))
    ring[-1] = ring[0]
    return np.tile(ring, (2, 1)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Stars:
    """A population of star-shaped bodies, see `cytosuite.datasets.physics.bodies.Bodies`."""

    axes_um: Array  # (N, 3), semi-axes at relative radius 1
    rotations: Array  # (N, 3, 3), columns are the directions (z, y, x) of the axes
    coefficients: Array  # (N, 2, L + 1, L + 1) of volumes, (N, 2, L + 1) of planes
    brightness: Array  # (N,)
    semi_axes_um: Array  # (N, 3), of the ellipsoids of the same volume or area
    stretch: Array | None = None  # (N, 3), factors along z, y, x, as a map shows them

    def __len__(self) -> int:
        """Return the number of bodies."""
        return len(self.axes_um)

    def table(self, index: int) -> Image:
        """Return the relative radius of a body over the directions."""
        own = self.coefficients[index]
        return radius_table(own) if own.ndim == 3 else ring_table(own)

    @property
    def reach_um(self) -> Array:
        """Distances (N,), µm, that no surface exceeds (Cauchy): ``|c| sqrt((2 l + 1) / 4 π)``."""
        own = self.coefficients
        degree = np.arange(own.shape[-1])
        if own.ndim == 4:
            highest = np.sqrt((own**2).sum(axis=(1, 2)) * (2 * degree + 1) / (4 * np.pi))
        else:
            highest = np.sqrt((own**2).sum(axis=1) * np.where(degree > 0, 2, 1))
        longest = self.axes_um.max(axis=1)
        if self.stretch is not None:
            longest = longest * self.stretch.max(axis=1)
        return np.asarray(highest.sum(axis=1) * longest * ROUNDED)

    def _near(self, centres_um: Array, grid: Grid) -> NDArray[np.intp]:
        """Return the numbers (M,) of all bodies that may touch a grid, without their shapes."""
        reach, low = self.reach_um[:, None], np.asarray(grid.origin)
        high = low + grid.size_um
        apart = (centres_um + reach < low) | (centres_um - reach > high)
        return np.flatnonzero(~apart.any(axis=1))

    def patches(self, centres_um: Array, grid: Grid, rim_um: float = 0.0) -> Iterator[Patch]:
        """Yield each body that touches a grid; the cost is per box, not per grid voxel."""
        from cytosuite.datasets.physics import _body_kernels  # compiled on first use

        stretches = np.ones(self.axes_um.shape) if self.stretch is None else self.stretch
        near = self._near(centres_um, grid) if rim_um == 0 else np.arange(len(self))
        for index in near.tolist():
            table = self.table(index)
            axes, stretch = self.axes_um[index], stretches[index, :, None]
            rim = 1 + rim_um / float(axes.min() * stretch.min() * table.min())
            spokes = stretch * self.rotations[index] * axes * float(table.max()) * rim
            box = grid.box(centres_um[index], np.sqrt((spokes**2).sum(axis=1)))
            if box is None:
                continue
            z, y, x = (
                grid.centres(axis, span.start, span.stop) - np.float32(centres_um[index, axis])
                for axis, span in enumerate(box)
            )
            to_axes = (self.rotations[index] / axes / stretch).T.astype(np.float32)
            to_axes = np.ascontiguousarray(to_axes)
            yield Patch(index, box, *_body_kernels.cut_star(z, y, x, to_axes, table, rim))

    def density(self, patch: Patch, grid: Grid, tile: Image) -> Image:  # noqa: ARG002
        """Return even dye (n,) of `brightness` with a soft rim of one voxel; `tile` is not used."""
        radius = self.semi_axes_um[patch.index].prod() ** (1 / 3) / grid.voxel_um
        share = np.clip((1 - patch.distance) * radius + 0.5, 0, 1)
        return np.asarray(share * self.brightness[patch.index], np.float32)


def draw_stars(
    rng: np.random.Generator,
    axes_um: Array,
    rotations: Array,
    *,
    order: int = 20,
    circularity: float = 5.0,
    plane: bool = False,
) -> Stars:
    """Return random bodies, semi-axes (N, 3) in µm; degree l has mean square l ** -circularity."""
    if not 0 <= order <= HIGHEST:
        raise InputError(f"the order of harmonics must be 0 to {HIGHEST}, found {order}")
    degree = np.arange(order + 1)
    power = np.where(degree > 1, np.maximum(degree, 1.0) ** -circularity, 0.0)
    count = len(axes_um)
    if plane:
        drawn = rng.normal(size=(count, 2, order + 1)) * np.sqrt(power / 2)
    else:
        drawn = rng.normal(size=(count, 2, order + 1, order + 1))
        drawn *= np.sqrt(4 * np.pi * power / (2 * degree + 1))
        drawn *= np.triu(np.ones((order + 1, order + 1)))  # m <= l
        drawn[:, 1, 0] = 0.0  # sin(0 φ)
    return stars_of(axes_um, rotations, drawn)


def stars_of(axes_um: Array, rotations: Array, displaced: Array) -> Stars:
    """Return bodies with a radius of 1 plus harmonics, in place scaled down to `LEAST` at least."""
    plane = displaced.ndim == 3
    volumes = np.ones(len(axes_um))
    for index, own in enumerate(displaced):
        table = ring_table(own) if plane else radius_table(own)
        scale = min(1.0, (1 - LEAST) / max(float(-table.min()), 1e-9))
        own *= scale
        volumes[index] = _relative_volume(1 + scale * table, plane)
    zero = (slice(None), 0) + (0,) * (displaced.ndim - 2)
    displaced[zero] = 1.0 if plane else np.sqrt(4 * np.pi)
    grown = volumes[:, None] ** (1 / 2 if plane else 1 / 3)
    return Stars(axes_um, rotations, displaced, np.ones(len(axes_um)), axes_um * grown)


def _relative_volume(table: Image, plane: bool) -> float:
    """Return the volume relative to a ball's, or the area in a plane to a disc's."""
    if plane:
        return float((table[0, :-1].astype(np.float64) ** 2).mean())
    polar = np.linspace(0, np.pi, len(table))
    rings = (table[:, :-1].astype(np.float64) ** 3).mean(axis=1) * np.sin(polar)
    return float(rings.sum() / np.sin(polar).sum())


@dataclass(frozen=True, slots=True)
class Globe:
    """A ball with its centre at 0 and the map of its shell, at most as wide as the equator."""

    size_um: Lengths  # of the map along z, y, x
    latitude_deg: float  # of the first and the last row

    def __post_init__(self) -> None:
        """Refuse a map that shows a place twice."""
        wide, equator = self.size_um[2], 2 * np.pi * self.radius_um
        if wide > equator * (1 + 1e-6):
            raise InputError(
                f"the map is {wide:.4g} µm wide, but the equator {equator:.4g} µm long; lower "
                "latitude_deg, or the last number of shape"
            )

    @property
    def radius_um(self) -> float:
        """Distance from the centre of the ball to the middle plane of the map."""
        return float(self.size_um[1] / 2 / np.deg2rad(self.latitude_deg))

    def latitude(self, y_um: Array | Image) -> Array:
        """Return the latitudes (n,) in radians of rows (n,) in µm."""
        return np.asarray((y_um - self.size_um[1] / 2) / self.radius_um)

    def shown(self, points_um: Array) -> Array:
        """Return the places (n, 3) on the map of points (n, 3) of the ball, in µm."""
        z, y, x = points_um.T
        away = np.maximum(np.linalg.norm(points_um, axis=1), 1e-9)
        radius = self.radius_um
        angles = np.stack([np.arcsin(np.clip(y / away, -1, 1)), np.arctan2(-x, z)], axis=1)
        middle = np.array(self.size_um) / 2
        return np.asarray(middle + np.column_stack([radius - away, radius * angles]))

    def spread(self, stars: Stars, centres_um: Array) -> tuple[Stars, Array]:
        """Return bodies at points (N, 3) of the ball as the map shows them, and their places."""
        z, y, x = centres_um.T
        ring, away = np.hypot(z, x), np.maximum(np.linalg.norm(centres_um, axis=1), 1e-9)
        cosine, sine = ring / away, y / away
        about = np.arctan2(-x, z)
        zero = np.zeros_like(z)
        down = -centres_um / away[:, None]
        north = np.stack([-sine * np.cos(about), cosine, sine * np.sin(about)], axis=1)
        east = np.stack([-np.sin(about), zero, -np.cos(about)], axis=1)
        frames = np.stack([down, north, east], axis=1)  # (N, axis of the map, axis of the ball)
        least = np.cos(np.deg2rad(self.latitude_deg)) / 2
        along = self.radius_um / away
        stretch = np.stack([zero + 1, along, along / np.maximum(cosine, least)], axis=1)
        turned = replace(stars, rotations=frames @ stars.rotations, stretch=stretch)
        return turned, self.shown(centres_um)
