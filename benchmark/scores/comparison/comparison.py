"""Comparison of two scored runs: differences of data, changes of scores, regressions."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from math import isfinite
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pydantic_core import from_json, to_json

from cytosuite.benchmark.runs.store.documents import escape, table
from cytosuite.benchmark.scores.comparison.changes import (
    Thresholds,
    changes,
    costs,
    largest,
    slower,
)
from cytosuite.benchmark.scores.comparison.scored import KEY, ScoredRun, some, told_apart
from cytosuite.benchmark.scores.controls import broken_rulers
from cytosuite.errors import InputError, count, plain
from cytosuite.files import Json, TextSeq
from cytosuite.metrics.boards import BOARDS, CONTROLS
from cytosuite.metrics.metric import known_metrics
from cytosuite.volume.arrays import Bools

SHOWN = 10  # cases with the largest changes
DIGITS = 4  # significant ones in Markdown
CHANGES = (
    *("algorithm", "metric", "before", "after", "difference", "p", "verdict"),
    *("median", "low", "high", "p_worse", "relevant", "cases"),
)
NEAR = 1e-6  # relative difference of a control that another machine may cause


def same_data(before: ScoredRun, after: ScoredRun) -> tuple[bool | None, set[str]]:
    """Return whether the common cases are the same, None if not known; those known to be others."""
    prints = [run.said("fingerprint") for run in (before, after)]
    old = before.table("cases")
    new = after.table("cases")
    common = before.cases & after.cases
    if all(prints) and prints[0] == prints[1]:
        return True, set()
    others = {name for name in common if name not in old or old[name] != new.get(name)}
    if common and common <= old.keys() & new.keys():
        return before.least == after.least and not others, others
    return (False, others) if all(prints) else (None, set())


def remarks(before: ScoredRun, after: ScoredRun) -> list[str]:
    """Return sentences on all in which two runs differ, but for their scores."""
    return [
        *_data(before, after),
        *(
            f"{key}: {old} -> {new}"
            for key in ("engine", "machine", "cytosuite", "task")
            if (old := before.said(key)) and (new := after.said(key)) and old != new
        ),
        *_algorithms(before, after),
        *_sets("case", before.cases, after.cases),
        *_sets("metric", *(set(run.scores["metric"]) - {""} for run in (before, after))),
        *(
            f"{plain(name, 100)}: {len(mended)} cases no longer fail ({some(mended)})"
            for name in _both(before, after)
            if (mended := (failed(before, name) & after.cases) - failed(after, name))
        ),
    ]


def _data(before: ScoredRun, after: ScoredRun) -> Iterator[str]:
    """Yield remarks on the data."""
    same, others = same_data(before, after)
    number = len(before.cases & after.cases)
    prints = [run.said("fingerprint")[:12] for run in (before, after)]
    if same is None:
        yield f"data: not known to be the same; {number} cases have the same names"
    elif not same:
        ignored = f"; true objects below {before.least} -> {after.least} voxels are ignored"
        yield (
            f"data: different ({before.said('dataset')} {prints[0]} -> {after.said('dataset')} "
            f"{prints[1]}); of {number} cases with the same names {number - len(others)} are the "
            f"same images and labels, and compared{ignored if before.least != after.least else ''}"
        )
    elif prints[0] != prints[1]:
        yield "data: the same images and labels, made by other code"


def _both(before: ScoredRun, after: ScoredRun) -> list[str]:
    """Return the algorithms of both runs, in alphabetical order."""
    return [name for name in before.algorithms if name in after.algorithms]


def _algorithms(before: ScoredRun, after: ScoredRun) -> Iterator[str]:
    """Yield algorithms that came, went or changed."""
    yield from _sets("algorithm", set(before.algorithms), set(after.algorithms))
    runs = before, after
    for name in _both(*runs):
        words = []
        versions, models, keys = (
            [run.table(noun).get(name, "") for run in runs]
            for noun in ("versions", "models", "jobs")
        )
        old, new = (plain(str(version)) for version in versions)
        if old and new and old != new:
            words.append(f"version {old} -> {new}")
        if isinstance(models[0], dict) and isinstance(models[1], dict):
            used = {
                *pd.concat(run.scores[run.scores["algorithm"] == name] for run in runs)["model"]
            }
            changed = {m for m in used - {""} if models[0].get(m) != models[1].get(m)}
            if changed:
                words.append(f"other weights or parameters of {some(changed)}")
        if not words and all(keys) and str(keys[0]) != str(keys[1]):
            words.append("another key: its sources, data or engine changed")
        if words:
            yield f"{plain(name, 100)}: {', '.join(words)}"


def _sets(noun: str, before: set[str], after: set[str]) -> Iterator[str]:
    """Yield algorithms, cases and metrics of one run alone."""
    for word, names in (("new", after - before), ("missing", before - after)):
        if names:
            yield f"{word} {noun}{'s' * (len(names) > 1)}: {some(names)}"


class Comparison(NamedTuple):
    """Comparison of two runs."""

    before: ScoredRun  # the runs
    after: ScoredRun
    identical: str  # the sentence that all scores are the same bit by bit; empty where they are not
    remarks: TextSeq  # on differing data, algorithms, cases, metrics, failures
    changes: pd.DataFrame  # of scores, see `changes.changes`
    costs: pd.DataFrame  # of time and memory, see `changes.costs`
    cases: pd.DataFrame  # largest changes of single cases, see `changes.largest`
    regressions: TextSeq  # sentences that fail the comparison
    warnings: TextSeq  # sentences that do not

    @property
    def headline(self) -> str:
        """The result in one line."""
        many = len(self.regressions)
        judged = (self.changes["sign"] != 0).sum()
        better = (self.changes["verdict"] == "better").sum()
        return (
            count(many, "regression")
            if many
            else self.identical or f"no regression in {judged} comparisons, {better} better"
        )

    @property
    def tables(self) -> dict[str, list[Json]]:
        """Rows by the title of their table: changes first, with both means and their difference."""
        changed = self.changes.assign(difference=self.changes["after"] - self.changes["before"])
        return {
            "Changes": rows(changed[list(CHANGES)]),
            "Largest changes of single cases": rows(self.cases),
            "Time and memory": rows(self.costs),
        }

    def markdown(self) -> str:
        """Return Markdown for the summary of a job; all texts are escaped."""
        places = (plain(str(run.place)).replace("`", "'") for run in (self.before, self.after))
        lines = [f"## {escape(self.headline)}", "", " → ".join(f"`{p}`" for p in places), ""]
        for word, sentences in (("Regression", self.regressions), ("Warning", self.warnings)):
            lines += [f"- **{word}**: {escape(line)}" for line in sentences]
        lines += [f"- {escape(line)}" for line in self.remarks]
        for title, values in self.tables.items():
            if values:
                cells = [[_short(cell) for cell in row.values()] for row in values]
                lines += ["", f"### {title}", "", *table(values[0], cells)]
        return "\n".join(lines) + "\n"

    def as_json(self) -> Json:
        """Return a value of JSON; undefined numbers are null."""
        _, cases, spent = self.tables.values()
        value = {
            "before": plain(str(self.before.place)),
            "after": plain(str(self.after.place)),
            "result": self.headline,
            "identical": bool(self.identical),
            "regressions": self.regressions,
            "warnings": self.warnings,
            "remarks": self.remarks,
            "changes": rows(self.changes),
            "costs": spent,
            "cases": cases,
        }
        null: Json = from_json(to_json(value, inf_nan_mode="null"))
        return null


def rows(frame: pd.DataFrame) -> list[Json]:
    """Return the rows of a table, with texts of one printable line."""
    return [
        {str(k): plain(v) if isinstance(v, str) else v for k, v in row.items()}
        for row in frame.to_dict("records")
    ]


def _short(cell: str | float) -> str:
    """Return a cell with few digits."""
    if cell == "" or (isinstance(cell, float) and not isfinite(cell)):
        return "-"
    return f"{cell:.{DIGITS}g}" if isinstance(cell, float) else str(cell)


def compare(
    before: ScoredRun,
    after: ScoredRun,
    thresholds: Thresholds,
    names: TextSeq = (),
    without: TextSeq = (),
) -> Comparison:
    """Return the comparison of two runs over common cases that are not known to be others.

    `after` has to have all that `before` has, but for the algorithms, cases, metrics `without`.
    """
    before, after = told_apart(before, after)
    said = [*map(plain, remarks(before, after))]
    _, different = same_data(before, after)
    if different and different == before.cases & after.cases:
        raise InputError(
            f"{before.place} and {after.place}: expected runs of the same data, found none of "
            f"{len(different)} cases the same ({some(different)}); run both on one dataset"
        )
    before, after = (
        replace(run, scores=run.scores[~run.scores["case"].isin(different)])
        for run in (before, after)
    )
    task = after.said("task") or before.said("task")
    metrics = known_metrics(task)
    every = _pairs(before, after)
    compared = _metric_names(names, task, every["metric"])
    ours = every[~every["algorithm"].isin(CONTROLS)]
    shown = ours[ours["metric"].isin(compared) & (ours["case"] != "")]
    changed = changes(shown, metrics, thresholds)
    spent = costs(before.scores, after.scores)
    regressions = [
        *(
            f"broken ruler in {run.place}: {line}"
            for run in (before, after)
            for line in broken_rulers(run.scores, metrics.values())
        ),
        *(_changed_rulers(every) if same_data(before, after)[0] is not False else ()),
        *_missing(before, after, _metric_names(names, task, before.scores["metric"]), without),
        *(
            f"{name}: {count(len(new), 'new failed case')} ({some(new)})"
            for name in _both(before, after)
            if (new := failed(after, name) - failed(before, name))
        ),
        *map(_sentence, changed[changed["verdict"] == "worse"].to_dict("records")),
    ]
    ran = shown[shown["status"] == "ok"]
    warnings = [*_no_longer("defined", ran[ran["before"].notna() & ran["after"].isna()])]
    known = (metric for metric in metrics.values() if metric.higher_is_better is not None)
    ends = ran["metric"].map({m.name: 1 if m.higher_is_better else -1 for m in known})
    was = ran["before"] * ends  # the better, the higher
    now = ran["after"] * ends
    regressions += _no_longer("infinite", ran[(was == np.inf) & np.isfinite(now)])
    regressions += _no_longer("finite", ran[np.isfinite(was) & (now == -np.inf)])
    unknown = changed.loc[changed["sign"] == 0, "metric"]
    if len(unknown):
        warnings.append(f"{some({*unknown})}: not judged, as the better end is not known")
    (regressions if thresholds.cost.fails else warnings).extend(slower(spent, thresholds.cost))
    return Comparison(
        before,
        after,
        "" if different else _identical(before, after, every),
        said,
        changed,
        spent,
        largest(shown, changed, SHOWN),
        [plain(line) for line in regressions],  # with names of strangers
        [plain(line) for line in warnings],
    )


def _sentence(change: Mapping[Any, Any]) -> str:
    """Return a regression as a sentence: algorithm, metric, difference, p."""
    test = (
        "too few cases for a test, the mean decides"
        if np.isnan(change["p_worse"])
        else f"one-sided Wilcoxon p = {change['p_worse']:.2g} after Holm"
    )
    return (
        "{algorithm}: {metric} {before:.4g} -> {after:.4g}, worse by {loss:.4g} in the mean of "
        "{cases} cases (relevant: above {relevant:.4g}; median difference {median:+.4g}; "
    ).format_map(change) + f"{test})"


def _pairs(before: ScoredRun, after: ScoredRun) -> pd.DataFrame:
    """Return the values of both runs side by side, over their common cases and metrics."""
    old, new = (run.scores[run.scores["metric"] != ""] for run in (before, after))
    single = old["dataset"].nunique() == new["dataset"].nunique() == 1
    old = old.rename(columns={"value": "before"})
    new = new.rename(columns={"value": "after"})
    # The folder of a single dataset may have another name.
    joined = old.merge(new, on=KEY[single:], suffixes=("_before", ""), sort=False)
    if not (before.cases & after.cases):
        raise InputError(
            f"{before.place} and {after.place} have no case in common ({some(before.cases)} "
            f"against {some(after.cases)}); compare runs of one dataset"
        )
    if not _both(before, after):
        raise InputError(
            f"{before.place} and {after.place} have no algorithm in common "
            f"({some(before.algorithms)} against {some(after.algorithms)})"
        )
    return joined[[*KEY, "before", "after", "status_before", "status"]]


def _metric_names(names: TextSeq, task: str, metrics: Iterable[str]) -> set[str]:
    """Return the names of the metrics to compare: those asked for, to rank by, or all."""
    there = set(metrics) - {""}
    if missing := [name for name in names if name not in there]:
        raise InputError(f"no metric {missing[0]!r} in both runs; there are {some(there, 40)}")
    boards = [BOARDS[task]] if task in BOARDS else BOARDS.values()
    primary = there & {name for board in boards for name in board.primary}
    if not there:
        raise InputError("the runs have no metric in common")
    return set(names) or primary or there


def _missing(
    before: ScoredRun, after: ScoredRun, metrics: Iterable[str], without: TextSeq
) -> Iterable[str]:
    """Return a sentence for each algorithm and metric with rows or values in `before` alone."""
    both = (run.scores[run.scores["metric"].isin(metrics)] for run in (before, after))
    rows, judged = (own[own.groupby(KEY[2:])["value"].transform("count") > 0] for own in both)
    rows = rows[(rows["case"] != "") & ~rows[KEY[1:]].isin([*without, *CONTROLS]).any(axis=1)]
    failures = after.scores[after.scores["status"] != "ok"]  # counted as failed cases
    there = _among(rows, judged, KEY[1:]) | _among(rows, failures, KEY[1:3])
    sentences = []
    for (name, metric), values in rows.assign(gone=~there).groupby(KEY[2:], sort=False):
        if len(cases := values["case"][values["gone"]]):
            lost = f"no {metric} in {len(cases)} of {len(values)} cases ({some(cases)})"
            lost = lost if name in after.algorithms else f"missing in {after.place}"
            sentences.append(f"{name}: {lost}")
    return dict.fromkeys(sentences)


def _among(rows: pd.DataFrame, others: pd.DataFrame, keys: list[str]) -> Bools:
    """Return which rows have the keys of any of some others."""
    index, theirs = (pd.MultiIndex.from_frame(table[keys]) for table in (rows, others))
    return index.isin(theirs)


def _identical(before: ScoredRun, after: ScoredRun, pairs: pd.DataFrame) -> str:
    """Return the sentence that nothing differs; empty where anything does."""
    sizes = {len(run.scores[run.scores["metric"] != ""]) for run in (before, after)}
    if (
        sizes != {len(pairs)}
        or not pairs["before"].equals(pairs["after"])  # NaN is the same as NaN
        or not pairs["status_before"].equals(pairs["status"])
        or before.cases != after.cases
    ):
        return ""
    return (
        f"identical: {len(pairs)} values of {len(after.algorithms)} algorithms in "
        f"{len(after.cases)} cases, bit by bit"
    )


def _changed_rulers(pairs: pd.DataFrame) -> Iterator[str]:
    """Yield a sentence for each changed ruler: a control with another value on the same data."""
    controls = pairs[pairs["algorithm"].isin(CONTROLS)]
    limit = NEAR * controls["before"].abs().clip(1.0)
    away = (controls["after"] - controls["before"]).abs() > limit
    changed = controls[away | (controls["after"].isna() != controls["before"].isna())]
    for (name, metric), rows in changed.groupby(["algorithm", "metric"], sort=False):
        row = rows.iloc[0]
        yield (
            f"changed ruler: {metric} of {name} {row['before']:g} -> {row['after']:g} on "
            f"{row['case']} and {len(rows) - 1} other cases of the same data: a metric or the "
            "truth differs, so the scores of both runs cannot be compared"
        )


def failed(run: ScoredRun, algorithm: str) -> set[str]:
    """Return the names of the cases that an algorithm failed."""
    rows = run.scores[(run.scores["algorithm"] == algorithm) & (run.scores["case"] != "")]
    return set(rows.loc[rows["status"] != "ok", "case"])


def _no_longer(word: str, pairs: pd.DataFrame) -> Iterator[str]:
    """Yield a sentence for each algorithm and metric on the cases in which a value was lost."""
    for (name, metric), rows in pairs.groupby(KEY[2:], sort=False):
        yield f"{name}: {metric} is no longer {word} in {some(rows['case'])}"
