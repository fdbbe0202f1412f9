import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.testing import assert_allclose
from scipy import ndimage

from cytosuite.segmentation.kept import alike, edges, shifts, standing_out, stays, surroundings

SPACING = (2.0, 0.5, 0.5)


def blobs(shape=(12, 40, 40)):
    noise = np.random.default_rng(0).normal(size=shape)
    return ndimage.gaussian_filter(noise, [min(2, n // 6) for n in shape]).astype(np.float32)


def test_surroundings_belong_to_the_nearest_object_within_reach():
    labels = np.zeros((5, 9, 9), np.uint16)
    labels[2, 4, 2] = 3
    labels[2, 4, 7] = 5
    around = surroundings(labels, SPACING, 1.0)
    assert set(np.unique(around)) == {0, 3, 5}
    assert around.dtype == np.int32
    assert np.count_nonzero(around == 3) == 12  # those of a disc of two pixels; no other plane
    assert not around[labels > 0].any()
    wide = surroundings(labels, SPACING, 2.0)
    assert wide[1, 4, 2] == wide[2, 4, 4] == 3
    assert wide[2, 4, 5] == 5


@given(arrays.arrays(np.uint8, (3, 5, 6), elements=st.integers(0, 6)), st.floats(0.5, 3))
@settings(max_examples=40)
def test_probability_is_that_of_all_pairs_of_each_object(volume, reach):
    labels = np.zeros(volume.shape, np.int32)
    labels[1, 1:3, 1:3], labels[2, 4, 5], labels[0, 0, 4] = 1, 4, 2
    around = surroundings(labels, SPACING, reach)
    shares = standing_out(volume, labels, around)
    assert shares.shape == (5,)
    assert np.isnan(shares[[0, 3]]).all()
    for number in (1, 2, 4):
        difference = volume[labels == number][:, None] - volume[around == number].astype(float)
        expected = ((difference > 0) + 0.5 * (difference == 0)).mean()
        assert shares[number] == pytest.approx(expected, abs=1e-12)
    assert_allclose(standing_out(-volume.astype(int), labels, around), 1 - shares)


def test_half_of_the_probability_beyond_chance_is_enough():
    after = np.array([0.9, 0.71, 0.69, 0.1])
    assert stays(np.full(4, 0.9), after).tolist() == [True, True, False, False]


def test_an_increasing_map_is_undone():
    volume = blobs()
    where = volume > -1
    mapped = np.exp(volume / volume.std()).astype(np.float32)
    assert np.abs(alike(mapped, volume, where) - volume).max() < 0.05 * np.ptp(volume)
    np.testing.assert_array_equal(alike(volume, volume, where), volume)
    flat = alike(np.zeros_like(volume), volume, where)
    assert flat.min() == flat.max()


def test_edges_are_gradients_per_micrometre():
    z, y, x = np.indices((6, 7, 8), dtype=np.float32)
    assert_allclose(edges(3 * z * SPACING[0] + 4 * x * SPACING[2] + 0 * y, SPACING), 5, rtol=1e-5)
    assert not edges(np.full((1, 5, 5), 2, np.float32), (1, 1, 1)).any()


@pytest.mark.parametrize("voxels", [(0, 0, 3), (1, -2, 0), (-1, 2, 2), (0, 0, 0)])
def test_a_shift_of_whole_voxels_is_found_in_every_zone(voxels):
    volume = blobs(shape=(16, 60, 60))
    zones = np.zeros(volume.shape, np.int32)
    zones[4:12, 10:30, 10:30] = 1
    zones[4:12, 32:50, 32:50] = 3
    moved = np.roll(volume, voxels, (0, 1, 2))
    vectors = shifts(volume, moved, zones, SPACING)
    assert vectors.shape == (4, 3)
    assert np.isnan(vectors[[0, 2]]).all()
    assert np.abs(vectors[[1, 3]] - np.multiply(voxels, SPACING)).max() < 0.1
    assert_allclose(shifts(moved, volume, zones, SPACING), -vectors, atol=1e-9)


def test_a_shift_by_parts_of_voxels_is_found():
    volume = blobs(shape=(64, 64))
    moved = ndimage.shift(volume, (0.6, -1.3), order=3, mode="wrap")
    zones = np.zeros(volume.shape, np.int32)
    zones[10:54, 10:54] = 1
    assert shifts(volume, moved, zones, (1, 1))[1] == pytest.approx([0.6, -1.3], abs=0.05)
