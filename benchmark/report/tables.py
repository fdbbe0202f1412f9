"""The scores as tables: per case, per attempt, and in the layout of the challenge platform."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from benchmark.results.ranking import COLUMNS
from benchmark.report.content import ReportContent
from cytosuite.errors import InputError


def finite(value: object) -> float | None:
    """Return a number as float, or None for None, NaN, infinities and what is no number.

    Examples
    --------
    >>> finite(1), finite(float("nan")), finite(None)
    (1.0, None, None)
    """
    if isinstance(value, (int, float, np.integer, np.floating)) and math.isfinite(value):
        return float(value)
    return None


def tidy(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the scores with all `COLUMNS` in their order, whatever was left out.

    Parameters
    ----------
    scores : DataFrame
        Long table; it may be empty and without columns.
    """
    extra = [column for column in scores.columns if column not in COLUMNS]
    table = scores.reindex(columns=[*COLUMNS, *extra])
    for column in ("value", "seconds", "peak_memory"):
        table[column] = pd.to_numeric(table[column], errors="coerce")
    return table


def case_names(content: ReportContent) -> list[str]:
    """Return the names of all cases: those of the scores first, then of failures and pictures.

    Scores of a whole set have an empty case and are left out.
    """
    named = [case for case in tidy(content.scores)["case"].dropna().unique() if case != ""]
    named += [failure.case for failure in content.failures]
    named += [picture.case for picture in content.pictures]
    return list(dict.fromkeys(str(case) for case in named))


def values(content: ReportContent, algorithm: str, metric: str) -> dict[str, float]:
    """Return the defined values of one algorithm and metric, by case."""
    table = tidy(content.scores)
    rows = table[(table["algorithm"] == algorithm) & (table["metric"] == metric)]
    pairs = zip(rows["case"], rows["value"], strict=True)
    return {str(case): float(value) for case, value in pairs if finite(value) is not None}


def attempts(content: ReportContent) -> pd.DataFrame:
    """Return one row per algorithm and case: ``status``, ``seconds``, ``peak_memory``.

    Cases named in the failures only (nothing could be scored) stand with their status.
    """
    table = tidy(content.scores)[["algorithm", "case", "status", "seconds", "peak_memory"]]
    failed = pd.DataFrame(
        [(f.algorithm, f.case, f.status) for f in content.failures],
        columns=["algorithm", "case", "status"],
    ).reindex(columns=table.columns)
    rows = [part for part in (table, failed) if len(part)]
    if not rows:
        return table.set_index(["algorithm", "case"])
    joined = pd.concat([part.astype(object) for part in rows])
    return joined.drop_duplicates(["algorithm", "case"]).set_index(["algorithm", "case"])


def found_share(content: ReportContent, algorithm: str) -> float | None:
    """Return which share of all true objects an algorithm found, over all cases.

    Returns
    -------
    float or None
        1 - missed / objects in the truth, summed over cases; a failed case found nothing. None
        unless the metrics ``missed`` and ``truth_count`` were taken.
    """
    table = tidy(content.scores)
    counts = table[table["metric"] == "truth_count"].groupby("case")["value"].max().dropna()
    missed = values(content, algorithm, "missed")
    objects = float(counts.sum())
    if not missed or objects <= 0:
        return None
    ran = set(table.loc[table["algorithm"] == algorithm, "case"])
    if not ran >= set(counts.index):
        return None
    lost = sum(missed.get(str(case), float(count)) for case, count in counts.items())
    return 1.0 - lost / objects


def json_name(metric: str) -> str:
    """Return the name of a metric as a key of `metrics.json`: dots would split the path to it.

    Examples
    --------
    >>> json_name("AP@0.5")
    'AP@0_5'
    """
    return metric.replace(".", "_")


def aggregate(numbers: Sequence[float]) -> dict[str, float | int]:
    """Return ``mean, std, median, min, max, n`` of finite numbers; only ``n`` when there is none.

    Notes
    -----
    ``std`` is that of the population (divided by n), which one value gives as 0.
    """
    if not numbers:
        return {"n": 0}
    array = np.asarray(numbers, dtype=np.float64)
    return {
        "mean": float(array.mean()),
        "std": float(array.std()),
        "median": float(np.median(array)),
        "min": float(array.min()),
        "max": float(array.max()),
        "n": len(numbers),
    }


def pooled(content: ReportContent, algorithm: str, metric: str) -> dict[str, float]:
    """Return ``{"pooled": value}``, all cases taken as one; nothing where it is undefined."""
    for entry in content.standings:
        summary = entry.summaries.get(metric) if entry.algorithm == algorithm else None
        if summary is not None and finite(summary.pooled) is not None:
            return {"pooled": float(summary.pooled)}
    return {}


def algorithm_metrics(content: ReportContent, algorithm: str) -> dict[str, Any]:
    """Return the scores of one algorithm as ``{"case": ..., "aggregates": ..., "failed": ...}``.

    Raises
    ------
    InputError
        If two metrics have the same name once dots are replaced.
    """
    metrics = [metric.name for metric in content.metrics]
    if len({json_name(name) for name in metrics}) < len(metrics):
        raise InputError(
            f"metrics.json: metric names must differ once dots are written as _, found {metrics}; "
            "rename one"
        )
    rows = attempts(content)
    mine = rows[rows.index.get_level_values("algorithm") == algorithm]
    by_case: dict[str, dict[str, float]] = {
        str(case): {} for case in mine.index.get_level_values("case") if not pd.isna(case) and case
    }
    aggregates = {}
    for name in metrics:
        numbers = values(content, algorithm, name)
        aggregates[json_name(name)] = aggregate(list(numbers.values())) | pooled(
            content, algorithm, name
        )
        for case, value in numbers.items():
            if case in by_case:
                by_case[case][json_name(name)] = value
    bad = mine[~mine["status"].isin(["ok"]) & mine["status"].notna()]
    failed = [str(case) for case in bad.index.get_level_values("case")]
    return {"case": by_case, "aggregates": aggregates, "failed": failed}


def platform_metrics(content: ReportContent) -> dict[str, Any]:
    """Return the scores in the layout of the challenge platform.

    Returns
    -------
    dict
        The layout of the best algorithm; when there are several, all of them stand under
        ``"algorithms"`` as well. All numbers are finite; what is undefined is left out.
    """
    names = [entry.algorithm for entry in content.ranked()]
    if not names:
        return {"case": {}, "aggregates": {}, "failed": []}
    layouts = {name: algorithm_metrics(content, name) for name in names}
    if len(names) == 1:
        return layouts[names[0]]
    return {**layouts[names[0]], "best": names[0], "algorithms": layouts}
