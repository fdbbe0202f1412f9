import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.segmentation import find_boundaries

from cytosuite.benchmark.pictures.planes import (
    boundary,
    cut_at,
    grey,
    limits,
    planes,
    sizes,
    spatial,
    stretch,
)
from cytosuite.volume import Volume

LABELS = arrays(np.uint16, st.tuples(*[st.integers(1, 12)] * 2), elements=st.integers(0, 3))


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
def test_stretching_by_a_whole_factor_repeats_pixels(labels):
    height, width = labels.shape
    expected = np.kron(labels, np.ones((3, 2), labels.dtype))
    np.testing.assert_array_equal(stretch(labels, 3 * height, 2 * width), expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_grey_runs_from_black_to_white(dtype):
    plane = np.arange(100, dtype=dtype).reshape(10, 10)
    picture = grey(plane, (0.0, 99.0))
    assert picture.dtype == np.uint8
    assert (picture[0, 0], picture[-1, -1]) == (0, 255)
    assert (np.diff(picture.ravel().astype(int)) >= 0).all()


def test_values_that_are_not_finite_are_drawn():
    plane = np.array([[np.nan, np.inf, -np.inf, 0.5]])
    assert limits(np.full(3, np.nan)) == (0.0, 1.0)
    assert grey(plane, (0.0, 1.0)).tolist() == [[0, 255, 0, 128]]


def test_a_flat_image_is_black():
    assert grey(np.full((3, 3), 7), limits(np.full((3, 3), 7))).max() == 0


def test_cuts_through_the_middle_unless_it_is_empty():
    labels = np.zeros((9, 9, 9), int)
    assert cut_at(labels.shape) == cut_at(labels.shape, labels) == (4, 4, 4)
    labels[1:3, 4, 4] = 1
    labels[2, 3:6, 4] = 1
    assert cut_at(labels.shape, labels) == (2, 4, 4)


def test_takes_the_middle_time_and_first_channel():
    array = np.arange(3 * 2 * 4 * 5 * 6).reshape(3, 2, 4, 5, 6)
    kept, spacing = spatial(Volume(array, (3.0, 2.0, 1.0), "TCZYX"))
    np.testing.assert_array_equal(kept, array[1, 0])
    assert spacing == (3.0, 2.0, 1.0)
    assert spatial(Volume(array[0, 0, 0], (2.0, 1.0), "YX"))[0].shape == (1, 5, 6)


def test_three_planes_of_a_volume_and_one_of_an_image():
    array = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    assert [plane.shape for plane in planes(array, (1, 1, 2))] == [(3, 4), (2, 4), (3, 2)]
    assert [plane[1, 0] for plane in planes(array, (1, 1, 2))] == [16, 16, 6]
    assert len(planes(array[:1], (0, 1, 2))) == 1


def test_micrometres_are_square_in_all_planes():
    # 16 x 12 x 12 µm
    assert sizes((8, 24, 24), (2.0, 0.5, 0.5), 120) == [(90, 90), (120, 90), (90, 120)]
