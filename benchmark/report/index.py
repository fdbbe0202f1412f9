"""The results indexed for a report: every value, attempt and axis is looked up once."""

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from cytosuite.benchmark.report.wording import known
from cytosuite.benchmark.results.results import Results
from cytosuite.benchmark.results.standings import Standing, Summary
from cytosuite.benchmark.runs.record import Record
from cytosuite.figures.svg import Axis, near
from cytosuite.metrics import Metric


@dataclass(frozen=True)
class Index:
    """Results by algorithm, metric and case."""

    results: Results  # all that is known of the run
    cases: dict[str, int]  # place of each case, in the order of the dataset; sets have no case
    ranked: list[Standing]  # best first, the unranked last
    controls: list[Standing]
    board: list[Metric[Any]]  # of the leaderboard: the primary ones, or the first two of all
    by_case: list[Metric[Any]]  # with a value per case
    values: defaultdict[tuple[str, str], dict[str, float]]  # defined; infinite ones too
    records: defaultdict[str, dict[str, Record]]  # how each case went, by algorithm and case
    axes: dict[str, Axis]  # of each metric, wide enough for all values and intervals

    @property
    def standings(self) -> list[Standing]:
        """The algorithms, best first, and the controls below."""
        return [*self.ranked, *self.controls]

    def summary(self, entry: Standing, metric: Metric[Any]) -> Summary:
        """Return a metric of one standing, NaN where there is none: a control has a mean alone."""
        summary = entry.summaries.get(metric.name, Summary())
        alone = replace(summary, low=math.nan, high=math.nan, pooled=math.nan)
        return alone if entry.control else summary

    def reach(self, metric: Metric[Any], entries: Iterable[Standing]) -> Axis:
        """Return the part of a metric's axis with means, intervals, pooled values of standings."""
        summaries = [self.summary(entry, metric) for entry in entries]
        ends = [(summary.mean, summary.low, summary.high, summary.pooled) for summary in summaries]
        return near(self.axes[metric.name], chain.from_iterable(ends))

    def failed(self, algorithm: str) -> dict[str, str]:
        """Return the failure of each case that an algorithm did not finish."""
        return {
            case: record.status for case, record in self.records[algorithm].items() if not record.ok
        }

    def goodness(self, algorithm: str) -> dict[str, float]:
        """Return the mean goodness by case over the board's metrics, 0 to 1; -inf without any."""
        means = dict.fromkeys(self.cases, -math.inf)
        for case in means.keys() - self.failed(algorithm):
            good = [
                goodness
                for metric in self.board
                if (value := self.values[algorithm, metric.name].get(case)) is not None
                and (goodness := self.axes[metric.name].goodness(value)) is not None
            ]
            means[case] = sum(good) / len(good) if good else -math.inf
        return means


def axis_of(metric: Metric[Any], seen: Iterable[float]) -> Axis:
    """Return the axis of a metric: its own range, or the values' where it is unbounded."""
    ends = [end for end in (metric.best, metric.worst) if known(end)]
    pool = ends if len(ends) == 2 else [*ends, *filter(known, seen)]
    low, high = (min(pool), max(pool)) if pool else (0.0, 1.0)
    if high <= low:
        low, high = low - 0.5, high + 0.5
    return Axis(low, high, metric.higher_is_better)


def index(results: Results) -> Index:
    """Return the results indexed, in one pass over the table of scores."""
    values: defaultdict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    records: defaultdict[str, dict[str, Record]] = defaultdict(dict)
    seen = defaultdict(list)
    columns = (results.scores[name].tolist() for name in ("algorithm", "case", "metric", "value"))
    for algorithm, case, metric, value in zip(*columns, strict=True):
        if not math.isnan(value):
            seen[metric].append(value)
            if case:
                values[algorithm, metric][case] = value
    for standing in results.standings:
        for name, summary in standing.summaries.items():
            seen[name] += (summary.mean, summary.low, summary.high)
    for (algorithm, case), record in results.records.items():
        records[algorithm][case] = record
    cases = chain((case.name for case in results.cases), *records.values(), *values.values())
    ranked = [entry for entry in results.standings if not entry.control]
    primary = [metric for metric in results.metrics if metric.name in results.primary]
    return Index(
        results,
        {case: place for place, case in enumerate(dict.fromkeys(cases))},
        sorted(ranked, key=lambda entry: (entry.rank is None, entry.rank or 0.0)),
        [entry for entry in results.standings if entry.control],
        primary or list(results.metrics[:2]),
        [metric for metric in results.metrics if metric.scope == "case"],
        values,
        records,
        {metric.name: axis_of(metric, seen[metric.name]) for metric in results.metrics},
    )
