import numpy as np
import pandas as pd
import pytest

from cytosuite.benchmark.comparison.changes import Thresholds, changes, largest
from cytosuite.benchmark.comparison.scored import known_metrics

METRICS = known_metrics("segment")


def pairs(before, after, algorithm="net", metric="SEG"):
    cases = [f"c{n}" for n in range(len(before))]
    own = {"dataset": "d", "case": cases, "algorithm": algorithm, "metric": metric}
    return pd.DataFrame(own | {"before": before, "after": after})


def test_hand_computed_ranks():
    """Differences -1 -2 -3 -4 -5 -6 +7 (tenths): W+ = 7, p of one side by counting 128 signs."""
    before = np.full(7, 0.7)
    after = before + np.array([-1, -2, -3, -4, -5, -6, 7]) / 1000
    (found,) = changes(pairs(before, after), METRICS, Thresholds())
    signs = np.array(np.meshgrid(*[[0, 1]] * 7)).reshape(7, -1)
    sums = (signs * np.arange(1, 8)[:, None]).sum(axis=0)
    assert found.p_worse == pytest.approx(np.mean(sums <= 7))
    assert found.p == pytest.approx(2 * np.mean(sums <= 7))
    assert found.loss == pytest.approx(14 / 7 / 1000)


def test_the_largest_changes_come_first_in_relevant_units():
    table = pd.concat(
        [
            pairs([0.5, 0.5, 0.5], [0.5, 0.6, 0.3]),
            pairs([10, 10, 10], [10, 10, 20], metric="missed"),
        ],
        ignore_index=True,
    )
    found = changes(table, METRICS, Thresholds())
    rows = largest(table, found, 2)
    assert [(row["metric"], row["case"]) for row in rows] == [("SEG", "c2"), ("missed", "c2")]
    assert rows[0]["difference"] == pytest.approx(-0.2)
    assert len(largest(table, found, 10)) == 3


def test_relevant_changes_follow_the_range():
    found = Thresholds(range=0.02, share=0.1, metrics={"DET": 0.3})
    assert found.relevant(METRICS["SEG"], 0.8) == 0.02
    assert found.relevant(METRICS["DET"], 0.8) == 0.3
    assert found.relevant(METRICS["missed"], 40.0) == 4.0  # its range is open
