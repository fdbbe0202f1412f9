"""Accepted scores over commits: a row where the mean of a metric to rank by changed, a picture."""

from collections.abc import Iterator
from math import isfinite
from pathlib import Path

import pandas as pd

from cytosuite.benchmark.comparison.scored import ScoredRun
from cytosuite.benchmark.report.section import table
from cytosuite.benchmark.store.csvfile import write_rows
from cytosuite.figures.curves import Curve, plots
from cytosuite.files import read_table
from cytosuite.metrics.boards import BOARDS

FILE = "history.csv"
COLUMNS = ("set", "algorithm", "metric", "commit", "value")
DIGITS = 4  # of a value; a change that they do not show is none
SHOWN = 6  # last values of a row


def add_to_history(run: ScoredRun, name: str, folder: Path) -> None:
    """Add the means of a run that differ from the last ones of its set to the table."""
    rows = [*_rows(folder)]
    last = {tuple(row[:3]): row[4] for row in rows}
    commit = run.said("cytosuite").rpartition(" ")[2]
    new = [
        [name, algorithm, metric, commit, value]
        for algorithm, metric, value in _means(run)
        if last.get((name, algorithm, metric)) != value
    ]
    write_rows(folder / FILE, [COLUMNS, *rows, *new])


def history_table(folder: Path) -> list[str]:
    """Return the lines of a table: the last values of each mean that changed, with the commits."""
    series: dict[tuple[str, ...], list[str]] = {}
    for *key, commit, value in _rows(folder):
        series.setdefault(tuple(key), []).append(f"{float(value):.3f} ({commit[:7]})")
    changed = ((key, values) for key, values in sorted(series.items()) if len(values) > 1)
    cells = ((*key, " → ".join(values[-SHOWN:])) for key, values in changed)
    return table((*COLUMNS[:3], "mean (commit)"), cells)


def history_picture(folder: Path) -> str:
    """Return an SVG plot by commit: the first metric of each set with changed scores."""
    rows = [*_rows(folder)]
    commits = {commit: n for n, commit in enumerate(dict.fromkeys(row[3] for row in rows), start=1)}
    sets: dict[str, dict[str, dict[int, float]]] = {}
    firsts: dict[str, str] = {}
    for name, algorithm, metric, commit, value in rows:
        if metric == firsts.setdefault(name, metric):
            curves = sets.setdefault(f"{metric} of {name}", {})
            curves.setdefault(algorithm, {})[commits[commit]] = float(value)
    end = len(commits)
    changed = (
        (title, {name: held(curve, end) for name, curve in curves.items()})
        for title, curves in sets.items()
        if any(len(curve) > 1 for curve in curves.values())
    )
    return plots(changed, "commit")


def held(curve: Curve, end: int) -> Curve:
    """Return a curve that keeps each value until the next one, and the last until the end.

    >>> held({1: 0.5, 3: 0.7}, 4)
    {1: 0.5, 2: 0.5, 3: 0.7, 4: 0.7}
    """
    value, whole = 0.0, {}
    for place in range(min(curve), end + 1):
        value = whole[place] = curve.get(place, value)
    return whole


def _rows(folder: Path) -> Iterator[list[str]]:
    """Yield the rows of the table; none without one."""
    path = folder / FILE
    for row in read_table(path) if path.is_file() else ():
        if row != [*COLUMNS]:
            yield row


def _means(run: ScoredRun) -> Iterator[tuple[str, str, str]]:
    """Yield algorithm, metric to rank by, and its mean over the cases, or its value of the set."""
    scores: pd.DataFrame = run.scores
    for algorithm in run.algorithms:
        for metric in BOARDS[run.said("task")].primary:
            of_both = (scores["algorithm"] == algorithm) & (scores["metric"] == metric)
            value = float(scores.loc[of_both, "value"].mean())
            if isfinite(value):
                yield algorithm, metric, f"{value:.{DIGITS}f}"
