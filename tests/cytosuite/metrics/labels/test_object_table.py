import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from mistakes import refused
from numpy.testing import assert_allclose
from situations import drawn
from skimage.measure import regionprops_table

from cytosuite.metrics import pixel_f1, pixel_jaccard, pixel_precision, pixel_recall
from cytosuite.metrics.labels.instances import dice
from cytosuite.metrics.labels.object_table import object_classes, object_errors, object_table
from cytosuite.metrics.labels.overlap import overlap

SPACING = (2.0, 0.5, 0.25)
METRICS = (pixel_precision, pixel_recall, pixel_f1, pixel_jaccard)
LABELS = arrays.arrays(np.uint8, (3, 4), elements=st.integers(0, 3))


@pytest.fixture
def box():
    """Return a volume with one box of 2 x 3 x 4 voxels, label 7, at (1, 2, 3)."""
    labels = np.zeros((5, 8, 9), np.uint16)
    labels[1:3, 2:5, 3:7] = 7
    return labels


def test_a_box_has_the_size_and_place_of_a_box(box):
    assert {name: values.tolist() for name, values in object_table(box, SPACING).items()} == {
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


def test_the_border_is_a_face_of_the_volume():
    labels = np.zeros((3, 5, 5), np.uint8)
    labels[1, 2, 2], labels[0, 3, 3], labels[1, 0, 0] = 1, 2, 3
    assert object_table(labels, SPACING)["touches_border"].tolist() == [0, 1, 1]
    # an axis of one voxel has no faces
    assert object_table(labels[1:2], SPACING)["touches_border"].tolist() == [0, 1]


def test_the_partner_is_the_true_object_with_the_highest_iou():
    truth = np.array([[1, 1, 1, 1, 3, 3, 0, 0]])
    table = object_table(np.array([[9, 9, 9, 0, 9, 4, 0, 6]]), (1.0, 1.0), truth=truth)
    assert table["label"].tolist() == [4, 6, 9]
    assert table["truth_label"].tolist() == [3, 0, 1]
    assert table["iou"].tolist() == pytest.approx([1 / 2, 0, 3 / 5])


def test_explains(box):
    mistakes = {
        "labels must not be negative, found -1": (-(box > 0).astype(np.int8), SPACING),
        "labels must be of an integer dtype, found float64": (box.astype(float), SPACING),
        r"found labels of shape \(5, 8, 9\) and 2 voxel sizes": (box, (1.0, 1.0)),
        "image and labels must have one shape": (box, SPACING, box[1:]),
        "hold no voxels": (box[:0], SPACING),
    }
    for message, arguments in mistakes.items():
        refused(message, object_table, *arguments)


def test_noise_is_refused_before_it_takes_hours(monkeypatch):
    scattered = np.zeros((80, 80), np.uint16)
    scattered[0], scattered[-1] = np.arange(80) + 1, np.arange(80, 0, -1)
    refused("boxes of .* voxels around them", object_table, scattered, (1.0, 1.0))
    monkeypatch.setattr("cytosuite.metrics.labels.object_table.OBJECTS", 10)
    assert object_table(scattered[:1, :5], (1.0, 1.0))["label"].size == 5
    refused(
        "expected up to 10 compact ones, found more than 10 in an",
        object_table,
        scattered,
        (1.0, 1.0),
    )
    # Large volumes may hold more.
    monkeypatch.setattr("cytosuite.metrics.labels.object_table.VOXELS", 4)
    assert object_table(np.arange(60).reshape(6, 10) % 13, (1.0, 1.0))["label"].size == 12


@pytest.mark.parametrize("times", [1, 10**6, 2**40])
def test_labels_on_disk_have_the_table_of_those_in_memory(times, mapped, rng):
    labels = rng.integers(0, 6, (9, 6, 5)) * times
    image = rng.normal(size=labels.shape)
    expected = object_table(labels, SPACING, image, labels[::-1])
    table = object_table(mapped(labels), SPACING, image, labels[::-1])
    assert list(table) == list(expected)
    for name, column in expected.items():
        assert table[name].dtype == column.dtype
        assert np.array_equal(table[name], column)


def test_places_and_grey_values_agree_with_scikit_image(rng):
    labels = rng.integers(0, 9, (9, 30, 40)) * 3
    for image in (rng.integers(0, 4096, labels.shape).astype(np.uint16), rng.random(labels.shape)):
        table = object_table(labels, SPACING, image)
        names = ("label", "centroid", "bbox", "area", "extent", "intensity_mean", "intensity_max")
        peer = regionprops_table(labels, image, properties=names, spacing=SPACING)
        for n, axis in enumerate("zyx"):
            assert_allclose(table[f"centroid_{axis}_um"], peer[f"centroid-{n}"])
            length = (peer[f"bbox-{n + 3}"] - peer[f"bbox-{n}"]) * SPACING[n]
            assert_allclose(table[f"length_{axis}_um"], length)
        for name, theirs in (("mean_intensity", "intensity_mean"), ("volume_um3", "area")):
            assert_allclose(table[name], peer[theirs])
        assert_allclose(table["extent"], peer["extent"])
        assert (table["max_intensity"] == peer["intensity_max"]).all()
        assert (table["label"] == peer["label"]).all()


def test_a_grey_value_that_is_no_number_stays_in_mean_and_maximum(box):
    image = np.ones(box.shape)
    image[1, 2, 4] = np.nan
    table = object_table(box, SPACING, image)
    assert np.isnan([table["mean_intensity"][0], table["max_intensity"][0]]).all()


@pytest.mark.parametrize(
    "truth, prediction, expected",
    [
        ("1111", ".2..", [["missed"], ["false"]]),  # one piece is no split
        ("1111", "2.3.", [["split"], ["split", "split"]]),  # two are, without a match
        ("1111", "2223", [["split"], ["matched", "split"]]),
        ("11..", "233.", [["missed"], ["false", "false"]]),  # half of 3 lies outside
        ("1112", "3333", [["merged", "merged"], ["merged"]]),
        ("111122", "333.3.", [["matched", "missed"], ["matched"]]),
        # One object holds a merging match and two pieces: merged goes first, pieces stay pieces.
        ("11111112", "333345.3", [["merged"] * 2, ["merged", "split", "split"]]),
        ("..", "78", [[], ["false", "false"]]),
    ],
)
def test_limits_of_the_classes(truth, prediction, expected):
    assert [
        classes.tolist() for classes in object_classes(overlap(drawn(truth), drawn(prediction)))
    ] == expected


def test_values_of_each_object_by_hand():
    truth, prediction = object_errors(overlap(drawn("1111223."), drawn("777.79.8")))
    assert truth.labels.tolist() == [1, 2, 3]
    assert truth.matched.tolist() == [7, 0, 0]
    assert truth.seg.tolist() == [3 / 5, 0, 0]
    assert truth.iou.tolist() == [3 / 5, 1 / 2, 0]  # half of object 2 is a good, but no match
    assert truth.covered.tolist() == [3 / 4, 1 / 2, 0]
    assert prediction.matched.tolist() == [1, 0, 0]
    assert prediction.iou.tolist() == [3 / 5, 0, 1 / 2]
    assert prediction.covered.tolist() == [3 / 4, 0, 1]


def test_an_object_that_matches_two_names_the_better_and_of_equal_ones_the_first():
    _, one = object_errors(overlap(drawn("455"), drawn("111")))
    assert one.matched.tolist() == [5]
    _, one = object_errors(overlap(np.array([5, 4]), np.array([1, 1])))
    assert one.matched.tolist() == [4]


@pytest.mark.parametrize(
    "truth, prediction, expected",
    [
        ("112...", ".777..", (2 / 3, 2 / 3, 2 / 3, 2 / 4)),
        ("1111..", "1...2.", (1 / 2, 1 / 4, 1 / 3, 1 / 5)),
        ("......", "......", (1, 1, 1, 1)),
        ("......", "..1...", (0, 0, 0, 0)),
        ("..1...", "......", (0, 0, 0, 0)),
        ("1.....", ".1....", (0, 0, 0, 0)),
    ],
)
def test_values_by_hand_and_of_empty_images(truth, prediction, expected):
    assert [metric(drawn(truth), drawn(prediction)) for metric in METRICS] == pytest.approx(
        expected
    )


@given(LABELS, LABELS)
def test_objects_do_not_count_and_the_sides_exchange(truth, prediction):
    values = [metric(truth, prediction) for metric in METRICS]
    binary = [metric((truth > 0).astype(int), (prediction > 0).astype(int)) for metric in METRICS]
    assert values == binary
    assert pixel_precision(truth, prediction) == pixel_recall(prediction, truth)
    if truth.any() or prediction.any():
        assert pixel_f1(truth, prediction) == pytest.approx(dice(truth, prediction))
    assert all(metric(truth, truth) == 1 for metric in METRICS)
