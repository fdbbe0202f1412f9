from math import isnan, pi

import numpy as np
import pytest
from scipy.stats import wasserstein_distance
from skimage.measure import regionprops

from cytosuite.errors import InputError
from cytosuite.metrics.metric import metrics_of
from cytosuite.metrics.realism.features import (
    FEATURES,
    OTHER,
    SHAPE,
    distance_of,
    feature_distance,
    feature_distances,
    object_features,
    pooled_features,
)
from cytosuite.metrics.realism.scene import Scene
from cytosuite.volume import Volume

UNIT = (1.0, 1.0, 1.0)


def ellipsoids(radii, spacing=UNIT, grey=50.0, seed=0, tall=1.0, shape=(24, 40, 40)):
    """Nuclei side by side, of given lateral radii in µm, `tall` times as high."""
    z, y, x = np.ogrid[: shape[0], : shape[1], : shape[2]]
    z, y, x = z * spacing[0], y * spacing[1], x * spacing[2]
    centre_z = z.max() / 2
    labels = np.zeros(shape, np.uint16)
    step = 2.5 * max(radii)
    per_row = int(x.max() // step)
    for place, radius in enumerate(radii):
        row, column = divmod(place, per_row)
        cy, cx = (row + 0.6) * step, (column + 0.6) * step
        d = ((z - centre_z) / tall) ** 2 + (y - cy) ** 2 + (x - cx) ** 2
        labels[d <= radius**2] = place + 1
    noise = np.random.default_rng(seed).normal(0, 5, shape)
    return Scene(Volume(grey + noise, spacing), labels)


def boxes(*, dtype=np.uint16):
    """Two boxes away from the faces, one that touches a face, and a single voxel."""
    labels = np.zeros((8, 12, 14), dtype)
    labels[1:3, 2:6, 1:9] = 3
    labels[4:6, 7:9, 2:4] = 40
    labels[5:8, 1:3, 11:13] = 7
    labels[5, 10, 12] = 100
    grey = np.arange(labels.size, dtype=np.float64).reshape(labels.shape)
    return Scene(Volume(grey, (2.0, 1.0, 0.5)), labels)


def test_a_box_by_hand():
    found = object_features(boxes())
    assert found["label"].tolist() == [3, 7, 40, 100]
    assert found["cut"].tolist() == [False, True, False, False]
    assert found["volume_um3"][[0, 2, 3]].tolist() == [64.0, 8.0, 1.0]
    assert found["diameter_um"][0] == pytest.approx((6 * 64 / pi) ** (1 / 3))
    assert found["elongation"] == pytest.approx([1.0, np.nan, 4.0, 4.0], nan_ok=True)
    assert found["solidity"] == pytest.approx([1.0, np.nan, 1.0, 1.0], nan_ok=True)
    assert found["depth_um"].tolist() == [3.0, 12.0, 9.0, 10.0]
    centres = np.array([[3, 3.5, 2.25], [12, 1.5, 5.75], [9, 7.5, 1.25], [10, 10, 6.0]])
    apart = np.linalg.norm(centres[:, None] - centres, axis=2) + np.diag([np.inf] * 4)
    assert found["neighbour_um"] == pytest.approx(apart.min(axis=1))


def test_agrees_with_scikit_image():
    scene = ellipsoids([5, 6, 7, 8], spacing=(1.5, 0.8, 0.8), shape=(24, 64, 64))
    found = object_features(scene)
    props = regionprops(scene.labels, scene.image.array, spacing=scene.image.spacing)
    assert found["label"].tolist() == [p.label for p in props]
    assert found["volume_um3"] == pytest.approx([p.area for p in props], rel=1e-9)
    assert found["diameter_um"] == pytest.approx([p.equivalent_diameter_area for p in props])
    assert found["mean_intensity"] == pytest.approx([p.intensity_mean for p in props], rel=1e-12)
    std = [p.image_intensity[p.image].std() / p.intensity_mean for p in props]
    assert found["cv_intensity"] == pytest.approx(std, rel=1e-9)
    assert found["depth_um"] == pytest.approx([p.centroid[0] for p in props], rel=1e-9)
    assert found["solidity"] == pytest.approx([p.solidity for p in props], abs=0.15)


@pytest.mark.parametrize("tall", [1.0, 1.5, 2.0])
def test_elongation_of_ellipsoids_does_not_depend_on_the_voxels(tall):
    for spacing in (UNIT, (2.0, 1.0, 1.0), (1.0, 0.5, 0.5)):
        shape = tuple(round(n / s) for n, s in zip((40, 24, 24), spacing, strict=True))
        scene = ellipsoids([8], spacing, tall=tall, shape=shape)
        found = object_features(scene)
        assert found["elongation"] == pytest.approx([tall], rel=0.05)
        assert found["volume_um3"] == pytest.approx([tall * 4 / 3 * pi * 512], rel=0.05)


def test_solidity_falls_with_a_dent():
    whole = ellipsoids([8], shape=(24, 24, 24))
    dented = whole.labels.copy()
    dented[:, :8] = 0
    dented[10:14, :, 8:12] = 0
    a, b = (object_features(Scene(whole.image, x))["solidity"][0] for x in (whole.labels, dented))
    assert b < a - 0.05
    assert 0 < b < a <= 1


def test_cut_objects_keep_what_does_not_depend_on_shape():
    found = object_features(boxes())
    assert all(isnan(found[name][1]) for name in SHAPE)
    assert not any(isnan(found[name][1]) for name in OTHER)
    asked = object_features(boxes(), cut_objects=True)
    assert asked["volume_um3"][1] == 12.0


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint32, np.int64, np.uint64])
def test_label_types_and_large_labels(dtype):
    scene = boxes(dtype=dtype)
    expected = object_features(boxes())
    large = scene.labels.copy()
    large[large == 100] = np.iinfo(dtype).max if dtype != np.uint64 else 2**40
    full = Scene(scene.image, large)
    for name in FEATURES:
        assert np.array_equal(object_features(scene)[name], expected[name], equal_nan=True)
        assert np.array_equal(object_features(full)[name], expected[name], equal_nan=True)


