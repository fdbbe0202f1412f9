"""Differences of synthetic objects from real ones: size, shape, brightness, crowding.

Per object eight numbers in physical units, per number the distance of the two distributions.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import nan

import numpy as np

from cytosuite.files import FloatDict
from cytosuite.metrics.evidence import Evidence
from cytosuite.metrics.known import known, ratio
from cytosuite.metrics.metric import metric
from cytosuite.metrics.realism.scene import Scene, Scenes, members
from cytosuite.metrics.realism.wasserstein import PANARETOS, sorted_distance
from cytosuite.volume.arrays import Array, Bools, Doubles, Longs
from cytosuite.volume.objects import hull_voxels, numbered, objects_in, on_face
from cytosuite.volume.points import neighbour

SHAPE = ("volume_um3", "diameter_um", "elongation", "solidity")
OTHER = ("mean_intensity", "cv_intensity", "neighbour_um", "depth_um")
FEATURES = SHAPE + OTHER


def object_features(scene: Scene) -> dict[str, Array]:
    """Return size, shape, brightness and place of every object, (N,) by name, by ascending label.

    - ``label`` (int64), ``cut`` (bool): touches a face of the stack
    - ``volume_um3``
    - ``diameter_um``: of the ball of that volume
    - ``elongation``: longest over shortest principal axis of the voxels in µm, at least 1
    - ``solidity``: volume over that of the convex hull of all voxel corners, in (0, 1]
    - ``mean_intensity``, ``cv_intensity``: mean grey value, and standard deviation (of the
      population) over its absolute value, NaN for a mean of 0
    - ``neighbour_um``: centroid to the nearest other centroid, NaN for a single object
    - ``depth_um``: centroid below the centre of the first plane

    The four features of shape are NaN for cut objects. A principal axis is the root of an
    eigenvalue of the covariance of the voxel centres plus that of one voxel, ``spacing**2 / 12``: a
    single voxel has the axes of a box.

    Examples
    --------
    >>> from cytosuite.volume import Volume
    >>> labels = np.zeros((3, 3, 6), np.uint8)
    >>> labels[1, 1, 1:5] = 7
    >>> found = object_features(Scene(Volume(labels * 3.0, (2, 1, 1)), labels))
    >>> found["volume_um3"].tolist(), found["elongation"].round(9).tolist()
    ([8.0], [4.0])
    >>> found["solidity"].round(9).tolist(), found["depth_um"].tolist()
    ([1.0], [2.0])
    """
    names, dense = numbered(scene.labels)
    spacing = np.asarray(scene.image.spacing)
    count = names.size
    rows = np.full((count, len(FEATURES)), nan)
    centres = np.zeros((count, 3))
    cut = np.zeros(count, bool)
    for label, box, mask in objects_in(dense):
        place = label - 1
        grey = scene.image.array[box][mask].astype(np.float64)
        cut[place] = on_face(box, dense.shape)
        voxels = np.argwhere(mask)
        centres[place] = (voxels.mean(axis=0) + [part.start for part in box]) * spacing
        if not cut[place]:
            rows[place, : len(SHAPE)] = _shape(mask, voxels, spacing)
        mean = grey.mean()
        rows[place, 4:6] = mean, ratio(grey.std(), abs(mean))
    rows[:, 6] = neighbour(centres)
    rows[:, 7] = centres[:, 0]
    return {"label": names, "cut": cut, **dict(zip(FEATURES, rows.T, strict=True))}


def feature_distances(real: Scenes, synthetic: Scenes) -> FloatDict:
    """Return the distance of real and synthetic objects by feature.

    First Wasserstein distance of the pooled objects' values over the standard deviation of the real
    ones: uncertain for fewer than about 20 objects of a side, NaN for none, or real ones all alike.
    """
    return pooled_distances(
        [[object_features(scene) for scene in members(side, Scene)] for side in (real, synthetic)],
        FEATURES,
    )


FEATURE_DISTANCES = Evidence(
    feature_distances, ("real", "synthetic"), form="scenes", voxel_bytes=16
)


@metric(
    "feature_distance",
    "Mean distance of object features",
    evidence=FEATURE_DISTANCES,
    best=0.0,
    reference=PANARETOS,
    undefined="when no feature has values on both sides that vary among the real objects",
)
def feature_distance(distances: FloatDict) -> float:
    """Return the mean distance over the features of objects, in real standard deviations.

    ``W1(real, synthetic) / std(real)`` per feature, mean over the features that are defined.
    Diameter and volume are one size on two scales, both count.

    Examples
    --------
    >>> feature_distance.of({"volume_um3": 0.5, "mean_intensity": 1.0, "solidity": nan})
    0.75
    """
    return known([*distances.values()])


def pooled_distances(
    sides: Sequence[Sequence[Mapping[str, Array]]], names: Iterable[str]
) -> FloatDict:
    """Return `scaled_distance` of the values of all scenes by name.

    `sides` are the values of each scene, of the real ones and of the synthetic ones.
    """
    return {
        name: scaled_distance(*(np.concatenate([[], *(t[name] for t in side)]) for side in sides))
        for name in names
    }


def scaled_distance(real: Doubles, synthetic: Doubles) -> float:
    """Return the distance of two samples of a feature, (N,) and (M,); values of NaN are none."""
    a, b = (np.sort(side[~np.isnan(side)].astype(np.float64)) for side in (real, synthetic))
    scale = float(a.std()) if a.size else 0.0
    return sorted_distance(a, b) / scale if a.size and b.size and scale > 0 else nan


def _shape(mask: Bools, voxels: Longs, spacing: Doubles) -> list[float]:
    """Return the features of shape of one object."""
    volume = len(voxels) * float(spacing.prod())
    centred = (voxels - voxels.mean(axis=0)) * spacing
    axes = np.linalg.eigvalsh(centred.T @ centred / len(voxels) + np.diag(spacing**2 / 12))
    diameter = (6 * volume / np.pi) ** (1 / 3)
    return [volume, diameter, float(np.sqrt(axes[-1] / axes[0])), len(voxels) / hull_voxels(mask)]
