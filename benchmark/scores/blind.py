"""Results for participants: scores, nothing of the truth; fields not listed here are left out."""

from dataclasses import astuple, replace
from math import isfinite
from typing import Any

from cytosuite.benchmark.runs.record import Record
from cytosuite.benchmark.scores.results import CaseFiles, Results
from cytosuite.benchmark.scores.standings import Summary
from cytosuite.files import FloatDict, FloatMap, TextDict, TextMap, TextPair, value_digest
from cytosuite.metrics import AnyMetric
from cytosuite.ranking.ranking import Contest, Difference, Ranking

DATASET = "test"
DIGITS = 3  # of a score: more would give the number of true objects as its denominator
SHOWN = ("engine", "limits", "cytosuite", "python", "machine")  # of the provenance
NOTE = "For participants: cases have neutral names in no order, and scores three digits."
BROKEN = "A control missed its value: the organiser looks into it before a score counts."


def blind_names(results: Results) -> TextDict:
    """Return neutral names, numbered by a digest of dataset and case: no order, always the same."""
    secret = results.provenance.get("dataset", "")
    names = sorted((case.name for case in results.cases), key=lambda n: value_digest([secret, n]))
    width = len(str(len(names)))
    return {name: f"blind_{number:0{width}d}" for number, name in enumerate(names, start=1)}


def blinded(results: Results) -> Results:
    """Return scores and failures alone, with three digits and neutral names of cases."""
    names = blind_names(results)
    metrics = [metric for metric in results.metrics if not tells(metric)]
    shown = {metric.name for metric in metrics}
    entries = [entry for entry in results.standings if not entry.control]
    return Results(
        title=f"{results.task.title}, blind",
        dataset=DATASET,
        task=results.task,
        generated=results.generated,
        command="",
        provenance={key: said for key, said in results.provenance.items() if key in SHOWN},
        algorithms=results.algorithms,
        metrics=metrics,
        primary=[name for name in results.primary if name in shown],
        standings=[
            entry._replace(
                summaries={n: _summary(s) for n, s in entry.summaries.items() if n in shown}
            )
            for entry in entries
        ],
        scores=_scores(results, {entry.algorithm for entry in entries}, shown, names),
        records=_records(results, names),
        cases=[CaseFiles(name) for name in names.values()],
        notes=[NOTE],
        broken=[BROKEN] if results.broken else [],
        ranking=_ranking(results.ranking, shown) if results.ranking else None,
    )


def tells(metric: AnyMetric) -> bool:
    """Return whether a metric tells of true objects: counts, and distances in µm do."""
    return metric.family not in ("images", "realism") and None in (metric.best, metric.worst)


def _scores(results: Results, shown: set[str], metrics: set[str], names: TextMap) -> Any:  # noqa: ANN401 - a table of pandas
    """Return the rows of algorithms and metrics that are shown, in the order of neutral names."""
    rows = results.scores
    rows = rows[rows["algorithm"].isin(shown) & rows["metric"].isin({*metrics, ""})]
    few = {  # None where it was not measured
        name: rows[name].map(rounded, na_action="ignore")
        for name in ("value", "seconds", "peak_memory")
    }
    neutral = rows["case"].astype(str).map({**names, "": ""})  # categories keep the true order
    rows = rows.assign(dataset=DATASET, case=neutral, model="", **few)
    order = {name: place for place, name in enumerate(rows["metric"].unique())}
    return rows.sort_values(
        ["algorithm", "case", "metric"],
        key=lambda column: column.map(order) if column.name == "metric" else column,
        kind="stable",
        ignore_index=True,
    )


def _records(results: Results, names: TextMap) -> dict[TextPair, Record]:
    """Return how each case went: status, time and memory alone, in the order of neutral names."""
    blind = {}
    for (algorithm, case), record in results.records.items():
        blind[algorithm, names[case]] = Record(
            algorithm=algorithm,
            version=record.version,
            case=names[case],
            key="",
            status=record.status,
            seconds=rounded(record.seconds),
            startup_seconds=rounded(record.startup_seconds),
            peak_memory=None if record.peak_memory is None else int(rounded(record.peak_memory)),
        )
    return dict(sorted(blind.items()))


def _summary(summary: Summary) -> Summary:
    """Return a summary with rounded values; counts stay."""
    mean, low, high, pooled = map(rounded, summary[:4])
    return summary._replace(mean=mean, low=low, high=high, pooled=pooled)


def _ranking(ranking: Ranking, metrics: set[str]) -> Ranking:
    """Return the ranking by the metrics that are shown, with rounded numbers."""
    return replace(
        ranking,
        overall=blind_contest(ranking.overall),
        metrics={
            name: blind_contest(contest)
            for name, contest in ranking.metrics.items()
            if name in metrics
        },
        agreement={
            pair: rounded(tau)
            for pair, tau in ranking.agreement.items()
            if metrics.issuperset(pair)
        },
        scaled={},
        consensus=None,
        means={pair: rounded(mean) for pair, mean in ranking.means.items() if pair[1] in metrics},
    )


def blind_contest(contest: Contest) -> Contest:
    """Return a ranking with rounded shares and differences; only a share that is 1 becomes it."""
    low, middle, high = map(rounded, contest.tau)
    return replace(
        contest,
        shares={
            name: tuple(
                rounded(share) if share == 1 else min(rounded(share), 0.999) for share in shares
            )
            for name, shares in contest.shares.items()
        },
        differences={
            pair: Difference(*map(rounded, astuple(difference)))
            for pair, difference in contest.differences.items()
        },
        tau=(low, middle, high),
    )


def rounded(value: float, digits: int = DIGITS) -> float:
    """Return a number with some digits; NaN and infinity as they are."""
    return float(f"{value:.{digits}g}") if isfinite(value) else value


def blind_row(row: FloatMap) -> FloatDict:
    """Return ``metrics.json`` with few digits, one more of the mean to rank by, all of a set."""
    return {
        name: value if name in ("n", "set") else rounded(value, DIGITS + (name == "mean"))
        for name, value in row.items()
    }
