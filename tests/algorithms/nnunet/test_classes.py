import numpy as np
import pytest
from rasters import away_from

from cytosuite.algorithms.nnunet.predict import classes_of, instances_of
from cytosuite.metrics.labels.ctc import seg
from cytosuite.metrics.labels.detection import f1

PLANE = (1.0, 1.0)


def test_the_ring_of_an_object_is_border_but_not_the_end_of_the_image():
    labels = np.zeros((5, 7), np.uint16)
    labels[1:4, 1:4] = 3
    labels[0:3, 5:7] = 4
    expected = [
        [0, 0, 0, 0, 0, 2, 1],
        [0, 2, 2, 2, 0, 2, 1],
        [0, 2, 1, 2, 0, 2, 2],
        [0, 2, 2, 2, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0],
    ]
    assert classes_of(labels, PLANE, 1.0).tolist() == expected


def test_a_ring_is_as_wide_as_asked():
    labels = np.zeros((9, 9), np.uint16)
    labels[1:8, 1:8] = 1
    assert (classes_of(labels, PLANE, 2.0) == 1).sum() == 9
    assert (classes_of(labels, PLANE, 1.0) == 1).sum() == 25


def test_a_coarse_axis_has_a_border_between_objects_alone():
    labels = np.zeros((6, 5, 5), np.uint16)
    labels[1:3], labels[3:] = 1, 2  # the first plane is ground
    classes = classes_of(labels, (2.0, 0.5, 0.5), 1.0)
    assert classes[:, 2, 2].tolist() == [0, 1, 2, 2, 1, 1]
    labels[3:] = 1
    classes = classes_of(labels, (2.0, 0.5, 0.5), 1.0)
    assert classes[:, 2, 2].tolist() == [0, 1, 1, 1, 1, 1]


def test_an_object_that_would_be_all_border_is_all_inside():
    labels = np.zeros((6, 6), np.uint16)
    labels[1:3, 1:5] = 7
    assert set(np.unique(classes_of(labels, PLANE, 1.0))) == {0, 1}


@pytest.mark.parametrize("border_px", [1.0, 2.0])
def test_instances_survive_their_classes(border_px):
    labels = np.zeros((60, 80), np.uint16)
    for number, middle in enumerate([(20, 20), (20, 39), (42, 30), (40, 62)], 1):
        labels[(away_from(middle, labels.shape) < 10) & (labels == 0)] = number
    classes = classes_of(labels, PLANE, border_px)
    instances = instances_of(classes == 1, classes == 2, PLANE)
    assert ((instances > 0) == (labels > 0)).all()
    assert f1(labels, instances) == 1.0
    assert seg(labels, instances) > 0.95


def test_a_border_without_an_inside_is_ground():
    inside, border = np.zeros((2, 5, 5), bool)
    assert instances_of(inside, border, PLANE).max() == 0
    border[4, 4] = inside[0, 0] = border[0, 1] = True
    assert instances_of(inside, border, PLANE)[[0, 0, 4], [0, 1, 4]].tolist() == [1, 1, 0]
