"""Ellipsoids packed without overlap inside a larger ellipsoid.

Notes
-----
Two ellipsoids with matrices ``A``, ``B`` (squared semi-axes) at distance vector ``d`` do not
overlap if ``F = s (1 - s) dᵀ ((1 - s) A + s B)⁻¹ d >= 1`` for any ``s`` in (0, 1) (Perram and
Wertheim 1985). The ratio of the mean radii, ``s = a / (a + b)``, is exact for spheres and
safe, if a little strict, for ellipsoids. Every round moves each overlapping pair apart by
``|d| (F^-1/2 - 1)``, half each, then draws centres back into the container. For 1000
nuclei it takes 0.1 s at a volume fraction of 0.4, 0.4 s at 0.5; memory: 1 kB per nucleus and
neighbour pair.

References
----------
Perram and Wertheim, Statistical mechanics of hard ellipsoids I, J. Comput. Phys. 58 (1985),
doi:10.1016/0021-9991(85)90171-8.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from cytosuite.errors import InputError

Array = NDArray[np.float64]

ROUNDS = 2000
TOLERANCE = 0.02  # of the centre distance: how deep two ellipsoids may still overlap at the end
RENEW = 10  # rounds between searches for neighbours
SKIN_UM = 1.5  # neighbours are searched this much farther than they can touch


def pack(
    rng: np.random.Generator,
    semi_axes_um: Array,
    rotations: Array,
    container_um: tuple[float, float, float],
    *,
    gap_um: float = 0.0,
    rounds: int = ROUNDS,
) -> Array:
    """Return centres of ellipsoids that do not overlap and lie inside an ellipsoid.

    Parameters
    ----------
    rng : numpy Generator
        Draws the centres from which the relaxation starts, uniformly in the container.
    semi_axes_um, rotations : (N, 3) and (N, 3, 3) float arrays
        The columns of a rotation are the directions of the axes.
    container_um : tuple of float
        Semi-axes of the container along z, y, x; its centre is the origin.
    gap_um, rounds : float, int
        Smallest distance between surfaces, about; relaxation rounds before giving up.

    Returns
    -------
    (N, 3) float array
        µm, relative to the container's centre.

    Raises
    ------
    InputError
        If an ellipsoid is larger than the container, or the relaxation does not end without
        overlap: the density cannot be reached.
    """
    axes = semi_axes_um + gap_um / 2
    scaled = rotations * axes[:, None, :]
    matrices = scaled @ scaled.transpose(0, 2, 1)  # (N, 3, 3)
    extents = np.sqrt(np.einsum("nii->ni", matrices))
    room = np.asarray(container_um) - extents  # (N, 3) where centres may lie
    _check_room(room, axes, container_um)
    directions = rng.normal(size=axes.shape)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    centres: Array = directions * rng.random((len(axes), 1)) ** (1 / 3) * room
    radii = axes.prod(axis=1) ** (1 / 3)
    age = RENEW
    for _ in range(rounds):
        if age >= RENEW:
            pairs, inverse = _neighbours(centres, axes.max(axis=1), radii, matrices)
            age = 0
        depth = _separate(centres, pairs, inverse)
        outside = np.sqrt(((centres / room) ** 2).sum(axis=1))
        centres /= np.maximum(outside, 1.0)[:, None]
        if depth < TOLERANCE and outside.max(initial=0.0) < 1.0 + TOLERANCE:
            if age == 0:
                return centres
            age = RENEW  # free of overlap with old neighbours: look for new ones first
        age += 1
    fitting = len(axes) - _crowded(centres, axes.max(axis=1), radii, matrices)
    raise InputError(_explain(fitting, axes, container_um, rounds))


def _check_room(room: Array, axes: Array, container_um: tuple[float, float, float]) -> None:
    """Refuse a nucleus that is larger than the container."""
    if len(room) and room.min() <= 0:
        raise InputError(
            f"a nucleus with semi-axes up to {axes.max():.1f} µm does not fit into a spheroid with "
            f"semi-axes {_list(container_um)} µm; lower diameter_um or raise n_nuclei"
        )


def _neighbours(
    centres: Array, reach: Array, radii: Array, matrices: Array
) -> tuple[NDArray[np.intp], Array]:
    """Return pairs (P, 2) that could soon touch and the matrices (P, 3, 3) of their forms F."""
    if len(centres) < 2:
        return np.zeros((0, 2), np.intp), np.zeros((0, 3, 3))
    tree = cKDTree(centres)
    pairs = tree.query_pairs(2 * reach.max() + SKIN_UM, output_type="ndarray")
    first, second = pairs.T
    near = np.linalg.norm(centres[first] - centres[second], axis=1)
    pairs = pairs[near < reach[first] + reach[second] + SKIN_UM]
    first, second = pairs.T
    s = (radii[first] / (radii[first] + radii[second]))[:, None, None]
    inverse = np.linalg.inv((1 - s) * matrices[first] + s * matrices[second])
    return pairs, s * (1 - s) * inverse


def _closeness(centres: Array, pairs: NDArray[np.intp], inverse: Array) -> tuple[Array, Array]:
    """Return the distance vectors (P, 3) and sqrt(F) (P,) of pairs; below 1 they overlap."""
    d = centres[pairs[:, 0]] - centres[pairs[:, 1]]
    form = ((inverse @ d[:, :, None])[:, :, 0] * d).sum(axis=1)
    return d, np.sqrt(np.maximum(form, 1e-6))


def _separate(centres: Array, pairs: NDArray[np.intp], inverse: Array) -> float:
    """Move overlapping pairs apart in place and return the deepest relative overlap before."""
    d, closeness = _closeness(centres, pairs, inverse)
    overlap = closeness < 1.0
    if not overlap.any():
        return 0.0
    d, closeness, (first, second) = d[overlap], closeness[overlap], pairs[overlap].T
    step = d * np.minimum(1.0 / closeness - 1.0, 1.0)[:, None] * 0.5
    for axis in range(3):
        centres[:, axis] += np.bincount(first, step[:, axis], len(centres))
        centres[:, axis] -= np.bincount(second, step[:, axis], len(centres))
    return float(1.0 - closeness.min())


def _crowded(centres: Array, reach: Array, radii: Array, matrices: Array) -> int:
    """Return how many nuclei must go, the most crowded first, so that no overlap is left."""
    pairs, inverse = _neighbours(centres, reach, radii, matrices)
    pairs = pairs[_closeness(centres, pairs, inverse)[1] < 1.0 - TOLERANCE]
    removed = 0
    while len(pairs):
        worst = int(np.bincount(pairs.ravel()).argmax())
        pairs = pairs[(pairs != worst).all(axis=1)]
        removed += 1
    return removed


def _explain(
    fitting: int, axes: Array, container_um: tuple[float, float, float], rounds: int
) -> str:
    """Return the message for a density that cannot be reached."""
    fraction = axes.prod(axis=1).sum() / np.prod(container_um)
    return (
        f"after {rounds} rounds only {fitting} of {len(axes)} nuclei in a spheroid with semi-axes "
        f"{_list(container_um)} µm are free of overlap (all of them with their gaps would fill "
        f"{100 * fraction:.0f} % of it); lower volume_fraction, gap_um or n_nuclei"
    )


def _list(values: tuple[float, ...]) -> str:
    """Return lengths as text."""
    return " x ".join(f"{value:.1f}" for value in values)
