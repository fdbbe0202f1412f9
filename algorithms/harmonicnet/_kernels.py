"""The compiled loop of the suppression, and those of stars: kept together in an image."""

from pathlib import Path
from typing import Any, cast

import numpy as np

from cytosuite.networks.kernels import FOLDER, compiled, use
from cytosuite.volume.arrays import Bools, Doubles, Floats, Longs

use(Path(__file__).with_name(FOLDER))

# `use` comes before loops
from cytosuite.bodies._kernels import cut_star, radius_at  # noqa: E402

_SUPPRESS = (
    "boolean[::1](int64[::1], int64[::1], float64[:, ::1], float32[:, ::1], float32[:, ::1], "
    "float32[:, :, ::1], float32[::1], float32[::1], float64)"
)
_CUT = "(float32[::1], float32[::1], float32[::1], float32[:, ::1], float32[:, ::1], float64)"
cast(Any, cut_star).compile(_CUT)


@compiled(_SUPPRESS)
def suppress(
    first: Longs,
    second: Longs,
    centres: Doubles,
    radii: Floats,
    points: Floats,
    tables: Floats,
    nearest: Floats,
    farthest: Floats,
    limit: float,
) -> Bools:
    """Return a mask of the stars (n,) that are suppressed as the second of a rising pair.

    Radii (n, P) are those in the directions of points (P, 3) of the unit ball; a point stands for
    the volume of its cone. Surfaces lie within `nearest` and `farthest` of their centres.
    """
    removed = np.zeros(len(centres), np.bool_)
    volumes = np.empty(len(centres))
    for i in range(len(centres)):
        volumes[i] = (radii[i] * radii[i] * radii[i]).sum()
    for p in range(len(first)):
        i = first[p]
        j = second[p]
        if removed[i] or removed[j]:
            continue
        small, large = (i, j) if volumes[i] <= volumes[j] else (j, i)
        needed = limit * volumes[small]
        for k in range(len(points)):
            r = float(radii[small, k])
            z = centres[small, 0] + r * points[k, 0] - centres[large, 0]
            y = centres[small, 1] + r * points[k, 1] - centres[large, 1]
            x = centres[small, 2] + r * points[k, 2] - centres[large, 2]
            square = z * z + y * y + x * x
            if square >= farthest[large] ** 2:
                continue
            if square < nearest[large] ** 2 or square < radius_at(z, y, x, tables[large]) ** 2:
                needed -= r * r * r
        removed[j] = needed < 0
    return removed
