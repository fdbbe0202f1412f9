"""Points: how far the nearest others are, and which are far enough apart."""

from math import nan

import numpy as np
from scipy.spatial import cKDTree

from cytosuite.volume.arrays import Doubles, Indices


def neighbour(points: Doubles, nth: int = 1) -> Doubles:
    """Return the distance (N,) of each point from its `nth` nearest other, NaN of too few."""
    if len(points) <= nth:
        return np.full(len(points), nan)
    return np.asarray(cKDTree(points).query(points, k=nth + 1)[0][:, nth])


def apart(points: Doubles, distance: float) -> Indices:
    """Return the numbers of points without an earlier one of the result nearer than a distance."""
    first, second = cKDTree(points).query_pairs(distance, output_type="ndarray").T
    open_ = np.ones(len(points), bool)
    chosen = np.zeros(len(points), bool)
    while open_.any():
        live = open_[first] & open_[second]
        first = first[live]
        second = second[live]
        leading = open_.copy()
        leading[second] = False  # of each pair the first comes earlier
        chosen |= leading
        open_ &= ~leading
        open_[second[leading[first]]] = False
    return np.flatnonzero(chosen)
