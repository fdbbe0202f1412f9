import numpy as np
import pandas as pd
import pytest

from cytosuite.benchmark.scores.comparison.changes import Thresholds, changes, largest
from cytosuite.metrics.metric import known_metrics
from cytosuite.ranking.by_measure import rank_measures
from cytosuite.ranking.scores import measures

METRICS = known_metrics("segment")


def pairs(before, after, metric="SEG"):
    cases = [f"c{n}" for n in range(len(before))]
    columns = {"dataset": "d", "case": cases, "algorithm": "net", "metric": metric}
    return pd.DataFrame(columns | {"before": before, "after": after})


def test_a_comparison_tests_like_a_ranking():
    """Zeros and ties among the differences: one test of both, whatever it does with them."""
    before = np.array([0.5, 0.6, 0.7, 0.4, 0.3, 0.8, 0.9, 0.2])
    after = before + np.array([0.1, 0.0, -0.02, 0.1, 0.05, 0.03, 0.07, 0.01])
    change = changes(pairs(before, after), METRICS, Thresholds()).iloc[0]
    long = pairs(before, after).melt(
        ["dataset", "case", "metric"], ["before", "after"], "algorithm"
    )
    (seg,) = measures([METRICS["SEG"]])
    contest = rank_measures(long.assign(status="ok"), [seg], ["SEG"]).metrics["SEG"]
    same = contest.differences["after", "before"]
    assert [*change[["p", "median", "low", "high"]]] == [same.p, same.median, same.low, same.high]


def test_the_largest_changes_come_first_in_relevant_units():
    table = pd.concat(
        [
            pairs([0.5, 0.5, 0.5], [0.5, 0.6, 0.3]),
            pairs([10, 10, 10], [10, 10, 20], metric="missed"),
        ],
        ignore_index=True,
    )
    judged = changes(table, METRICS, Thresholds())
    rows = largest(table, judged, 2).to_dict("records")
    assert [(row["metric"], row["case"]) for row in rows] == [("SEG", "c2"), ("missed", "c2")]
    assert rows[0]["difference"] == pytest.approx(-0.2)
    assert len(largest(table, judged, 10)) == 3


def test_relevant_changes_follow_the_range():
    thresholds = Thresholds(range=0.02, share=0.1, metrics={"DET": 0.3})
    assert thresholds.relevant(METRICS["SEG"], 0.8) == 0.02
    assert thresholds.relevant(METRICS["DET"], 0.8) == 0.3
    assert thresholds.relevant(METRICS["missed"], 40.0) == 4.0  # its range is open
