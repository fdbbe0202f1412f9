"""Bodies given by their radius in every direction: random spherical harmonics on ellipsoids.

In its own axes a body is all ``v`` with ``|v| <= r(v / |v|)``; its semi-axes stretch that and its
rotation turns it. Everything is in µm, in the order z, y, x.

References
----------
The radius as spherical harmonics of falling power, as in Eschweiler et al., Denoising diffusion
probabilistic models for generation of realistic fully annotated microscopy image datasets, PLOS
Comput. Biol. 20 (2024), doi:10.1371/journal.pcbi.1011890. Recursion of the associated Legendre
functions: Press et al., Numerical Recipes (3rd edition, 2007), section 6.7.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cytosuite.datasets.physics.bodies import Patch
from cytosuite.datasets.physics.grid import Array, Grid, Image
from cytosuite.errors import InputError

HIGHEST = 40  # order
LEAST = 0.2  # of the mean radius: no surface comes nearer to the centre
ROUNDED = 1 + 1e-5  # for the rounding of a table
SAMPLES = 3  # of the radius per order and quarter turn: linear interpolation errs by < 1e-3


def legendre(order: int, cosine: Array) -> Array:
    """Return the normalised associated Legendre functions (m, l, n) at cosines (n,).

    Times cos(m φ) or sin(m φ), and √2 for m > 0, they are the orthonormal real spherical harmonics
    (no Condon-Shortley phase); 0 for m > l.
    """
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
    """Return the radius (n, k) of a body at polar angles 0 to π and azimuths 0 to 2π.

    Parameters
    ----------
    coefficients : (2, L + 1, L + 1) float array
        Of cosines and sines, by m and l, of the orthonormal real spherical harmonics.
    """
    falling, waves = _basis(coefficients.shape[1] - 1)
    rings = (coefficients[:, :, None] @ falling)[:, :, 0]  # (2, m, n)
    table = np.tensordot(rings, waves, axes=((0, 1), (0, 1)))
    table[:, -1] = table[:, 0]
    return np.asarray(table, np.float32)


def ring_table(coefficients: Array) -> Image:
    """Return the radius (2, k) of a body that is cut in a plane: alike at all polar angles.

    Parameters
    ----------
    coefficients : (2, L + 1) float array
        Of ``√2 cos(l φ)`` and ``√2 sin(l φ)``; 1 at l = 0.
    """
    order = coefficients.shape[1] - 1
    _, waves = _basis(order)
    ring = np.tensordot(coefficients, waves, axes=((0, 1), (0, 1)))
    ring[-1] = ring[0]
    return np.tile(ring, (2, 1)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Stars:
    """A population of star-shaped bodies, see `cytosuite.datasets.physics.bodies.Bodies`.

    Parameters
    ----------
    axes_um : (N, 3) float array
        Semi-axes in µm of the ellipsoids at relative radius 1.
    rotations : (N, 3, 3) float array
        Columns are the directions (z, y, x) of the three axes.
    coefficients : (N, 2, L + 1, L + 1) or (N, 2, L + 1) float array
        Of the relative radius, for volumes and planes, see `radius_table`, `ring_table`.
    brightness : (N,) float array
    semi_axes_um : (N, 3) float array
        Of the ellipsoids of the same volume, or of the same area in the plane.
    stretch : (N, 3) float array, optional
        Factors of the lengths of each body along z, y, x, as a map shows it, see `globe`.
    """

    axes_um: Array
    rotations: Array
    coefficients: Array
    brightness: Array
    semi_axes_um: Array
    stretch: Array | None = None

    def __len__(self) -> int:
        """Return the number of bodies."""
        return len(self.axes_um)

    def table(self, index: int) -> Image:
        """Return the relative radius of a body over the directions."""
        own = self.coefficients[index]
        return radius_table(own) if own.ndim == 3 else ring_table(own)

    @property
    def reach_um(self) -> Array:
        """Distances (N,) in µm from the centres that no surface exceeds.

        By Cauchy's inequality harmonics of degree l with coefficients c are at most
        ``|c| sqrt((2 l + 1) / 4 π)`` (addition theorem), waves of a ring ``√2 |c|``.
        """
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
        """Yield each body that touches a grid; the cost is that of their boxes, not of the grid."""
        from cytosuite.datasets.physics import star_kernel  # compiled on first use

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
            yield Patch(index, box, *star_kernel.cut_star(z, y, x, to_axes, table, rim))

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
    """Return bodies of random shape with given axes.

    Parameters
    ----------
    rng : numpy Generator
    axes_um : (N, 3) float array
        Semi-axes in µm. Where they are alike, each is the mean radius over all directions, exactly.
    rotations : (N, 3, 3) float array
    order : int
        Highest degree of the harmonics, 0 to 40; below 2 they are ellipsoids.
    circularity : float
        Degree l has the mean square ``l ** -circularity``, relative to the mean radius. Degree 1
        is left out: it moves a body rather than shaping it.
    plane : bool
        Whether the bodies are cut in the plane of their last two axes: then the radius is a
        Fourier series in that plane, with the same mean square per degree.

    Raises
    ------
    InputError
        If the order is not 0 to 40.

    Notes
    -----
    See `stars_of` for surfaces that come too near to the centre.
    """
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
    """Return bodies with a radius of 1 plus harmonics, relative to their axes.

    Parameters
    ----------
    axes_um, rotations : (N, 3) and (N, 3, 3) float arrays
    displaced : (N, 2, L + 1, L + 1) or (N, 2, L + 1) float array
        Coefficients of degrees 1 and up, see `radius_table`, `ring_table`; changed in place.

    Notes
    -----
    Where a radius would fall below `LEAST` of the mean, the whole displacement of that body is
    scaled down until it does not.
    """
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
