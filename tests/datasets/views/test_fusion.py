import numpy as np
import pytest

from cytosuite.datasets.views.fusion import fused

FIRST = np.full((2, 3, 4), 100, np.uint16)
SECOND = np.full((2, 3, 4), 200, np.uint16)


def _light(value):
    return np.full(FIRST.shape, value, np.float32)


def test_equal_views_are_their_fusion():
    assert (fused([FIRST, FIRST], [_light(0.9), _light(0.1)], 1.0) == FIRST).all()


def test_the_better_view_counts_by_its_light():
    assert (fused([FIRST, SECOND], [_light(0.75), _light(0.25)], 1.0) == 125).all()
    assert (fused([FIRST, SECOND], [_light(0.75), _light(0.25)], 2.0) == 110).all()


def test_without_preference_it_is_the_mean():
    assert (fused([FIRST, SECOND], [_light(0.9), _light(0.1)], 0.0) == 150).all()


def test_the_order_of_views_does_not_matter():
    rng = np.random.default_rng(0)
    views = [rng.integers(0, 65536, (4, 5, 6)).astype(np.uint16) for _ in range(2)]
    light = [rng.random((4, 5, 6), np.float32) for _ in range(2)]
    assert (fused(views, light, 1.5) == fused(views[::-1], light[::-1], 1.5)).all()


def test_it_lies_between_the_views():
    rng = np.random.default_rng(1)
    views = [rng.integers(0, 65536, (4, 5, 6)).astype(np.uint16) for _ in range(2)]
    found = fused(views, [rng.random((4, 5, 6), np.float32) for _ in range(2)], 1.0)
    assert (found >= np.minimum(*views)).all()
    assert (found <= np.maximum(*views)).all()


def test_where_no_light_is_left_views_count_alike():
    assert (fused([FIRST, SECOND], [_light(0), _light(0)], 1.0) == 150).all()


@pytest.mark.parametrize("preference", [1.0, 8.0])
def test_bright_views_do_not_overflow(preference):
    white = np.full((1, 2, 2), 65535, np.uint16)
    light = np.ones(white.shape, np.float32)
    assert (fused([white, white], [light, light], preference) == 65535).all()
