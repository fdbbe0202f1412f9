import numpy as np
import pytest
from scipy import ndimage

from cytosuite.algorithms.cellpose3d.training.stray import (
    StrayRanges,
    draw_weights,
    own_light,
    tails,
)

SPACING = (2.0, 1.0, 1.0)
NARROW = StrayRanges(near_z=(0.5, 0.5), near_xy=(0.4, 0.4), far_z=(1.0, 1.0), far_xy=(0.8, 0.8))


def spot(shape=(61, 122, 130)):
    light = np.zeros(shape, np.float32)
    light[shape[0] // 2, shape[1] // 2, shape[2] // 2] = 1000
    return light


def test_tails_have_the_widths_of_their_ranges_in_diameters_and_keep_the_light():
    near, far = tails(spot(), SPACING, 12.0, NARROW, "a")
    for tail, (high, wide) in ((near, (6.0, 4.8)), (far, (12.0, 9.6))):
        assert tail.sum() == pytest.approx(1000, rel=0.02)
        grid = np.indices(tail.shape)
        for axis, width in enumerate((high, wide, wide)):
            place = grid[axis] * SPACING[axis]
            middle = (tail * place).sum() / tail.sum()
            spread = np.sqrt((tail * (place - middle) ** 2).sum() / tail.sum())
            # The grid of four pixels has a variance of its own, the Gaussian ends at 3 deviations.
            assert spread == pytest.approx(width, rel=0.12)


def test_widths_are_drawn_from_the_name_alone():
    first, again, other = (tails(spot(), SPACING, 9.0, StrayRanges(), name) for name in "aab")
    assert first.tobytes() == again.tobytes()
    assert np.abs(first - other).max() > 0.01 * first.max()


def test_sides_need_not_be_multiples_of_the_coarse_grid():
    light = np.ones((5, 13, 18), np.float32)
    found = tails(light, SPACING, 2.0, NARROW, "a")
    assert found.shape == (2, 5, 13, 18)
    assert (found[0, 2, 4:8, 4:12] > 0.9).all()


def test_weights_stay_in_their_range_and_are_often_nothing():
    rng = np.random.default_rng(0)
    drawn = np.array([draw_weights(rng, StrayRanges(weight=(0.1, 0.5))) for _ in range(500)])
    assert drawn.dtype == np.float32
    assert np.mean(drawn == 0) == pytest.approx(0.3, abs=0.05)
    assert drawn[drawn > 0].min() >= np.float32(0.1)
    assert drawn.max() <= 0.5


def nucleus():
    """Return labels and level of two blurred balls."""
    labels, level = np.zeros((9, 24, 48), np.uint16), np.zeros((9, 24, 48), np.float32)
    for number, x in ((1, 12), (2, 36)):
        point = np.zeros(level.shape, np.float32)
        point[4, 12, x] = 1
        ball = ndimage.gaussian_filter(point, (1.5, 3, 3))
        ball /= ball.max()
        inside = ball > 0.1
        labels[inside], level[inside] = number, ball[inside]
    return labels, level


def test_own_light_is_distinguished_from_an_even_haze():
    labels, level = nucleus()
    light = np.where(labels == 1, 2 * level, 0.5 * level) + np.float32(0.8)
    weighted = [np.average(light[labels == k], weights=level[labels == k]) for k in (1, 2)]
    means = np.array([0, *weighted], np.float32)
    own = own_light(light, labels, level, means)
    shares = [np.average(level[labels == k], weights=level[labels == k]) for k in (1, 2)]
    np.testing.assert_allclose(own, [0, 2 * shares[0], 0.5 * shares[1]], rtol=1e-4)
    np.testing.assert_allclose(means[1:] - own[1:], 0.8, rtol=1e-4)


def test_own_light_is_between_a_little_and_all_of_it():
    labels, level = nucleus()
    means = np.array([0, 1, 1], np.float32)
    assert (own_light(1 - level, labels, level, means)[1:] == np.float32(0.02)).all()
    assert (own_light(50 * level, labels, level, means)[1:] == 1).all()


def test_nothing_is_nothing():
    zeros = np.zeros((4, 8, 8), np.float32)
    own = own_light(zeros, zeros.astype(np.uint16), zeros, np.zeros(1, np.float32))
    assert own.tolist() == [0]
