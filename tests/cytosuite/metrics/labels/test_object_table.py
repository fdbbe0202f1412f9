import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.measure import regionprops_table

from cytosuite import large
from cytosuite.errors import InputError
from cytosuite.metrics.labels import object_table as room
from cytosuite.metrics.labels.object_table import object_table

SPACING = (2.0, 0.5, 0.25)


@pytest.fixture
def box():
    """Return a volume with one box of 2 x 3 x 4 voxels, label 7, at (1, 2, 3)."""
    labels = np.zeros((5, 8, 9), np.uint16)
    labels[1:3, 2:5, 3:7] = 7
    return labels


def test_a_box_has_the_size_and_place_of_a_box(box):
    found = object_table(box, SPACING)
    assert {name: values.tolist() for name, values in found.items()} == {
        "label": [7],
        "centroid_z_um": [3.0],
        "centroid_y_um": [1.5],
        "centroid_x_um": [1.125],
        "volume_um3": [6.0],
        "extent": [1.0],
        "length_z_um": [4.0],
        "length_y_um": [1.5],
        "length_x_um": [1.0],
        "touches_border": [0],
    }


def test_intensities_are_those_under_the_object(box):
    image = np.zeros(box.shape, np.float32)
    image[1, 2, 3] = 48.0
    image[0, 0, 0] = 1000.0
    found = object_table(box, SPACING, image)
    assert found["mean_intensity"].tolist() == [2.0]
    assert found["max_intensity"].tolist() == [48.0]


def test_a_flat_image_has_areas_and_no_z():
    labels = np.array([[1, 1, 0], [0, 0, 0], [0, 0, 2]])
    found = object_table(labels, (0.5, 0.25))
    assert found["area_um2"].tolist() == [0.25, 0.125]
    assert found["centroid_x_um"].tolist() == [0.125, 0.5]
    assert not [name for name in found if "_z_" in name or "volume" in name]


def test_the_border_is_a_face_of_the_volume():
    labels = np.zeros((3, 5, 5), np.uint8)
    labels[1, 2, 2], labels[0, 3, 3], labels[1, 0, 0] = 1, 2, 3
    assert object_table(labels, SPACING)["touches_border"].tolist() == [0, 1, 1]
    plane = labels[1:2]  # an axis of one voxel has no faces
    assert object_table(plane, SPACING)["touches_border"].tolist() == [0, 1]


def test_the_partner_is_the_true_object_with_the_highest_iou():
    truth = np.array([[1, 1, 1, 1, 3, 3, 0, 0]])
    labels = np.array([[9, 9, 9, 0, 9, 4, 0, 6]])
    found = object_table(labels, (1.0, 1.0), truth=truth)
    assert found["label"].tolist() == [4, 6, 9]
    assert found["truth_label"].tolist() == [3, 0, 1]
    assert found["iou"].tolist() == pytest.approx([1 / 2, 0, 3 / 5])


def test_of_two_equal_partners_the_smaller_label_counts():
    found = object_table(np.array([[5, 5]]), (1.0, 1.0), truth=np.array([[8, 2]]))
    assert (found["truth_label"].tolist(), found["iou"].tolist()) == ([2], [0.5])


def test_an_image_without_objects_has_the_columns_without_rows(box):
    empty = object_table(np.zeros_like(box), SPACING, box, box)
    full = object_table(box, SPACING, box, box)
    assert list(empty) == list(full)
    assert {values.size for values in empty.values()} == {0}


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.uint32, np.int64, np.uint64])
def test_every_integer_dtype_is_measured(box, dtype):
    found = object_table(box.astype(dtype), SPACING, truth=box)
    assert found["volume_um3"].tolist() == [6.0]
    assert found["truth_label"].tolist() == [7]


def test_large_labels_cost_no_memory_for_all_below(box):
    large = np.where(box == 7, np.int64(2**62), 0)
    large[4, 7, 8] = 2**40
    found = object_table(large, SPACING, truth=large)
    assert found["label"].tolist() == found["truth_label"].tolist() == [2**40, 2**62]
    full = np.full((2, 2), 2**50)  # no background
    assert object_table(full, (1.0, 1.0))["label"].tolist() == [2**50]


@settings(max_examples=20, deadline=None)
@given(arrays(np.uint8, (3, 6, 5), elements=st.integers(0, 5)))
def test_it_agrees_with_sums_over_voxels(labels):
    image = np.arange(labels.size, dtype=np.float64).reshape(labels.shape)
    found = object_table(labels, SPACING, image, truth=labels)
    assert found["label"].tolist() == [n for n in range(1, 6) if (labels == n).any()]
    for row, label in enumerate(found["label"]):
        voxels = np.argwhere(labels == label)
        centre = voxels.mean(axis=0) * SPACING
        assert found["volume_um3"][row] == pytest.approx(len(voxels) * 0.25)
        for axis, value in zip("zyx", centre, strict=True):
            assert found[f"centroid_{axis}_um"][row] == pytest.approx(value)
        assert found["mean_intensity"][row] == pytest.approx(image[labels == label].mean())
        assert found["max_intensity"][row] == image[labels == label].max()
    assert (found["iou"] == 1).all()
    assert (found["truth_label"] == found["label"]).all()


