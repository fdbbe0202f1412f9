"""Whole rankings: ideal and random ones, failures, whole sets, invariances."""

import math
import string
import warnings
from dataclasses import replace
from math import nan

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cytosuite.benchmark.ranking.rank import rank
from cytosuite.benchmark.ranking.ranking import SCHEMES
from cytosuite.benchmark.ranking.rule import RankingRules
from cytosuite.benchmark.ranking.scores import Measure, measures
from cytosuite.benchmark.results.standings import COLUMNS, leaderboard
from cytosuite.errors import InputError
from cytosuite.metrics import board_metrics

SEG, DET = Measure("SEG", True, 0.0), Measure("DET", True, 0.0)
FEW = RankingRules(draws=200)


def two(table, **by_metric):
    """Return a table of several metrics."""
    return pd.concat([table(name, **values) for name, values in by_metric.items()])


@pytest.mark.parametrize("scheme", ["mean", "cases", "tests"])
def test_an_order_that_all_cases_keep_is_certain(ranking, ideal, scheme):
    found = ranking(rules=RankingRules(scheme=scheme, draws=300), **ideal)
    names = sorted(ideal)
    assert list(found.overall.algorithms) == names
    assert found.overall.places == {name: n for n, name in enumerate(names, start=1)}
    assert found.overall.tier == found.overall.places
    assert found.overall.tau == (1.0, 1.0, 1.0)
    assert found.overall.interval == {name: (n, n) for n, name in enumerate(names, start=1)}
    assert [found.overall.shares[name][n] for n, name in enumerate(names)] == [1.0] * 5
    assert found.overall.better == {(a, b) for a in names for b in names if a < b}


@pytest.mark.parametrize(("algorithms", "cases"), [(3, 7), (4, 8), (20, 13)])
def test_a_ranking_knows_its_power(ranking, algorithms, cases):
    names = string.ascii_lowercase[:algorithms]
    ladder = {name: np.linspace(-n, -n - 0.01 * n - 0.1, cases) for n, name in enumerate(names)}
    found = ranking(rules=FEW, **{name: own.tolist() for name, own in ladder.items()})
    assert [*found.overall.tier.values()] == [*range(1, algorithms + 1)]
    few = ranking(rules=FEW, **{name: own[1:].tolist() for name, own in ladder.items()})
    power = (
        f"{cases - 1} cases cannot separate {algorithms} algorithms by this test (needs {cases})"
    )
    assert (few.overall.tier, few.overall.better, few.overall.power) == ({}, frozenset(), power)
    assert f"No tiers: {power}." in few.rule


def test_an_algorithm_without_results_takes_no_power_and_is_behind_all(ranking):
    found = ranking(
        a=[0.8, 0.7, 0.9, 0.6, 0.5, 0.85], b=[0.1, 0.2, 0.3, 0.15, 0.21, 0.4], c=[None] * 6
    )
    assert found.overall.tier == {"a": 1, "b": 2, "c": 3}  # two algorithms need 6 cases
    assert found.overall.better == {("a", "b"), ("a", "c"), ("b", "c")}
    assert math.isnan(found.metrics["SEG"].differences["a", "c"].p)
    assert "c has no result: last, and in no test." in found.rule


def test_random_scores_are_one_tier_but_for_errors_at_the_level(ranking):
    """Of 200 rankings of four equal algorithms about 1 in 20 has a false difference at most."""
    split = 0
    for seed in range(200):
        values = np.random.default_rng(seed).uniform(size=(4, 15))
        found = ranking(
            rules=RankingRules(draws=0), **dict(zip("abcd", values.tolist(), strict=True))
        )
        split += max(found.overall.tier.values()) > 1
    assert split <= 19  # 99.7 % of Binomial(200, 0.05); Holm keeps it below


def test_a_random_ranking_is_uncertain(ranking):
    values = np.random.default_rng(1).uniform(size=(5, 12))
    found = ranking(**dict(zip("abcde", values.tolist(), strict=True)))
    assert {*found.overall.tier.values()} == {1}
    assert found.overall.tau[0] < 0.8
    assert max(high - low for low, high in found.overall.interval.values()) >= 3
    for shares in found.overall.shares.values():
        assert sum(shares) == pytest.approx(1.0)


