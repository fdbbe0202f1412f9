import base64
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from skimage.segmentation import find_boundaries

from benchmark.pictures import outlines
from benchmark.pictures.outlines import boundary, grey, layer_png, limits, matched, shrink, stretch

LABELS = arrays(np.uint16, st.tuples(*[st.integers(1, 12)] * 2), elements=st.integers(0, 3))


def decode(address):
    head, data = address.split(",")
    assert head == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


@given(LABELS)
def test_is_the_inner_boundary_of_scikit_image(labels):
    expected = find_boundaries(labels, mode="inner", connectivity=1)
    np.testing.assert_array_equal(boundary(labels), expected)


@given(LABELS, st.integers(1, 3))
def test_lies_within_the_labels_and_grows_with_thickness(labels, thickness):
    edge = boundary(labels, thickness)
    assert not edge[labels == 0].any()
    assert edge[boundary(labels, max(1, thickness - 1))].all()


@given(LABELS)
def test_boundary_does_not_depend_on_the_numbers(labels):
    np.testing.assert_array_equal(boundary(labels), boundary(np.array([0, 9, 4, 7])[labels]))


@given(LABELS)
def test_boundary_turns_with_the_image(labels):
    np.testing.assert_array_equal(boundary(labels.T), boundary(labels).T)


def test_a_label_that_fills_the_image_has_no_boundary():
    assert not boundary(np.ones((5, 5), int)).any()


def test_boundary_of_a_square_is_its_rim():
    square = np.pad(np.ones((5, 5), int), 1)
    assert boundary(square).sum() == 16
    assert boundary(square, 2).sum() == 24


@given(LABELS)
def test_everything_of_the_truth_is_found_by_the_truth(labels):
    found, missed, right, extra = matched(labels, labels)
    np.testing.assert_array_equal(found, right)
    assert set(found) == set(np.unique(labels)) - {0}
    assert missed.size == extra.size == 0


@given(LABELS)
def test_nothing_is_found_by_an_empty_output(labels):
    found, missed, _, extra = matched(labels, np.zeros_like(labels))
    assert found.size == extra.size == 0
    assert set(missed) == set(np.unique(labels)) - {0}


def test_exactly_half_is_no_match():
    truth, guess = np.array([[1, 1, 1, 1]]), np.array([[0, 0, 5, 5]])
    assert [list(ids) for ids in matched(truth, guess)] == [[], [1], [], [5]]
    assert [list(ids) for ids in matched(truth, np.array([[0, 5, 5, 5]]))] == [[1], [], [5], []]


def test_large_volumes_are_thinned(monkeypatch):
    monkeypatch.setattr(outlines, "MATCH_VOXELS", 64)
    truth = np.zeros((12, 12, 12), int)
    truth[:6] = 1
    assert list(matched(truth, truth)[0]) == [1]


@given(LABELS)
def test_stretching_by_a_whole_factor_repeats_pixels(labels):
    height, width = labels.shape
    expected = np.kron(labels, np.ones((3, 2), labels.dtype))
    np.testing.assert_array_equal(stretch(labels, 3 * height, 2 * width), expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_grey_runs_from_black_to_white(dtype):
    plane = np.arange(100, dtype=dtype).reshape(10, 10)
    picture = grey(plane, 0.0, 99.0)
    assert picture.dtype == np.uint8
    assert (picture[0, 0], picture[-1, -1]) == (0, 255)
    assert (np.diff(picture.ravel().astype(int)) >= 0).all()


def test_what_is_not_finite_is_drawn():
    plane = np.array([[np.nan, np.inf, -np.inf, 0.5]])
    assert limits(np.full(3, np.nan)) == (0.0, 1.0)
    assert grey(plane, 0.0, 1.0).tolist() == [[0, 255, 0, 128]]


def test_a_flat_image_is_black():
    assert grey(np.full((3, 3), 7), *limits(np.full((3, 3), 7))).max() == 0


def test_shrinks_but_never_grows():
    assert shrink(np.zeros((100, 20), np.uint8), 50, 40).shape == (50, 20)
    plane = np.full((64, 64), 9, np.uint8)
    assert (shrink(plane, 10, 10) == 9).all()


def test_a_layer_is_transparent_where_nothing_is_drawn():
    colours = ((230, 159, 0), (240, 100, 190))
    image = decode(layer_png(np.array([[0, 1], [2, 0]], np.uint8), colours)).convert("RGBA")
    pixels = np.asarray(image)
    assert pixels[..., 3].tolist() == [[0, 255], [255, 0]]
    assert tuple(pixels[0, 1, :3]) == colours[0]
    assert tuple(pixels[1, 0, :3]) == colours[1]
