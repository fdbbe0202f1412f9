from dataclasses import replace
from math import inf, isnan, nan

import numpy as np
import pandas as pd
import pytest
from mistakes import refused

from cytosuite.benchmark.scores.platform import (
    aggregate,
    metric_keys,
    platform_layout,
    ranking_path,
)
from cytosuite.benchmark.scores.standings import (
    COLUMNS,
    Standing,
    Summary,
    leaderboard,
    pooled_interval,
)
from cytosuite.metrics import board_metrics, seg
from cytosuite.ranking.by_measure import rank_measures
from cytosuite.ranking.scores import measures

SEGMENT = board_metrics("segment")


def table(**values):
    """Return scores: per algorithm a list of SEG values; DET is the same; None is a failed case."""
    rows = [
        {
            "dataset": "cubes",
            "case": f"{case:03d}",
            "algorithm": algorithm,
            "model": "m",
            "metric": metric,
            "value": 0.0 if value is None else value,
            "status": "time-out" if value is None else "ok",
            "seconds": nan if value is None else 1.0 + case,
            "peak_memory": 1000 + case,
        }
        for algorithm, list_of_values in values.items()
        for case, value in enumerate(list_of_values)
        for metric in ("SEG", "DET")
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def board(scores, controls=(), metrics=SEGMENT, primary=("SEG", "DET")):
    ranks = rank_measures(scores, measures(metrics), primary, controls).overall.ranks["mean"]
    return leaderboard(scores, {}, metrics, ranks, controls)


def test_ties_share_the_best_rank_and_controls_stand_last_without_one():
    scores = table(c=[0.1], b=[0.3 * 3], a=[0.9], oracle=[1.0], blank=[0.0])
    ranks = [(s.algorithm, s.rank) for s in board(scores, controls={"oracle", "blank"})]
    assert ranks == [("a", 1), ("b", 1), ("c", 3), ("blank", None), ("oracle", None)]
    few = leaderboard(scores, {}, SEGMENT, {"b": 1.0, "a": 2.0}, {"oracle", "blank"})
    assert [s.algorithm for s in few] == ["b", "a", "c", "blank", "oracle"]  # c is not ranked


def test_undefined_cases_leave_the_mean_and_are_counted():
    summary = board(table(a=[0.8, nan, 0.4, 0.8, 0.4, 0.8, 0.4]))[0].summaries["SEG"]
    assert summary.mean == pytest.approx(0.6)
    assert (summary.failed, summary.undefined) == (0, 1)
    assert 0.0 <= summary.low < 0.5 < 0.7 < summary.high <= 1.0


def test_time_and_memory_count_once_per_case():
    (standing,) = board(table(a=[0.5, None, 0.5]))
    assert standing.median_seconds == 2.0  # of 1 and 3: the case between failed
    assert standing.peak_memory == 1002


def test_a_metric_of_the_set_has_one_value_and_no_interval():
    cases = table(a=[0.5] * 7, b=[0.4] * 7)
    of_set = cases[(cases["case"] == "000") & (cases["metric"] == "SEG")]
    of_set = of_set.assign(case="", metric="W1_by_std", value=[0.3, 0.2], seconds=nan)
    scores = pd.concat([cases.assign(metric=cases["metric"].replace("SEG", "SSIM")), of_set])
    standings = board(scores, (), board_metrics("enhance"), ["W1_by_std"])
    assert [(s.algorithm, s.rank, s.cases) for s in standings] == [("b", 1, 7), ("a", 2, 7)]
    summary = standings[0].summaries["W1_by_std"]
    assert summary.mean == 0.2
    assert isnan(summary.low)
    assert standings[0].summaries["SSIM"].low == pytest.approx(0.4)  # the set is no case


def test_the_interval_of_a_mean_is_that_of_student():
    values = np.array([0.2, 0.5, 0.3, 0.9, 0.6])
    left_out = [(values.sum() - value) / 4 for value in values]
    # For a mean the jackknife gives s / sqrt(n); t(0.975, 4) = 2.7764
    half = 2.7764 * values.std(ddof=1) / np.sqrt(5)
    assert pooled_interval(0.5, left_out) == pytest.approx((0.5 - half, 0.5 + half), abs=1e-4)


@pytest.mark.parametrize("shift, cut", [(0.0, True), (-0.4, False)])
def test_an_interval_ends_with_the_range_unless_values_lie_beyond(shift, cut):
    values = [shift + value for value in (0.0, 0.0, 0.0, 0.0, 0.1, 0.3)]
    summary = board(table(a=values))[0].summaries["SEG"]
    assert (summary.low == 0.0) is cut
    assert summary.low < summary.mean < summary.high


@pytest.mark.parametrize(
    "value, left_out", [(0.5, [0.4, 0.6]), (nan, [0.4, 0.5, 0.6]), (0.5, [0.4, nan, 0.6])]
)
def test_without_enough_defined_cases_a_pooled_value_has_no_interval(value, left_out):
    assert all(isnan(end) for end in pooled_interval(value, left_out))


def test_names_with_dots_become_keys_without():
    odd = replace(seg, name="AP.5")
    assert metric_keys([seg, odd]) == {"SEG": "SEG", "AP.5": "AP_5"}
    assert ranking_path(odd) == "aggregates.AP_5.mean"
    refused("must differ once dots", metric_keys, [odd, replace(seg, name="AP_5")])


def test_only_finite_numbers_are_written_and_failures_named():
    entry = Standing("a", False, 1.0, {"SEG": Summary(pooled=nan)}, 2, 1, None, None)
    scores = pd.DataFrame(
        {
            "algorithm": "a",
            "case": ["x", "y"],
            "metric": "SEG",
            "value": [inf, 0],
            "status": ["ok", "bad output"],
        }
    )
    assert platform_layout(entry, [seg], scores) == {
        "case": {"x": {}, "y": {"SEG": 0.0}},
        "aggregates": {"SEG": aggregate([0.0])},
        "failed": ["y"],
    }


def test_aggregates():
    assert aggregate([]) == {"n": 0}
    assert aggregate([0.25]) == {
        "mean": 0.25, "std": 0.0, "median": 0.25, "min": 0.25, "max": 0.25, "n": 1,
    }  # fmt: skip
    assert aggregate([0.0, 1.0])["std"] == 0.5