def test_a_worked_example_by_hand(ranking):
    """Three algorithms on three cases, one failure: every number of the ranking."""
    found = ranking(a=[0.9, 0.8, 0.7], b=[0.8, None, 0.8], c=[0.2, 0.1, 0.6])
    contest = found.metrics["SEG"]
    # means 0.8, 0.533, 0.3; ranks a 1 1 2, b 2 3 1, c 3 2 3
    assert contest.ranks["mean"] == {"a": 1, "b": 2, "c": 3}
    assert contest.ranks["cases"] == {"a": 1, "b": 2, "c": 3}
    assert contest.ranks["tests"] == {"a": 1, "b": 1, "c": 1}
    # a - b: 0.1, 0.8, -0.1: ranks 1.5, 3, 1.5
    own = contest.differences["a", "b"]
    assert own.median == pytest.approx(0.1)
    assert own.rank_biserial == pytest.approx((4.5 - 1.5) / 6)
    # a - c: 0.7, 0.7, 0.1, all positive: W+ = 6, mean 3, variance 14/4 - 6/48
    z = 3 / math.sqrt(3.5 - 0.125)
    p = 0.5 * math.erfc(z / math.sqrt(2))
    assert p < 0.5**3  # which no three cases can give
    assert contest.differences["a", "c"].p == min(3 * 2 * 0.5**3, 1)
    assert contest.interval == {} == contest.shares
    assert np.isnan(contest.tau).all()
    # without the second case b leads by 0.8 to 0.8: a tie, c has 0.4
    assert contest.without_failures == {"a": 1, "b": 1, "c": 3}
    assert (found.cases, found.failed, found.draws) == (3, 1, 0)


def test_all_metrics_together_by_hand(table):
    scores = two(
        table,
        SEG={"a": [0.9, 0.9], "b": [0.5, 0.5], "c": [0.1, 0.1]},
        DET={"a": [0.5, 0.5], "b": [0.4, 0.4], "c": [0.9, 0.9]},
    )
    found = rank(scores, [SEG, DET], ["SEG", "DET"])
    assert found.overall.ranks["mean"] == {"a": 1.5, "b": 2.5, "c": 2.0}
    assert found.overall.places == {"a": 1, "c": 2, "b": 3}
    assert list(found.overall.algorithms) == ["a", "c", "b"]
    # pairs ab, ac, bc: + + + by SEG, + - - by DET
    assert found.agreement == {("SEG", "DET"): pytest.approx(-1 / 3)}
    assert found.means["c", "DET"] == 0.9


def test_better_overall_is_better_in_one_and_worse_in_none(table):
    low, high = np.linspace(0.1, 0.2, 12), np.linspace(0.5, 0.7, 12)
    equal = np.full(12, 0.4)
    scores = two(
        table,
        SEG={"a": high.tolist(), "b": low.tolist(), "c": equal.tolist(), "d": equal.tolist()},
        DET={"a": low.tolist(), "b": high.tolist(), "c": high.tolist(), "d": low.tolist()},
    )
    found = rank(scores, [SEG, DET], ["SEG", "DET"], rules=FEW)
    assert {("a", "b"), ("c", "d")} & found.overall.better == {("c", "d")}
    assert ("a", "b") in found.metrics["SEG"].better
    assert ("b", "a") in found.metrics["DET"].better
    assert found.overall.differences == {}


def test_rank_is_that_of_the_leaderboard():
    metrics = board_metrics("segment")
    for seed in range(10):
        rng = np.random.default_rng(seed)
        rows = []
        for name in ("x", "y", "z", "oracle"):
            for case in range(8):
                status = "ok" if rng.random() < 0.8 else "time-out"
                for metric in metrics[:8]:
                    value = rng.choice([0.1, 0.2, 0.5, nan])
                    value = (
                        value if status == "ok" else nan if metric.worst is None else metric.worst
                    )
                    rows.append(("d", f"{case}", name, "", metric.name, value, status, 1.0, 1.0))
        scores = pd.DataFrame(rows, columns=list(COLUMNS))
        found = rank(scores, measures(metrics), ["SEG", "DET"], {"oracle"}, FEW)
        lines = leaderboard(scores, {}, metrics, ["SEG", "DET"], {"oracle"})
        ranks = {line.algorithm: line.rank for line in lines if not line.control}
        assert found.overall.ranks["mean"] == ranks
        assert list(found.overall.algorithms) == list(ranks)


