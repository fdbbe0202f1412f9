"""Compiled loops over the voxels of a relief: steepest ascents and passes between basins."""

from typing import TypeVar

import numpy as np

from cytosuite.networks.kernels import compiled
from cytosuite.volume.arrays import Floats, Ints, Longs

Places = Longs
Values = TypeVar("Values", Ints, Floats)


@compiled("void(int64[::1], float32[::1], int32[::1], int64[::1], int32[::1])")
def climb(voxels: Places, height: Floats, place: Ints, steps: Places, target: Ints) -> None:
    """Replace places (M,) by their highest neighbours' places, see `Relief`."""
    for n in range(len(target)):
        here = voxels[target[n]]
        highest = target[n]
        best = height[highest]
        for step in steps:
            beyond = place[here + step]
            if height[beyond] > best:
                best = height[beyond]
                highest = beyond
        target[n] = highest


@compiled("int32[:, ::1](int32[:, ::1])", "float32[:, ::1](float32[:, ::1])")
def _doubled(rows: Values) -> Values:
    """Return rows with room for as many more."""
    more = np.empty((2 * rows.shape[0], rows.shape[1]), rows.dtype)
    for n in range(rows.shape[0]):
        for column in range(rows.shape[1]):
            more[n, column] = rows[n, column]
    return more


@compiled(
    "Tuple((int64, int32[:, ::1], float32[:, ::1]))"
    "(int64[::1], float32[::1], int32[::1], int64[::1], int32[::1], int64, int64, int64)"
)
def passes(
    voxels: Places,
    height: Floats,
    place: Ints,
    steps: Places,
    label: Ints,
    basins: int,
    first: int,
    stop: int,
) -> tuple[int, Ints, Floats]:
    """Return n, and of n pairs of basins that touch numbers (n, 2), highest pass and side (n, 2).

    Places `first` to `stop` are looked at. Each basin has a chain of the higher numbers that it
    touches, which are few.
    """
    start = np.empty(basins + 1, np.int32)
    many = 0
    for n in range(len(start)):
        start[n] = -1
    pairs = np.empty((1024, 3), np.int32)
    levels = np.empty((1024, 2), np.float32)
    for n in range(first, stop):
        for step in steps:
            beyond = place[voxels[n] + step]
            if beyond < 0 or label[beyond] == label[n]:
                continue
            low = min(label[n], label[beyond])
            high = max(label[n], label[beyond])
            level = min(height[n], height[beyond])
            side = max(height[n], height[beyond])
            at = start[low]
            while at >= 0 and pairs[at, 1] != high:
                at = pairs[at, 2]
            if at < 0:
                if many == len(pairs):
                    pairs = _doubled(pairs)
                    levels = _doubled(levels)
                at = many
                many += 1
                pairs[at, 0], pairs[at, 1], pairs[at, 2] = low, high, start[low]
                start[low] = at
                levels[at, 0] = -np.inf
            if level > levels[at, 0] or (level == levels[at, 0] and side > levels[at, 1]):
                levels[at, 0] = level
                levels[at, 1] = side
    return many, pairs, levels


@compiled("int32(int32[::1], int32)")
def _root(parent: Ints, at: int) -> int:
    """Return the root of a tree, and shorten the way to it."""
    while parent[at] != at:
        parent[at] = parent[parent[at]]
        at = parent[at]
    return at


@compiled("void(int32[:, ::1], int32[::1])")
def flood(pairs: Ints, name: Ints) -> None:
    """Give basins (K + 1,) without a name the first one's that they meet, pair by pair (M, 2)."""
    parent = np.arange(len(name)).astype(np.int32)
    for n in range(len(pairs)):
        first = _root(parent, pairs[n, 0])
        second = _root(parent, pairs[n, 1])
        if first != second and (name[first] == 0 or name[second] == 0):
            name[first] = max(name[first], name[second])
            parent[second] = first
    for n in range(len(name)):
        name[n] = name[_root(parent, n)]


@compiled("void(int32[:, ::1], float32[::1], float32[::1], float64, int32[::1])")
def join(pairs: Ints, level: Floats, top: Floats, ratio: float, name: Ints) -> None:
    """Join pairs of peaks (M, 2) in turn if the pass is high next to the lower: `name` (K,)."""
    for n in range(len(pairs)):
        first = _root(name, pairs[n, 0])
        second = _root(name, pairs[n, 1])
        low, high = (first, second) if top[first] < top[second] else (second, first)
        if low != high and np.float64(level[n]) >= ratio * np.float64(top[low]):
            name[low] = high
    for n in range(len(name)):
        name[n] = _root(name, n)
