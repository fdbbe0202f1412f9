import re
from dataclasses import fields
from math import isnan, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from cytosuite import large
from cytosuite.errors import InputError
from cytosuite.metrics.labels.surfaces import (
    SURFACES,
    assd,
    concatenate_surfaces,
    hausdorff,
    hd95,
    surface_table,
    surfaces,
)

SPACING = (2.0, 0.5, 0.7)
METRICS = (assd, hausdorff, hd95)
VOLUMES = arrays.arrays(np.uint8, (3, 4, 5), elements=st.integers(0, 2))
quick = settings(max_examples=50, deadline=None)


def slowly(truth, prediction, spacing):
    """Return both directions' distances of two masks by a distance transform of the volume."""
    cross = ndimage.generate_binary_structure(truth.ndim, 1)
    edges = [mask & ~ndimage.binary_erosion(mask, cross) for mask in (truth, prediction)]
    maps = [ndimage.distance_transform_edt(~edge, sampling=spacing) for edge in edges]
    return maps[1][edges[0]], maps[0][edges[1]]


def balls(seed, shape=(16, 20, 24)):
    """Return two random masks that overlap by more than half."""
    rng = np.random.default_rng(seed)
    grid = np.indices(shape) - np.array(shape).reshape(3, 1, 1, 1) / 2
    radius = (grid**2).sum(0) / 49
    noise = [ndimage.gaussian_filter(rng.normal(size=shape), 2) for _ in range(2)]
    return tuple((radius + 6 * part < 1) for part in noise)


@given(VOLUMES, VOLUMES)
@quick
def test_distances_are_those_of_a_distance_transform_of_each_pair(truth, prediction):
    found, table = surfaces(truth, prediction, SPACING), surface_table(truth, prediction, SPACING)
    for i, (t, p) in enumerate(zip(found.truth_labels, found.prediction_labels, strict=True)):
        expected = slowly(truth == t, prediction == p, SPACING)
        sides = (
            (found.from_truth, found.truth_start),
            (found.from_prediction, found.prediction_start),
        )
        for (side, start), distances in zip(sides, expected, strict=True):
            assert side[start[i] : start[i + 1]] == pytest.approx(np.sort(distances))
        assert table.assd[i] == pytest.approx(np.concatenate(expected).mean())
        assert table.hausdorff[i] == pytest.approx(max(map(np.max, expected)))
        quantile = max(float(np.quantile(side, 0.95)) for side in expected)
        assert table.hd95[i] == pytest.approx(quantile)


@given(VOLUMES, VOLUMES)
@quick
def test_exchanging_the_volumes_changes_nothing(truth, prediction):
    for metric in METRICS:
        exchanged = metric(prediction, truth, SPACING)
        assert metric(truth, prediction, SPACING) == pytest.approx(exchanged, nan_ok=True)


@given(VOLUMES, st.floats(0.01, 100))
@quick
def test_distances_scale_with_the_spacing(truth, factor):
    prediction = np.roll(truth, 1, 2)
    large = tuple(factor * step for step in SPACING)
    for metric in METRICS:
        expected = factor * metric(truth, prediction, SPACING)
        assert metric(truth, prediction, large) == pytest.approx(expected, nan_ok=True)


@given(VOLUMES)
@quick
def test_identical_volumes_have_no_distance(labels):
    for metric in METRICS:
        value = metric(labels, labels, SPACING)
        assert value == 0 or (isnan(value) and not labels.any())


def test_a_shifted_cell_by_hand(situations):
    """A cube of 4, one voxel to the right: of its 56 surface voxels 4 x 4 are 1 away."""
    found = surfaces(*situations.shifted(), spacing=(1, 1, 2))
    assert found.from_truth.size == found.from_prediction.size == 56
    # left face 2 µm away; inside each surface 4 x 4 of the partner's are covered by 1 at least
    assert hausdorff(*situations.shifted(), spacing=(1, 1, 2)) == 2.0
    expected = slowly(*(labels > 0 for labels in situations.shifted()), (1, 1, 2))
    value = assd(*situations.shifted(), spacing=(1, 1, 2))
    assert value == pytest.approx(np.concatenate(expected).mean())


def test_spacing_is_that_of_z_y_x():
    truth, prediction = np.zeros((2, 9, 9, 9), np.uint8)
    truth[2:7, 2:7, 2:7] = prediction[2:8, 2:7, 2:7] = 1
    assert hausdorff(truth, prediction, (3.0, 1.0, 1.0)) == 3.0
    assert hausdorff(truth, prediction, (1.0, 3.0, 1.0)) == 1.0


def test_objects_cut_by_the_border_have_a_surface_there():
    found = surfaces(np.ones((3, 3, 3), int), np.ones((3, 3, 3), int), (1, 1, 1))
    assert found.from_truth.size == 26


def test_touching_objects_have_a_surface_between_them(situations):
    assert surfaces(*situations.touching(), (1, 1, 1)).from_truth.size == 2 * 56


def test_matching_by_iou_is_strict_and_that_of_the_challenge_may_share_objects(situations):
    halves = surfaces(*situations.split_in_halves(), (1, 1, 1))
    assert halves.truth_labels.size == 0
    assert all(isnan(metric(*situations.split_in_halves(), (1, 1, 1))) for metric in METRICS)
    merged = surfaces(*situations.merged(), (1, 1, 1), matching="ctc")
    assert merged.truth_labels.tolist() == [3, 8]
    assert merged.prediction_labels.tolist() == [9, 9]
    table = surface_table(*situations.merged(), (1, 1, 1), matching="ctc")
    assert table.hausdorff.tolist() == [4, 4]


