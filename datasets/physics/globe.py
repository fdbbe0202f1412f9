"""Maps of a ball: its shell spread out in a plane, as embryos are shown.

Rows are parallels and columns meridians, both evenly spaced in degrees (the equirectangular
projection): at latitude `l`, lengths along x are shown ``1 / cos(l)`` times as long. The outside
lies at the first plane.
"""

from dataclasses import dataclass, replace

import numpy as np

from cytosuite.datasets.physics.grid import Array, Image, Lengths
from cytosuite.datasets.physics.harmonics import Stars
from cytosuite.errors import InputError


@dataclass(frozen=True, slots=True)
class Globe:
    """A ball with its centre at 0 and the map of its shell.

    Parameters
    ----------
    size_um : tuple of float
        Of the map along z, y, x.
    latitude_deg : float
        Of the first and the last row.

    Raises
    ------
    InputError
        If the map is wider than the equator.
    """

    size_um: Lengths
    latitude_deg: float

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
        """Return bodies at points (N, 3) of the ball as the map shows them, and their places.

        Each is turned and stretched as a whole, by the map at its centre. Beyond the map's rows
        the stretch stays below twice that at the last one.
        """
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
