"""Objects of a stack: found without annotation, and the edges of their light."""

from collections.abc import Iterator
from math import nan, pi, sqrt
from typing import NamedTuple

import numpy as np
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.filters import threshold_li
from skimage.segmentation import watershed

from cytosuite.metrics.realism.scene import Scene, stack
from cytosuite.segmentation.objects import keep_by
from cytosuite.volume import Volume
from cytosuite.volume.arrays import Doubles, Floats, Integers, Shorts
from cytosuite.volume.objects import objects_in

SMOOTH_UM = 0.8
APART_UM = 3.0  # seeds are at least this far from each other
SMALLEST_UM3 = 30.0
GRID = 0.2  # µm between the samples of a ray
DISTANCES = np.arange(-50, 51) * GRID  # µm from the border of the label, negative inside
NEAR_UM = 6.0  # from the border, where the steepest part of an edge is looked for
LEAST_RAYS = 2


def segment(image: Volume) -> Shorts:
    """Return objects (Z, Y, X) uint16 of a bright stack: threshold, distance, watershed.

    Li and Tam (1998), doi:10.1016/S0167-8655(98)00057-9.
    """
    array = stack(image).astype(np.float32)
    spacing = np.asarray(image.spacing)
    smooth = ndimage.gaussian_filter(array, SMOOTH_UM / spacing)
    if smooth.max() <= smooth.min():
        return np.zeros(array.shape, np.uint16)
    mask = smooth > threshold_li(smooth)
    depth = ndimage.distance_transform_edt(mask, sampling=image.spacing)
    depth = ndimage.gaussian_filter(depth, SMOOTH_UM / spacing)
    around = np.ones(2 * np.ceil(APART_UM / spacing).astype(int) + 1, bool)
    seeds = peak_local_max(depth, footprint=around, labels=mask, exclude_border=False)
    peaks = np.zeros(array.shape, bool)
    peaks[tuple(seeds.T)] = True
    markers, _ = ndimage.label(peaks, np.ones((3, 3, 3)))  # neighbours of equal depth are one seed
    basins = watershed(-depth, markers, mask=mask)
    large = np.bincount(basins.ravel()) * spacing.prod() >= SMALLEST_UM3
    return keep_by(basins, large).astype(np.uint16)


class Edge(NamedTuple):
    """The edge of objects along an axis; NaN where fewer than 2 rays cross it."""

    width_um: float  # 90 % to 10 % of a Gaussian edge as steep as a ray, median over rays
    level: float  # height at which labels end on the mean edge, 0 outside to 1 inside


def edges(scene: Scene) -> tuple[Edge, Edge]:
    """Return the edges of the objects of a stack along z, and within planes: medians of rays."""
    array = scene.image.array.astype(np.float32)
    step = scene.image.spacing
    rays = []
    for axis in range(3):
        smooth = ndimage.uniform_filter(array, [1 if n == axis else 3 for n in range(3)])
        rays.append(list(_rays(smooth, scene.labels, axis, step[axis])))
    return _edge(rays[0], step[0]), _edge(rays[1] + rays[2], (step[1] + step[2]) / 2)


def _rays(image: Floats, labels: Integers, axis: int, step: float) -> Iterator[Doubles]:
    """Yield brightness at `DISTANCES` from the border along an axis, NaN where there is none."""
    for label, box, inside in objects_in(labels):
        middle = zip(ndimage.center_of_mass(inside), box, strict=True)
        centre = [round(place + part.start) for place, part in middle]
        if labels[tuple(centre)] != label:
            continue  # a hollow or crescent object
        line = (*centre[:axis], slice(None), *centre[axis + 1 :])
        for way in (1, -1):
            owners = labels[line][centre[axis] :: way]
            values = image[line][centre[axis] :: way]
            end = int(np.argmax(owners != label))
            if end == 0:
                continue  # cut by the face of the stack
            foreign = np.flatnonzero((owners != label) & (owners != 0))
            stop = int(foreign[0]) if foreign.size else len(owners)
            place = (np.arange(stop) - (end - 0.5)) * step
            ray = np.interp(DISTANCES, place, values[:stop].astype(float), left=nan, right=nan)
            if np.isfinite(ray).any():
                yield ray


def _edge(rays: list[Doubles], step: float) -> Edge:
    """Return width and level of the edges that rays run across, of voxels `step` µm apart."""
    if len(rays) < LEAST_RAYS:
        return Edge(nan, nan)
    stacked = np.array(rays)
    bright = np.nanmax(stacked, axis=1, keepdims=True)
    dark = np.nanmin(stacked, axis=1, keepdims=True)
    stacked = (stacked - dark) / np.maximum(bright - dark, 1e-9)
    span = max(round(step / GRID), 1)  # samples between voxels
    near = np.abs(DISTANCES[span:] - span * GRID / 2) <= NEAR_UM
    falls = (stacked[:, :-span] - stacked[:, span:])[:, near]
    steepest = [np.nanmax(ray) for ray in falls if np.isfinite(ray).any()]
    slope = float(np.median(steepest)) / (span * GRID) if len(steepest) >= LEAST_RAYS else nan
    return Edge(2.563 / (sqrt(2 * pi) * slope) if slope > 0 else nan, _level(stacked))


def _level(stacked: Doubles) -> float:
    """Return the height of the median ray at the border, relative to its rise across it."""
    enough = np.isfinite(stacked).sum(axis=0) >= LEAST_RAYS
    distance = DISTANCES[enough]
    profile = np.nanmedian(stacked[:, enough], axis=0) if enough.any() else np.zeros(0)
    inner = profile[distance <= 0]
    outer = profile[distance > 0]
    if not (inner.size and outer.size and inner.max() > outer.min()):
        return nan
    height = (profile - outer.min()) / (inner.max() - outer.min())
    return float(np.clip(np.interp(0.0, distance, height), 0, 1))
