"""Statistics of paired differences: hand-computed, and against SciPy and Holm's own words."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cytosuite.benchmark.comparison.changes import changes, largest
from cytosuite.benchmark.comparison.scored import known_metrics
from cytosuite.benchmark.comparison.thresholds import Thresholds

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


def test_holm_over_all_tests():
    """Two tests of p 1/64 and 1: the first doubled, the second 1."""
    same = np.linspace(0.1, 0.6, 6)
    table = pd.concat([pairs(same, same * 0.9), pairs(same, same, metric="DET")])
    seg, det = changes(table, METRICS, Thresholds())
    assert (seg.p_worse, det.p_worse) == pytest.approx((2 / 64, 1.0))
    assert (seg.verdict, det.verdict) == ("worse", "")


def test_agreement_with_scipy_and_the_rule_of_holm():
    """The k-th smallest of m: the largest of min(1, (m - j + 1) p_j) with j up to k."""
    rng = np.random.default_rng(3)
    tables = []
    for name in ("a", "b", "c"):
        before = rng.uniform(0.3, 0.9, 15)
        tables.append(pairs(before, before + rng.normal(-0.02, 0.03, 15), algorithm=name))
    found = changes(pd.concat(tables), METRICS, Thresholds())
    raw = [stats.wilcoxon(t["after"] - t["before"], alternative="less").pvalue for t in tables]
    for change, p in zip(found, raw, strict=True):
        smaller = sorted(other for other in raw if other <= p)
        expected = max(min(1.0, (len(raw) - j) * other) for j, other in enumerate(smaller))
        assert change.p_worse == pytest.approx(expected)


def test_rounding_is_no_difference():
    before = np.full(12, 0.3)
    (found,) = changes(pairs(before, before + 1e-16 * 3), METRICS, Thresholds())
    assert found.p == 1.0
    assert (found.loss, found.median) == (0.0, 0.0)


def test_values_that_are_not_defined_are_left_out():
    (found,) = changes(pairs([0.5, np.nan, 0.7], [0.5, 0.6, np.inf]), METRICS, Thresholds())
    assert found.cases == 1
    assert not changes(pairs([np.nan], [0.5]), METRICS, Thresholds())


def test_the_interval_of_the_median_holds_it():
    rng = np.random.default_rng(0)
    before = rng.uniform(size=30)
    (found,) = changes(pairs(before, before + rng.normal(0.1, 0.05, 30)), METRICS, Thresholds())
    assert found.low < found.median < found.high
    assert found.low > 0.05
    assert found.high < 0.15


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
