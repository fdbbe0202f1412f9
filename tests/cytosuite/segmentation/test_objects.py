import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import ndimage
from skimage.measure import label as connected

from cytosuite.segmentation import objects as module
from cytosuite.segmentation.objects import (
    fill_holes,
    keep_by,
    largest_pieces,
    open_objects,
    own_level,
)


def test_the_level_is_a_fraction_of_the_own_mean_of_each_object():
    labels = np.array([[1, 1, 1, 2, 2, 2]], np.int32)
    signal = np.array([[100, 100, 40, 10, 10, 4]], np.float32)  # means 80 and 8
    one = np.ones(labels.shape, np.float32)
    level = own_level(labels, signal, one, factor=0.6, weight=1.0)
    assert_array_equal(signal >= level, [[1, 1, 0, 1, 1, 0]])
    assert_array_equal(own_level(labels, signal, 20 * one, factor=1.0, weight=0.0), 20 * one)


def test_kept_objects_are_numbered_without_gaps():
    labels = np.array([[0, 1, 2, 3]], np.int32)
    assert_array_equal(keep_by(labels, np.array([True, True, False, True])), [[0, 1, 0, 2]])


def test_of_two_pieces_the_larger_stays():
    labels = np.array([[[4, 4, 0, 4, 7, 0, 7]]], np.uint32)
    assert_array_equal(largest_pieces(labels), [[[4, 4, 0, 0, 7, 0, 0]]])


def test_holes_of_one_object_are_filled():
    labels = np.zeros((5, 7, 9), np.uint32)
    labels[1:4, 1:6, 1:5] = 2
    labels[1:4, 1:6, 5:8] = 3
    whole = labels.copy()
    labels[2, 3, 2] = labels[2, 3, 6] = 0
    assert_array_equal(fill_holes(labels), whole)
    whole[2, 3, 4] = labels[2, 3, 4] = whole[2, 3, 5] = labels[2, 3, 5] = 0
    whole[2, 3, 6] = 0  # now one hole with the space between both: left open
    assert_array_equal(fill_holes(labels), whole)


def test_a_hole_of_a_flat_image_is_filled_and_a_bay_is_not():
    labels = np.ones((1, 7, 7), np.uint32)
    labels[0, 3, 3] = labels[0, 5, 6] = 0
    expected = np.ones((1, 7, 7), np.uint32)
    expected[0, 5, 6] = 0
    assert_array_equal(fill_holes(labels), expected)


@pytest.mark.parametrize("shape", [(40, 9, 8), (1, 30, 31), (50, 60)])
@pytest.mark.parametrize("most", [2, 3, 9])
def test_pieces_of_labels_and_background_are_those_of_scikit_image(shape, most):
    labels = np.random.default_rng(most).integers(0, most, shape).astype(np.uint32)
    whole, count = connected(labels, connectivity=1, return_num=True)
    pieces = module._pieces(labels)
    assert_array_equal(pieces[0], whole)
    assert pieces[1] == count
    holes = connected(labels == 0, connectivity=1)
    assert_array_equal(module._pieces(labels, background=True)[0], holes)


@pytest.mark.parametrize("spacing, radius", [((2.0, 0.5, 0.5), 1.42), ((1.0, 1.0), 2.3)])
def test_opening_is_that_of_distances_to_the_nearest_core(spacing, radius):
    rng = np.random.default_rng(3)
    smooth = ndimage.gaussian_filter(rng.random((12, 50, 60)[-len(spacing) :]), 2)
    labels, _ = ndimage.label(smooth > np.median(smooth))
    inner = labels > 0
    for axis in np.flatnonzero(np.array(spacing) <= radius):
        lowest = ndimage.minimum_filter1d(labels, 3, axis, mode="nearest")
        inner &= lowest == ndimage.maximum_filter1d(labels, 3, axis, mode="nearest")
    core = ndimage.distance_transform_edt(inner, spacing) > radius - min(spacing)
    keep = ndimage.distance_transform_edt(~core, spacing) <= radius
    keep |= ~np.isin(labels, labels[core])
    assert_array_equal(
        open_objects(labels.astype(np.int32), spacing, radius), np.where(keep, labels, 0)
    )