def test_every_object_has_the_same_weight_in_the_mean():
    truth, prediction = np.zeros((2, 12, 12), np.uint8)
    truth[1:9, 1:9] = prediction[1:9, 1:9] = 1
    truth[11, 0:3] = prediction[11, 0:2] = 2
    assert assd(truth, prediction, (1, 1)) == pytest.approx((0 + 1 / 5) / 2)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.uint64, ">u2"])
def test_types_and_layouts_do_not_matter(tmp_path, situations, dtype):
    truth, prediction = (labels.astype(dtype) for labels in situations.shifted())
    np.save(tmp_path / "truth.npy", np.asfortranarray(truth))
    mapped = np.load(tmp_path / "truth.npy", mmap_mode="r")
    expected = assd(*situations.shifted(), SPACING)
    assert assd(mapped, prediction[:, ::-1][:, ::-1], SPACING) == expected


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of an option which MONAI itself gives
@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_monai(seed):
    torch = pytest.importorskip("torch", reason="MONAI is compared with where it is installed")
    monai = pytest.importorskip("monai.metrics", reason="compared with where it is installed")
    truth, prediction = balls(seed)
    batch = [torch.from_numpy(mask)[None, None].float() for mask in (prediction, truth)]
    mean = monai.compute_average_surface_distance(
        *batch, include_background=True, symmetric=True, spacing=SPACING
    )
    largest, most = (
        monai.compute_hausdorff_distance(
            *batch, include_background=True, percentile=percentile, spacing=SPACING
        )
        for percentile in (None, 95)
    )
    masks = truth.astype(np.uint8), prediction.astype(np.uint8)
    ours = [metric(*masks, SPACING) for metric in METRICS]
    assert ours == pytest.approx([float(v) for v in (mean, largest, most)], rel=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_medpy(seed):
    binary = pytest.importorskip("medpy.metric.binary", reason="compared with where installed")
    truth, prediction = balls(seed)
    masks = truth.astype(np.uint8), prediction.astype(np.uint8)
    found = surfaces(*masks, SPACING)
    assert assd(*masks, SPACING) == pytest.approx(binary.assd(prediction, truth, SPACING))
    assert hausdorff(*masks, SPACING) == pytest.approx(binary.hd(prediction, truth, SPACING))
    both = np.concatenate([found.from_truth, found.from_prediction])
    assert np.quantile(both, 0.95) == pytest.approx(binary.hd95(prediction, truth, SPACING))


def test_pooled_objects_have_the_same_weight_in_whichever_volume(situations):
    one, other = (case() for case in (situations.shifted, situations.touching))
    tables = [SURFACES.gather(*case, SPACING) for case in (one, other)]
    pooled = concatenate_surfaces(tables)
    assert pooled.assd.tolist() == [*tables[0].assd, *tables[1].assd]
    assert hausdorff.of(pooled) == pytest.approx((hausdorff(*one, SPACING) + 0 + 0) / 3)
    assert isnan(assd.of(concatenate_surfaces([])))


def test_diagonal_distance():
    truth, prediction = np.zeros((2, 5, 5), np.uint8)
    truth[1:4, 1:4] = prediction[1:4, 1:4] = 1
    prediction[4, 4] = 1
    assert hausdorff(truth, prediction, (1, 1)) == sqrt(2)


SPACINGS = "spacing must be a positive number in µm for each axis (z y x, or y x), found {} for labels of 3 axes"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"spacing": (1, 1)}, SPACINGS.format([1.0, 1.0])),
        ({"spacing": (0, 1, 1)}, SPACINGS.format([0.0, 1.0, 1.0])),
        (
            {"spacing": (1, 1, 1), "matching": "best"},
            "matching must be 'iou' or 'ctc', found 'best'",
        ),
    ],
)
def test_mistakes_are_named(options, message, situations):
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        surfaces(*situations.shifted(), **options)


@given(VOLUMES, VOLUMES, st.integers(1, 45), st.sampled_from(["iou", "ctc"]))
@quick
def test_volumes_on_disk_have_the_distances_of_those_in_memory(truth, prediction, slab, matching):
    there = surfaces(truth, prediction, SPACING, matching)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(large, "fits", lambda _: False)
        patch.setattr(large, "SLAB", slab)
        moved = large.room(truth.shape, truth.dtype)
        moved[...] = truth
        found = surfaces(moved, prediction, SPACING, matching)
    for name in (field.name for field in fields(there)):
        assert np.array_equal(getattr(there, name), getattr(found, name))


def test_surfaces_that_no_memory_holds_are_refused(mapped, monkeypatch):
    monkeypatch.setattr("cytosuite.metrics.labels.surfaces.FEW", 1000)
    monkeypatch.setattr("cytosuite.metrics.labels.surfaces.fits", lambda size: size < 1000)
    labels = np.ones((9, 9, 9), np.uint8)
    assert hausdorff(labels, labels, SPACING) == 0
    with pytest.raises(InputError, match="those that reach into one plane take .* GiB"):
        hausdorff(mapped(labels), labels, SPACING)
