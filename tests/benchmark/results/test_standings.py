from math import isnan, nan

import numpy as np
import pandas as pd
import pytest

from cytosuite.benchmark.results.standings import COLUMNS, leaderboard, pooled_interval
from cytosuite.metrics import board_metrics

SEGMENT = board_metrics("segment")
ENHANCE = board_metrics("enhance")
PRIMARY = ("SEG", "DET")


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


def ranks(standings):
    return {standing.algorithm: standing.rank for standing in standings}


def board(scores, pooled=None, controls=()):
    return leaderboard(scores, pooled or {}, SEGMENT, PRIMARY, controls)


def test_best_mean_comes_first():
    assert ranks(board(table(low=[0.1, 0.2], high=[0.9, 0.8], middle=[0.5, 0.5]))) == {
        "high": 1,
        "middle": 2,
        "low": 3,
    }


def test_ties_share_the_best_rank_and_go_by_name():
    found = board(table(c=[0.1], b=[0.3 * 3], a=[0.9]))
    assert [(standing.algorithm, standing.rank) for standing in found] == [
        ("a", 1),
        ("b", 1),
        ("c", 3),
    ]


def test_rank_is_the_mean_of_the_ranks_per_metric():
    scores = table(a=[0.9], b=[0.5], c=[0.1])
    best_det = (scores["algorithm"] == "c") & (scores["metric"] == "DET")
    scores.loc[best_det, "value"] = 1.0
    assert ranks(board(scores)) == {"a": (1 + 2) / 2, "b": (2 + 3) / 2, "c": (3 + 1) / 2}


def test_controls_stand_last_without_a_rank_and_push_nobody_down():
    found = board(table(oracle=[1.0], blank=[0.0], ours=[0.5]), controls={"oracle", "blank"})
    assert [(s.algorithm, s.control, s.rank) for s in found] == [
        ("ours", False, 1),
        ("blank", True, None),
        ("oracle", True, None),
    ]


def test_failed_cases_stay_in_the_mean_and_are_counted():
    (standing,) = board(table(a=[0.8, None, 0.4]))
    summary = standing.summaries["SEG"]
    assert summary.mean == pytest.approx(0.4)
    assert (summary.n, summary.failed, summary.undefined) == (3, 1, 0)
    assert (standing.cases, standing.failed) == (3, 1)


def test_undefined_cases_leave_the_mean_and_are_counted():
    summary = board(table(a=[0.8, nan, 0.4, 0.8, 0.4, 0.8, 0.4]))[0].summaries["SEG"]
    assert summary.mean == pytest.approx(0.6)
    assert (summary.n, summary.failed, summary.undefined) == (6, 0, 1)
    assert 0.4 <= summary.low <= 0.6 <= summary.high <= 0.8


def test_an_algorithm_without_a_defined_value_ranks_last():
    assert ranks(board(table(a=[nan, nan], b=[0.0, 0.1]))) == {"b": 1, "a": 2}


def test_a_metric_without_scores_is_empty_not_missing():
    summary = board(table(a=[0.5]))[0].summaries["F1"]
    assert isnan(summary.mean)
    assert (summary.n, summary.failed, summary.undefined) == (0, 0, 0)


@pytest.mark.parametrize("cases", [1, 5])
def test_few_cases_give_no_interval(cases):
    summary = board(table(a=[0.5] * cases))[0].summaries["SEG"]
    assert summary.mean == 0.5
    assert isnan(summary.low)
    assert isnan(summary.high)


def test_equal_cases_give_an_interval_of_no_width():
    summary = board(table(a=[0.25] * 8))[0].summaries["SEG"]
    assert (summary.low, summary.high) == (0.25, 0.25)


