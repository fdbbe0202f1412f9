"""Image values and places of the voxels near objects, in units of object and image."""

from itertools import pairwise
from math import pi, prod
from typing import NamedTuple

import numpy as np

from cytosuite.networks.tiling import bricks
from cytosuite.segmentation.foreground import (
    background_and_noise,
    distance_out,
    gaussian,
    li_threshold,
)
from cytosuite.volume.arrays import Array, Floats, Integers, Longs, Spacing
from cytosuite.volume.memory import taken
from cytosuite.volume.objects import borders, box_at
from cytosuite.volume.pieces import extremes, slabs_of

Labels = Integers

SCALES = (0.08, 0.2, 0.4)  # standard deviations of the smoothing, in typical radii
REACH = 0.45  # typical radii around an object within which its outline may lie
COLUMNS = 18  # new ones stand last: trees name a column by its number
_BRICK = (8, 64, 64)  # voxels of a piece from which an image is measured
_TRUNCATE = 3.0  # standard deviations after which a Gaussian ends
_DARK = 0.02  # of the threshold, below which all is dark
_FAINT = 0.05  # of it, the least brightness of an object


class Common(NamedTuple):
    """Quantities of a whole image that all of its blocks share."""

    background: float  # grey value
    threshold: float  # minimum cross entropy, above the background
    radius: float  # typical one of the objects, µm: half of their voxels lie in larger ones


class Near(NamedTuple):
    """The voxels near objects."""

    voxels: Longs  # (N,) flat indices
    owner: Labels  # (N,) nearest object
    columns: Floats  # (COLUMNS, N)


def measure(labels: Labels, image: Array, spacing: Spacing) -> Common:
    """Return the quantities of an image and its objects; a threshold of 0 if nothing stands out."""
    counts = np.zeros(int(extremes(labels)[1]) + 1, np.int64)
    for slab in slabs_of(labels):
        counts += np.bincount(slab.ravel(), minlength=counts.size)
    own = np.sort(counts[1:][counts[1:] > 0])
    if not own.size:
        return Common(0.0, 0.0, 0.0)
    middle = own[np.searchsorted(np.cumsum(own), own.sum() / 2)]
    radius = float(_radii(np.array([middle]), spacing)[0])
    sigma = [SCALES[0] * radius / step for step in spacing]
    boxes = bricks(image.shape, _BRICK[-image.ndim :])
    parts = [smoothed(taken(image, box).astype(np.float32), sigma).ravel() for box in boxes]
    signal = np.concatenate(parts)
    background, _ = background_and_noise(signal)
    signal -= np.float32(background)
    return Common(background, li_threshold(signal), radius)


def look(labels: Labels, image: Array, spacing: Spacing, common: Common) -> Near:
    """Return the voxels in and around the objects of an image, or of a part of it."""
    objects = labels > 0
    nearest = labels.astype(np.int32)
    distance = distance_out(~(borders(labels) & objects), spacing, nearest, REACH * common.radius)
    np.negative(distance, out=distance, where=objects)
    distance /= np.float32(common.radius)
    voxels = np.flatnonzero(distance <= REACH)
    owner = nearest.ravel()[voxels]
    inside = objects.ravel()[voxels]
    own = owner[inside]
    count = np.maximum(np.bincount(labels.ravel()), 1)
    radius = _radii(count, spacing)
    places = [
        (along * step).astype(np.float32)
        for along, step in zip(np.unravel_index(voxels, labels.shape), spacing, strict=True)
    ]
    centres = [np.bincount(own, place[inside], count.size) / count for place in places]
    away = np.stack([p - c.astype(np.float32)[owner] for p, c in zip(places, centres, strict=True)])
    away /= radius[owner]
    light = image.astype(np.float32) - np.float32(common.background)
    light /= np.float32(common.threshold)
    smooth = [
        smoothed(light, [scale * common.radius / step for step in spacing]) for scale in SCALES
    ]
    values = [np.log(np.maximum(level.ravel()[voxels], _DARK)) for level in smooth]
    mean = np.bincount(own, smooth[0].ravel()[voxels][inside], count.size) / count
    mean = np.log(np.maximum(mean, _FAINT)).astype(np.float32)
    far = np.sqrt((away**2).sum(0))
    slope = np.stack([_slope(smooth[1], axis, voxels) / step for axis, step in enumerate(spacing)])
    slope *= np.float32(common.radius) / np.exp(mean)[owner]
    height = away[0] if labels.ndim == 3 else np.zeros_like(far)
    columns = [
        *values,
        *(value - mean[owner] for value in values),
        *(fine - coarse for fine, coarse in pairwise(values)),
        mean[owner],
        np.sqrt((slope**2).sum(0)),
        (slope * away).sum(0) / np.maximum(far, 0.1),
        distance.ravel()[voxels],
        (radius / common.radius)[owner],
        height,
        np.sqrt((away[-2:] ** 2).sum(0)),
        far,
        *away[-2:],
    ]
    return Near(voxels, owner, np.stack(columns).astype(np.float32, copy=False))


def smoothed(image: Floats, sigma: Spacing) -> Floats:
    """Return an image after a Gaussian, its edges repeated."""
    reach = [int(_TRUNCATE * width + 0.5) for width in sigma]
    inner = box_at(reach, image.shape)
    padded = np.pad(image, [(n, n) for n in reach], "edge")
    return np.ascontiguousarray(gaussian(padded, sigma, _TRUNCATE, padded)[inner])


def _radii(voxels: Longs, spacing: Spacing) -> Floats:
    """Return the radii [µm] of balls, or discs, of so many voxels."""
    size = voxels * prod(spacing)
    ball = (size * 3 / (4 * pi)) ** (1 / 3) if len(spacing) == 3 else np.sqrt(size / pi)
    return np.asarray(ball, np.float32)


def _slope(values: Floats, axis: int, voxels: Longs) -> Floats:
    """Return the central difference per voxel along an axis at flat indices, edges repeated."""
    if values.shape[axis] < 2:
        return np.zeros(voxels.size, np.float32)
    step = prod(values.shape[axis + 1 :])
    place = voxels // step % values.shape[axis]
    high = voxels + np.where(place < values.shape[axis] - 1, step, 0)
    low = voxels - np.where(place > 0, step, 0)
    flat = values.ravel()
    return (flat[high] - flat[low]) / np.float32(2)
