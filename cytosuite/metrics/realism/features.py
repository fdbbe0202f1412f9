"""Differences of synthetic objects from real ones: size, shape, brightness, crowding.

Per object eight numbers in physical units, per number the distance of the two distributions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull, cKDTree

from cytosuite.errors import InputError
from cytosuite.metrics.evidence import Evidence
from cytosuite.metrics.metric import metric
from cytosuite.metrics.realism.scene import Scene, members
from cytosuite.metrics.realism.wasserstein import PANARETOS, sorted_distance

SHAPE = ("volume_um3", "diameter_um", "elongation", "solidity")
OTHER = ("mean_intensity", "cv_intensity", "neighbour_um", "depth_um")
FEATURES = SHAPE + OTHER

BATCH = 50  # draws computed together
CORNERS = np.indices((2, 2, 2)).reshape(3, 8).T  # of a voxel, relative to its lowest one

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FeatureDistance:
    """Distance of the distributions of one feature.

    Parameters
    ----------
    distance : float
        First Wasserstein distance over the standard deviation of the real objects; NaN if a side
        has no object or the real ones are all alike.
    low, high : float
        Limits of the 95 % interval of draws of objects with replacement on both sides, the
        standard deviation kept. Draws differ even where both sides are alike: the interval may lie
        above the distance.
    real_objects, synthetic_objects : int
        Objects with a value; a distance of fewer than about 20 of a side is uncertain.
    """

    distance: float
    low: float
    high: float
    real_objects: int
    synthetic_objects: int


def object_features(scene: Scene, *, cut_objects: bool = False) -> dict[str, NDArray[Any]]:
    """Return size, shape, brightness and place of every object.

    Parameters
    ----------
    scene : Scene
        A stack and its labels; an object in several pieces is one object.
    cut_objects : bool
        Whether objects that touch a face of the stack have shape features too, of their visible
        part.

    Returns
    -------
    dict of str to (N,) array
        In ascending order of the label:

        - ``label`` (int64), ``cut`` (bool): touches a face of the stack
        - ``volume_um3``
        - ``diameter_um``: of the ball of that volume
        - ``elongation``: longest over shortest principal axis of the voxels in µm, at least 1
        - ``solidity``: volume over that of the convex hull of all voxel corners, in (0, 1]
        - ``mean_intensity``, ``cv_intensity``: mean grey value, and standard deviation (of the
          population) over its absolute value, NaN for a mean of 0
        - ``neighbour_um``: centroid to the nearest other centroid, NaN for a single object
        - ``depth_um``: centroid below the centre of the first plane

        The four features of shape are NaN for cut objects unless these are asked for.

    Notes
    -----
    A principal axis is the root of an eigenvalue of the covariance of the voxel centres plus that
    of one voxel, ``spacing**2 / 12``: a single voxel has the axes of a box.

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
    names, dense = _dense(scene.labels)
    cut, rows = _measured(scene, dense, names.size, cut_objects)
    return {"label": names, "cut": cut, **dict(zip(FEATURES, rows.T, strict=True))}


def pooled_features(
    scenes: Scene | Sequence[Scene], *, cut_objects: bool = False
) -> dict[str, NDArray[Any]]:
    """Return `object_features` of a set, one scene after the other; an empty one is an error."""
    tables = [object_features(scene, cut_objects=cut_objects) for scene in members(scenes)]
    if not tables:
        raise InputError("object features need at least one scene, found none; give a stack")
    keys = ("label", "cut", *FEATURES)
    return {key: np.concatenate([table[key] for table in tables]) for key in keys}


def feature_distances(
    real: Scene | Sequence[Scene],
    synthetic: Scene | Sequence[Scene],
    *,
    cut_objects: bool = False,
    draws: int = 1000,
    seed: int = 0,
) -> dict[str, FeatureDistance]:
    """Return the distance of real and synthetic objects in every feature.

    Parameters
    ----------
    real, synthetic : Scene or list of Scene
        Stacks with labels; objects of a set are pooled.
    cut_objects : bool
        See `object_features`.
    draws : int
        Draws of the bootstrap over objects; 0 for none.
    seed : int
        Of the draws.

    Returns
    -------
    dict of str to FeatureDistance
        One per name in `FEATURES`.

    Raises
    ------
    InputError
        If the number of draws is negative.
    """
    if draws < 0:
        raise InputError(f"draws must be at least 0, found {draws}")
    sides = [pooled_features(side, cut_objects=cut_objects) for side in (real, synthetic)]
    pairs = {name: [side[name] for side in sides] for name in FEATURES}
    return {name: distance_of(*pair, draws=draws, seed=seed) for name, pair in pairs.items()}


