"""Comparison of two scored runs: changes of scores, and regressions among them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from cytosuite.benchmark.comparison.changes import Change, changes, largest
from cytosuite.benchmark.comparison.costs import Cost, costs
from cytosuite.benchmark.comparison.remarks import other_cases, remarks, same_data
from cytosuite.benchmark.comparison.scored import ScoredRun, known_metrics, some
from cytosuite.benchmark.comparison.thresholds import Thresholds
from cytosuite.benchmark.results.controls import CONTROLS, broken_rulers
from cytosuite.errors import InputError, plain
from cytosuite.metrics import Metric
from cytosuite.metrics.boards import BOARDS

SHOWN = 10  # cases with the largest changes
NEAR = 1e-6  # relative difference of a control that another machine may cause
PAIR = ["dataset", "case", "algorithm", "metric"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Comparison of two runs.

    Parameters
    ----------
    before, after : ScoredRun
        The runs.
    identical : str
        The sentence that all scores are the same bit by bit; empty where they are not.
    remarks : sequence of str
        Sentences on what else differs: data, algorithms, cases, metrics, failures.
    changes : sequence of Change
        By algorithm and metric.
    costs : sequence of Cost
        Time and memory by algorithm.
    cases : sequence of dict
        Largest changes of single cases, see `changes.largest`.
    regressions, warnings : sequence of str
        Sentences: what fails the comparison, and what does not.
    """

    before: ScoredRun
    after: ScoredRun
    identical: str
    remarks: Sequence[str]
    changes: Sequence[Change]
    costs: Sequence[Cost]
    cases: Sequence[dict[str, Any]]
    regressions: Sequence[str]
    warnings: Sequence[str]


def compare(
    before: ScoredRun, after: ScoredRun, thresholds: Thresholds, names: Sequence[str] = ()
) -> Comparison:
    """Return the comparison of two runs over the cases and algorithms of both.

    Cases are paired by name; those that are known to be other images or labels take no part.

    Parameters
    ----------
    before, after : ScoredRun
        The runs.
    thresholds : Thresholds
        What counts as a regression.
    names : sequence of str
        Metrics to compare; without any those to rank by.

    Raises
    ------
    InputError
        If they have no case, no algorithm or no metric in common.
    """
    said, other = [plain(line) for line in remarks(before, after)], other_cases(before, after)
    if other and other == before.cases & after.cases:
        raise InputError(
            f"{before.place} and {after.place}: expected runs of the same data, found none of "
            f"{len(other)} cases the same ({some(other)}); run both on one dataset"
        )
    before, after = (
        replace(run, scores=run.scores[~run.scores["case"].isin(other)]) for run in (before, after)
    )
    task = after.said("task") or before.said("task")
    known = known_metrics(task)
    every = _pairs(before, after)
    wanted = _wanted(names, task, every)
    ours = every[~every["algorithm"].isin(CONTROLS)]
    shown = ours[ours["metric"].isin(wanted) & (ours["case"] != "")]
    found = changes(shown, known, thresholds)
    spent = costs(before.scores, after.scores, thresholds.cost)
    slower = [cost.warning for cost in spent if cost.warning]
    failing = thresholds.cost.fails
    regressions = [
        *_ruler(before, after, every, known),
        *_new_failures(before, after),
        *(sentence(change) for change in found if change.verdict == "worse"),
        *(slower if failing else []),
    ]
    return Comparison(
        before,
        after,
        "" if other else _identical(before, after, every),
        said,
        found,
        spent,
        largest(shown, found, SHOWN),
        [plain(line) for line in regressions],  # with names of strangers
        [plain(line) for line in (*_undefined(shown), *([] if failing else slower))],
    )


def sentence(change: Change) -> str:
    """Return a regression as a sentence: algorithm, metric, difference, p."""
    test = (
        "too few cases for a test, the mean decides"
        if np.isnan(change.p_worse)
        else f"one-sided Wilcoxon p = {change.p_worse:.2g} after Holm"
    )
    return (
        f"{change.algorithm}: {change.metric} {change.before:.4g} -> {change.after:.4g}, worse by "
        f"{change.loss:.4g} in the mean of {change.cases} cases (relevant: above "
        f"{change.relevant:.4g}; median difference {change.median:+.4g}; {test})"
    )


