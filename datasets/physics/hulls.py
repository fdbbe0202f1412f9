"""Ellipsoids of bodies, for packing: tests of overlap and of crossing a surface.

Notes
-----
Two ellipsoids with matrices ``A``, ``B`` (squared semi-axes) at distance vector ``d`` do not
overlap if ``F = s (1 - s) dᵀ ((1 - s) A + s B)⁻¹ d >= 1`` for any ``s`` in (0, 1) (Perram and
Wertheim 1985). The ratio of the mean radii, ``s = a / (a + b)``, is exact for spheres and
safe, if a little strict, for ellipsoids.

References
----------
Perram and Wertheim, Statistical mechanics of hard ellipsoids I, J. Comput. Phys. 58 (1985),
doi:10.1016/0021-9991(85)90171-8.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cytosuite.datasets.physics.grid import Array
from cytosuite.datasets.physics.region import Region
from cytosuite.errors import InputError

Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Hulls:
    """Ellipsoids as relaxation and random placement use them.

    Parameters
    ----------
    inner, reach : (N,) float array
        Shortest and longest semi-axis in µm.
    radii : (N,) float array
        Radius in µm of the ball of the same volume.
    matrices : (N, 3, 3) float array
        ``R diag(a²) Rᵀ`` of semi-axes `a` and rotation `R`.
    """

    inner: Array
    reach: Array
    radii: Array
    matrices: Array

    def closeness(self, first: Indices, second: Indices, apart_um: Array) -> Array:
        """Return ``sqrt(F)`` (P,) of pairs at distance vectors (P, 3); below 1 they overlap."""
        return closeness(apart_um.T, self.forms(first, second))

    def forms(self, first: Indices, second: Indices) -> Array:
        """Return the six different entries (6, P) of the matrices of the forms F of pairs."""
        s = self.radii[first] / (self.radii[first] + self.radii[second])
        rows, columns = (0, 1, 2, 0, 0, 1), (0, 1, 2, 1, 2, 2)
        entries = self.matrices[:, rows, columns].T
        a, b, c, d, e, f = (1 - s) * entries[:, first] + s * entries[:, second]
        diagonal = b * c - f * f, a * c - e * e, a * b - d * d
        cofactors = np.stack([*diagonal, e * f - c * d, d * f - b * e, d * e - a * f])
        determinant = a * cofactors[0] + d * cofactors[3] + e * cofactors[4]
        return np.asarray(s * (1 - s) / determinant * cofactors)

    def outside_um(self, centres_um: Array, region: Region) -> tuple[Array, Array]:
        """Return the depth (N,) by which ellipsoids cross the surface, and the normals (N, 3).

        An ellipsoid lies inside where its centre is at least ``h = sqrt(nᵀ A n)`` deep, half its
        width along the normal ``n``; exact for a flat surface and for balls. Where the surface is
        curved, the point ``A n / h`` of the ellipsoid is looked at as well.
        """
        depth = -region.distance_at(centres_um)
        excess = np.full(len(depth), -np.inf)
        normals = np.zeros((len(depth), 3))
        close = np.flatnonzero(depth < self.reach)
        unit = region.normals_at(centres_um[close])
        towards = np.einsum("nij,nj->ni", self.matrices[close], unit)
        width = np.sqrt((towards * unit).sum(axis=1))
        tips = centres_um[close] + towards / np.maximum(width, 1e-9)[:, None]
        excess[close] = np.maximum(width - depth[close], region.distance_at(tips))
        normals[close] = unit
        return excess, normals

    def part(self, chosen: Indices) -> "Hulls":
        """Return some of the ellipsoids."""
        return Hulls(
            self.inner[chosen], self.reach[chosen], self.radii[chosen], self.matrices[chosen]
        )


def hulls(semi_axes_um: Array, rotations: Array) -> Hulls:
    """Return ellipsoids of semi-axes (N, 3) in µm and rotations (N, 3, 3), axes in columns."""
    scaled = rotations * semi_axes_um[:, None, :]
    radii = semi_axes_um.prod(axis=1) ** (1 / 3)
    matrices = scaled @ scaled.transpose(0, 2, 1)
    return Hulls(semi_axes_um.min(axis=1), semi_axes_um.max(axis=1), radii, matrices)


def shrinkage(max_overlap: float) -> float:
    """Return the factor of semi-axes that shrinks bodies to ellipsoids that may only touch.

    Parameters
    ----------
    max_overlap : float
        Share of a body's volume that one neighbour may cover, 0 to below 1.

    Raises
    ------
    InputError
        If the share is not in that range.

    Notes
    -----
    Two balls of radius 1 at a distance of ``2 (1 - h)`` share two caps of height `h`, each of
    volume ``π h² (3 - h) / 3``: of one ball the share ``h² (3 - h) / 2``. Balls of radius
    ``u = 1 - h`` touch at this distance. The share is ``(u³ - 3 u + 2) / 2``, so that with
    ``u = 2 cos θ`` it follows that ``cos 3θ = share - 1``. A linear map makes equal ellipsoids of
    the balls and keeps shares.
    """
    if not 0 <= max_overlap < 1:
        raise InputError(f"max_overlap must be at least 0 and below 1, found {max_overlap}")
    return float(2 * np.cos((2 * np.pi - np.arccos(max_overlap - 1)) / 3))


def too_large(bodies: Hulls, region: Region) -> NDArray[np.bool_]:
    """Return a mask (N,) of the bodies that, with their gaps, fit nowhere in a region.

    Their box is larger than the region's, or their shortest axis than the region is thick.
    """
    low, high = region.box_um
    extents = np.sqrt(np.einsum("nii->ni", bodies.matrices))
    slack = region.spacing[0] / 2  # of the box and the depth of a sampled region
    large = (extents > (high - low) / 2).any(axis=1)
    return np.asarray(large | (bodies.inner > region.depth_um + slack))


def check_room(bodies: Hulls, region: Region) -> None:
    """Raise `InputError` if a body, with its gap, fits nowhere in a region, see `too_large`."""
    large = too_large(bodies, region)
    if large.any():
        low, high = region.box_um
        raise InputError(
            f"a nucleus of up to {2 * bodies.reach[large].max():.1f} µm with its gap does not fit "
            f"into tissue of {' x '.join(f'{size:.1f}' for size in high - low)} µm that is at most "
            f"{2 * region.depth_um:.1f} µm thick; lower diameter_um or gap_um, or make the tissue "
            "larger"
        )


def closeness(apart: Array, forms: Array) -> Array:
    """Return ``sqrt(F)`` (P,) of distance vectors (3, P) and the forms (6, P) of their pairs."""
    z, y, x = apart
    zz, yy, xx, zy, zx, yx = forms
    form = zz * z * z + yy * y * y + xx * x * x + 2 * (zy * z * y + zx * z * x + yx * y * x)
    return np.asarray(np.sqrt(np.maximum(form, 1e-6)))
