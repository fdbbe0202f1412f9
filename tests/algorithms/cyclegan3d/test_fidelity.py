from functools import cache

import numpy as np
import pytest
from rasters import away_from
from scipy import ndimage

from cytosuite.algorithms.cyclegan3d.fidelity import Fidelity, FidelityLimits, compare, complaint

SPACING = (1.75, 0.8, 0.8)
SHAPE = (26, 76, 76)
RING = [2 * np.pi * k / 7 for k in range(7)]
PLACES = [  # of 15 nuclei, µm: two rings around a cavity, and one in it
    *((10, 30 + 20 * np.sin(a), 30 + 20 * np.cos(a)) for a in RING),
    *((36, 30 + 20 * np.sin(a), 30 + 20 * np.cos(a)) for a in RING),
    (23, 30, 30),
]


@cache
def ball(place, radius=5.5):
    """Return the voxels of a ball, in µm."""
    return away_from(np.divide(place, SPACING), SHAPE, SPACING) < radius


def light(places=PLACES):
    """Return the light of nuclei, two in five of them dim."""
    scene = np.zeros(SHAPE)
    for number, place in enumerate(places):
        scene[ball(tuple(place))] = (80, 200, 120, 90, 160)[number % 5]
    return scene


def see(scene, seed=0):
    """Return the image of some light: blurred, on a background, with noise."""
    rng = np.random.default_rng(seed)
    blurred = ndimage.gaussian_filter(scene, (0.7, 1.2, 1.2))
    return np.rint(100 + blurred + rng.normal(0, 4, SHAPE)).astype(np.uint16)


GIVEN = see(light())


def judged(translation):
    """Return the complaint about a translation by the default limits."""
    return complaint(compare(GIVEN, translation, SPACING), FidelityLimits())


def _haze():
    wide = ndimage.gaussian_filter(light(), (8, 16, 16))
    return GIVEN + 60 * wide / wide.max() + np.linspace(0, 60, SHAPE[2])


BENIGN = {
    "identity": lambda: GIVEN,
    "noise": lambda: GIVEN + np.random.default_rng(5).normal(0, 12, SHAPE),
    "blur": lambda: ndimage.gaussian_filter(GIVEN.astype(float), 1),
    "root": lambda: np.sqrt(GIVEN - 80.0),
    "linear": lambda: 3.0 * GIVEN + 500,
    "haze": _haze,
}


@pytest.mark.parametrize("name", BENIGN)
def test_another_look_is_no_change_of_structure(name):
    assert judged(BENIGN[name]()) is None


HARMFUL = {
    "edges moved": lambda: np.roll(GIVEN, 2, 2),
    "gone": lambda: see(light([p for n, p in enumerate(PLACES) if n != 3]), seed=3),
    "new": lambda: see(light() + 110 * ball((23, 13, 47), 5.0) * (light() == 0), seed=3),
    "100 % of the bright bodies are gone": lambda: GIVEN.max() - GIVEN,
}


@pytest.mark.parametrize("words", HARMFUL)
def test_a_change_of_structure_is_named(words):
    assert words in judged(HARMFUL[words]())


def test_shares_count_bodies_and_shifts_are_in_micrometres():
    assert compare(GIVEN, np.roll(GIVEN, 2, 2), SPACING).shift_um == pytest.approx(1.6, abs=0.1)
    whole = compare(see(light()), see(light(PLACES[:12]), seed=2), SPACING)
    assert whole.lost == pytest.approx(3 / 15, abs=0.02)
    assert whole.invented == 0
    back = compare(see(light(PLACES[:12])), see(light(), seed=2), SPACING)
    assert back.invented == pytest.approx(3 / 15, abs=0.02)
    assert back.lost == 0


def test_every_limit_has_its_words():
    strict = FidelityLimits(correlation=0.9, shift_um=0.5, lost=0.1, invented=0.2)
    assert complaint(Fidelity(0.9, 0.5, 0.1, 0.2), strict) is None
    assert complaint(Fidelity(0.8, 0.625, 0.12, 0.25), strict) == (
        "12 % of the bright bodies are gone (limit 10 %), 25 % of its bodies are new (limit 20 %), "
        "edges moved by 0.6 µm (limit 0.5 µm), correlation 0.80 (least 0.90)"
    )


def test_parts_of_an_image_on_disk_are_judged_together(mapped, monkeypatch):
    translation = see(np.where(ball(PLACES[3]), 0, light()), seed=2)
    expected = compare(GIVEN, translation, SPACING)
    assert compare(mapped(GIVEN), translation, SPACING) == expected  # small enough for one part
    assert 0 < expected.lost < 0.1
    monkeypatch.setattr("cytosuite.networks.tiling.SAMPLE", GIVEN.size // 2)
    monkeypatch.setattr("cytosuite.algorithms.cyclegan3d.fidelity.PART", (26, 38, 76))
    halves = compare(GIVEN, mapped(translation), SPACING)
    assert halves != expected
    assert halves.correlation == pytest.approx(expected.correlation, abs=0.1)
    assert halves.invented == 0
