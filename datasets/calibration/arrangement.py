"""Places of objects in their tissue: depth of its middle, hollowness, objects along its surface."""

from math import nan

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cytosuite.metrics.realism.scene import Scene

FEWEST = 8  # objects below which a ball cannot be told from a shell
OUTER = 0.5  # of the radius of the tissue seen along z, beyond which objects have a surface nearby

Floats = NDArray[np.float64]


def arrangement(scene: Scene) -> dict[str, float]:
    """Return how the objects of a stack are arranged.

    Returns
    -------
    dict of str to float
        `middle`: of all objects along z / height of the stack. `hollow`: mean distance of the
        centroids from the middle of the ellipsoid that spans all objects, relative to it; 3/4 of
        the room for points in a ball, near 1 for those of a shell. `tangential`: mean over outer
        objects of ln(width across / along the line to the middle), seen along z: 0 for any
        direction, positive for flat objects along the surface. NaN for fewer than 8 objects,
        or 4 outer ones.
    """
    labels, spacing = scene.labels, np.asarray(scene.image.spacing)
    found = np.nonzero(labels)
    if not found[0].size:
        return {}
    low = np.array([axis.min() for axis in found])
    high = np.array([axis.max() + 1 for axis in found])
    middle, half = (low + high) / 2, (high - low) / 2
    names = np.unique(labels)[1:]
    row = {"middle": float(middle[0] / len(labels)), "hollow": nan, "tangential": nan}
    if len(names) >= FEWEST:
        centres = np.array(ndimage.center_of_mass(labels > 0, labels, names)) + 0.5
        away = (centres - middle) / half
        row["hollow"] = float(np.linalg.norm(away, axis=1).mean())
        outer = np.linalg.norm(away[:, 1:], axis=1) > OUTER
        ways = ((centres - middle) * spacing)[:, 1:]
        row["tangential"] = _tangential(scene, names[outer], ways[outer])
    return row


def _tangential(scene: Scene, names: NDArray[np.integer], ways: Floats) -> float:
    """Return the mean of ln(width across / along a way) of objects seen along z."""
    step = np.asarray(scene.image.spacing[1:])
    boxes = ndimage.find_objects(scene.labels.astype(np.int32, copy=False))
    ratios = []
    for name, way in zip(names, ways, strict=True):
        box = boxes[name - 1]
        points = np.argwhere(scene.labels[box] == name)[:, 1:] * step
        along = way / np.linalg.norm(way)
        spread = np.cov(points.T, bias=True) + np.diag(step**2 / 12)
        across = np.array([-along[1], along[0]])
        ratios.append(np.log((across @ spread @ across) / (along @ spread @ along)) / 2)
    return float(np.mean(ratios)) if len(ratios) >= FEWEST // 2 else nan