def distance_of(
    real: Floats, synthetic: Floats, *, draws: int = 1000, seed: int = 0
) -> FeatureDistance:
    """Return the distance of two samples of a feature, with a bootstrap interval.

    Parameters
    ----------
    real, synthetic : (N,) and (M,) float64 array
        One value per object; NaN = no value.
    draws, seed : int
        See `feature_distances`.

    Notes
    -----
    A draw is a vector of multiplicities. On the sorted values of both sides together, the distance
    is the sum of ``|F_real - F_synthetic|`` times the gaps, for all draws of a batch at once.

    Examples
    --------
    >>> distance_of(np.array([1.0, 3.0]), np.array([2.0, 4.0]), draws=0).distance
    1.0
    """
    a, b = (np.sort(side[~np.isnan(side)].astype(np.float64)) for side in (real, synthetic))
    scale = float(a.std()) if a.size else 0.0
    if not (a.size and b.size and scale > 0):
        return FeatureDistance(nan, nan, nan, a.size, b.size)
    distance = sorted_distance(a, b) / scale
    if not draws:
        return FeatureDistance(distance, nan, nan, a.size, b.size)
    rng = np.random.default_rng(seed)
    merged = np.concatenate([a, b])
    order = np.argsort(merged, kind="stable")
    gaps = np.diff(merged[order])
    drawn = []
    for start in range(0, draws, BATCH):
        count = min(BATCH, draws - start)
        share = [
            rng.multinomial(side.size, np.full(side.size, 1 / side.size), count) / side.size
            for side in (a, b)
        ]
        steps = np.concatenate([share[0], -share[1]], axis=1)[:, order]
        drawn.append(np.abs(np.cumsum(steps, axis=1)[:, :-1]) @ gaps / scale)
    low, high = np.quantile(np.concatenate(drawn), [0.025, 0.975])
    return FeatureDistance(distance, float(low), float(high), a.size, b.size)


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
def feature_distance(distances: dict[str, FeatureDistance]) -> float:
    """Return the mean distance over the features of objects, in real standard deviations.

    ``W1(real, synthetic) / std(real)`` per feature, mean over the features that are defined.
    Diameter and volume are one size on two scales, both count.

    Examples
    --------
    >>> size = FeatureDistance(0.5, 0.3, 0.8, 40, 40)
    >>> light = FeatureDistance(1.0, 0.7, 1.3, 40, 40)
    >>> feature_distance.of({"volume_um3": size, "mean_intensity": light})
    0.75
    """
    values = [one.distance for one in distances.values() if not np.isnan(one.distance)]
    return float(np.mean(values)) if values else nan


def _dense(labels: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return the labels in ascending order, and the volume with their numbers from 1 on."""
    if labels.dtype.kind == "b":
        labels = labels.astype(np.uint8)
    top = int(labels.max()) if labels.size else 0
    if top <= labels.size:  # a table of all labels is no larger than the volume
        present = np.zeros(top + 1, bool)
        present[labels.ravel()] = True
        present[0] = False
        number: NDArray[np.int32] = np.cumsum(present, dtype=np.int32)
        return np.flatnonzero(present), number[labels]
    names, place = np.unique(labels, return_inverse=True)
    dense: NDArray[np.int32] = place.reshape(labels.shape).astype(np.int32)
    background = names[0] == 0
    if not background:
        dense += 1
    return names[int(background) :].astype(np.int64), dense


def _shape(mask: NDArray[np.bool_], voxels: NDArray[np.int64], spacing: Floats) -> list[float]:
    """Return the features of shape of one object."""
    volume = len(voxels) * float(spacing.prod())
    centred = (voxels - voxels.mean(axis=0)) * spacing
    covariance = centred.T @ centred / len(voxels) + np.diag(spacing**2 / 12)
    axes = np.linalg.eigvalsh(covariance)
    along = np.flatnonzero(mask.any(axis=2).ravel())  # rows of voxels: their ends span the hull
    lines = mask.reshape(-1, mask.shape[2])[along]
    ends = [lines.argmax(axis=1), mask.shape[2] - 1 - lines[:, ::-1].argmax(axis=1)]
    place = np.stack(np.unravel_index(along, mask.shape[:2]), axis=1)
    tips = np.concatenate([np.column_stack([place, end]) for end in ends])
    corners = np.unique((tips[:, None] + CORNERS).reshape(-1, 3), axis=0)
    hull = ConvexHull(corners).volume  # in voxels: the ratio is the same in µm
    diameter = (6 * volume / np.pi) ** (1 / 3)
    return [volume, diameter, float(np.sqrt(axes[-1] / axes[0])), len(voxels) / float(hull)]


def _measured(
    scene: Scene, dense: NDArray[np.int32], count: int, cut_objects: bool
) -> tuple[NDArray[np.bool_], Floats]:
    """Return the objects that touch a face, and the features of all, in the order of `FEATURES`."""
    spacing = np.asarray(scene.image.spacing)
    rows = np.full((count, len(FEATURES)), nan)
    centres = np.zeros((count, 3))
    cut = np.zeros(count, bool)
    for place, box in enumerate(ndimage.find_objects(dense)):
        mask = dense[box] == place + 1
        grey = scene.image.array[box][mask].astype(np.float64)
        start = np.array([part.start for part in box])
        stop = np.array([part.stop for part in box])
        cut[place] = bool((start == 0).any() or (stop == dense.shape).any())
        voxels = np.argwhere(mask)
        centres[place] = (voxels.mean(axis=0) + start) * spacing
        if cut_objects or not cut[place]:
            rows[place, : len(SHAPE)] = _shape(mask, voxels, spacing)
        mean = grey.mean()
        rows[place, 4:6] = mean, grey.std() / abs(mean) if mean else nan
    if count > 1:
        rows[:, 6] = cKDTree(centres).query(centres, k=2)[0][:, 1]
    rows[:, 7] = centres[:, 0]
    return cut, rows
