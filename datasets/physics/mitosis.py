"""Dividing nuclei: the pair of plates of anaphase and telophase."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cytosuite.datasets.physics import shapes
from cytosuite.datasets.physics.grid import Array
from cytosuite.datasets.physics.shapes import CONDENSED, CONDENSING, LATE, SPHERE, Nuclei

THICKNESS = (0.2, 0.32)  # of a plate, in units of the long axis, to its width in the others'
BEND = (0.1, 0.35)  # edges follow towards the poles
CLEAR = 1.15  # plates are at least this much farther apart than where they touch
MARGIN = 0.95  # of the way to the surface of the nucleus before division


def divide(
    rng: np.random.Generator, nuclei: Nuclei, centres_um: Array
) -> tuple[Nuclei, Array, NDArray[np.int64]]:
    """Replace every late nucleus by the two condensed plates of its daughters.

    Parameters
    ----------
    rng, nuclei, centres_um : numpy Generator, Nuclei, (N, 3) float array
        Packed with each late nucleus as a single ellipsoid, the long axis last.

    Returns
    -------
    Nuclei, (M, 3) float array, (M,) int array
        In the same order, the second daughter after the first; their centres in µm; the number
        each had before.

    Notes
    -----
    The plates stand across the long axis, each on its side of the middle, and together fill
    `CONDENSED` of the ellipsoid. In units of the semi-axes, a plate with points ``(x, r)`` along
    and across the long axis lies in the ellipsoid when its shift is at most
    ``sqrt(1 - r²) - x`` for all points, and on its side when at least ``-x``. The waves of the
    surface come on top.
    """
    late = nuclei.phase == LATE
    parent = np.repeat(np.arange(len(nuclei)), np.where(late, 2, 1))
    first = np.flatnonzero(late) + np.arange(np.count_nonzero(late))  # in the new order
    count, both = len(first), np.concatenate([first, first + 1])
    divided, centres = nuclei.take(parent), centres_um[parent].copy()
    volume = rng.uniform(*CONDENSED, count)  # of both
    aspect = rng.uniform(*THICKNESS, count)
    width = (volume / 2 / aspect) ** (1 / 3)
    bend = -rng.uniform(*BEND, count)
    shift = _shifts(rng, aspect * width, width, bend)
    outer, turn = divided.semi_axes_um[first], divided.rotations[first]
    axes = outer[:, [2, 0, 1]] * np.stack([aspect * width, width, width], axis=1)
    step = turn[:, :, 2] * (shift * outer[:, 2])[:, None]
    centres[first] += step
    centres[first + 1] -= step
    forward = turn[:, :, [2, 0, 1]]
    backward = forward * np.array([-1.0, -1.0, 1.0])  # half a turn: the mirrored bend
    values = {
        "semi_axes_um": (axes, axes),
        "rotations": (forward, backward),
        "bend": (bend, bend),
        "waves": (shapes.random_waves(rng, count), shapes.random_waves(rng, count)),
        "brightness": (divided.brightness[first] * volume**-CONDENSING,) * 2,
        "offsets": tuple(rng.integers(0, 1 << 20, (2, count, 3))),
    }
    changed = {name: getattr(divided, name).copy() for name in values}
    for name, pair in values.items():
        changed[name][both] = np.concatenate(pair)
    return replace(divided, **changed), centres, parent


def _shifts(rng: np.random.Generator, thickness: Array, width: Array, bend: Array) -> Array:
    """Return the shifts (n,) of plates out of the middle, in units of the long axis."""
    across = width[:, None] * np.hypot(SPHERE[1], SPHERE[2])
    curve = bend[:, None] * (SPHERE[1] ** 2 + SPHERE[2] ** 2 - 0.4)
    along = thickness[:, None] * (SPHERE[0] - curve)
    most = (np.sqrt(np.maximum(1 - across**2, 0.0)) - along).min(axis=1) * MARGIN
    least = np.minimum(-along.min(axis=1) * CLEAR, most)
    return np.asarray(rng.uniform(least, most))
