import numpy as np

from cytosuite.datasets.calibration.unannotated import segment
from cytosuite.volume import Volume


def test_touching_balls_are_two_objects(make_ball):
    shape = (24, 30, 48)
    first, second = make_ball(shape, (12, 15, 15), 7.5), make_ball(shape, (12, 15, 28), 7.5)
    image = Volume(np.where(first | second, 100.0, 10.0), (1, 1, 1))
    labels = segment(image)
    assert labels.max() == 2
    assert labels.dtype == np.uint16
    assert labels[12, 15, 12] != labels[12, 15, 32]
    covered = (labels > 0)[first | second].mean()
    assert covered > 0.9


def test_specks_are_dropped(make_ball):
    shape = (20, 30, 30)
    image = np.where(make_ball(shape, (10, 15, 12), 6), 100.0, 10.0)
    image[10, 15, 25:27] = 150
    assert segment(Volume(image, (1, 1, 1))).max() == 1


def test_a_constant_stack_has_no_objects():
    assert not segment(Volume(np.full((8, 8, 8), 5, np.uint8), (1, 1, 1))).any()