def _pairs(before: ScoredRun, after: ScoredRun) -> pd.DataFrame:
    """Return the values of both runs side by side, over their common cases and metrics."""
    one, two = (run.scores[run.scores["metric"] != ""] for run in (before, after))
    keys = PAIR
    if (
        one["dataset"].nunique() == two["dataset"].nunique() == 1
    ):  # a folder may be called otherwise
        keys = PAIR[1:]
    joined = one.merge(two, on=keys, suffixes=("_before", "_after"), sort=False)
    if "dataset" not in joined:
        joined = joined.rename(columns={"dataset_after": "dataset"})
    joined = joined.rename(columns={"value_before": "before", "value_after": "after"})
    if not (before.cases & after.cases):
        raise InputError(
            f"{before.place} and {after.place} have no case in common ({some(before.cases)} "
            f"against {some(after.cases)}); compare runs of one dataset"
        )
    if not set(before.algorithms) & set(after.algorithms):
        raise InputError(
            f"{before.place} and {after.place} have no algorithm in common "
            f"({some(before.algorithms)} against {some(after.algorithms)})"
        )
    return joined[[*PAIR, "before", "after", "status_before", "status_after"]]


def _wanted(names: Sequence[str], task: str, pairs: pd.DataFrame) -> set[str]:
    """Return the names of the metrics to compare: those asked for, to rank by, or all."""
    there = set(pairs["metric"])
    if missing := [name for name in names if name not in there]:
        raise InputError(f"no metric {missing[0]!r} in both runs; there are {some(there, 40)}")
    boards = [BOARDS[task]] if task in BOARDS else BOARDS.values()
    primary = there & {name for board in boards for name in board.primary}
    if not there:
        raise InputError("the runs have no metric in common")
    return set(names) or primary or there


def _identical(before: ScoredRun, after: ScoredRun, pairs: pd.DataFrame) -> str:
    """Return the sentence that nothing differs; empty where anything does."""
    sizes = {len(run.scores[run.scores["metric"] != ""]) for run in (before, after)}
    same = (pairs["before"] == pairs["after"]) | (pairs["before"].isna() & pairs["after"].isna())
    alike = same & (pairs["status_before"] == pairs["status_after"])
    if sizes != {len(pairs)} or not alike.all() or before.cases != after.cases:
        return ""
    return (
        f"identical: {len(pairs)} values of {len(after.algorithms)} algorithms in "
        f"{len(after.cases)} cases, bit by bit"
    )


def _ruler(
    before: ScoredRun, after: ScoredRun, pairs: pd.DataFrame, known: dict[str, Metric[Any]]
) -> list[str]:
    """Return a sentence for each broken or changed ruler: controls with other values."""
    found = [
        f"broken ruler in {run.place}: {line}"
        for run in (before, after)
        for line in broken_rulers(_controls(run.scores), known.values())
    ]
    if same_data(before, after) is False:
        return found
    controls = _controls(pairs)
    away = (controls["after"] - controls["before"]).abs() > NEAR * controls["before"].abs().clip(
        1.0
    )
    changed = controls[away | (controls["after"].isna() != controls["before"].isna())]
    for (name, metric), rows in changed.groupby(["algorithm", "metric"], sort=False):
        row = rows.iloc[0]
        found.append(
            f"changed ruler: {metric} of {name} {row['before']:g} -> {row['after']:g} on "
            f"{row['case']} and {len(rows) - 1} other cases of the same data: a metric or the "
            "truth differs, so the scores of both runs cannot be compared"
        )
    return found


def _controls(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the controls."""
    return rows[rows["algorithm"].isin(CONTROLS)]


def _new_failures(before: ScoredRun, after: ScoredRun) -> list[str]:
    """Return a sentence for each algorithm of both runs with cases that failed only after."""
    found = []
    for name in sorted(set(before.algorithms) & set(after.algorithms)):
        if new := failed(after, name) - failed(before, name):
            noun = "case" if len(new) == 1 else "cases"
            found.append(f"{name}: {len(new)} new failed {noun} ({some(new)})")
    return found


def failed(run: ScoredRun, algorithm: str) -> set[str]:
    """Return the names of the cases that an algorithm failed."""
    rows = run.scores[(run.scores["algorithm"] == algorithm) & (run.scores["case"] != "")]
    return set(rows.loc[rows["status"] != "ok", "case"])


def _undefined(pairs: pd.DataFrame) -> Iterable[str]:
    """Yield a sentence for each metric that has lost its value in cases that did not fail."""
    lost = pairs[np.isfinite(pairs["before"]) & ~np.isfinite(pairs["after"])]
    lost = lost[lost["status_after"] == "ok"]
    for (name, metric), rows in lost.groupby(["algorithm", "metric"], sort=False):
        yield f"{name}: {metric} is no longer defined in {some(rows['case'])}"
