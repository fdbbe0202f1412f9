import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from cytosuite.datasets.physics import sketch
from cytosuite.volume import Volume

SPACING = (2.0, 0.5, 0.75)
LABELS = arrays.arrays(
    np.uint16,
    st.tuples(st.integers(1, 6), st.integers(1, 20), st.integers(1, 20)),
    elements=st.integers(0, 3),
    fill=st.just(1),
)


def _volume(array):
    return Volume(array, SPACING)


def _blocks():
    """Return cells: the nearest of some points, some of them background."""
    shape = (9, 21, 34)
    points = np.random.default_rng(0).uniform(0, shape, (6, 3))
    grid = np.stack(np.indices(shape), axis=-1)
    return np.square(grid[..., None, :] - points).sum(-1).argmin(-1).astype(np.uint16)


@settings(max_examples=30)
@given(labels=LABELS)
def test_distance_is_that_of_each_object_alone(labels):
    # Scipy's transform of one object at a time is an independent program.
    distances = sketch.signed_distance(_volume(labels)).array
    if (labels == labels.flat[0]).all():
        expected = np.full(labels.shape, np.linalg.norm(np.multiply(labels.shape, SPACING)))
    else:
        expected = np.zeros(labels.shape)
        for number in np.unique(labels):
            inside = labels == number
            expected += inside * ndimage.distance_transform_edt(inside, sampling=SPACING)
    assert distances == pytest.approx(np.where(labels > 0, expected, -expected), rel=1e-5)


def test_an_empty_image_has_no_border_and_no_seed():
    empty = _volume(np.zeros((3, 4, 4), np.uint16))
    assert not sketch.boundary(empty, 5.0).array.any()
    assert not sketch.seeds(empty).array.any()


@pytest.mark.parametrize("width_um, voxels", {0: 2, 0.9: 2, 1: 2, 2: 4, 3.1: 6}.items())
def test_borders_are_as_thick_as_wanted_and_at_least_two_voxels(width_um, voxels):
    labels = np.repeat(np.array([1, 2], np.uint16), 12)[None].repeat(5, axis=0)
    mask = sketch.boundary(Volume(labels, (0.5, 0.5), "YX"), width_um).array
    assert (mask.sum(axis=1) == voxels).all()
    assert (mask == mask[:, ::-1]).all()


def test_a_seed_lies_in_each_object_also_in_one_around_a_hole():
    labels = _blocks()
    ring = np.zeros((1, 15, 15), np.uint16)
    ring[:, 2:13, 2:13] = 3
    ring[:, 4:11, 4:11] = 0
    for array in (labels, ring):
        seeds = sketch.seeds(_volume(array)).array
        assert (np.sort(array[seeds == 1]) == np.unique(array[array > 0])).all()
    assert seeds.sum() == 1
