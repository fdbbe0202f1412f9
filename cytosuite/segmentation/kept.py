"""Objects of one image in another of the same scene: whether they stand out there, and where."""

from itertools import product

import numpy as np

from cytosuite.segmentation.foreground import distance_out
from cytosuite.volume.arrays import (
    Array,
    Bools,
    Doubles,
    Floats,
    Integers,
    Ints,
    LongPair,
    Longs,
    Spacing,
)

Labels = Integers

VISIBLE = 0.75  # probability to be brighter than the surroundings, of an object that stands out
REMAINS = 0.5  # of that probability beyond 1/2, in an image that keeps the object
POINTS = 600  # of a zone that its shift is measured by: its voxels are thinned to about so many
_FARTHEST = 12  # voxels that a shift is followed for
_RISE = 1e-6  # of the correlation that is worth a voxel
_QUANTILES = 257


def surroundings(labels: Labels, spacing: Spacing, reach_um: float) -> Ints:
    """Return the background within `reach_um` of each object, under its number."""
    nearest = labels.astype(np.int32, "C")
    distance = distance_out(nearest == 0, spacing, nearest, reach_um)
    return np.where((distance > 0) & (distance <= reach_um), nearest, 0)


def standing_out(volume: Array, labels: Labels, around: Labels) -> Doubles:
    """Return ``P(inside > around) + P(inside = around) / 2`` of each object (area under ROC)."""
    most = int(labels.max(initial=0)) + 1
    chosen = np.flatnonzero((labels != 0) | (around != 0))
    value = volume.ravel()[chosen]
    own = labels.ravel()[chosen]
    group = np.where(own, own, around.ravel()[chosen]).astype(np.int64)
    order = np.lexsort((value, group))
    value, group, inside = value[order], group[order], own[order] != 0
    new = np.ones(value.size, bool)
    new[1:] = (value[1:] != value[:-1]) | (group[1:] != group[:-1])
    start = np.append(np.flatnonzero(new), value.size)
    rank = ((start[:-1] + start[1:] + 1) / 2)[np.cumsum(new) - 1]  # equal values share the mean
    count = np.bincount(group, minlength=most)
    rank -= (np.cumsum(count) - count)[group]
    within = np.bincount(group[inside], minlength=most)
    total = np.bincount(group[inside], rank[inside], minlength=most)
    with np.errstate(invalid="ignore"):
        return (total - within * (within + 1) / 2) / (within * (count - within))


def stays(before: Doubles, after: Doubles) -> Bools:
    """Return which objects keep half of their `standing_out` beyond 1/2."""
    return np.asarray(after - 0.5 >= REMAINS * (before - 0.5), bool)


def alike(volume: Floats, other: Floats, where: Bools) -> Floats:
    """Return a volume with the distribution of another one's grey values, by an increasing map."""
    share = np.linspace(0, 1, _QUANTILES)
    source, target = (np.quantile(each[where], share) for each in (volume, other))
    if np.array_equal(source, target):
        return volume  # without rounding
    source, first = np.unique(source, return_index=True)
    return np.interp(volume, source, target[first]).astype(np.float32)


def edges(volume: Floats, spacing: Spacing) -> Floats:
    """Return the magnitude of the gradient of a volume per µm; axes of one voxel have none."""
    square = np.zeros(volume.shape, np.float32)
    for axis, step in enumerate(spacing):
        if volume.shape[axis] > 1:
            square += (np.gradient(volume, axis=axis) / np.float32(step)) ** 2
    return np.asarray(np.sqrt(square), np.float32)


def shifts(before: Floats, after: Floats, zones: Labels, spacing: Spacing) -> Doubles:
    """Return the shift of the content of each zone in µm, (n + 1, axes), NaN of absent zones.

    It climbs from 0 to the next maximum of the normalised correlation, there and back.
    """
    zone, points = _points(zones)
    result = np.full((int(zones.max(initial=0)) + 1, zones.ndim), np.nan)
    if not zone.size:
        return result
    first = np.flatnonzero(np.diff(zone, prepend=-1))
    size = np.diff(np.append(first, zone.size))
    limit = np.array(zones.shape)[:, np.newaxis] - 1

    def centred(volume: Floats, moved: Longs | int = 0) -> Doubles:
        """Return values at moved points, each zone with mean 0 and sum of squares 1 (or 0)."""
        values = volume[tuple(np.clip(points + moved, 0, limit))].astype(np.float64)
        values -= np.repeat(np.add.reduceat(values, first) / size, size)
        norm = np.sqrt(np.add.reduceat(values**2, first))
        scaled: Doubles = values / np.repeat(np.where(norm > 0, norm, 1.0), size)
        return scaled

    still = centred(before), centred(after)

    def similar(place: Longs) -> Doubles:
        """Return the correlation of each zone, there and back, at a shift, (zones, axes) voxels."""
        moved = np.repeat(place, size, axis=0).T
        return np.add.reduceat(
            still[0] * centred(after, moved) + still[1] * centred(before, -moved), first
        )

    free = np.array(zones.shape) > 1
    near = product(*((-1, 0, 1) if moves else (0,) for moves in free))
    steps = np.array([step for step in near if any(step)], np.int64).reshape(-1, zones.ndim)
    place = np.zeros((first.size, zones.ndim), np.int64)
    best = similar(place)
    for _ in range(_FARTHEST if steps.size else 0):
        tried = np.stack([similar(place + step) for step in steps])
        top = tried.max(0)
        rises = top > best + _RISE
        if not rises.any():
            break
        place[rises] += steps[tried.argmax(0)[rises]]
        best[rises] = top[rises]
    part = np.zeros(place.shape)
    for axis in np.flatnonzero(free):
        step = np.eye(zones.ndim, dtype=np.int64)[axis]
        low = similar(place - step)
        high = similar(place + step)
        bend = 2 * best - low - high
        flat = bend < _RISE
        part[:, axis] = np.clip((high - low) / np.where(flat, 1, 2 * bend), -0.5, 0.5) * ~flat
    result[zone[first]] = (place + part) * np.asarray(spacing, float)
    return result


def _points(zones: Labels) -> LongPair:
    """Return the zone of each point, sorted, and its voxel, (axes, points)."""
    flat = np.flatnonzero(zones)
    zone = zones.ravel()[flat].astype(np.int64)
    order = np.argsort(zone, kind="stable")
    zone = zone[order]
    flat = flat[order]
    count = np.bincount(zone, minlength=1)
    number = np.arange(zone.size) - (np.cumsum(count) - count)[zone]
    keep = number % np.maximum(-(-count // POINTS), 1)[zone] == 0
    return zone[keep], np.array(np.unravel_index(flat[keep], zones.shape), np.int64)
