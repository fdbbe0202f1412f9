from math import isnan

import numpy as np
import pytest
from known import facts
from rasters import away_from
from scipy import ndimage

from cytosuite.metrics.realism.fidelity import (
    KEPT,
    Kept,
    contrast_kept,
    edge_shift_um,
    kept,
    objects_invented,
    objects_lost,
)

SPACING = (1.75, 0.8, 0.8)
SHAPE = (20, 56, 56)
METRICS = (edge_shift_um, objects_lost, objects_invented, contrast_kept)
PLACES = [(17, 10, 10), (17, 12, 30), (14, 34, 12), (20, 32, 33)]  # of nuclei, µm


def ball(place, radius=5.5):
    """Return the voxels of a ball, in µm."""
    return away_from(np.divide(place, SPACING), SHAPE, SPACING) < radius


def see(light, seed):
    """Return the image of some light: blurred, on a background, with noise."""
    rng = np.random.default_rng(seed)
    blurred = ndimage.gaussian_filter(light, (0.6, 1, 1))
    return (100 + blurred + rng.normal(0, 5, SHAPE)).astype(np.float32)


LABELS = sum(np.uint16(10 * n) * ball(place) for n, place in enumerate(PLACES, 1))
LIGHT = np.where(LABELS, 60.0 + 4 * LABELS, 0)  # of different brightness
IMAGE = see(LIGHT, 0)


def values(prediction, image=IMAGE, labels=LABELS):
    """Return the four metrics of a prediction."""
    evidence = kept(prediction, image, labels, SPACING)
    return {metric.name: metric.of(evidence) for metric in METRICS}


def test_the_unchanged_input_has_exactly_the_neutral_values():
    evidence = KEPT.of(facts(prediction=IMAGE, image=IMAGE, labels=LABELS, spacing=SPACING))
    assert evidence.visible == 4
    assert [m.of(evidence) for m in METRICS] == [m.neutral for m in METRICS] == [0, 0, 0, 1]


HAZE = 60 * ndimage.gaussian_filter(ball((17, 22, 22), 14) * 1.0, (8, 16, 16))
BENIGN = {
    "noise": IMAGE + np.random.default_rng(9).normal(0, 20, SHAPE),
    "blur": ndimage.gaussian_filter(IMAGE, 1),
    "gamma": ((IMAGE - IMAGE.min()) / np.ptp(IMAGE)) ** 2,
    "root": np.sqrt(IMAGE - IMAGE.min()),
    "linear": 3 * IMAGE + 500,
    "haze": IMAGE + HAZE,
}


@pytest.mark.parametrize("name", BENIGN)
def test_another_look_neither_moves_nor_loses_nor_invents(name):
    scores = values(BENIGN[name].astype(np.float32))
    assert scores["edge_shift_um"] < 0.25
    assert scores["objects_lost"] == scores["objects_invented"] == 0
    assert scores["contrast_kept"] > 0.5


@pytest.mark.parametrize("voxels", [(0, 2, -1), (1, 0, 0)])
def test_a_known_shift_is_found_in_micrometres(voxels):
    scores = values(np.roll(IMAGE, voxels, (0, 1, 2)))
    expected = np.linalg.norm(np.multiply(voxels, SPACING))
    assert scores["edge_shift_um"] == pytest.approx(expected, abs=0.12)
    assert scores["objects_invented"] == 0


def test_one_of_four_objects_gone_is_a_quarter_and_does_not_count_as_moved():
    scores = values(see(np.where(LABELS == 20, 0, LIGHT), seed=1))
    assert scores["objects_lost"] == 1 / 4
    assert scores["edge_shift_um"] < 0.2
    assert scores["objects_invented"] == 0


def test_new_bodies_are_counted_per_object_and_small_ones_are_not():
    with_one = see(LIGHT + 120 * ball((17, 22, 21), 4.5), seed=1)
    with_speck = see(LIGHT + 120 * ball((17, 22, 21), 1.5), seed=1)
    assert values(with_one)["objects_invented"] == 1 / 4
    assert values(with_speck)["objects_invented"] == 0
    # Not new if the input has it, with a label or without.
    assert values(with_one, image=with_one)["objects_invented"] == 0


def test_objects_that_the_input_does_not_show_do_not_count():
    labels = LABELS.copy()
    labels[ball((17, 22, 21), 4)] = 99
    assert kept(IMAGE, IMAGE, labels, SPACING).visible == 4
    assert values(IMAGE, labels=labels)["objects_lost"] == 0


def test_planes_are_judged_too():
    for cut in (10, slice(10, 11)):
        evidence = kept(
            np.roll(IMAGE, 1, -1)[cut], IMAGE[cut], LABELS[cut], SPACING[-IMAGE[cut].ndim :]
        )
        assert evidence.visible == 4
        assert edge_shift_um.of(evidence) == pytest.approx(0.8, abs=0.15)
        assert objects_invented.of(evidence) == objects_lost.of(evidence) == 0


def test_undefined_without_visible_objects():
    for labels, image in (
        (np.zeros_like(LABELS), IMAGE),
        (LABELS, np.zeros_like(IMAGE)),
        (np.ones_like(LABELS), IMAGE),
    ):
        assert all(isnan(value) for value in values(IMAGE, image=image, labels=labels).values())


def test_shares_by_hand():
    evidence = Kept(4, 1, 2, np.array([0.0, 3.0, 1.0]), np.array([1.0, 0.5, 2.0, 0.25]))
    assert [m.of(evidence) for m in METRICS] == [1.0, 0.25, 0.5, 0.75]
