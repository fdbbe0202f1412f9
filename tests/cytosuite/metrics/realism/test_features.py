from math import isnan, pi

import numpy as np
import pytest
from rasters import away_from
from scipy.stats import wasserstein_distance

from cytosuite.metrics.realism.features import (
    FEATURES,
    OTHER,
    SHAPE,
    feature_distance,
    feature_distances,
    object_features,
)
from cytosuite.metrics.realism.scene import Scene
from cytosuite.volume import Volume

UNIT = (1.0, 1.0, 1.0)


def ellipsoids(radii, spacing=UNIT, seed=0, shape=(24, 48, 48)):
    """Nuclei side by side, of given radii in µm."""
    labels = np.zeros(shape, np.uint16)
    step = 2.5 * max(radii)
    high, _, wide = np.multiply(np.subtract(shape, 1), spacing)
    for place, radius in enumerate(radii):
        row, column = divmod(place, int(wide // step))
        centre = (high / 2, (row + 0.6) * step, (column + 0.6) * step)
        labels[away_from(np.divide(centre, spacing), shape, spacing) <= radius] = place + 1
    return Scene(Volume(np.random.default_rng(seed).normal(50, 5, shape), spacing), labels)


def boxes():
    """Two boxes away from the faces, one that touches a face, and a single voxel."""
    labels = np.zeros((8, 12, 14), np.uint16)
    labels[1:3, 2:6, 1:9] = 3
    labels[4:6, 7:9, 2:4] = 40
    labels[5:8, 1:3, 11:13] = 7
    labels[5, 10, 12] = 100
    grey = np.arange(labels.size, dtype=np.float64).reshape(labels.shape)
    return Scene(Volume(grey, (2.0, 1.0, 0.5)), labels)


def test_a_box_by_hand():
    features = object_features(boxes())
    assert features["label"].tolist() == [3, 7, 40, 100]
    assert features["cut"].tolist() == [False, True, False, False]
    assert features["volume_um3"][[0, 2, 3]].tolist() == [64.0, 8.0, 1.0]
    assert features["diameter_um"][0] == pytest.approx((6 * 64 / pi) ** (1 / 3))
    assert features["elongation"] == pytest.approx([1.0, np.nan, 4.0, 4.0], nan_ok=True)
    assert features["solidity"] == pytest.approx([1.0, np.nan, 1.0, 1.0], nan_ok=True)
    assert features["depth_um"].tolist() == [3.0, 12.0, 9.0, 10.0]
    centres = np.array([[3, 3.5, 2.25], [12, 1.5, 5.75], [9, 7.5, 1.25], [10, 10, 6.0]])
    apart = np.linalg.norm(centres[:, None] - centres, axis=2) + np.diag([np.inf] * 4)
    assert features["neighbour_um"] == pytest.approx(apart.min(axis=1))


def test_light_is_that_of_the_voxels():
    scene = ellipsoids([5, 6, 7, 8], spacing=(1.5, 0.8, 0.8), shape=(24, 64, 64))
    features = object_features(scene)
    light = [scene.image.array[scene.labels == label] for label in features["label"]]
    means = np.array([voxels.mean() for voxels in light])
    assert features["mean_intensity"] == pytest.approx(means, rel=1e-12)
    assert features["cv_intensity"] == pytest.approx(
        [voxels.std() for voxels in light] / means, rel=1e-9
    )


def test_cut_objects_keep_what_does_not_depend_on_shape():
    features = object_features(boxes())
    assert all(isnan(features[name][1]) for name in SHAPE)
    assert not any(isnan(features[name][1]) for name in OTHER)


def test_unsigned_grey_values_and_a_mean_of_zero():
    scene = boxes()
    grey = np.where(scene.labels == 3, 60000, 0).astype(np.uint16)
    features = object_features(Scene(Volume(grey, scene.image.spacing), scene.labels))
    assert features["mean_intensity"].tolist() == [60000, 0, 0, 0]
    assert features["cv_intensity"][0] == 0
    assert np.isnan(features["cv_intensity"][1:]).all()


def test_no_objects():
    empty = Scene(Volume(np.zeros((3, 4, 5)), UNIT), np.zeros((3, 4, 5), int))
    assert all(column.size == 0 for column in object_features(empty).values())
    for pair in ((empty, boxes()), (boxes(), empty), (empty, empty)):
        assert isnan(feature_distance(*pair))


def test_a_distance_is_that_of_scipy_over_the_real_spread_of_the_set():
    radii = np.array([3.0, 3.5, 4.0, 4.5, 5.0])
    real = [ellipsoids(radii[:3]), ellipsoids(radii[3:])]
    for more in (0, 0.5, 2.0):
        other = ellipsoids(radii + more, seed=1)
        distances = feature_distances(real, other)
        assert set(distances) == set(FEATURES)
        tables = [[object_features(s)["diameter_um"] for s in side] for side in (real, [other])]
        a, b = (diameters[~np.isnan(diameters)] for diameters in map(np.concatenate, tables))
        expected = wasserstein_distance(a, b) / a.std()
        assert distances["diameter_um"] == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert feature_distance(real, real) == 0


def test_real_objects_that_are_all_alike_have_no_scale():
    scene = boxes()
    assert isnan(feature_distances(Scene(scene.image, 3 * (scene.labels == 3)), scene)["solidity"])
    assert isnan(feature_distance(scene, []))