def test_it_agrees_with_scikit_image():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 4, (6, 9, 9))
    image = rng.random(labels.shape)
    found = object_table(labels, SPACING, image)
    peer = regionprops_table(labels, image, properties=("area", "extent"), spacing=SPACING)
    np.testing.assert_allclose(found["volume_um3"], peer["area"])
    np.testing.assert_allclose(found["extent"], peer["extent"])


def _negative(box):
    """labels must not be negative, found -1"""
    return object_table(-(box > 0).astype(np.int8), SPACING)


def _float(box):
    """labels must be of an integer dtype, found float64"""
    return object_table(box.astype(float), SPACING)


def _spacing(box):
    """one voxel size per axis, found labels of shape \\(5, 8, 9\\) and 2 voxel sizes"""
    return object_table(box, (1.0, 1.0))


def _shape(box):
    """image and labels must have one shape"""
    return object_table(box, SPACING, box[1:])


def _nothing(box):
    """hold no voxels"""
    return object_table(box[:0], SPACING)


@pytest.mark.parametrize("mistake", [_negative, _float, _spacing, _shape, _nothing])
def test_explains(box, mistake):
    with pytest.raises(InputError, match=mistake.__doc__):
        mistake(box)


def test_noise_is_refused_before_it_takes_hours(monkeypatch):
    scattered = np.zeros((80, 80), np.uint16)
    scattered[0], scattered[-1] = np.arange(80) + 1, np.arange(80, 0, -1)
    with pytest.raises(InputError, match="boxes of .* voxels around them"):
        object_table(scattered, (1.0, 1.0))
    monkeypatch.setattr(room, "OBJECTS", 10)
    assert object_table(scattered[:1, :5], (1.0, 1.0))["label"].size == 5
    with pytest.raises(
        InputError, match="expected up to 10 compact ones, found more than 10 in an"
    ):
        object_table(scattered, (1.0, 1.0))


@settings(max_examples=20, deadline=None)
@given(
    arrays(np.uint8, (4, 6, 5), elements=st.integers(0, 5)),
    st.sampled_from([1, 10**6, 2**40]),
    st.integers(1, 100),
)
def test_labels_on_disk_have_the_table_of_those_in_memory(labels, times, slab):
    labels = labels.astype(np.int64) * times
    image = np.random.default_rng(0).normal(size=labels.shape)
    expected = object_table(labels, SPACING, image, labels[::-1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(large, "fits", lambda _: False)
        patch.setattr(large, "SLAB", slab)
        moved = large.room(labels.shape, labels.dtype)
        moved[...] = labels
        found = object_table(moved, SPACING, image, labels[::-1])
    assert list(found) == list(expected)
    for name, column in expected.items():
        assert found[name].dtype == column.dtype
        assert np.array_equal(found[name], column)


def test_places_and_grey_values_agree_with_scikit_image():
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 9, (9, 30, 40)) * 3
    for image in (rng.integers(0, 4096, labels.shape).astype(np.uint16), rng.random(labels.shape)):
        found = object_table(labels, SPACING, image)
        names = ("label", "centroid", "intensity_mean", "intensity_max", "bbox")
        peer = regionprops_table(labels, image, properties=names, spacing=SPACING)
        for n, axis in enumerate("zyx"):
            np.testing.assert_allclose(found[f"centroid_{axis}_um"], peer[f"centroid-{n}"])
            length = (peer[f"bbox-{n + 3}"] - peer[f"bbox-{n}"]) * SPACING[n]
            np.testing.assert_allclose(found[f"length_{axis}_um"], length)
        np.testing.assert_allclose(found["mean_intensity"], peer["intensity_mean"])
        assert (found["max_intensity"] == peer["intensity_max"]).all()
        assert (found["label"] == peer["label"]).all()


def test_a_grey_value_that_is_no_number_stays_in_mean_and_maximum(box):
    image = np.ones(box.shape)
    image[1, 2, 4] = np.nan
    found = object_table(box, SPACING, image)
    assert np.isnan([found["mean_intensity"][0], found["max_intensity"][0]]).all()


def test_large_volumes_may_hold_more_objects(monkeypatch):
    monkeypatch.setattr(room, "OBJECTS", 3)
    monkeypatch.setattr(room, "VOXELS", 10)
    labels = np.arange(50).reshape(5, 10) % 6
    assert object_table(labels, (1.0, 1.0))["label"].size == 5
    monkeypatch.setattr(room, "VOXELS", 13)
    with pytest.raises(InputError, match="up to 3 compact ones, found more than 3 in"):
        object_table(labels, (1.0, 1.0))