def test_an_object_that_fills_the_stack_or_a_mask():
    full = Scene(Volume(np.full((3, 4, 5), 2.0), UNIT), np.full((3, 4, 5), 2**40))
    found = object_features(full, cut_objects=True)
    assert found["volume_um3"].tolist() == [60.0]
    assert found["solidity"] == pytest.approx([1.0])
    assert isnan(found["neighbour_um"][0])
    mask = Scene(full.image, np.ones((3, 4, 5), bool))
    assert object_features(mask, cut_objects=True)["volume_um3"].tolist() == [60.0]


def test_an_object_in_two_pieces_is_one():
    labels = np.zeros((3, 3, 9), int)
    labels[1, 1, 1], labels[1, 1, 7] = 1, 1
    found = object_features(Scene(Volume(labels * 1.0, UNIT), labels))
    assert found["volume_um3"].tolist() == [2.0]
    assert found["solidity"] == pytest.approx([2 / 7])


def test_unsigned_grey_values_and_a_mean_of_zero():
    scene = boxes()
    grey = np.where(scene.labels == 3, 60000, 0).astype(np.uint16)
    found = object_features(Scene(Volume(grey, scene.image.spacing), scene.labels))
    assert found["mean_intensity"].tolist() == [60000, 0, 0, 0]
    assert found["cv_intensity"][0] == 0
    assert np.isnan(found["cv_intensity"][1:]).all()


def test_no_objects():
    empty = Scene(Volume(np.zeros((3, 4, 5)), UNIT), np.zeros((3, 4, 5), int))
    assert all(column.size == 0 for column in object_features(empty).values())
    for pair in ((empty, boxes()), (boxes(), empty), (empty, empty)):
        assert isnan(feature_distance(*pair, draws=10))


def test_memory_layout_does_not_matter():
    scene = boxes()
    turned = Scene(
        Volume(np.asfortranarray(scene.image.array), scene.image.spacing),
        np.repeat(scene.labels, 2, axis=2)[:, :, ::2],
    )
    for name, column in object_features(turned).items():
        assert np.array_equal(column, object_features(scene)[name], equal_nan=True)


def test_equal_sets_do_not_differ():
    scene = ellipsoids([4, 5, 6, 4.5])
    distances = feature_distances(scene, scene, draws=20)
    assert set(distances) == set(FEATURES)
    assert {d.distance for d in distances.values() if not isnan(d.distance)} == {0.0}
    assert feature_distance.of(distances) == 0


def test_grows_with_the_difference_of_sizes():
    radii = np.array([3.0, 3.5, 4.0, 4.5, 5.0])
    real = ellipsoids(radii, shape=(24, 48, 48))
    values = [
        feature_distances(real, ellipsoids(radii + d, shape=(24, 48, 48)), draws=0)[
            "diameter_um"
        ].distance
        for d in (0, 0.5, 1.0, 2.0)
    ]
    assert values == sorted(values)
    assert values[0] == 0 < values[1]


def test_a_distance_is_that_of_scipy_over_the_real_spread():
    rng = np.random.default_rng(0)
    a, b = rng.normal(5, 2, 40), rng.normal(6, 3, 55)
    expected = wasserstein_distance(a, b) / a.std()
    assert distance_of(a, b, draws=0).distance == pytest.approx(expected, rel=1e-9)
    with_gaps = np.append(a, [np.nan, np.nan])
    assert distance_of(with_gaps, b, draws=0).distance == pytest.approx(expected, rel=1e-9)
    assert distance_of(10 * a, 10 * b, draws=0).distance == pytest.approx(expected, rel=1e-9)


def test_interval_by_drawing_objects_one_by_one():
    rng = np.random.default_rng(1)
    a, b = rng.normal(0, 1, 30), rng.normal(1, 1, 25)
    draws = [
        wasserstein_distance(rng.choice(a, a.size), rng.choice(b, b.size)) / a.std()
        for _ in range(1500)
    ]
    found = distance_of(a, b, draws=1500)
    assert (found.low, found.high) == pytest.approx(np.quantile(draws, [0.025, 0.975]), rel=0.1)
    assert found == distance_of(a, b, draws=1500)
    assert found.low != distance_of(a, b, draws=1500, seed=1).low


def test_real_objects_that_are_all_alike_have_no_scale():
    assert isnan(distance_of(np.ones(30), np.arange(30.0)).distance)


def test_a_set_pools_its_objects():
    one, other = ellipsoids([4, 5]), ellipsoids([6])
    pooled = pooled_features([one, other])
    assert pooled["volume_um3"].size == 3
    assert pooled["label"].tolist() == [1, 2, 1]


def test_refuses_an_empty_set_and_negative_draws():
    with pytest.raises(InputError, match="^object features need at least one scene, found none"):
        feature_distance(boxes(), [])
    with pytest.raises(InputError, match="^draws must be at least 0, found -1"):
        feature_distance(boxes(), boxes(), draws=-1)


def test_is_listed_as_a_distance_of_sets():
    assert feature_distance in metrics_of("realism")
    assert (feature_distance.best, feature_distance.worst) == (0.0, None)
    assert feature_distance.scope == "set"
