"""Ranks by hand, in each scheme."""

import numpy as np
import pytest
from scipy.stats import rankdata

from cytosuite.benchmark.ranking import schemes
from cytosuite.benchmark.ranking.schemes import (
    case_ranks,
    mean_ranks,
    minimum_ranks,
    scheme_ranks,
    weighted_means,
    win_ranks,
)
from cytosuite.benchmark.ranking.scores import Measure

MAE = Measure("MAE", False)  # without a worst value
NAN = float("nan")


def once(own):
    return np.ones((1, own.used.size))


def by_mean(own):
    return mean_ranks(own, once(own))[0].tolist()


def by_case(own):
    return case_ranks(own, once(own))[0].tolist()


def by_wins(own):
    return win_ranks(own, once(own), 0.05)[0].tolist()


def test_aggregate_then_rank_by_hand(scored):
    # means 0.6, 0.5, 0.6, 0.1
    own = scored(a=[0.9, 0.3], b=[0.5, 0.5], c=[0.6, 0.6], d=[0.0, 0.2])
    assert by_mean(own) == [1, 3, 1, 4]


def test_rank_then_aggregate_by_hand(scored):
    # ranks per case: a 1 3, b 3 2, c 2 1, d 4 4 -> means 2, 2.5, 1.5, 4
    own = scored(a=[0.9, 0.3], b=[0.5, 0.5], c=[0.6, 0.6], d=[0.0, 0.2])
    assert by_case(own) == [2, 3, 1, 4]


def test_ties_within_a_case_share_the_smallest_rank(scored):
    # case 1: a b 1, c 3; case 2: c 1, a 2, b 3 -> means 1.5, 2, 2
    own = scored(a=[0.9, 0.5], b=[0.9, 0.4], c=[0.1, 0.6])
    assert by_case(own) == [1, 2, 2]


def test_the_schemes_disagree_where_an_outlier_decides_the_mean(scored):
    """Ranks within cases do not see its size (Maier-Hein 2018)."""
    own = scored(steady=[0.8, 0.8, 0.8, 0.8], outlier=[0.9, 0.9, 0.9, 0.1])
    assert by_mean(own) == [2, 1]  # outlier 0.7, steady 0.8
    assert by_case(own) == [1, 2]  # 5/4 and 7/4


def test_test_then_rank_counts_significant_wins_by_hand(scored):
    # 8 cases: p of a win in all is 1/256; two-sided 2/256, of 3 pairs 6/256 = 0.023 after Holm
    low = np.linspace(0.1, 0.2, 8)
    own = scored(
        low=low.tolist(),
        middle=(low + 0.1 + np.arange(8) / 100).tolist(),
        high=(low + 0.4 + np.arange(8) / 50).tolist(),
    )
    assert by_wins(own) == [1, 3, 2]  # high, low, middle: algorithms are in alphabetical order


def test_without_significant_wins_all_share_the_first_rank(scored):
    assert by_wins(scored(a=[0.9, 0.8, 0.7], b=[0.1, 0.2, 0.3])) == [1, 1]


def test_a_failed_case_counts_as_the_worst_value(scored):
    own = scored(a=[0.9, None, 0.9], b=[0.7, 0.7, 0.7])
    assert by_mean(own) == [2, 1]  # 0.6 and 0.7
    assert by_case(own) == [1, 2]  # 1 2 1 and 2 1 2


def test_a_case_without_a_row_is_a_failed_one(scored):
    failed, absent = (scored(a=[0.9, gap, 0.9], b=[0.7, 0.7, 0.7]) for gap in (None, ...))
    assert by_mean(failed) == by_mean(absent) == [2, 1]


def test_left_out_cases_are_left_out_for_all(scored):
    own = scored(failures="left out", a=[0.9, None, 0.9], b=[0.7, 1.0, 0.7])
    assert own.used.tolist() == [True, False, True]
    assert by_mean(own) == by_case(own) == [1, 2]


def test_without_a_worst_value_a_failure_is_behind_every_value(scored):
    own = scored(MAE, a=[0.1, None, 0.1], b=[9.0, 9.0, 9.0], c=[8.0, 99.0, 8.0])
    assert by_mean(own) == [3, 1, 2]  # 9 and 38.3; a lost one case
    assert by_case(own) == [1, 3, 2]  # 1 3 1, 3 1 3, 2 2 2 -> 5/3, 7/3, 2
    assert by_case(own) != by_mean(own)


