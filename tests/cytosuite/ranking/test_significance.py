from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from cytosuite.ranking.contests import pairwise
from cytosuite.ranking.scores import Measure
from cytosuite.ranking.significance import (
    drawn_p,
    holm,
    paired_differences,
    signed_rank,
    significant,
    tiers,
)


def reference(differences):
    """Return p by SciPy, one pair at a time, by the rule: never below the smallest exact one."""
    nonzero = differences[differences != 0]
    if not nonzero.size:
        return 1.0
    ties = np.unique(np.abs(nonzero)).size < differences.size  # or zeros
    method = "exact" if nonzero.size <= 50 and not ties else "approx"
    return max(
        stats.wilcoxon(nonzero, alternative="greater", method=method).pvalue, 0.5**nonzero.size
    )


@pytest.mark.parametrize("cases", [1, 2, 6, 20, 50, 51, 120])
@pytest.mark.parametrize("digits", [1, 9])
def test_p_is_that_of_scipy(cases, digits):
    differences = np.round(np.random.default_rng(cases).normal(0.1, 1, (12, cases)), digits)
    differences[3] = 0.0
    p, _ = signed_rank(differences)
    np.testing.assert_allclose(
        p, [[reference(sign * row) for row in differences] for sign in (1, -1)], rtol=1e-9
    )


def test_a_lost_case_is_the_largest_difference():
    differences = paired_differences(
        np.array([[1.0, 2.0, -np.inf, -np.inf], [0.0, 0.0, 5.0, -np.inf]])
    )
    assert differences.tolist() == [[1.0, 2.0, -np.inf, 0.0]]
    # ranks 1 2 3, the largest is negative
    assert signed_rank(differences)[1] == pytest.approx([(3 - 3) / 6])


def test_holm_by_hand():
    # 5 x 0.005, 4 x 0.01, 3 x 0.03 = 0.09, 2 x 0.04 = 0.08 -> 0.09, 1 x 0.6
    p = np.array([0.01, 0.6, 0.005, 0.04, 0.03])
    assert holm(p) == pytest.approx([0.04, 0.6, 0.025, 0.09, 0.09])
    assert holm(np.array([0.5, 0.9])).tolist() == [1.0, 1.0]


def test_pairs_are_one_family_and_those_without_a_result_lose_untested():
    p, every = np.full((2, 3), 0.5), np.ones(3, dtype=bool)  # of (0, 1), (0, 2), (1, 2)
    p[0, 0] = 0.009  # two-sided 0.018, x 3 = 0.054
    assert not significant(p, 0.05, every).any()
    p[0, 0] = 0.008  # 0.048
    assert np.argwhere(significant(p, 0.05, every)).tolist() == [[0, 1]]
    p[1, 2] = 0.012  # 0.024, x 2 = 0.048; of ordered pairs x 5 = 0.06
    assert np.argwhere(significant(p, 0.05, every)).tolist() == [[0, 1], [2, 1]]
    alone = np.array([True, True, False])
    p[0, 0] = 0.02
    assert np.argwhere(significant(p, 0.05, alone)).tolist() == [[0, 1], [0, 2], [1, 2]]
    assert not significant(np.zeros((2, 0)), 0.05, every[:1]).any()


@pytest.mark.parametrize("digits", [1, 9])
def test_p_of_a_sample_is_that_of_the_repeated_cases(digits):
    rng = np.random.default_rng(5)
    filled = np.round(rng.uniform(size=(4, 15)), digits)
    drawn = rng.integers(15, size=(8, 15))
    ahead, behind = drawn_p(
        filled, np.stack([np.bincount(row, minlength=15) for row in drawn]).astype(float)
    )
    for row, *ways in zip(drawn, ahead, behind, strict=True):
        for number, (i, j) in enumerate(combinations(range(4), 2)):
            difference = np.round(filled[i, row] - filled[j, row], 12)
            for sign, p in zip((1, -1), ways, strict=True):
                expected = stats.wilcoxon(sign * difference, alternative="greater", method="approx")
                assert p[number] == pytest.approx(expected.pvalue, rel=1e-9)


def test_a_tier_begins_behind_any_member_that_is_better():
    order = ["a", "b", "c", "d"]
    assert tiers(order, set()) == {"a": 1, "b": 1, "c": 1, "d": 1}
    assert tiers(order, {("a", "d")}) == {"a": 1, "b": 1, "c": 1, "d": 2}
    assert tiers(order, {("b", "c")}) == {"a": 1, "b": 1, "c": 2, "d": 2}
    assert tiers(order, {("a", "b"), ("b", "c"), ("c", "d")}) == {"a": 1, "b": 2, "c": 3, "d": 4}


def test_failures_without_a_worst_value_have_a_place_in_the_test_and_none_in_the_median(scored):
    scores = scored(Measure("MAE", False), a=[1.0, None, None], b=[3.0, 4.0, None])
    difference = pairwise(scores, "ab")["a", "b"]
    assert difference.median == -2.0
    assert difference.rank_biserial == pytest.approx((1 - 2) / 3)
