"""The scores as files: tables by algorithm, case and condition, and the platform's layout."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias

import pandas as pd

from cytosuite.benchmark.record import Record
from cytosuite.benchmark.report.index import Index
from cytosuite.benchmark.report.verdict import tiers_of
from cytosuite.benchmark.results.platform import platform_layout
from cytosuite.benchmark.results.results import Condition
from cytosuite.benchmark.results.standings import Standing
from cytosuite.metrics import Metric

Row: TypeAlias = dict[str, str | int | float | None]
Records: TypeAlias = Mapping[tuple[str, str], Record]
GPU = ("gpu", "gpu_memory", "gpu_utilisation", "gpu_utilisation_max")  # of a record


def leaderboard(index: Index) -> list[Row]:
    """Return a row per algorithm, best first, then the controls; columns to rank by come first.

    Returns
    -------
    list of dict
        ``rank`` and ``algorithm``; the mean of each metric to rank by under its name, ``failed``
        cases, ``s_per_case`` (median), ``peak_MiB``; of these metrics ``_low`` and ``_high``, the
        ends of the 95 % interval, and ``_pooled``; the same of all other metrics; number of
        ``cases``, and 1 for a ``control``; ends of the 95 % interval of the place, ``rank_low``
        and ``rank_high``, and the ``tier``. NaN and None where there is no value.
    """
    ranks = [entry.rank for entry in index.ranked if entry.rank is not None]
    whole = all(rank.is_integer() for rank in ranks)
    others = [metric for metric in index.results.metrics if metric not in index.board]
    rows = []
    for entry in index.standings:
        memory, rank = entry.peak_memory, entry.rank
        row: Row = {"rank": int(rank) if rank is not None and whole else rank}
        row |= {"algorithm": entry.algorithm}
        row |= {metric.name: index.summary(entry, metric).mean for metric in index.board}
        row |= {"failed": None if entry.control else entry.failed}
        row |= {"s_per_case": entry.median_seconds}
        row |= {"peak_MiB": None if memory is None else round(memory / 2**20)}
        row |= _around(index, entry, index.board)
        row |= {metric.name: index.summary(entry, metric).mean for metric in others}
        row |= _around(index, entry, others)
        row |= {"cases": entry.cases, "control": int(entry.control)}
        rows.append(row | _certainty(index, entry))
    return rows


def _certainty(index: Index, entry: Standing) -> Row:
    """Return the 95 % interval of the place and the tier, None where they are not known."""
    ranking = index.results.ranking
    contest = ranking.overall if ranking else None
    low, high = contest.interval.get(entry.algorithm, (None, None)) if contest else (None, None)
    tier = tiers_of(ranking).get(entry.algorithm)
    return {"rank_low": low, "rank_high": high, "tier": tier}


def _around(index: Index, entry: Standing, metrics: Sequence[Metric[Any]]) -> Row:
    """Return interval and pooled value of some metrics."""
    found = {metric.name: index.summary(entry, metric) for metric in metrics}
    row: Row = {}
    for name, summary in found.items():
        row |= {f"{name}_low": summary.low, f"{name}_high": summary.high}
    return row | {f"{name}_pooled": summary.pooled for name, summary in found.items()}


def by_case(scores: pd.DataFrame, records: Records = MappingProxyType({})) -> pd.DataFrame:
    """Return the scores of single cases with a column per metric.

    Parameters
    ----------
    scores : DataFrame
        Long table with the columns `standings.COLUMNS`.
    records : mapping of (algorithm, case) to Record
        How each case went.

    Returns
    -------
    DataFrame
        A row per algorithm and case in their order: ``dataset``, ``algorithm``, ``case``,
        ``model``, ``status``, ``seconds``, ``peak_memory`` (bytes), then, where any case ran on a
        GPU, ``gpu``, ``gpu_memory`` (bytes), ``gpu_utilisation`` and its ``_max`` (%), then the
        metrics.
    """
    single = scores[scores["case"] != ""]
    facts = ["dataset", "algorithm", "case", "model", "status", "seconds", "peak_memory"]
    rows = single[facts].drop_duplicates(["algorithm", "case"])
    named = single[single["metric"] != ""]
    wide = named.pivot(index=["algorithm", "case"], columns="metric", values="value")
    order = list(dict.fromkeys(named["metric"]))
    if any(record.gpu for record in records.values()):
        pairs = zip(rows["algorithm"], rows["case"], strict=True)
        found = [records.get(pair) for pair in pairs]
        for name in GPU:
            rows[name] = [None if own is None else getattr(own, name) for own in found]
    joined: pd.DataFrame = rows.join(wide[order], on=["algorithm", "case"])
    return joined.sort_values("algorithm", kind="stable")


def by_condition(conditions: Sequence[Condition]) -> pd.DataFrame:
    """Return every value by condition, group, algorithm and metric.

    ``low`` and ``high`` are the ends of the 95 % interval, NaN where there is none.
    """
    return pd.DataFrame(
        {
            "condition": condition.name,
            "unit": condition.unit,
            "group": group.label,
            "cases": len(group.cases),
            "objects": group.objects,
            "algorithm": algorithm,
            "failed": group.failed.get(algorithm, 0),
            "metric": metric,
            "pooled": score.value,
            "low": score.low,
            "high": score.high,
        }
        for condition in conditions
        for group in condition.groups
        for (algorithm, metric), score in group.scores.items()
    )


def platform_metrics(index: Index) -> dict[str, Any]:
    """Return the scores in the layout of the challenge platform.

    Returns
    -------
    dict
        ``{"case": ..., "aggregates": ..., "failed": ...}`` of the best algorithm; when there are
        several, all of them stand under ``"algorithms"`` as well. All numbers are finite;
        undefined ones are left out.

    Raises
    ------
    InputError
        If two metrics have the same name once dots, which would split the path to it, are ``_``.
    """
    metrics = index.results.metrics
    layouts = {}
    for entry in index.ranked:
        name = entry.algorithm
        values = {metric.name: index.values[name, metric.name] for metric in metrics}
        layouts[name] = platform_layout(entry, metrics, values, index.records[name])
    if not layouts:
        return {"case": {}, "aggregates": {}, "failed": []}
    first, *others = layouts
    return layouts[first] | ({"best": first, "algorithms": layouts} if others else {})