def test_a_metric_of_the_whole_set_ranks_without_interval_and_test(table):
    w1 = Measure("W1", False, None, of_set=True)
    cases = {name: np.linspace(n, n + 0.1, 9).tolist() for n, name in enumerate("abc")}
    scores = pd.concat([table("SSIM", **cases), table("W1", of_set=True, a=[1], b=[2], c=[None])])
    found = rank(scores, [Measure("SSIM", True, 0.0), w1], ["SSIM", "W1"], rules=FEW)
    own = found.metrics["W1"]
    assert own.ranks == {way: {"a": 1, "b": 2, "c": 3} for way in SCHEMES}
    assert (own.interval, own.shares, own.differences, own.tier) == ({}, {}, {}, {})
    assert found.metrics["SSIM"].interval
    assert found.overall.interval == {}  # it would be that of SSIM alone
    assert found.overall.ranks["mean"] == {"a": 2.0, "b": 2.0, "c": 2.0}
    better = found.overall.better
    assert better == found.metrics["SSIM"].better == {("c", "b"), ("c", "a"), ("b", "a")}
    assert "W1 has one value for the whole set: no tests" in found.rule
    alone = rank(scores, [w1], ["W1"], rules=FEW)
    assert (alone.overall.tier, alone.overall.better) == ({}, frozenset())
    assert "Wilcoxon" not in alone.rule


def test_units_of_the_controls(table):
    scores = two(
        table,
        SEG={"ours": [0.4, 0.6], "oracle": [1.0, 1.0], "blank": [0.2, 0.2]},
        MAE={"ours": [2.0, 4.0], "oracle": [0.0, 0.0], "identity": [6.0, 6.0]},
        PSNR={"ours": [20.0, 30.0], "oracle": [math.inf, math.inf], "identity": [10.0, 10.0]},
    )
    known = [SEG, Measure("MAE", False), Measure("PSNR", True)]
    found = rank(scores, known, ["SEG"], {"oracle", "blank", "identity"})
    assert found.scaled == pytest.approx({("ours", "SEG"): 0.375, ("ours", "MAE"): 0.5})
    assert list(found.overall.algorithms) == ["ours"]


def test_without_a_worst_value_a_failure_has_no_mean(ranking):
    found = ranking(Measure("MAE", False), a=[1.0, None], b=[1.0, 3.0])
    assert found.means == {("b", "MAE"): 2.0}


def test_leaving_failures_out_is_declared_and_done(ranking, rules):
    values = {"a": [0.9, None, 0.9], "b": [0.7, 1.0, 0.7]}
    worst, out = (ranking(rules=rules(failures=way), **values) for way in ("worst", "left out"))
    assert worst.overall.places == {"b": 1, "a": 2}
    assert worst.overall.without_failures == out.overall.places == {"a": 1, "b": 2}
    assert "counts as the worst value (0)" in worst.rule
    assert "failed (1) are left out for all" in out.rule


def test_when_every_case_is_failed_none_can_be_left_out(ranking, rules):
    values = {"a": [0.9, None], "b": [None, 1.0]}
    assert ranking(**values).overall.without_failures == {}
    with pytest.raises(InputError, match="2 cases, and each was failed by an algorithm"):
        ranking(rules=rules(failures="left out"), **values)


def test_a_case_alone_in_its_dataset_varies_nothing(table):
    scores = table(datasets=list("abcdefgh"), x=[0.1] * 8, y=[0.2] * 8)
    found = rank(scores, [SEG], ["SEG"])
    assert (found.draws, found.overall.interval) == (0, {})
    assert "No intervals" in found.rule


def test_a_metric_of_few_cases_has_no_interval_of_its_own(table):
    scores = two(
        table,
        SEG={"a": [0.1] * 9, "b": [0.2] * 9},
        DET={"a": [0.1] * 3, "b": [0.2] * 3},
    )
    found = rank(scores, [SEG, DET], ["SEG", "DET"], rules=FEW)
    assert found.metrics["SEG"].interval
    assert found.metrics["DET"].interval == {} == found.overall.interval