def test_lower_values_are_better_where_the_metric_says_so(scored):
    own = scored(MAE, a=[0.5, 0.6], b=[0.1, 0.9], c=[0.1, 0.2])
    assert by_mean(own) == [3, 2, 1]  # 0.55, 0.5, 0.15
    assert by_case(own) == [3, 2, 1]  # 3 2, 1 3, 1 1


def test_a_value_that_nobody_has_counts_for_nobody(scored):
    own = scored(MAE, a=[0.1, NAN], b=[0.2, NAN])
    assert own.used.tolist() == [True, False]
    assert by_mean(own) == by_case(own) == [1, 2]


def test_means_that_differ_by_rounding_are_a_tie(scored):
    own = scored(a=[0.1, 0.2, 0.3], b=[0.3, 0.2, 0.1], c=[0.2, 0.2, 0.2])
    assert by_mean(own) == [1, 1, 1]
    large = scored(MAE, a=[1e6 + 0.1, 1e6 + 0.2], b=[1e6 + 0.2, 1e6 + 0.1])
    assert by_mean(large) == [1, 1]


def test_counts_are_the_same_as_repeated_cases(scored):
    rng = np.random.default_rng(0)
    values = {name: rng.uniform(size=7) for name in "abcd"}
    own = scored(**{name: found.tolist() for name, found in values.items()})
    drawn = rng.integers(7, size=(20, 7))
    counts = np.stack([np.bincount(row, minlength=7) for row in drawn]).astype(float)
    for scheme in ("mean", "cases", "tests"):
        found = scheme_ranks(own, counts, scheme, 0.05)
        for row, ranks in zip(drawn, found, strict=True):
            repeated = scored(**{name: numbers[row].tolist() for name, numbers in values.items()})
            if scheme != "tests":  # of repeated cases p is exact in one and not in the other
                expected = scheme_ranks(repeated, once(repeated), scheme, 0.05)[0]
                assert ranks.tolist() == expected.tolist()


def test_significant_wins_in_parts_are_the_same(scored, monkeypatch):
    rng = np.random.default_rng(4)
    own = scored(**{name: (rng.uniform(size=9) + n).tolist() for n, name in enumerate("abc")})
    counts = rng.multinomial(9, np.full(9, 1 / 9), size=30).astype(float)
    whole = win_ranks(own, counts, 0.05)
    monkeypatch.setattr(schemes, "BLOCK", 20)
    np.testing.assert_array_equal(win_ranks(own, counts, 0.05), whole)
    assert whole.tolist()[0] == [3, 2, 1]


def test_weighted_means_leave_out_what_is_not_defined():
    values = np.array([[1.0, NAN, 3.0], [NAN, NAN, NAN]])
    counts = np.array([[1.0, 5.0, 3.0], [0.0, 3.0, 0.0]])
    np.testing.assert_allclose(weighted_means(values, counts), [[2.5, NAN], [NAN, NAN]])


@pytest.mark.parametrize("seed", range(5))
def test_minimum_ranks_are_those_of_scipy(seed):
    keys = np.random.default_rng(seed).integers(0, 4, (6, 9)).astype(float)
    expected = [rankdata(row, method="min") for row in keys]
    np.testing.assert_array_equal(minimum_ranks(keys), expected)


@pytest.mark.parametrize("bend", [np.exp, np.cbrt, lambda x: 3 * x - 7])
def test_ranks_within_cases_know_no_scale(scored, bend):
    rng = np.random.default_rng(1)
    values = rng.uniform(0, 1, (5, 12))
    names = [f"a{n}" for n in range(5)]
    measure = Measure("score", True)
    plain, bent = (
        scored(measure, **dict(zip(names, numbers.tolist(), strict=True)))
        for numbers in (values, bend(values))
    )
    assert by_case(plain) == by_case(bent)
    shifted = scored(measure, **dict(zip(names, (4 * values + 1).tolist(), strict=True)))
    assert by_mean(plain) == by_mean(shifted)
    assert by_wins(plain) == by_wins(shifted)
