import numpy as np

from cytosuite.benchmark.runs.data.circles import circles
from cytosuite.contract.points import Points

SPACING = (0.5, 0.1, 0.1)


def test_a_point_is_a_disc_of_three_pixels_around_its_place():
    disc = circles(Points([[10, 20]], (0.1, 0.1)), (1, 40, 40), (1, 40, 40))[0]
    y, x = np.indices((40, 40))
    np.testing.assert_array_equal(disc, (y - 10) ** 2 + (x - 20) ** 2 <= 9)


def test_the_nearest_point_owns_a_pixel_and_places_outside_are_left_out():
    places = Points([[10, 20], [10, 24], [10, 20], [-5, 3]], (0.1, 0.1))
    discs = circles(places, (1, 40, 40), (1, 40, 40))[0]
    assert discs[10, 18:27].tolist() == [1, 1, 1, 1, 1, 2, 2, 2, 2]
    assert set(np.unique(discs)) == {0, 1, 2}


def test_a_point_between_long_voxels_is_seen_in_the_nearest_plane():
    discs = circles(Points([[2.3, 10, 10]], SPACING), (6, 20, 20), (6, 20, 20))
    assert np.unique(np.nonzero(discs)[0]).tolist() == [2]


def test_a_coarser_grid_shows_the_same_place_at_two_pixels_at_least():
    place = np.argwhere(circles(Points([[2, 41, 81]], SPACING), (6, 200, 200), (6, 50, 50)) == 1)
    assert place[:, 1:].mean(axis=0).round().tolist() == [10, 20]
    assert np.ptp(place[:, 2]) >= 3