def test_interval_is_that_of_the_normal_approximation_for_many_cases():
    values = np.random.default_rng(1).uniform(size=400)
    summary = board(table(a=values.tolist()))[0].summaries["SEG"]
    half = 1.96 * values.std() / np.sqrt(values.size)
    assert summary.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert summary.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_the_same_cases_are_drawn_for_all_algorithms():
    values = [0.1, 0.7, 0.2, 0.5, 0.3, 0.4]
    found = board(table(a=values, b=[value + 0.25 for value in values]))
    b, a = (standing.summaries["SEG"] for standing in found)
    assert (b.low - a.low, b.high - a.high) == pytest.approx((0.25, 0.25))


def test_the_draws_are_always_the_same():
    scores = table(a=np.random.default_rng(0).uniform(size=20).tolist())
    assert board(scores)[0].summaries["SEG"] == board(scores)[0].summaries["SEG"]


def test_order_of_the_rows_does_not_matter():
    scores = table(a=[0.1, 0.7, 0.3, 0.2, 0.4, 0.5], b=[0.5, 0.6, 0.1, 0.2, 0.3, 0.4])
    scores = scores[scores["metric"] != "DET"]
    metrics = [metric for metric in SEGMENT if metric.name == "SEG"]
    shuffled = scores.sample(frac=1, random_state=3)
    assert leaderboard(shuffled, {}, metrics, PRIMARY, ()) != []
    for one, other in zip(
        leaderboard(scores, {("a", "SEG"): 0.5, ("b", "SEG"): 0.4}, metrics, PRIMARY, ()),
        leaderboard(shuffled, {("a", "SEG"): 0.5, ("b", "SEG"): 0.4}, metrics, PRIMARY, ()),
        strict=True,
    ):
        assert one == other


def test_pooled_values_are_passed_through():
    summaries = board(table(a=[0.5, 0.7]), pooled={("a", "SEG"): 0.66})[0].summaries
    assert summaries["SEG"].pooled == 0.66
    assert isnan(summaries["DET"].pooled)


def test_cases_of_two_datasets_with_the_same_name_are_two():
    scores = pd.concat([table(a=[0.2]), table(a=[0.4]).assign(dataset="other")])
    summary = board(scores)[0].summaries["SEG"]
    assert (summary.n, summary.mean) == (2, pytest.approx(0.3))


def test_samples_keep_the_number_of_cases_of_each_dataset():
    """Datasets that differ, and cases that are alike within each, leave nothing to vary."""
    easy, hard = table(a=[0.9] * 4), table(a=[0.1] * 4).assign(dataset="hard")
    summary = board(pd.concat([easy, hard]))[0].summaries["SEG"]
    assert (summary.low, summary.high) == (0.5, 0.5)


def test_a_case_alone_in_its_dataset_gives_no_interval():
    scores = pd.concat([table(a=[0.1 * n]).assign(dataset=f"d{n}") for n in range(8)])
    assert isnan(board(scores)[0].summaries["SEG"].low)


def test_a_case_without_a_row_ranks_as_a_failed_one():
    scores = table(a=[0.8, 0.1], b=[0.5, 0.5])
    gone = (scores["algorithm"] == "a") & (scores["case"] == "001")
    assert ranks(board(scores[~gone])) == {"b": 1, "a": 2}


def test_time_and_memory_count_once_per_case():
    (standing,) = board(table(a=[0.5, None, 0.5]))
    assert standing.median_seconds == 2.0  # of 1 and 3: the case between failed
    assert standing.peak_memory == 1002


def test_unknown_time_and_memory_are_none():
    scores = table(a=[0.5]).assign(seconds=nan, peak_memory=None)
    (standing,) = board(scores)
    assert (standing.median_seconds, standing.peak_memory) == (None, None)


def test_nothing_is_ranked_without_a_primary_metric():
    assert ranks(leaderboard(table(b=[0.5], a=[0.1]), {}, SEGMENT, (), ())) == {
        "a": None,
        "b": None,
    }


