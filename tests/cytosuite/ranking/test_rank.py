import math
import string
from dataclasses import replace
from math import nan

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mistakes import refused

from cytosuite.ranking import rank
from cytosuite.ranking.by_measure import rank_measures
from cytosuite.ranking.ranking import SCHEMES
from cytosuite.ranking.rule import RankingRules
from cytosuite.ranking.scores import Measure

SEG = Measure("SEG", True, 0.0)
DET = Measure("DET", True, 0.0)
FEW = RankingRules(draws=200)


def two(table, **by_metric):
    return pd.concat([table(name, **values) for name, values in by_metric.items()])


@pytest.mark.parametrize("scheme", ["mean", "cases", "tests"])
def test_an_order_that_all_cases_keep_is_certain(ranking, ideal, scheme):
    overall = ranking(rules=RankingRules(scheme=scheme, draws=300), **ideal).overall
    names = sorted(ideal)
    assert overall.places == {name: n for n, name in enumerate(names, 1)} == overall.tier
    assert overall.tau == (1.0, 1.0, 1.0)
    assert overall.interval == {name: (n, n) for name, n in overall.places.items()}
    assert [overall.shares[name][n] for n, name in enumerate(names)] == [1.0] * 5
    assert overall.better == {(a, b) for a in names for b in names if a < b}


@pytest.mark.parametrize("algorithms, cases", [(3, 7), (4, 8), (20, 13)])
def test_a_ranking_knows_its_power(ranking, algorithms, cases):
    names = string.ascii_lowercase[:algorithms]
    ladder = {name: np.linspace(-n, -n - 0.01 * n - 0.1, cases) for n, name in enumerate(names)}
    assert [*ranking(rules=FEW, **ladder).overall.tier.values()] == [*range(1, algorithms + 1)]
    few = ranking(rules=FEW, **{name: values[1:] for name, values in ladder.items()})
    power = (
        f"{cases - 1} cases cannot separate {algorithms} algorithms by this test (needs {cases})"
    )
    assert (few.overall.tier, few.overall.better, few.overall.power) == ({}, frozenset(), power)
    assert f"No tiers: {power}." in few.rule


@pytest.mark.parametrize("status", [" OK", nan])
def test_a_result_failed_if_its_status_says_so(table, status):
    scores = table(a=[0.9, 0.8], b=[0.5, 0.4])
    assert rank(scores.assign(status=status)).rows() == rank(scores).rows()
    refused("expected the name of an algorithm", rank, scores.assign(algorithm=nan))
    assert rank(scores.assign(value=scores["value"].astype(str))).rows() == rank(scores).rows()
    refused("scores, row 0: expected a number as value, found 'x'", rank, scores.assign(value="x"))
    for message, rules in {
        "failures 'no': expected 'worst' or": {"failures": "no"},
        "scheme 'x': expected 'mean' or 'cases' or": {"scheme": "x"},
        "draws -5, seed 0: expected whole numbers": {"draws": -5},
    }.items():
        refused(message, rank, scores, rules=RankingRules(**rules))


def test_who_fails_every_case_is_worse_than_who_does_not_however_few_there_are(ranking):
    ranked = ranking(rules=FEW, a=[0.1] * 3, b=[None] * 3, c=[None] * 3)
    assert ranked.metrics["SEG"].better == {("a", "b"), ("a", "c")}


def test_a_sample_without_a_case_that_counts_says_nothing(ranking):
    # 6 of 40 cases have a value: 1 sample in 660 draws none of them.
    ladder = {name: [0.9 - n / 10] * 6 + [nan] * 34 for n, name in enumerate("abc")}
    ranked = ranking(replace(SEG, worst=None), rules=RankingRules(draws=5000), **ladder)
    assert ranked.overall.shares == {"a": (1, 0, 0), "b": (0, 1, 0), "c": (0, 0, 1)}


