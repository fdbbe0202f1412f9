"""Accepted scores over commits: a row where the mean of a metric to rank by changed, a picture."""

from collections.abc import Iterator
from math import isfinite
from pathlib import Path

import pandas as pd

from cytosuite.benchmark.runs.store.csvfile import write_rows
from cytosuite.benchmark.runs.store.documents import table
from cytosuite.benchmark.scores.comparison.scored import ScoredRun
from cytosuite.figures.curves import plots
from cytosuite.metrics.boards import BOARDS

FILE = "history.csv"
KEY = ["set", "algorithm", "metric"]
COLUMNS = (*KEY, "commit", "value")
DIGITS = 4  # of a value; a change that they do not show is none
SHOWN = 6  # last values of a row


def add_to_history(run: ScoredRun, name: str, folder: Path) -> None:
    """Add the means of a run that differ from the last ones of its set to the table."""
    history = _read(folder)
    last = history.groupby(KEY)["value"].last()
    commit = run.said("cytosuite").rpartition(" ")[2]
    new = [
        [name, algorithm, metric, commit, value]
        for algorithm, metric, value in _means(run)
        if last.get((name, algorithm, metric)) != value
    ]
    write_rows(folder / FILE, [COLUMNS, *history.to_numpy(), *new])


def history_table(folder: Path) -> list[str]:
    """Return the lines of a table: the last values of each mean that changed, with the commits."""
    cells = [
        (*key, " → ".join(f"{float(m):.3f} ({c[:7]})" for c, m in means.tail(SHOWN).to_numpy()))
        for key, means in _read(folder).groupby(KEY)[["commit", "value"]]
        if len(means) > 1
    ]
    return table((*KEY, "mean (commit)"), cells)


def history_picture(folder: Path) -> str:
    """Return an SVG plot by commit: the first metric of each set with changed scores.

    A curve keeps each value until the next one, and the last until the end.
    """
    rows = _read(folder).astype({"value": float})
    codes, commits = rows["commit"].factorize()
    rows = rows.assign(place=codes + 1)
    curves: dict[str, dict[str, dict[int, float]]] = {}
    for name, of_set in rows.groupby("set", sort=False):
        metric = of_set["metric"].iloc[0]
        first = of_set[of_set["metric"] == metric]
        by_place = first.groupby(["place", "algorithm"])["value"].last().unstack()
        if (by_place.count() > 1).any():
            held = by_place.reindex(range(1, len(commits) + 1)).ffill()
            curves[f"{metric} of {name}"] = {
                algorithm: held[algorithm].dropna().to_dict()
                for algorithm in first["algorithm"].unique()
            }
    return plots(curves.items(), "commit")


def _read(folder: Path) -> pd.DataFrame:
    """Return the table as texts; one without rows where there is none."""
    path = folder / FILE
    return (
        pd.read_csv(path, dtype=str, keep_default_na=False)
        if path.is_file()
        else pd.DataFrame(columns=[*COLUMNS])
    )


def _means(run: ScoredRun) -> Iterator[tuple[str, str, str]]:
    """Yield algorithm, metric to rank by, and its mean over the cases, or its value of the set."""
    scores = run.scores
    for algorithm in run.algorithms:
        for metric in BOARDS[run.said("task")].primary:
            of_both = (scores["algorithm"] == algorithm) & (scores["metric"] == metric)
            value = float(scores.loc[of_both, "value"].mean())
            if isfinite(value):
                yield algorithm, metric, f"{value:.{DIGITS}f}"
