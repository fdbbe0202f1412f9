"""Tests against SciPy, Holm by hand, tiers."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from cytosuite.benchmark.ranking.differences import pairwise
from cytosuite.benchmark.ranking.scores import Measure
from cytosuite.benchmark.ranking.significance import (
    drawn_p,
    holm,
    paired_differences,
    pairs_p,
    signed_rank,
    significant,
    tiers,
)


def reference(differences):
    """Return p by SciPy, one pair at a time, by the rule: never below the smallest exact one."""
    own = differences[differences != 0]
    if not own.size:
        return 1.0
    ties = np.unique(np.abs(own)).size < own.size or own.size < differences.size
    method = "exact" if own.size <= 50 and not ties else "approx"
    found = stats.wilcoxon(
        own, alternative="greater", zero_method="wilcox", correction=False, method=method
    )
    return max(found.pvalue, 0.5**own.size)


@pytest.mark.parametrize("cases", [1, 2, 6, 20, 50, 51, 120])
@pytest.mark.parametrize("digits", [1, 9])
def test_p_is_that_of_scipy(cases, digits):
    rng = np.random.default_rng(cases)
    differences = np.round(rng.normal(0.1, 1, (12, cases)), digits)
    differences[3] = 0.0
    p, _ = signed_rank(differences)
    np.testing.assert_allclose(p, [reference(row) for row in differences], rtol=1e-9)


def test_p_and_correlation_by_hand():
    # ranks 1 2 3 4, only the smallest is negative: W+ = 9 of 10; 2 of 16 sign patterns reach 9
    p, correlation = signed_rank(np.array([[-0.1, 0.2, 0.3, 0.4]]))
    assert p == pytest.approx([2 / 16])
    assert correlation == pytest.approx([(9 - 1) / 10])


def test_differences_that_are_all_zero_give_p_1():
    p, correlation = signed_rank(np.zeros((2, 9)))
    assert p.tolist() == [1.0, 1.0]
    assert correlation.tolist() == [0.0, 0.0]


def test_zeros_are_dropped_and_rounding_makes_no_difference():
    filled = np.array([[0.1 + 0.2, 0.5, 0.7], [0.3, 0.4, 0.6]])
    found = paired_differences(filled)
    assert found[0, 0] == 0.0
    assert found[0, 1] == found[0, 2]  # 0.1 twice: a tie, though not in binary


def test_a_lost_case_is_the_largest_difference():
    filled = np.array([[1.0, 2.0, -np.inf, -np.inf], [0.0, 0.0, 5.0, -np.inf]])
    found = paired_differences(filled)
    assert found.tolist() == [[1.0, 2.0, -np.inf, 0.0]]
    # ranks 1 2 3, the largest is negative
    assert signed_rank(found)[1] == pytest.approx([(3 - 3) / 6])


def test_holm_by_hand():
    # 5 x 0.005, 4 x 0.01, 3 x 0.03 = 0.09, 2 x 0.04 = 0.08 -> 0.09, 1 x 0.6
    p = np.array([0.01, 0.6, 0.005, 0.04, 0.03])
    assert holm(p) == pytest.approx([0.04, 0.6, 0.025, 0.09, 0.09])
    assert holm(np.array([0.5, 0.9])).tolist() == [1.0, 1.0]
    assert holm(np.zeros(0)).tolist() == []


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_between_p_and_bonferroni_and_keeps_the_order(values):
    p = np.array(values)
    found = holm(p)
    assert (found >= p - 1e-15).all()
    assert (found <= np.minimum(1, p.size * p) + 1e-15).all()
    order = np.argsort(p, kind="stable")
    assert (np.diff(found[order]) >= 0).all()


def test_holm_is_that_of_statsmodels():
    peer = pytest.importorskip("statsmodels.stats.multitest")
    rng = np.random.default_rng(2)
    for size in (1, 2, 7, 40):
        p = rng.uniform(size=size) ** 3
        np.testing.assert_allclose(holm(p), peer.multipletests(p, method="holm")[1])


def test_pairs_are_one_family_and_those_without_a_result_lose_untested():
    p, every = np.full((3, 3), 0.5), np.ones(3, dtype=bool)
    p[0, 1] = 0.009  # two-sided 0.018, x 3 = 0.054
    assert not significant(p, 0.05, every).any()
    p[0, 1] = 0.008  # 0.048
    assert np.argwhere(significant(p, 0.05, every)).tolist() == [[0, 1]]
    p[2, 1] = 0.012  # 0.024, x 2 = 0.048; of ordered pairs x 5 = 0.06
    assert np.argwhere(significant(p, 0.05, every)).tolist() == [[0, 1], [2, 1]]
    alone = np.array([True, True, False])
    p[0, 1] = 0.02
    assert np.argwhere(significant(p, 0.05, alone)).tolist() == [[0, 1], [0, 2], [1, 2]]
    assert not significant(np.full((1, 1), np.nan), 0.05, every[:1]).any()


def test_the_adjusted_p_of_pairs_is_that_of_statsmodels(scored):
    peer = pytest.importorskip("statsmodels.stats.multitest")
    values = np.random.default_rng(4).uniform(size=(5, 30)) + np.linspace(0, 0.5, 5)[:, None]
    own = scored(**dict(zip("abcde", values.tolist(), strict=True)))
    found = pairwise(own, "abcde", np.zeros((0, 30)))
    pairs = [(i, j) for i in range(5) for j in range(i + 1, 5)]
    plain = [stats.wilcoxon(values[i], values[j]).pvalue for i, j in pairs]
    adjusted = peer.multipletests(plain, method="holm")[1]
    assert [found["abcde"[i], "abcde"[j]].p for i, j in pairs] == pytest.approx(list(adjusted))


@pytest.mark.parametrize("digits", [1, 9])
def test_p_of_a_sample_is_that_of_the_repeated_cases(digits):
    rng = np.random.default_rng(5)
    filled = np.round(rng.uniform(size=(4, 15)), digits)
    drawn = rng.integers(15, size=(8, 15))
    counts = np.stack([np.bincount(row, minlength=15) for row in drawn]).astype(float)
    found = drawn_p(filled, counts)
    for row, p in zip(drawn, found, strict=True):
        for i in range(4):
            for j in range(4):
                own = np.round(filled[i, row] - filled[j, row], 12)
                own = own[own != 0]
                if i != j:
                    expected = stats.wilcoxon(
                        own, alternative="greater", correction=False, method="approx"
                    ).pvalue
                    assert p[i, j] == pytest.approx(expected, rel=1e-9)


def test_p_of_a_sample_of_equal_algorithms_is_1():
    found = drawn_p(np.full((2, 6), 0.3), np.ones((3, 6)))
    assert found[:, 0, 1].tolist() == found[:, 1, 0].tolist() == [1.0] * 3


def test_both_directions_are_tested_and_nobody_against_itself():
    filled = np.random.default_rng(0).uniform(size=(3, 9))
    p = pairs_p(filled)
    assert np.isnan(np.diag(p)).all()
    for i, j in ((0, 1), (1, 0), (2, 0)):
        assert p[i, j] == pytest.approx(reference(filled[i] - filled[j]))


def test_a_tier_begins_behind_any_member_that_is_better():
    order = ["a", "b", "c", "d"]
    assert tiers(order, set()) == {"a": 1, "b": 1, "c": 1, "d": 1}
    assert tiers(order, {("a", "d")}) == {"a": 1, "b": 1, "c": 1, "d": 2}
    assert tiers(order, {("b", "c")}) == {"a": 1, "b": 1, "c": 2, "d": 2}
    assert tiers(order, {("a", "b"), ("b", "c"), ("c", "d")}) == {"a": 1, "b": 2, "c": 3, "d": 4}
    assert tiers([], set()) == {}


@settings(max_examples=50, deadline=None)
@given(st.sets(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef"))))
def test_tiers_never_fall_and_hold_no_winner_before_its_loser(better):
    found = tiers("abcdef", better)
    numbers = list(found.values())
    assert numbers == sorted(numbers)
    assert {*numbers} == {*range(1, max(numbers) + 1)}
    for first, second in better:
        assert first >= second or found[first] < found[second]


def test_size_of_a_difference_by_hand(scored):
    own = scored(a=[0.5, 0.7, 0.9, 0.4], b=[0.4, 0.5, 0.6, 0.0])
    found = pairwise(own, "ab", np.zeros((0, 4)))
    # differences 0.1 0.2 0.3 0.4, all positive: p = 1/16, two-sided 2/16
    assert found["a", "b"].median == pytest.approx(0.25)
    assert found["a", "b"].rank_biserial == 1.0
    assert found["a", "b"].p == pytest.approx(2 / 16)
    assert found["b", "a"].median == pytest.approx(-0.25)
    assert (found["b", "a"].rank_biserial, found["b", "a"].p) == (-1.0, 2 / 16)
    assert np.isnan(found["a", "b"].low)


def test_a_difference_has_the_unit_of_its_metric(scored):
    own = scored(Measure("MAE", False), a=[1.0, 1.0, 1.0], b=[3.0, 4.0, 5.0])
    found = pairwise(own, "ab", np.zeros((0, 3)))["a", "b"]
    assert found.median == -3.0  # lower by 3
    assert found.rank_biserial == 1.0  # and so better


def test_failures_without_a_worst_value_have_a_place_in_the_test_and_none_in_the_median(scored):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        own = scored(Measure("MAE", False), a=[1.0, None, None], b=[3.0, 4.0, None])
        found = pairwise(own, "ab", np.ones((5, 3)))["a", "b"]
    assert found.median == -2.0
    assert found.rank_biserial == pytest.approx((1 - 2) / 3)