def test_a_worked_example_by_hand(ranking):
    # Three algorithms on three cases, one failure: every number of the ranking.
    ranked = ranking(a=[0.9, 0.8, 0.7], b=[0.8, None, 0.8], c=[0.2, 0.1, 0.6])
    contest = ranked.metrics["SEG"]
    # means 0.8, 0.533, 0.3; ranks a 1 1 2, b 2 3 1, c 3 2 3
    assert contest.ranks["mean"] == {"a": 1, "b": 2, "c": 3}
    assert contest.ranks["cases"] == {"a": 1, "b": 2, "c": 3}
    assert contest.ranks["tests"] == {"a": 1, "b": 1, "c": 1}
    # a - b: 0.1, 0.8, -0.1: ranks 1.5, 3, 1.5
    difference = contest.differences["a", "b"]
    assert difference.median == pytest.approx(0.1)
    assert difference.rank_biserial == pytest.approx((4.5 - 1.5) / 6)
    # a - c: 0.7, 0.7, 0.1, all positive: W+ = 6, mean 3, variance 14/4 - 6/48
    p = 0.5 * math.erfc((3 / math.sqrt(3.5 - 0.125)) / math.sqrt(2))
    assert p < 0.5**3  # which no three cases can give
    assert contest.differences["a", "c"].p == min(3 * 2 * 0.5**3, 1)
    assert contest.interval == {} == contest.shares
    assert np.isnan(contest.tau).all()
    # without the second case b leads by 0.8 to 0.8: a tie, c has 0.4
    assert contest.without_failures == {"a": 1, "b": 1, "c": 3}
    assert (ranked.cases, ranked.failed, ranked.draws) == (3, 1, 0)


def test_all_metrics_together_by_hand(table):
    scores = two(
        table,
        SEG={"a": [0.9, 0.9], "b": [0.5, 0.5], "c": [0.1, 0.1]},
        DET={"a": [0.5, 0.5], "b": [0.4, 0.4], "c": [0.9, 0.9]},
    )
    ranked = rank_measures(scores, [SEG, DET], ["SEG", "DET"])
    assert ranked.overall.ranks["mean"] == {"a": 1.5, "b": 2.5, "c": 2.0}
    assert ranked.overall.places == {"a": 1, "c": 2, "b": 3}
    # pairs ab, ac, bc: + + + by SEG, + - - by DET
    assert ranked.agreement == {("SEG", "DET"): pytest.approx(-1 / 3)}
    assert ranked.means["c", "DET"] == 0.9


def test_wins_of_two_metrics_that_contradict_each_other_count_for_none(table):
    order = {"SEG": "abc", "DET": "bac"}  # from best to worst in each of 12 cases
    scores = two(
        table,
        **{
            metric: {name: np.linspace(-n, -1.1 * n - 0.1, 12) for n, name in enumerate(names)}
            for metric, names in order.items()
        },
    )
    ranked = rank_measures(scores, [SEG, DET], ["SEG", "DET"], rules=FEW)
    assert ("a", "b") in ranked.metrics["SEG"].better
    assert ("b", "a") in ranked.metrics["DET"].better
    assert ranked.overall.better == {("a", "c"), ("b", "c")}
    assert ranked.overall.tier == {"a": 1, "b": 1, "c": 2}
    assert "worse in none" in ranked.rule
    assert "worse in none" not in rank_measures(scores, [SEG, DET], ["SEG"], rules=FEW).rule


def test_a_metric_of_some_cases_counts_no_failures_in_the_others(table):
    values = {"SEG": {"a": [0.9] * 3, "b": [0.5] * 3}, "DET": {"a": [0.8] * 2, "b": [0.4] * 2}}
    scores = two(table, **values, AP={"a": [nan]})
    ranked = rank_measures(scores, [SEG, DET, replace(SEG, name="AP")], ["SEG", "DET", "AP"])
    assert "AP" not in ranked.metrics
    assert ranked.rule.endswith(" Without a value, and in no rank: AP.")
    assert (ranked.means["a", "DET"], ranked.means["b", "DET"]) == (0.8, 0.4)
    assert ranked.failed == 0


def test_a_metric_of_the_whole_set_ranks_without_interval_and_test(table):
    w1 = Measure("W1", False, None, of_set=True)
    cases = {name: np.linspace(n, n + 0.1, 9) for n, name in enumerate("abc")}
    failed = table("KID", of_set=True, a=[None], b=[None], c=[None])
    one_value = table("W1", of_set=True, a=[1], b=[2], c=[None])
    scores = pd.concat([table("SSIM", **cases), one_value, failed])
    measures = [Measure("SSIM", True, 0.0), w1, replace(w1, name="KID")]
    ranked = rank_measures(scores, measures, ["SSIM", "W1", "KID"], rules=FEW)
    assert [*ranked.metrics] == ["SSIM", "W1"]
    contest = ranked.metrics["W1"]
    assert contest.ranks == {way: {"a": 1, "b": 2, "c": 3} for way in SCHEMES}
    assert (contest.interval, contest.shares, contest.differences, contest.tier) == ({}, {}, {}, {})
    assert ranked.metrics["SSIM"].interval
    assert ranked.overall.interval == {}  # it would be that of SSIM alone
    assert ranked.overall.ranks["mean"] == {"a": 2.0, "b": 2.0, "c": 2.0}
    assert (
        ranked.overall.better
        == ranked.metrics["SSIM"].better
        == {("c", "b"), ("c", "a"), ("b", "a")}
    )
    assert "W1 has one value for the whole set: no tests" in ranked.rule
    assert "Wilcoxon" not in rank_measures(scores, [w1], ["W1"], rules=FEW).rule


