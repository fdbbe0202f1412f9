import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_array_equal
from skimage.segmentation import find_boundaries

from cytosuite.benchmark.runs.data.planes import boundary, cut_at, grey, limits, planes, spatial
from cytosuite.volume import Volume

LABELS = arrays(np.uint16, st.tuples(*[st.integers(1, 12)] * 2), elements=st.integers(0, 3))


@given(LABELS)
def test_is_the_inner_boundary_of_scikit_image(labels):
    assert_array_equal(boundary(labels), find_boundaries(labels, mode="inner", connectivity=1))


def test_a_thicker_boundary_of_a_square_is_its_rim():
    assert boundary(np.pad(np.ones((5, 5), int), 1), 2).sum() == 24


def test_values_that_are_not_finite_are_drawn():
    assert limits(np.full(3, np.nan)) == (0.0, 1.0)
    assert grey(np.array([[np.nan, np.inf, -np.inf, 0.5]]), (0.0, 1.0)).tolist() == [
        [0, 255, 0, 128]
    ]


def test_cuts_through_the_middle_unless_it_is_empty():
    labels = np.zeros((9, 9, 9), int)
    assert cut_at(labels.shape) == cut_at(labels.shape, labels) == (4, 4, 4)
    labels[1:3, 4, 4] = 1
    labels[2, 3:6, 4] = 1
    assert cut_at(labels.shape, labels) == (2, 4, 4)


def test_takes_the_middle_time_and_first_channel():
    array = np.arange(3 * 2 * 4 * 5 * 6).reshape(3, 2, 4, 5, 6)
    stack, spacing = spatial(Volume(array, (3.0, 2.0, 1.0), "TCZYX"))
    assert_array_equal(stack, array[1, 0])
    assert spacing == (3.0, 2.0, 1.0)
    assert spatial(Volume(array[0, 0, 0], (2.0, 1.0), "YX"))[0].shape == (1, 5, 6)


def test_three_planes_of_a_volume_and_one_of_an_image():
    array = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    assert [plane.shape for plane in planes(array, (1, 1, 2))] == [(3, 4), (2, 4), (3, 2)]
    assert [plane[1, 0] for plane in planes(array, (1, 1, 2))] == [16, 16, 6]
    assert len(planes(array[:1], (0, 1, 2))) == 1
