"""Mean brightness across the border of objects: width of edges, and height at which labels end."""

from collections.abc import Iterator
from math import nan, pi, sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cytosuite.metrics.realism.scene import Scene

Floats = NDArray[np.float64]

GRID = 0.2  # µm between the samples of a ray
DISTANCES = np.arange(-50, 51) * GRID  # µm from the border of the label, negative inside
NEAR_UM = 6.0  # from the border, where the steepest part of an edge is looked for
LEAST_RAYS = 2


class Edge(NamedTuple):
    """The edge of objects along an axis; NaN where fewer than 2 rays cross it.

    Parameters
    ----------
    width_um : float
        From 90 % to 10 % of the height of a Gaussian edge as steep as the steepest part of a ray,
        median over rays: borders that were drawn inexactly do not widen it.
    level : float
        Height at which labels end on the mean edge, 0 outside to 1 inside.
    """

    width_um: float
    level: float


def edges(scene: Scene) -> tuple[Edge, Edge]:
    """Return the edges of the objects of a stack along z, and within planes.

    Returns
    -------
    axial, lateral : Edge
        Rays run from the centroid of each object both ways along an axis, 3 x 3 voxels wide, until
        another object begins. The mean edge is the median of all rays, put together at the border
        of the label, each relative to its brightest and darkest point.
    """
    array, step = scene.image.array.astype(np.float32), scene.image.spacing
    boxes = ndimage.find_objects(scene.labels)
    found = []
    for axis in range(3):
        smooth = ndimage.uniform_filter(array, [1 if other == axis else 3 for other in range(3)])
        found.append(list(_rays(smooth, scene.labels, boxes, axis, step[axis])))
    return _edge(found[0], step[0]), _edge(found[1] + found[2], (step[1] + step[2]) / 2)


def _rays(
    image: NDArray[np.float32],
    labels: NDArray[np.integer],
    boxes: list[tuple[slice, ...] | None],
    axis: int,
    step: float,
) -> Iterator[Floats]:
    """Yield brightness at `DISTANCES` from the border along an axis, NaN where there is none."""
    for label, box in enumerate(boxes, start=1):
        if box is None:
            continue
        inside = labels[box] == label
        middle = zip(ndimage.center_of_mass(inside), box, strict=True)
        centre = [round(place + part.start) for place, part in middle]
        if labels[tuple(centre)] != label:
            continue  # a hollow or crescent object
        line: Any = (*centre[:axis], slice(None), *centre[axis + 1 :])
        for way in (1, -1):
            owners, values = labels[line][centre[axis] :: way], image[line][centre[axis] :: way]
            end = int(np.argmax(owners != label))
            if end == 0:
                continue  # cut by the face of the stack
            foreign = np.flatnonzero((owners != label) & (owners != 0))
            stop = int(foreign[0]) if foreign.size else len(owners)
            place = (np.arange(stop) - (end - 0.5)) * step
            ray = np.interp(DISTANCES, place, values[:stop].astype(float), left=nan, right=nan)
            if np.isfinite(ray).any():
                yield ray


def _edge(rays: list[Floats], step: float) -> Edge:
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
    width = 2.563 / (sqrt(2 * pi) * slope) if slope > 0 else nan
    return Edge(width, _level(stacked))


def _level(stacked: Floats) -> float:
    """Return the height of the median ray at the border, relative to its rise across it."""
    known = np.isfinite(stacked).sum(axis=0) >= LEAST_RAYS
    distance = DISTANCES[known]
    profile = np.nanmedian(stacked[:, known], axis=0) if known.any() else np.zeros(0)
    inner, outer = profile[distance <= 0], profile[distance > 0]
    if not (inner.size and outer.size and inner.max() > outer.min()):
        return nan
    height = (profile - outer.min()) / (inner.max() - outer.min())
    return float(np.clip(np.interp(0.0, distance, height), 0, 1))
