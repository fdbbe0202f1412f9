import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from cytosuite.ranking.intervals import (
    FEWEST,
    draw_counts,
    kendall_tau,
    mean_interval,
    medians,
    percentiles,
    place_intervals,
    place_shares,
    varied,
)

SKEWED = np.array([0.1, 0.7, 0.8, 0.85, 0.9, 0.9, 0.95, 0.97])


def test_of_symmetric_scores_it_is_students_t():
    values = np.array([0.5, 0.6, 0.65, 0.75, 0.8, 0.9])
    assert_allclose(mean_interval(values), stats.ttest_1samp(values, 0).confidence_interval(0.95))


def test_of_skewed_scores_it_is_wider_on_the_side_of_the_tail_alone():
    low, high = mean_interval(SKEWED)
    bottom, top = stats.ttest_1samp(SKEWED, 0).confidence_interval(0.95)
    assert high == pytest.approx(top)
    assert low < bottom - 0.05
    assert_allclose(mean_interval(-SKEWED), (-high, -low))
    assert_allclose(mean_interval(3 * SKEWED + 1), (3 * low + 1, 3 * high + 1))


def test_of_skewed_scores_halls_cubic_of_the_low_end_is_students_quantile():
    values = np.array([0.4, 0.6, 0.7, 0.75, 0.8, 0.84, 0.87, 0.9, 0.9, 0.95])
    third = stats.skew(values, bias=False) / np.sqrt(values.size) / 3
    t = (values.mean() - mean_interval(values)[0]) / stats.sem(values)
    cubic = t + third * t**2 + third**2 * t**3 / 3 + third / 2
    assert cubic == pytest.approx(stats.t.ppf(0.975, values.size - 1))


def test_cases_are_drawn_within_each_dataset():
    values = np.concatenate([SKEWED, SKEWED + 10])
    apart = mean_interval(values, ["a"] * 8 + ["b"] * 8)
    assert apart[1] - apart[0] < 1 < 5 < np.ptp(mean_interval(values))
    alone = mean_interval(np.append(SKEWED, 10.0), ["a"] * 8 + ["b"])
    assert_allclose(np.ptp(alone), np.ptp(mean_interval(SKEWED)) * 8 / 9)


def test_few_equal_and_undefined_cases():
    assert np.isnan(mean_interval(SKEWED[: FEWEST - 1])).all()
    assert np.isnan(mean_interval(SKEWED, list("abcdefgh"))).all()
    assert mean_interval(np.full(6, 0.5)) == (0.5, 0.5)
    assert mean_interval(np.append(SKEWED, np.nan)) == mean_interval(SKEWED)


@pytest.mark.parametrize("cases", [1, 5, 6, 9, 40])
def test_medians_have_the_order_statistics_of_the_sign_test(cases):
    values = np.random.default_rng(cases).normal(size=(3, cases + 2))
    values[:, [0, 3 % cases]] = np.nan, np.inf
    for row, result in zip(values, medians(values).T, strict=True):
        row = row[np.isfinite(row)]
        ends = (
            stats.quantile_test(row, p=0.5).confidence_interval(0.95)
            if row.size >= FEWEST
            else [np.nan] * 2
        )
        assert_allclose(result, [np.median(row), *ends])
    assert np.isnan(medians(np.full((1, 4), np.nan))).all()


def test_intervals_of_skewed_bounded_scores_hold_the_truth(rng):
    low, high = np.array([mean_interval(row) for row in rng.beta(6, 1, (2000, 6))]).T
    assert ((low <= 6 / 7) & (high >= 6 / 7)).mean() > 0.93


def test_each_dataset_keeps_its_number_of_cases():
    strata = ["b", "a", "b", "c", "a", "b", "a", "a"]
    counts = draw_counts(strata, 500, 1)
    for name in "abc":
        places = [place for place, stratum in enumerate(strata) if stratum == name]
        assert (counts[:, places].sum(axis=1) == len(places)).all()
    assert (counts[:, 3] == 1).all()  # the only case of its dataset
    assert varied(strata) == 7
    assert varied([]) == 0


@pytest.mark.parametrize("seed, size", {0: 9, 1: 9, 2: 50, 3: 60}.items())
def test_tau_is_that_of_scipy(seed, size):
    first, *others = np.random.default_rng(seed).integers(0, 5, (21, size)).astype(float)
    expected = [stats.kendalltau(first, other, variant="b").statistic for other in others]
    assert_allclose(kendall_tau(first, np.stack(others)), expected)


def test_shares_and_intervals_by_hand():
    places = np.array([[1, 2], [1, 2], [1, 2], [2, 1], [1, 1]], float)
    assert place_shares("ab", places) == {"a": (0.8, 0.2), "b": (0.4, 0.6)}
    assert place_intervals("ab", places) == {"a": (1, 2), "b": (1, 2)}
    many = np.repeat([[1.0], [2.0]], [990, 10], axis=0)
    assert place_intervals("a", many) == {"a": (1, 1)}  # 1 % is outside of 95 %
    assert percentiles(np.array([np.nan, 2.0, 2.0])) == (2.0, 2.0, 2.0)
