import numpy as np
import pytest
from scipy.stats import rankdata

from cytosuite.ranking.contests import (
    case_ranks,
    mean_ranks,
    minimum_ranks,
    scheme_ranks,
    weighted_means,
    win_ranks,
)
from cytosuite.ranking.scores import Measure

MAE = Measure("MAE", False)  # without a worst value
NAN = float("nan")


def once(scores):
    return np.ones((1, scores.used.size))


def by_mean(scores):
    return mean_ranks(scores, once(scores))[0].tolist()


def test_test_then_rank_counts_significant_wins_by_hand(scored):
    # 8 cases: p of a win in all is 1/256; two-sided 2/256, of 3 pairs 6/256 = 0.023 after Holm
    low = np.linspace(0.1, 0.2, 8)
    scores = scored(
        low=low, middle=low + 0.1 + np.arange(8) / 100, high=low + 0.4 + np.arange(8) / 50
    )
    ranks = win_ranks(scores, once(scores), 0.05)[0]
    assert ranks.tolist() == [1, 3, 2]  # high, low, middle: algorithms are in alphabetical order


def test_without_a_worst_value_a_failure_is_behind_every_value(scored):
    scores = scored(MAE, a=[0.1, None, 0.1], b=[9.0, 9.0, 9.0], c=[8.0, 99.0, 8.0])
    assert by_mean(scores) == [3, 1, 2]  # 9 and 38.3; a lost one case
    assert case_ranks(scores, once(scores))[0].tolist() == [
        1,
        3,
        2,
    ]  # 1 3 1, 3 1 3, 2 2 2 -> 5/3, 7/3, 2


def test_means_that_differ_by_rounding_are_a_tie(scored):
    assert by_mean(scored(a=[0.1, 0.2, 0.3], b=[0.3, 0.2, 0.1], c=[0.2, 0.2, 0.2])) == [1, 1, 1]
    assert by_mean(scored(MAE, a=[1e6 + 0.1, 1e6 + 0.2], b=[1e6 + 0.2, 1e6 + 0.1])) == [1, 1]


def test_counts_are_the_same_as_repeated_cases(scored, rng):
    values = {name: rng.uniform(size=7) for name in "abcd"}
    scores = scored(**values)
    drawn = rng.integers(7, size=(20, 7))
    counts = np.stack([np.bincount(row, minlength=7) for row in drawn]).astype(float)
    for scheme in ("mean", "cases"):  # of repeated cases p is exact in one and not in the other
        for row, ranks in zip(drawn, scheme_ranks(scores, counts, scheme, 0.05), strict=True):
            repeated = scored(**{name: numbers[row] for name, numbers in values.items()})
            expected = scheme_ranks(repeated, once(repeated), scheme, 0.05)[0]
            assert ranks.tolist() == expected.tolist()


def test_weighted_means_leave_out_what_is_not_defined():
    values = np.array([[1.0, NAN, 3.0], [NAN, NAN, NAN]])
    counts = np.array([[1.0, 5.0, 3.0], [0.0, 3.0, 0.0]])
    np.testing.assert_allclose(weighted_means(values, counts), [[2.5, NAN], [NAN, NAN]])


@pytest.mark.parametrize("shape", [(6, 9), (4, 1), (0, 5), (3, 0)])
def test_minimum_ranks_are_those_of_scipy(shape, rng):
    keys = rng.choice([0.0, 1.0, 2.0, np.inf], shape)
    expected = [rankdata(row, method="min") for row in keys]
    np.testing.assert_array_equal(minimum_ranks(keys), np.reshape(expected, shape))
