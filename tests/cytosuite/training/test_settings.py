from itertools import pairwise

import pytest

from cytosuite.training.settings import Schedule


def _rates(**given):
    schedule = Schedule(steps=101, learning_rate=2e-3, warm_up=0.1, **given)
    return [schedule.rate(step) for step in range(101)]


def test_the_rate_rises_to_its_peak_and_falls_to_almost_nothing():
    rates = _rates()
    assert rates.index(max(rates)) == 10
    assert max(rates) == pytest.approx(2e-3)
    assert rates[0] == pytest.approx(2e-3 / 25)
    assert rates[-1] == pytest.approx(2e-7)
    assert rates[:11] == sorted(rates[:11])
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_the_rate_may_fall_linearly_or_stay():
    line = _rates(fall="linear")
    steps = [before - after for before, after in pairwise(line[10:])]
    assert max(steps) == pytest.approx(min(steps))
    assert line[-1] == pytest.approx(2e-7)
    assert _rates(fall="none")[10:] == pytest.approx([2e-3] * 91)


@pytest.mark.parametrize(("steps", "warm_up"), [(1, 0.1), (2, 0.0), (5, 0.99)])
@pytest.mark.parametrize("fall", ["cosine", "linear", "none"])
def test_short_trainings_have_positive_rates(steps, warm_up, fall):
    schedule = Schedule(steps=steps, learning_rate=1.0, warm_up=warm_up, fall=fall)
    assert all(0 < schedule.rate(step) <= 1 for step in range(steps))


@pytest.mark.parametrize("fall", ["cosine", "linear"])
def test_the_rate_may_be_held_before_it_falls(fall):
    rates = _rates(fall=fall, hold=0.5)
    assert rates[10:56] == pytest.approx([2e-3] * 46)
    assert rates[56:] == sorted(rates[56:], reverse=True)
    assert rates[56] < 2e-3
    assert rates[-1] == pytest.approx(2e-7)


def test_the_published_rate_is_full_in_the_first_half_then_falls_linearly():
    schedule = Schedule(steps=201, learning_rate=1.0, warm_up=0, hold=0.5, fall="linear")
    assert [schedule.rate(step) for step in (0, 50, 100)] == [1.0] * 3
    assert [schedule.rate(step) for step in (125, 150, 175, 200)] == pytest.approx(
        [0.75, 0.5, 0.25, 0], abs=1e-3
    )
