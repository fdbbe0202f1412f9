"""The scores as files: tables by algorithm, case and condition, LaTeX, the platform's layout."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from cytosuite.benchmark.report.verdict import places_text, tiers_of
from cytosuite.benchmark.report.wording import known, number
from cytosuite.benchmark.runs.record import Records
from cytosuite.benchmark.runs.store.documents import rendered
from cytosuite.benchmark.scores.gather import COLUMNS, TIMES
from cytosuite.benchmark.scores.platform import platform_layout
from cytosuite.benchmark.scores.results import Condition, Results
from cytosuite.benchmark.scores.standings import Standing
from cytosuite.files import Json
from cytosuite.metrics import Metrics
from cytosuite.metrics.evidence import Gathered
from cytosuite.metrics.realism.edges import EDGES
from cytosuite.metrics.realism.regions import REGION_SCORES

Row = dict[str, str | int | float | None]
LATEX = Path(__file__).with_name("leaderboard.template")
SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
SPECIAL |= {sign: rf"\{sign}" for sign in "&%$#_{}"} | {"[": "{[}", "*": "{*}"}
GPU = ("gpu", "gpu_memory", "gpu_utilisation", "gpu_utilisation_max")  # of a record


def leaderboard(results: Results) -> list[Row]:
    """Return a row per algorithm, best first, then the controls; columns to rank by come first."""
    ranks = [entry.rank for entry in results.ranked if entry.rank is not None]
    whole = all(rank.is_integer() for rank in ranks)
    ranking = results.ranking
    places, intervals = results.places, ranking.overall.interval if ranking else {}
    tiers = tiers_of(ranking)
    others = [metric for metric in results.metrics if metric not in results.board]
    rows = []
    for entry in results.standings:
        rank = entry.rank
        low, high = intervals.get(entry.algorithm, (None, None))
        row = {
            "rank": int(rank) if rank is not None and whole else rank,
            "algorithm": entry.algorithm,
            **{metric.name: entry.summary(metric).mean for metric in results.board},
            "failed": None if entry.control else entry.failed,
            "s_per_case": entry.median_seconds,
            "peak_MiB": None if entry.peak_memory is None else round(entry.peak_memory / 2**20),
            **_around(entry, results.board),
            **{metric.name: entry.summary(metric).mean for metric in others},
            **_around(entry, others),
            "cases": entry.cases,
            "control": int(entry.control),
            "place": places.get(entry.algorithm),
            "rank_low": low,
            "rank_high": high,
            "tier": tiers.get(entry.algorithm),
        }
        rows.append(row)
    return rows


def _around(entry: Standing, metrics: Metrics) -> Row:
    """Return interval and pooled value of some metrics."""
    summaries = {metric.name: entry.summary(metric) for metric in metrics}
    row: Row = {}
    for name, summary in summaries.items():
        row |= {f"{name}_low": summary.low, f"{name}_high": summary.high}
    return row | {f"{name}_pooled": summary.pooled for name, summary in summaries.items()}


def by_case(scores: pd.DataFrame, records: Records) -> pd.DataFrame:
    """Return a row per algorithm and case: facts, use of a GPU if any case ran on one, metrics."""
    single = scores[scores["case"] != ""]
    facts = ["dataset", "algorithm", "case", "model", "status", "seconds", "peak_memory"]
    number = single.groupby(["algorithm", "case"], sort=False, observed=True).ngroup()
    column, order = single["metric"].factorize()
    rows = single.loc[~number.duplicated(), facts].reset_index(drop=True)
    table = np.full((len(rows), len(order)), np.nan)
    table[number, column] = single["value"]
    wide = pd.DataFrame(table, columns=order).drop(columns="", errors="ignore")
    attempts = [records.get(pair) for pair in zip(rows["algorithm"], rows["case"], strict=True)]
    stated = [{**record.facts, **dict(record)} if record else {} for record in attempts]
    for name in (
        *(GPU if any(record.gpu for record in records.values()) else ()),
        *((*COLUMNS, *TIMES) if any(record.facts for record in records.values()) else ()),
    ):
        rows[name] = [facts.get(name) for facts in stated]
    return rows.join(wide).sort_values("algorithm", kind="stable")


def by_condition(conditions: Sequence[Condition]) -> pd.DataFrame:
    """Return every value by condition, group, algorithm and metric, with its 95 % interval."""
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
            "pooled": score.mean,
            "low": score.low,
            "high": score.high,
        }
        for condition in conditions
        for group in condition.groups
        for (algorithm, metric), score in group.scores.items()
    )


def by_depth(sets: Mapping[str, Gathered]) -> pd.DataFrame:
    """Return edge strength by depth in µm, and similarity by region and share of the depth."""
    rows = []
    for name, evidence in sets.items():
        if edges := evidence.get(EDGES):
            values = zip(edges.depth_um, edges.synthetic, edges.real, strict=True)
            rows += [(name, "edge strength", *row) for row in values]
        regions = evidence[REGION_SCORES].scores.items() if REGION_SCORES in evidence else ()
        for region, scores in regions:
            pairs = zip(evidence[REGION_SCORES].depth, scores, strict=True)
            rows += [(name, region, *pair, None) for pair in pairs]
    return pd.DataFrame(rows, columns=["answer", "quantity", "depth", "value", "real"]).dropna(
        subset="value"
    )


def platform_metrics(results: Results) -> Json:
    """Return ``metrics.json``: the best algorithm, and of several all under ``algorithms``."""
    rows = dict(list(results.scores.groupby("algorithm")))
    layouts = {
        entry.algorithm: platform_layout(
            entry, results.metrics, rows.get(entry.algorithm, results.scores[:0])
        )
        for entry in results.ranked
    }
    if not layouts:
        return {"case": {}, "aggregates": {}, "failed": []}
    first, *others = layouts
    return layouts[first] | ({"best": first, "algorithms": layouts} if others else {})


def latex_board(results: Results) -> str:
    """Return the leaderboard for booktabs: best means bold, gaps between tiers, controls below."""
    best = {}
    for metric in results.board:
        means = (entry.summary(metric).mean for entry in results.ranked)
        first = max if metric.higher_is_better else min
        best[metric.name] = first(filter(known, means), default=None)
    ranking = results.ranking
    places = {entry.algorithm: places_text(ranking, entry.algorithm) for entry in results.ranked}
    return rendered(
        LATEX,
        results=results,
        best=best,
        places=places,
        placed=any(places.values()),
        timed=any(known(entry.median_seconds) for entry in results.ranked),
        tiers=tiers_of(ranking),
        power=ranking.overall.power if ranking else "",
        escape=escape,
        known=known,
        number=number,
    )


def escape(text: str) -> str:
    """Return text as LaTeX shows it."""
    return "".join(SPECIAL.get(sign, sign) for sign in text).replace("∞", r"$\infty$")
