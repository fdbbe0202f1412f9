"""The results indexed for a report: every value, attempt and axis is looked up once."""

import math
from dataclasses import dataclass
from typing import Any

from benchmark.record import Record
from benchmark.report.figures import Axis, axis_of
from benchmark.results.ranking import Standing, Summary
from benchmark.results.results import Results
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
    values: dict[tuple[str, str], dict[str, float]]
    records: dict[str, dict[str, Record]]
    axes: dict[str, Axis]

    def summary(self, entry: Standing, metric: Metric[Any]) -> Summary:
        """Return a metric of one standing, NaN where there is none."""
        nothing = Summary(metric.name, math.nan, math.nan, math.nan, math.nan, 0, 0, 0)
        return entry.summaries.get(metric.name, nothing)

    def status(self, algorithm: str, case: str) -> str:
        """Return the failure of a case; empty if it went well or did not run."""
        record = self.records.get(algorithm, {}).get(case)
        return "" if record is None or record.ok else record.status

    def goodness(self, algorithm: str) -> dict[str, float | None]:
        """Return the mean goodness of an algorithm in each case over the leaderboard's metrics.

        Returns
        -------
        dict of str to float or None
            0 (worst) to 1 (best); None where the case failed or no value is defined.
        """
        metrics = [m for m in self.board if m.scope == "case"]
        found: dict[str, float | None] = {}
        for case in self.cases:
            good = [
                goodness
                for metric in metrics
                if (value := self.values.get((algorithm, metric.name), {}).get(case)) is not None
                and (goodness := self.axes[metric.name].goodness(value)) is not None
            ]
            lost = bool(self.status(algorithm, case)) or not good
            found[case] = None if lost else sum(good) / len(good)
        return found


def index(results: Results) -> Index:
    """Return the results indexed, in one pass over the table of scores."""
    values: dict[tuple[str, str], dict[str, float]] = {}
    seen: dict[str, list[float]] = {metric.name: [] for metric in results.metrics}
    columns = (results.scores[name].tolist() for name in ("algorithm", "case", "metric", "value"))
    for algorithm, case, metric, value in zip(*columns, strict=True):
        if value is not None and not math.isnan(value):
            seen.setdefault(metric, []).append(float(value))
            if case:
                values.setdefault((algorithm, metric), {})[case] = float(value)
    for standing in results.standings:
        for name, summary in standing.summaries.items():
            seen.setdefault(name, []).extend((summary.mean, summary.low, summary.high))
    records: dict[str, dict[str, Record]] = {}
    for (algorithm, case), record in results.records.items():
        records.setdefault(algorithm, {})[case] = record
    names = [case.name for case in results.cases]
    names += [case for found in records.values() for case in found]
    names += [case for found in values.values() for case in found]
    ranked = [entry for entry in results.standings if not entry.control]
    by_name = {metric.name: metric for metric in results.metrics}
    primary = [by_name[name] for name in results.primary if name in by_name]
    return Index(
        results,
        {case: place for place, case in enumerate(dict.fromkeys(names))},
        sorted(ranked, key=lambda entry: (entry.rank is None, entry.rank or 0.0)),
        [entry for entry in results.standings if entry.control],
        primary or list(results.metrics[:2]),
        [metric for metric in results.metrics if metric.scope == "case"],
        values,
        records,
        {metric.name: axis_of(metric, seen[metric.name]) for metric in results.metrics},
    )
