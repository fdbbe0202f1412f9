import numpy as np

from cytosuite.volume.points import apart, neighbour


def test_the_nearest_other_point_is_far_where_there_is_none():
    points = np.array([[0.0, 0], [3, 4], [3, 5]])
    assert neighbour(points).tolist() == [5, 1, 1]
    assert np.isnan(neighbour(points, 3)).all()
    assert not neighbour(points[:0]).size


def test_points_apart_are_those_of_one_trial_after_the_other(rng):
    points = rng.uniform(0, 10, (400, 3))
    places = []
    for number, point in enumerate(points):
        if (np.linalg.norm(points[places] - point, axis=1) > 2.0).all():
            places.append(number)
    assert apart(points, 2.0).tolist() == places
