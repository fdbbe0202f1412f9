import numpy as np
import pytest
from rasters import away_from
from scipy import ndimage

from cytosuite.datasets.calibration.objects import edges, segment
from cytosuite.metrics.realism.scene import Scene
from cytosuite.volume import Volume


def test_touching_balls_are_two_objects():
    inside = np.min([away_from((12, 15, x), (24, 30, 48)) for x in (15, 28)], axis=0) <= 7.5
    labels = segment(Volume(np.where(inside, 100.0, 10.0), (1, 1, 1)))
    assert labels.max() == 2
    assert labels.dtype == np.uint16
    assert labels[12, 15, 12] != labels[12, 15, 32]
    assert (labels > 0)[inside].mean() > 0.9


def test_specks_are_dropped():
    image = np.where(away_from((10, 15, 12), (20, 30, 30)) <= 6, 100.0, 10.0)
    image[10, 15, 25:27] = 150
    assert segment(Volume(image, (1, 1, 1))).max() == 1


def test_width_and_level_of_a_gaussian_edge():
    labels = np.zeros((80, 120, 120), np.uint8)
    labels[25:55, 30:90, 30:90] = 1  # 30 µm along each axis: edges are plane
    light = ndimage.gaussian_filter(labels.astype(np.float32), 2)  # 2, 1 and 1 µm
    axial, lateral = edges(Scene(Volume(100 + 50 * light, (1.0, 0.5, 0.5)), labels))
    assert axial.width_um == pytest.approx(2.563 * 2, rel=0.08)
    assert lateral.width_um == pytest.approx(2.563, rel=0.1)
    assert axial.level == pytest.approx(0.5, abs=0.03)
    assert lateral.level == pytest.approx(0.5, abs=0.03)


def test_nothing_to_see_is_not_a_number():
    for label in (0, 1):
        scene = Scene(Volume(np.ones((8, 8, 8)), (1, 1, 1)), np.full((8, 8, 8), label, np.uint8))
        assert all(np.isnan(edge.width_um) for edge in edges(scene))
