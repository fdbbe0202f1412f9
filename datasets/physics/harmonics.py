"""Random stars, ellipsoids with spherical harmonics on them, and the map of a ball.

`Globe` maps evenly in degrees: at latitude `l`, x is shown ``1 / cos(l)`` times as long.
Eschweiler (2024), doi:10.1371/journal.pcbi.1011890.
"""

from dataclasses import replace

import numpy as np

from cytosuite.bodies.harmonics import radius_table, ring_table
from cytosuite.bodies.stars import Stars
from cytosuite.errors import InputError
from cytosuite.files import frozen
from cytosuite.volume.arrays import Doubles, Image, Lengths, Rng

LEAST = 0.2  # of the mean radius: no surface comes nearer to the centre


def draw_stars(
    rng: Rng,
    axes_um: Doubles,
    rotations: Doubles,
    *,
    order: int = 20,
    circularity: float = 5.0,
    plane: bool = False,
) -> Stars:
    """Return random bodies, semi-axes (N, 3) in µm; degree l has mean square l ** -circularity."""
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


def stars_of(axes_um: Doubles, rotations: Doubles, displaced: Doubles) -> Stars:
    """Return bodies with a radius of 1 plus harmonics, in place scaled down to `LEAST` at least."""
    plane = displaced.ndim == 3
    volumes = np.ones(len(axes_um))  # of balls in units of theirs, areas in a plane of discs
    for index, coefficients in enumerate(displaced):
        table = ring_table(coefficients) if plane else radius_table(coefficients)
        scale = min(1.0, (1 - LEAST) / max(float(-table.min()), 1e-9))
        coefficients *= scale
        radii = (1 + scale * table)[:, :-1].astype(np.float64)
        if plane:
            volumes[index] = (radii[0] ** 2).mean()
        else:
            rings = np.sin(np.linspace(0, np.pi, len(radii)))  # their areas
            volumes[index] = ((radii**3).mean(axis=1) * rings).sum() / rings.sum()
    zero = (slice(None), 0) + (0,) * (displaced.ndim - 2)
    displaced[zero] = 1.0 if plane else np.sqrt(4 * np.pi)
    grown = volumes[:, None] ** (1 / 2 if plane else 1 / 3)
    return Stars(axes_um, rotations, displaced, np.ones(len(axes_um)), axes_um * grown)


@frozen
class Globe:
    """A ball with its centre at 0 and the map of its shell, at most as wide as the equator."""

    size_um: Lengths  # of the map along z, y, x
    latitude_deg: float  # of the first and the last row

    def __post_init__(self) -> None:
        """Refuse a map that shows a place twice."""
        wide = self.size_um[2]
        equator = 2 * np.pi * self.radius_um
        if wide > equator * (1 + 1e-6):
            raise InputError(
                f"the map is {wide:.4g} µm wide, but the equator {equator:.4g} µm long; lower "
                "latitude_deg, or the last number of shape"
            )

    @property
    def radius_um(self) -> float:
        """Distance from the centre of the ball to the middle plane of the map."""
        return float(self.size_um[1] / 2 / np.deg2rad(self.latitude_deg))

    def latitude(self, y_um: Doubles | Image) -> Doubles:
        """Return the latitudes (n,) in radians of rows (n,) in µm."""
        return np.asarray((y_um - self.size_um[1] / 2) / self.radius_um)

    def shown(self, points_um: Doubles) -> Doubles:
        """Return the places (n, 3) on the map of points (n, 3) of the ball, in µm."""
        z, y, x = points_um.T
        away = np.maximum(np.linalg.norm(points_um, axis=1), 1e-9)
        radius = self.radius_um
        angles = np.stack([np.arcsin(np.clip(y / away, -1, 1)), np.arctan2(-x, z)], axis=1)
        return np.asarray(
            np.array(self.size_um) / 2 + np.column_stack([radius - away, radius * angles])
        )

    def spread(self, stars: Stars, centres_um: Doubles) -> tuple[Stars, Doubles]:
        """Return bodies at points (N, 3) of the ball as the map shows them, and their places."""
        z, y, x = centres_um.T
        ring = np.hypot(z, x)
        away = np.maximum(np.linalg.norm(centres_um, axis=1), 1e-9)
        cosine = ring / away
        sine = y / away
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