def test_a_sample_without_a_case_of_a_metric_is_left_out(table):
    scores = two(
        table,
        SEG={"a": [0.1] * 60, "b": [0.2] * 60},
        DET={"a": [0.1] * 6, "b": [0.2] * 6},
    )
    found = rank(scores, [SEG, DET], ["SEG", "DET"], rules=RankingRules(draws=3000))
    assert found.metrics["DET"].shares == {"a": (0.0, 1.0), "b": (1.0, 0.0)}
    assert found.overall.shares["b"] == (1.0, 0.0)


def test_the_same_seed_gives_the_same_ranking(ranking, rules):
    values = dict(zip("abcd", np.random.default_rng(0).uniform(size=(4, 10)).tolist(), strict=True))
    first, again, other = (
        ranking(rules=rules(seed=seed, draws=150), **values) for seed in (1, 1, 2)
    )
    assert repr(first) == repr(again)
    assert first.overall.shares != other.overall.shares
    assert first.overall.tier == other.overall.tier


def test_names_and_order_of_rows_change_nothing(table):
    values = np.random.default_rng(2).uniform(size=(4, 10))
    names = dict(zip("abcd", "dbca", strict=True))
    scores = table(**dict(zip("abcd", values.tolist(), strict=True)))
    plain = rank(scores, [SEG], ["SEG"], rules=FEW)
    mixed = rank(scores.sample(frac=1, random_state=1), [SEG], ["SEG"], rules=FEW)
    assert repr(plain) == repr(mixed)
    renamed = scores.assign(algorithm=scores["algorithm"].map(names))
    other = rank(renamed, [SEG], ["SEG"], rules=FEW)
    for name, new in names.items():
        assert plain.overall.shares[name] == other.overall.shares[new]
        assert plain.overall.places[name] == other.overall.places[new]
        assert plain.overall.tier[name] == other.overall.tier[new]
        for rival, rival_new in names.items():
            if rival != name:
                one = plain.metrics["SEG"].differences[name, rival]
                again = other.metrics["SEG"].differences[new, rival_new]
                assert [one.median, one.low, one.p] == pytest.approx(
                    [again.median, again.low, again.p]
                )


def test_names_of_cases_change_no_rank_and_no_test(table):
    values = np.random.default_rng(2).uniform(size=(4, 10))
    scores = table(**dict(zip("abcd", values.tolist(), strict=True)))
    turned = scores.assign(case=scores["case"].map(lambda name: name[::-1]))
    one, other = (rank(rows, [SEG], ["SEG"], rules=FEW) for rows in (scores, turned))
    assert one.overall.ranks == other.overall.ranks
    assert one.overall.better == other.overall.better


def test_nothing_ranks_without_algorithms_or_metrics(table):
    assert rank(table(), [SEG], ["SEG"]) is None
    assert rank(table(a=[0.5]), [SEG], []) is None
    assert rank(table(oracle=[1.0]), [SEG], ["SEG"], {"oracle"}) is None


cell = st.sampled_from([0.0, 0.25, 0.5, 1.0, nan, None, ...])


@settings(max_examples=120, deadline=None)
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
    """One algorithm, one case, all failed, all equal, NaN everywhere, ragged rows."""
    names = string.ascii_lowercase[: len(rows)]
    scores = table(**dict(zip(names, rows, strict=True)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rules = RankingRules(scheme=scheme, draws=30)
        found = rank(scores, [replace(SEG, worst=worst)], ["SEG"], rules=rules)
    if found is None:
        assert scores.empty
        return
    overall = found.overall
    assert [*overall.algorithms] == sorted(overall.places, key=lambda n: (overall.places[n], n))
    assert min(overall.places.values()) == 1
    if overall.tier:
        tiers = [overall.tier[name] for name in overall.algorithms]
        assert tiers == sorted(tiers)
    assert not (overall.tier and overall.power)
    for low, high in overall.interval.values():
        assert 1 <= low <= high <= len(overall.places)
    for own in found.metrics["SEG"].differences.values():
        assert math.isnan(own.p) or 0 <= own.p <= 1
        assert -1 <= own.rank_biserial <= 1
