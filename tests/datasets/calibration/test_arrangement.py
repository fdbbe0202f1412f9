import numpy as np
import pytest

from cytosuite.datasets.calibration.arrangement import arrangement
from cytosuite.metrics.realism.scene import Scene
from cytosuite.volume import Volume

SPACING = (2.0, 1.0, 1.0)


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


def test_the_middle_counts_from_the_first_plane():
    assert arrangement(scene(ring(9, 20, depth=10)))["middle"] == pytest.approx(10 / 40)


def test_round_objects_lie_in_no_direction():
    assert arrangement(scene(ring(16, 30)))["tangential"] == pytest.approx(0, abs=0.05)


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
