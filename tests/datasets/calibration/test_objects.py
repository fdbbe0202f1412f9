import numpy as np
import pytest
from scipy import ndimage

from cytosuite.datasets.calibration.objects import arrangement, edges, segment
from cytosuite.metrics.realism.scene import Scene
from cytosuite.volume import Volume

SPACING = (2.0, 1.0, 1.0)


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


def scene(centres, box=(2, 4, 4)):
    labels = np.zeros((40, 80, 80), np.uint16)
    for number, centre in enumerate(centres, start=1):
        place = tuple(
            slice(round(c - b / 2), round(c + b / 2)) for c, b in zip(centre, box, strict=True)
        )
        labels[place] = number
    return Scene(Volume(labels * 1.0, SPACING), labels)


def ring(count, radius, depth=20):
    turns = np.arange(count) * 2 * np.pi / count
    return [(depth, 40 + radius * np.sin(t), 40 + radius * np.cos(t)) for t in turns]


def test_a_shell_is_hollower_than_a_ball():
    points = np.random.default_rng(0).normal(size=(60, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    shares = (np.arange(60) + 0.5) / 60
    middle, half = np.array([20, 40, 40]), np.array([15, 30, 30])
    shell = arrangement(scene(middle + half * points))
    ball = arrangement(scene(middle + half * points * shares[:, None] ** (1 / 3)))
    assert shell["hollow"] == pytest.approx(0.98, abs=0.04)
    assert shell["hollow"] - ball["hollow"] > 0.15


def test_flat_objects_along_the_surface_are_seen():
    labels = np.zeros((20, 80, 80), np.uint16)
    z, y, x = np.indices(labels.shape)
    radius, turn = np.hypot(y - 40, x - 40), np.arctan2(y - 40, x - 40)
    wedges = ((turn + np.pi) / (2 * np.pi) * 12).astype(int) % 12
    gaps = np.abs((turn + np.pi) / (2 * np.pi) * 12 % 1 - 0.5) < 0.4
    shell = (radius > 28) & (radius < 34) & gaps & (z > 5) & (z < 12)
    labels[shell] = wedges[shell] + 1  # 6 µm thick and some 13 µm wide
    found = arrangement(Scene(Volume(labels * 1.0, SPACING), labels))
    assert found["tangential"] == pytest.approx(np.log(13 / 6), abs=0.15)


def test_few_objects_have_no_arrangement():
    found = arrangement(scene(ring(5, 20)))
    assert np.isnan(found["hollow"])
    assert np.isnan(found["tangential"])
    assert found["middle"] == 0.5
    assert arrangement(scene([])) == {}


def blurred_boxes(sigma_um, spacing=(1.0, 0.5, 0.5)):
    labels = np.zeros((80, 120, 120), np.uint8)
    labels[25:55, 30:90, 30:90] = 1  # 30 µm along each axis: edges are plane
    light = ndimage.gaussian_filter(labels.astype(np.float32), np.asarray(sigma_um) / spacing)
    return Scene(Volume(100 + 50 * light, spacing), labels)


def test_width_and_level_of_a_gaussian_edge():
    axial, lateral = edges(blurred_boxes((2.0, 1.0, 1.0)))
    assert axial.width_um == pytest.approx(2.563 * (2.0, 1.0, 1.0)[0], rel=0.08)
    assert lateral.width_um == pytest.approx(2.563 * (2.0, 1.0, 1.0)[1], rel=0.1)
    assert axial.level == pytest.approx(0.5, abs=0.03)
    assert lateral.level == pytest.approx(0.5, abs=0.03)


def test_nothing_to_see_is_not_a_number():
    empty = Scene(Volume(np.ones((8, 8, 8)), (1, 1, 1)), np.zeros((8, 8, 8), np.uint8))
    full = Scene(Volume(np.ones((8, 8, 8)), (1, 1, 1)), np.ones((8, 8, 8), np.uint8))
    for scene in (empty, full):
        assert all(np.isnan(edge.width_um) for edge in edges(scene))
