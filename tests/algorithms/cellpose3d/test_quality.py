import numpy as np
import pytest

from cytosuite.algorithms.cellpose3d.flows import flow_targets
from cytosuite.algorithms.cellpose3d.quality import Removal, control
from cytosuite.errors import InputError

SPACING = (2.0, 1.0, 1.0)


def three():
    """Return a cube of 64 voxels, a rod of 12 and a single voxel: 128, 24 and 2 µm³."""
    labels = np.zeros((8, 12, 20), np.uint32)
    labels[1:5, 1:5, 1:5] = 4
    labels[6, 7, 2:14] = 9
    labels[3, 9, 18] = 6
    return labels


def test_without_limits_all_stay_and_are_numbered_again():
    found, removed = control(three(), SPACING, {})
    assert removed == []
    assert found.dtype == np.uint32
    np.testing.assert_array_equal(np.unique(found), [0, 1, 2, 3])
    np.testing.assert_array_equal(found > 0, three() > 0)
    assert (found[1, 1, 1], found[3, 9, 18], found[6, 7, 2]) == (1, 2, 3)


def test_volumes_are_in_um3():
    limits = {"min_volume_um3": 3, "max_volume_um3": 100}
    found, removed = control(three(), SPACING, limits)
    assert removed == [
        Removal(4, "max_volume_um3", 128.0, 100.0),
        Removal(6, "min_volume_um3", 2.0, 3.0),
    ]
    np.testing.assert_array_equal(found, three() == 9)


@pytest.mark.parametrize(("limit", "stays"), [(24.0, True), (24.1, False)])
def test_an_object_at_its_limit_stays(limit, stays):
    found, _ = control(three(), SPACING, {"min_volume_um3": limit})
    assert bool(found[6, 7, 2]) is stays


def test_the_mean_level_counts():
    level = np.where(three() == 4, 0.9, 0.2).astype(np.float32)
    level[1, :, :] = 0  # a quarter of the cube
    _, removed = control(three(), SPACING, {"min_level": 0.7}, level=level)
    assert [(row.label, row.reason) for row in removed] == [
        (4, "min_level"),
        (6, "min_level"),
        (9, "min_level"),
    ]
    assert removed[0].value == pytest.approx(0.675, abs=1e-6)


def test_the_mean_contrast_counts():
    contrast = np.full(three().shape, 3, np.float32)
    contrast[6, 7, 2:8] = 1
    _, removed = control(three(), SPACING, {"min_contrast": 2.5}, contrast=contrast)
    assert removed == [Removal(9, "min_contrast", 2.0, 2.5)]


def test_an_object_against_the_flow_is_removed():
    flow = flow_targets(three())
    limits = {"max_flow_error": 0.1}
    assert control(three(), SPACING, limits, flow=flow)[1] == []
    flow[:, 6] *= -1
    _, removed = control(three(), SPACING, limits, flow=flow)
    assert [(row.label, row.reason) for row in removed] == [(9, "max_flow_error")]
    expected = 2 * np.abs(flow[:, three() == 9]).mean()
    assert removed[0].value == pytest.approx(expected, rel=1e-5)


def test_elongation_is_that_of_a_cuboid_in_um():
    _, removed = control(three(), SPACING, {"max_elongation": 3})
    assert removed == [Removal(9, "max_elongation", pytest.approx(12.0), 3.0)]
    _, removed = control(three(), SPACING, {"max_elongation": 1.5})
    values = {row.label: row.value for row in removed}
    assert values == {4: pytest.approx(2.0), 6: pytest.approx(2.0), 9: pytest.approx(12.0)}


def test_elongation_of_a_flat_image_is_that_within_it():
    labels = np.zeros((1, 9, 9), np.uint32)
    labels[0, 2:5, 2:8] = 1
    _, removed = control(labels, (100.0, 1.0, 1.0), {"max_elongation": 1.5})
    assert removed == [Removal(1, "max_elongation", pytest.approx(2.0), 1.5)]


def test_elongation_does_not_depend_on_the_axes():
    rng = np.random.default_rng(0)
    labels = (rng.random((6, 7, 8)) < 0.4).astype(np.uint32)
    row = control(labels, (1, 2, 3), {"max_elongation": 1})[1][0]
    turned = control(labels.transpose(2, 0, 1), (3, 1, 2), {"max_elongation": 1})[1][0]
    assert turned.value == pytest.approx(row.value)


def test_an_object_is_named_once_with_the_first_reason():
    limits = {"min_volume_um3": 50, "min_level": 0.5}
    level = np.zeros(three().shape, np.float32)
    _, removed = control(three(), SPACING, limits, level=level)
    assert [(row.label, row.reason) for row in removed] == [
        (4, "min_level"),
        (6, "min_volume_um3"),
        (9, "min_volume_um3"),
    ]


def test_nothing_gives_nothing():
    empty = np.zeros((2, 3, 4), np.uint32)
    level = np.zeros(empty.shape, np.float32)
    limits = {"min_volume_um3": 1, "min_level": 0.5, "max_flow_error": 0.1, "max_elongation": 2}
    flow = np.zeros((3, 2, 3, 4), np.float32)
    found, removed = control(empty, SPACING, limits, level=level, flow=flow)
    assert removed == []
    assert not found.any()


@pytest.mark.parametrize("name", ["min_level", "min_contrast", "max_flow_error"])
def test_a_limit_without_its_field_is_refused(name):
    with pytest.raises(
        InputError, match=rf"{name} needs a field of shape \(8, 12, 20\), found none"
    ):
        control(three(), SPACING, {name: 0.5})


def test_a_field_of_another_shape_is_refused():
    level = np.zeros((3, 3, 3), np.float32)
    with pytest.raises(InputError, match=r"min_level needs .* found \(3, 3, 3\)"):
        control(three(), SPACING, {"min_level": 0.5}, level=level)