def test_where_the_truth_allows_no_value_nobody_loses(table):
    scores = table(a=[0.9, nan, nan], b=[0.6, nan, nan], c=[0.8, 0.0, None])
    scores.loc[7, "status"] = "time-out"  # with the worst value, as of a run
    ranked = rank_measures(scores, [SEG], ["SEG"], rules=FEW)
    assert ranked.metrics["SEG"].differences["a", "b"].median == pytest.approx(0.3)
    assert ranked.means["c", "SEG"] == 0.8


def test_units_of_the_controls(table):
    scores = two(
        table,
        SEG={"ours": [0.4, 0.6], "oracle": [1.0, 1.0], "blank": [0.2, 0.2]},
        MAE={"ours": [2.0, 4.0], "oracle": [0.0, 0.0], "identity": [6.0, 6.0]},
        PSNR={"ours": [20.0, 30.0], "oracle": [math.inf, math.inf], "identity": [10.0, 10.0]},
    )
    measures = [SEG, Measure("MAE", False), Measure("PSNR", True)]
    ranked = rank_measures(scores, measures, ["SEG"], {"oracle", "blank", "identity"})
    assert ranked.scaled == pytest.approx({("ours", "SEG"): 0.375, ("ours", "MAE"): 0.5})
    assert list(ranked.overall.algorithms) == ["ours"]


@pytest.mark.parametrize("scheme", ["mean", "cases", "tests"])
def test_an_infinite_value_is_the_best(ranking, scheme):
    ranked = ranking(
        rules=RankingRules(scheme=scheme), exact=[math.inf] * 7 + [28.0], good=[34.0] * 8
    )
    assert ranked.overall.ranks[scheme] == {"exact": 1, "good": 2}
    assert ranked.overall.better == {("exact", "good")}
    assert ranked.means["exact", "SEG"] == math.inf


def test_leaving_failures_out_is_declared_and_done(ranking):
    worst, out = (
        ranking(rules=RankingRules(failures=way), a=[0.9, None, 0.9], b=[0.7, 1.0, 0.7])
        for way in ("worst", "left out")
    )
    assert worst.overall.places == {"b": 1, "a": 2}
    assert worst.overall.without_failures == out.overall.places == {"a": 1, "b": 2}
    assert "counts as the worst value (0)" in worst.rule
    assert "failed (1) are left out for all" in out.rule


cell = st.sampled_from([0.0, 0.25, 0.5, 1.0, nan, None, ...])


@settings(max_examples=60)
@given(
    st.integers(1, 4).flatmap(
        lambda cases: st.lists(
            st.lists(cell, min_size=cases, max_size=3 * cases), min_size=1, max_size=4
        )
    ),
    st.sampled_from(["mean", "cases", "tests"]),
    st.sampled_from([0.0, None]),
)
def test_any_shape_of_a_table_has_a_ranking(table, rows, scheme, worst):
    # One algorithm, one case, all failed, all equal, NaN everywhere, ragged rows.
    scores = table(**dict(zip(string.ascii_lowercase[: len(rows)], rows, strict=True)))
    rules = RankingRules(scheme=scheme, draws=30)
    ranked = rank_measures(scores, [replace(SEG, worst=worst)], ["SEG"], rules=rules)
    if ranked is None:
        assert scores.empty
        return
    overall = ranked.overall
    assert [*overall.algorithms] == sorted(overall.places, key=lambda n: (overall.places[n], n))
    assert min(overall.places.values()) == 1
    if overall.tier:
        tiers = [overall.tier[name] for name in overall.algorithms]
        assert tiers == sorted(tiers)
    assert not (overall.tier and overall.power)
    for low, high in overall.interval.values():
        assert 1 <= low <= high <= len(overall.places)
    for difference in ranked.metrics["SEG"].differences.values():
        assert math.isnan(difference.p) or 0 <= difference.p <= 1
        assert -1 <= difference.rank_biserial <= 1
