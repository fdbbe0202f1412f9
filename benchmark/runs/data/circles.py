"""Points as labels of discs, in volumes of balls, so that their outlines are circles."""

from functools import reduce

import numpy as np

from cytosuite.contract.points import Points
from cytosuite.metrics.points.matching import RADIUS_PX
from cytosuite.volume.arrays import Shape, Words

SMALLEST_PX = 2.0  # of a radius, on the grid that is shown


def circles(points: Points, full: Shape, shape: Shape) -> Words:
    """Return discs (Z, Y, X), numbered from 1, on a coarser grid `shape` of an image `full`.

    The radius is that of the metrics, at least two pixels; the nearest point owns a pixel.
    """
    axes = len(points.spacing)
    scale = np.array(shape, np.float64) / full
    um = np.array((points.spacing[-1], *points.spacing)[-3:]) / scale  # of a voxel of the grid
    places = np.zeros((len(points), 3))
    places[:, 3 - axes :] = points.array
    places = (places + 0.5) * scale - 0.5
    radius = max(RADIUS_PX * points.spacing[-1], SMALLEST_PX * float(um[1:].max()))
    discs = np.zeros(shape, np.uint32)
    nearest = np.full(shape, np.inf)
    first = np.maximum(np.ceil(places - radius / um), 0).astype(np.int64)
    middle = np.round(places).astype(np.int64)  # a ball between two planes is seen in one
    last = np.minimum(np.floor(places + radius / um), np.array(shape) - 1).astype(np.int64)
    first[:, 0] = np.minimum(first[:, 0], middle[:, 0])
    last[:, 0] = last[:, 0].clip(middle[:, 0])
    for n in np.flatnonzero(((middle >= 0) & (middle < shape)).all(axis=1)).tolist():
        box = tuple(slice(low, high + 1) for low, high in zip(first[n], last[n], strict=True))
        squares = [
            ((np.arange(part.start, part.stop) - at) * step) ** 2
            for part, at, step in zip(box, places[n], um, strict=True)
        ]
        away = reduce(np.add.outer, squares)  # squared distances of the voxels, µm²
        nearer = (away <= max(radius**2, float(away.min()))) & (away < nearest[box])
        discs[box][nearer] = n + 1
        nearest[box][nearer] = away[nearer]
    return discs
