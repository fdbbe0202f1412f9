"""The results indexed for a report: every value, attempt and axis is looked up once."""

import math
from collections import defaultdict
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from cytosuite.benchmark.record import Record
from cytosuite.benchmark.report.axis import Axis, axis_of
from cytosuite.benchmark.results.results import Results
from cytosuite.benchmark.results.standings import Standing, Summary
from cytosuite.metrics import Metric


@dataclass(frozen=True)
class Index:
    """Results by algorithm, metric and case.

    Parameters
    ----------
    results : Results
        All that is known of the run.
    cases : mapping of str to int
        Place of each case, in the order of the dataset; sets have no case.
    ranked, controls : list of Standing
        The algorithms, best first, the unranked last; and the controls, as given.
    board : list of Metric
        Those of the leaderboard: the primary ones, or the first two of all.
    by_case : list of Metric
        Those with a value per case.
    values : mapping of (algorithm, metric) to mapping of str to float
        The defined values by case; infinite ones are among them.
    records : mapping of str to mapping of str to Record
        How each case went, by algorithm and case.
    axes : mapping of str to Axis
        Axis of each metric, wide enough for all values and intervals; with the better end.
    """

    results: Results
    cases: dict[str, int]
    ranked: list[Standing]
    controls: list[Standing]
    board: list[Metric[Any]]
    by_case: list[Metric[Any]]
    values: defaultdict[tuple[str, str], dict[str, float]]
    records: defaultdict[str, dict[str, Record]]
    axes: dict[str, Axis]

    @property
    def standings(self) -> list[Standing]:
        """The algorithms, best first, and the controls below."""
        return [*self.ranked, *self.controls]

    def summary(self, entry: Standing, metric: Metric[Any]) -> Summary:
        """Return a metric of one standing, NaN where there is none: a control has a mean alone."""
        found = entry.summaries.get(metric.name, Summary())
        alone = replace(found, low=math.nan, high=math.nan, pooled=math.nan)
        return alone if entry.control else found

    def failed(self, algorithm: str) -> dict[str, str]:
        """Return the failure of each case that an algorithm did not finish."""
        found = self.records[algorithm].items()
        return {case: record.status for case, record in found if not record.ok}

    def goodness(self, algorithm: str) -> dict[str, float]:
        """Return the mean goodness of an algorithm in each case over the leaderboard's metrics.

        0 is worst and 1 best; -inf where the case failed or no value is defined.
        """
        found = dict.fromkeys(self.cases, -math.inf)
        for case in found.keys() - self.failed(algorithm):
            each = [
                self.axes[metric.name].goodness(value)
                for metric in self.board
                if (value := self.values[algorithm, metric.name].get(case)) is not None
            ]
            good = [goodness for goodness in each if goodness is not None]
            found[case] = sum(good) / len(good) if good else -math.inf
        return found


def index(results: Results) -> Index:
    """Return the results indexed, in one pass over the table of scores."""
    values: defaultdict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    records: defaultdict[str, dict[str, Record]] = defaultdict(dict)
    seen: defaultdict[str, list[float]] = defaultdict(list)
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
