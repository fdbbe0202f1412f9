import numpy as np
import pytest
from scipy import ndimage

from cytosuite.datasets.calibration.profile import edges
from cytosuite.metrics.realism.scene import Scene
from cytosuite.volume import Volume


def blurred_boxes(sigma_um, spacing=(1.0, 0.5, 0.5)):
    labels = np.zeros((80, 120, 120), np.uint8)
    labels[25:55, 30:90, 30:90] = 1  # 30 µm along each axis: edges are plane
    light = ndimage.gaussian_filter(labels.astype(np.float32), np.asarray(sigma_um) / spacing)
    return Scene(Volume(100 + 50 * light, spacing), labels)


@pytest.mark.parametrize("sigma", [(2.0, 1.0, 1.0), (3.0, 1.5, 1.5)])
def test_width_of_a_gaussian_edge(sigma):
    axial, lateral = edges(blurred_boxes(sigma))
    assert axial.width_um == pytest.approx(2.563 * sigma[0], rel=0.08)
    assert lateral.width_um == pytest.approx(2.563 * sigma[1], rel=0.1)


def test_labels_end_at_half_height_of_a_symmetric_edge():
    axial, lateral = edges(blurred_boxes((2.0, 1.0, 1.0)))
    assert axial.level == pytest.approx(0.5, abs=0.03)
    assert lateral.level == pytest.approx(0.5, abs=0.03)


def test_generous_labels_end_at_a_low_level():
    scene = blurred_boxes((2.0, 1.0, 1.0))
    wide = Scene(scene.image, ndimage.grey_dilation(scene.labels, size=(3, 5, 5)))
    assert edges(wide)[1].level < 0.25


def test_neighbours_end_the_rays():
    labels = np.zeros((20, 40, 40), np.uint8)
    labels[5:15, 10:30, 10:20] = 1
    labels[5:15, 10:30, 20:30] = 2  # touches, twenty times as bright
    light = np.where(labels == 2, 2000.0, 100.0 * (labels > 0))
    axial, lateral = edges(Scene(Volume(light, (1, 1, 1)), labels))
    assert lateral.width_um < 2.5
    assert axial.width_um < 2.5


def test_nothing_to_see_is_not_a_number():
    empty = Scene(Volume(np.ones((8, 8, 8)), (1, 1, 1)), np.zeros((8, 8, 8), np.uint8))
    full = Scene(Volume(np.ones((8, 8, 8)), (1, 1, 1)), np.ones((8, 8, 8), np.uint8))
    for scene in (empty, full):
        assert all(np.isnan(edge.width_um) for edge in edges(scene))
