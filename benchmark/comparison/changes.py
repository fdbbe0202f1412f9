"""Changes of scores between two runs, with tests paired by case.

The rule
--------
A metric of an algorithm has *regressed* where its mean over the common cases is worse by more than
the smallest relevant change, and a one-sided Wilcoxon signed-rank test says so at the level
`alpha` after Holm's correction over all metrics and algorithms compared.

A test is not possible with fewer than `FEWEST` cases, nor where even a loss in every case would
not be significant (``tests * 0.5**cases >= alpha``, the exact p). There the mean alone decides:
inputs are the same and algorithms repeat their outputs, so that a relevant change has a cause.
One case that is much worse among many that are equal is no regression by this rule; it stands
first among the changed cases.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite, nan
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cytosuite.benchmark.comparison.thresholds import Thresholds
from cytosuite.benchmark.ranking.bootstrap import (
    DRAWS,
    FEWEST,
    draw_counts,
    drawn_medians,
    percentiles,
)
from cytosuite.benchmark.ranking.scores import DIGITS
from cytosuite.benchmark.ranking.significance import holm, signed_rank
from cytosuite.metrics import Metric

Floats = NDArray[np.float64]
Verdict = Literal["worse", "better", ""]
SEED = 0  # of the bootstrap


@dataclass(frozen=True, slots=True)
class Change:
    """Change of a metric of an algorithm, over the cases in which both runs have a value.

    Parameters
    ----------
    algorithm, metric : str
        Names.
    sign : int
        1 where larger values are better, -1 where smaller ones are, 0 where neither is.
    cases : int
        Number of common cases.
    before, after : float
        Means.
    median, low, high : float
        Median of the paired differences, after minus before, with its 95 % bootstrap interval; NaN
        below `FEWEST` cases.
    p : float
        Two-sided Wilcoxon signed-rank test, after Holm; NaN below `FEWEST` cases.
    p_worse : float
        One-sided test that it became worse, after Holm; NaN where no test is possible.
    relevant : float
        Smallest relevant change, in the unit of the metric; NaN for one without a direction.
    loss : float
        Change of the mean in the worse direction; NaN for a metric without a direction.
    verdict : str
        ``worse``: it regressed, see the rule of this module; ``better``: the same in the other
        direction, by the two-sided test; else empty.
    """

    algorithm: str
    metric: str
    sign: int
    cases: int
    before: float
    after: float
    median: float = nan
    low: float = nan
    high: float = nan
    p: float = nan
    p_worse: float = nan
    relevant: float = nan
    loss: float = nan
    verdict: Verdict = ""


def changes(
    pairs: pd.DataFrame, metrics: Mapping[str, Metric[Any]], thresholds: Thresholds
) -> list[Change]:
    """Return the change of each metric of each algorithm.

    Parameters
    ----------
    pairs : DataFrame
        A row per case, with ``algorithm``, ``metric``, ``before`` and ``after``.
    metrics : mapping of str to Metric
        Those that are known, by name; others are shown and not judged.
    thresholds : Thresholds
        Level and smallest relevant changes.
    """
    known = pairs[np.isfinite(pairs["before"]) & np.isfinite(pairs["after"])]
    groups = known.groupby(["algorithm", "metric"], sort=False)
    found, differences = [], []
    for (algorithm, name), rows in groups:
        before, after = rows["before"].to_numpy(float), rows["after"].to_numpy(float)
        found.append(_means(algorithm, name, before, after, metrics.get(name), thresholds))
        differences.append(np.round(after - before, DIGITS))
    tests = sum(change.sign != 0 for change in found)
    tested = [c.sign != 0 and _testable(c.cases, tests, thresholds.alpha) for c in found]
    two = _holm([_two_sided(own) for own in differences])
    one = _holm(
        [
            _p(-change.sign * own) if can else nan
            for change, own, can in zip(found, differences, tested, strict=True)
        ]
    )
    return [
        _with_tests(change, own, p, worse, thresholds.alpha)
        for change, own, p, worse in zip(found, differences, two, one, strict=True)
    ]


def _sign(metric: Metric[Any] | None) -> int:
    """Return 1 where larger values are better, -1 where smaller ones are, 0 where neither is."""
    better = None if metric is None else metric.higher_is_better
    return 0 if better is None else 1 if better else -1


def _testable(cases: int, tests: int, alpha: float) -> bool:
    """Return whether a loss in every case would be significant after Holm's correction."""
    return cases >= FEWEST and tests * 0.5**cases < alpha


def _means(
    algorithm: str,
    name: str,
    before: Floats,
    after: Floats,
    metric: Metric[Any] | None,
    thresholds: Thresholds,
) -> Change:
    """Return a change without tests: means, loss, and the smallest relevant change."""
    one, two, sign = float(before.mean()), float(after.mean()), _sign(metric)
    change = Change(algorithm, name, sign, before.size, one, two)
    if metric is None or not sign:
        return change
    loss = round(sign * (one - two), DIGITS)
    return replace(change, loss=loss, relevant=thresholds.relevant(metric, one))


def _with_tests(change: Change, own: Floats, p: float, worse: float, alpha: float) -> Change:
    """Return a change with median, interval, tests and verdict."""
    median, low, high = float(np.median(own)), nan, nan
    if own.size >= FEWEST:
        counts = draw_counts([""] * own.size, DRAWS, SEED)
        _, low, high = percentiles(drawn_medians(own[None], counts)[0])
    verdict: Verdict = ""
    if change.loss > change.relevant and not (isfinite(worse) and worse >= alpha):
        verdict = "worse"
    elif -change.loss > change.relevant and not (isfinite(worse) and p >= alpha):
        verdict = "better"
    return replace(change, median=median, low=low, high=high, p=p, p_worse=worse, verdict=verdict)


def _p(differences: Floats) -> float:
    """Return p of the one-sided test that differences are positive; 1 where nothing differs.

    Zeros are dropped before, so that the test is exact without ties.
    """
    own = differences[differences != 0]
    return float(signed_rank(own[None])[0][0]) if own.size else 1.0


def _two_sided(differences: Floats) -> float:
    """Return p of the two-sided test; NaN below `FEWEST` cases."""
    if differences.size < FEWEST:
        return nan
    return min(1.0, 2 * min(_p(differences), _p(-differences)))


def _holm(values: Sequence[float]) -> list[float]:
    """Return p values after Holm's correction over those that are known, the others as they are."""
    found = np.array(values, dtype=float)
    known = ~np.isnan(found)
    found[known] = holm(found[known])
    return [float(value) for value in found]


def largest(pairs: pd.DataFrame, found: Sequence[Change], count: int) -> list[dict[str, Any]]:
    """Return the cases that changed most, in units of the smallest relevant change.

    Parameters
    ----------
    pairs : DataFrame
        As of `changes`, with ``dataset`` and ``case``.
    found : sequence of Change
        Those without a direction are left out.
    count : int
        Largest number of rows.

    Returns
    -------
    list of dict
        Rows of `pairs` with their ``difference``, the largest first.
    """
    units = {(own.algorithm, own.metric): own.relevant or 1.0 for own in found}
    known = [units.get(key, nan) for key in zip(pairs["algorithm"], pairs["metric"], strict=True)]
    table = pairs.assign(difference=(pairs["after"] - pairs["before"]).round(DIGITS))
    size = (table["difference"] / np.array(known, dtype=float)).abs()
    order = size[size > 0].sort_values(ascending=False, kind="stable").index[:count]
    return [{str(k): v for k, v in row.items()} for row in table.loc[order].to_dict("records")]