def open_ended(**values):
    """Return values of a metric with a best value alone; None is a failed case, NaN undefined."""
    scores = table(**values)
    scores = scores[scores["metric"] == "SEG"].assign(metric="MAE")
    scores.loc[scores["status"] != "ok", "value"] = nan
    return scores


def by_mae(scores):
    return leaderboard(scores, {}, ENHANCE, ("MAE",), {"oracle"})


def test_a_metric_with_one_end_ranks_by_its_mean():
    assert ranks(by_mae(open_ended(a=[0.3, 0.2], b=[0.1, 0.2]))) == {"b": 1, "a": 2}


def test_failing_on_hard_cases_is_not_rewarded_where_no_worst_value_exists():
    scores = open_ended(failed=[0.1, None, 0.1], fair=[0.5, 0.9, 0.5], bad=[0.6, 0.9, 0.6])
    assert ranks(by_mae(scores)) == {"fair": 1, "bad": 2, "failed": 3}


def test_a_value_that_others_have_is_missed_and_one_that_none_has_is_not():
    scores = open_ended(a=[0.1, nan, nan], b=[0.9, 0.9, nan], oracle=[0.0, 0.0, 0.0])
    assert ranks(by_mae(scores)) == {"b": 1, "a": 2, "oracle": None}
    scores = open_ended(a=[0.1, 0.1, nan], b=[0.9, 0.9, nan], oracle=[0.0, 0.0, 0.0])
    assert ranks(by_mae(scores)) == {"a": 1, "b": 2, "oracle": None}


def test_a_metric_of_the_set_has_one_value_and_no_interval():
    cases = table(a=[0.5] * 7, b=[0.4] * 7)
    of_set = cases[(cases["case"] == "000") & (cases["metric"] == "SEG")]
    of_set = of_set.assign(case="", metric="W1_by_std", value=[0.3, 0.2], seconds=nan)
    scores = pd.concat([cases.assign(metric=cases["metric"].replace("SEG", "SSIM")), of_set])
    found = leaderboard(scores, {}, ENHANCE, ("W1_by_std",), ())
    assert [(s.algorithm, s.rank, s.cases) for s in found] == [("b", 1, 7), ("a", 2, 7)]
    summary = found[0].summaries["W1_by_std"]
    assert (summary.mean, summary.n) == (0.2, 1)
    assert isnan(summary.low)
    assert found[0].summaries["SSIM"].low == 0.4  # the set is no case of the bootstrap


def test_a_failed_set_ranks_last():
    rows = table(a=[0.5], b=[None])
    rows = rows[rows["metric"] == "SEG"].assign(case="", metric="W1_by_std")
    rows.loc[rows["algorithm"] == "b", "value"] = nan
    found = leaderboard(rows, {}, ENHANCE, ("W1_by_std",), ())
    assert ranks(found) == {"a": 1, "b": 2}
    assert found[1].summaries["W1_by_std"].failed == 1


def test_an_empty_table_gives_an_empty_leaderboard():
    assert board(table()) == []


def test_the_interval_of_a_mean_is_that_of_student():
    values = np.array([0.2, 0.5, 0.3, 0.9, 0.6])
    left_out = [(values.sum() - value) / 4 for value in values]
    # For a mean the jackknife gives s / sqrt(n); t(0.975, 4) = 2.7764
    half = 2.7764 * values.std(ddof=1) / np.sqrt(5)
    assert pooled_interval(0.5, left_out) == pytest.approx((0.5 - half, 0.5 + half), abs=1e-4)


def test_equal_cases_have_an_interval_without_width():
    assert pooled_interval(0.7, [0.7] * 4) == (0.7, 0.7)


@pytest.mark.parametrize(
    ("value", "left_out"), [(0.5, [0.4, 0.6]), (nan, [0.4, 0.5, 0.6]), (0.5, [0.4, nan, 0.6])]
)
def test_without_enough_defined_cases_a_pooled_value_has_no_interval(value, left_out):
    assert all(isnan(end) for end in pooled_interval(value, left_out))
