import itertools

import numpy as np
import pytest

from cytosuite.algorithms.cellpose3d.flows import flow_targets
from cytosuite.algorithms.cellpose3d.training.augment import (
    AugmentRanges,
    Turn,
    alter,
    draw_turn,
    turn_image,
    turn_target,
)

TURNS = [Turn(bits[:3], bits[3]) for bits in itertools.product((False, True), repeat=4)]


@pytest.fixture(scope="module")
def labels():
    found = np.zeros((8, 14, 14), np.int32)
    found[1:5, 2:6, 1:9] = 1
    found[4:7, 8:13, 6:9] = 2
    found[5, 8, 5] = 2  # not symmetric
    return found


def _target(labels):
    heat = labels * 0.1
    return np.concatenate([[labels > 0], flow_targets(labels), [heat]]).astype(np.float32)


@pytest.mark.parametrize("turn", TURNS, ids=str)
def test_the_target_of_turned_labels_is_the_turned_target(labels, turn):
    np.testing.assert_allclose(
        turn_target(_target(labels), turn), _target(turn_image(labels, turn)), atol=1e-5
    )


def test_all_symmetries_are_drawn_and_differ(labels):
    rng = np.random.default_rng(0)
    assert {draw_turn(rng) for _ in range(300)} == set(TURNS)
    assert len({turn_image(labels, turn).tobytes() for turn in TURNS}) == 16


def test_the_given_target_is_left_alone(labels):
    target = _target(labels)
    before = target.copy()
    turn_target(target, Turn((True, True, True), True))
    np.testing.assert_array_equal(target, before)


def test_brightness_and_noise_by_their_moments():
    image = np.full((10, 40, 40), 2.0, np.float32)
    drawn = [alter(np.random.default_rng(k), image, AugmentRanges()) for k in range(60)]
    means = [float(a.mean()) / 2 for a in drawn]
    assert min(means) > 0.79
    assert max(means) < 1.26
    assert np.std(means) > 0.05
    assert np.mean([a.std() for a in drawn]) == pytest.approx(0.06, rel=0.05)
