"""The results of a run: everything that a report shows, as plain values."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cytosuite.benchmark.runs.record import Record, Records
from cytosuite.contract.manifest import AlgorithmManifest
from cytosuite.contract.tasks import Task
from cytosuite.figures.svg import Axis, near
from cytosuite.files import (
    FloatDict,
    FloatMap,
    IntDict,
    IntMap,
    Json,
    Paths,
    TextDict,
    TextMap,
    TextPair,
    TextSeq,
    frozen,
)
from cytosuite.metrics import AnyMetric, Metrics
from cytosuite.metrics.evidence import Gathered
from cytosuite.ranking.ranking import MANY, Contest, Ranking

if TYPE_CHECKING:  # pandas
    import pandas as pd

    from cytosuite.benchmark.scores.standings import Standing, Summary

Tables = Mapping[TextPair, Path]  # CSV files by algorithm and case
SHOWN = 20  # algorithms in the sections of a report, of more than `MANY`


@frozen
class CaseFiles:
    """Files of a case, read when it is drawn."""

    name: str  # name of the case
    inputs: Paths = field(default_factory=dict)  # by slug, the main one first
    truth: Paths = field(default_factory=dict)  # by slug
    channels: Paths = field(default_factory=dict)  # other images of it, by name


@frozen
class Matches:
    """Objects of one case that an algorithm found or missed."""

    missed: tuple[int, ...]  # labels of the truth without a match
    extra: tuple[int, ...]  # labels of the answer without a match
    true: int  # number of objects in the truth
    truth_classes: Mapping[int, str] = field(default_factory=dict)  # all but ``matched``
    answer_classes: Mapping[int, str] = field(default_factory=dict)

    @property
    def found(self) -> int:
        """Number of objects of the truth with a match."""
        return self.true - len(self.missed)


@frozen
class Group:
    """The cases that a condition has in common."""

    label: str  # a word, or the ends of a range
    cases: TextSeq  # their names; annotated ones only
    objects: int  # objects or points in their truth; 0 where the truth is an image
    scores: Mapping[TextPair, "Summary"]  # controls included
    failed: IntMap = field(default_factory=dict)  # count as empty answers


@frozen
class Condition:
    """A fact about the cases, and the groups into which it divides them."""

    name: str  # for instance ``density`` and ``%``; the unit may be empty
    unit: str
    ordered: bool  # whether the groups are numbers or ranges of numbers, ascending
    groups: Sequence[Group]  # two or more
    unknown: int = 0  # annotated cases with an unknown value; they are in no group
    goes_with: FloatMap = field(default_factory=dict)  # rank correlations
    values: FloatMap = field(default_factory=dict)  # of numbers, by case

    @property
    def title(self) -> str:
        """Name and unit."""
        return f"{self.name} [{self.unit}]" if self.unit else self.name

    @property
    def labels(self) -> list[str]:
        """Labels of the groups; numbers have their unit."""
        unit = f" {self.unit}" if self.unit and self.ordered else ""
        return [f"{group.label}{unit}" for group in self.groups]


class CaseValues(dict[TextPair, FloatDict]):
    """Defined values of cases by algorithm and metric, infinite ones too; taken when asked for."""

    def __init__(self, scores: "pd.DataFrame") -> None:
        self._rows = scores[(scores["case"] != "") & scores["value"].notna()]
        self._places = self._rows.groupby(["algorithm", "metric"]).indices

    def __missing__(self, key: TextPair) -> FloatDict:
        """Return the value of each case by a metric, none where an algorithm has none."""
        rows = self._rows.iloc[self._places.get(key, [])]
        self[key] = dict(zip(rows["case"].tolist(), rows["value"].tolist(), strict=True))
        return self[key]


@dataclass(frozen=True)
class Results:
    """Everything a report shows; its views look values, attempts and axes up once."""

    title: str  # heading, and the name of the dataset
    dataset: str
    task: Task  # task of the algorithms
    generated: str  # ISO 8601 time of making
    command: str  # the exact command that repeats the run
    provenance: TextMap  # engine, seed, versions, machine, fingerprint, revision
    algorithms: Sequence[AlgorithmManifest]  # those that ran, controls not among them
    metrics: Metrics  # in the order of showing, those to rank by first
    primary: TextSeq  # names of those to rank by
    standings: Sequence["Standing"]  # the algorithms, best first, and the controls below
    scores: "pd.DataFrame"  # `standings.COLUMNS`: a row per case and metric, see `Scores.table`
    records: Records = field(default_factory=dict)  # how each case went
    logs: Mapping[TextPair, str] = field(default_factory=dict)  # last lines
    cases: Sequence[CaseFiles] = ()  # in the order of the dataset
    outputs: Mapping[TextPair, Paths] = field(default_factory=dict)  # by slug
    matches: Mapping[TextPair, Matches] = field(default_factory=dict)  # of labels
    objects: Tables = field(default_factory=dict)
    object_scores: Tables = field(default_factory=dict)
    links: Tables = field(default_factory=dict)  # wrong ones
    reference: Sequence[Path] = ()  # real images that unpaired outputs are compared with
    sets: Mapping[str, Gathered] = field(default_factory=dict)  # by answer
    conditions: Sequence[Condition] = ()  # empty where no fact divides the cases
    notes: TextSeq = ()  # sentences for the reader, shown at the top
    broken: TextSeq = ()  # a sentence for each control that misses its value
    ranking: Ranking | None = None  # of the algorithms; None where nothing ranks

    @property
    def ranked(self) -> list["Standing"]:
        """The algorithms, best first, the unranked last."""
        return [entry for entry in self.standings if not entry.control]

    @property
    def controls(self) -> list["Standing"]:
        """The controls."""
        return [entry for entry in self.standings if entry.control]

    @property
    def places(self) -> IntDict:
        """The place of each algorithm with a rank; ties share the best."""
        from cytosuite.ranking.contests import places_of  # pandas

        ranks = {e.algorithm: e.rank for e in self.ranked if e.rank is not None}
        return places_of(np.array([*ranks.values()]), [*ranks])

    @property
    def board(self) -> list[AnyMetric]:
        """The metrics of the leaderboard: the primary ones, or the first two of all."""
        primary = [metric for metric in self.metrics if metric.name in self.primary]
        return primary or list(self.metrics[:2])

    @property
    def by_case(self) -> list[AnyMetric]:
        """The metrics with a value per case."""
        return [metric for metric in self.metrics if metric.scope == "case"]

    @cached_property
    def first(self) -> "Results":
        """The results in the sections of a report: the first of many algorithms, and controls."""
        if len(self.ranked) <= MANY:
            return self
        standings = [*self.ranked[:SHOWN], *self.controls]
        names = {entry.algorithm for entry in standings}
        by_case = ("records", "logs", "outputs", "matches", "objects", "object_scores", "links")
        theirs: Json = {
            field: {key: value for key, value in getattr(self, field).items() if key[0] in names}
            for field in by_case
        }
        notes = [
            (
                f"The sections show the first {SHOWN} of {len(self.ranked)} algorithms; all stand "
                "under All algorithms and in the tables next to this page."
            ),
            *self.notes[:SHOWN],
            *(
                [f"{more} more notes are left out."]
                if (more := len(self.notes) - SHOWN) > 0
                else []
            ),
        ]
        return replace(
            self,
            standings=standings,
            algorithms=[manifest for manifest in self.algorithms if manifest.name in names],
            scores=self.scores[self.scores["algorithm"].isin(names)],
            sets={name: evidence for name, evidence in self.sets.items() if name in names},
            notes=notes,
            ranking=self.ranking and ranking_of(self.ranking, names),
            **theirs,
        )

    @cached_property
    def case_order(self) -> IntDict:
        """Place of each case, in the order of the dataset; sets have no case."""
        cases = chain(
            (case.name for case in self.cases),
            *self.attempts.values(),
            filter(None, self.scores["case"].unique().tolist()),
        )
        return {case: place for place, case in enumerate(dict.fromkeys(cases))}

    @cached_property
    def attempts(self) -> defaultdict[str, dict[str, Record]]:
        """Records by algorithm and case."""
        attempts = defaultdict[str, dict[str, Record]](dict)
        for (algorithm, case), record in self.records.items():
            attempts[algorithm][case] = record
        return attempts

    @cached_property
    def values(self) -> CaseValues:
        """Defined values of cases by algorithm and metric."""
        return CaseValues(self.scores)

    @cached_property
    def axes(self) -> dict[str, Axis]:
        """Axis of each metric, wide enough for all values and intervals."""
        seen = dict(iter(self.scores.groupby("metric")["value"]))
        axes = {}
        for metric in self.metrics:
            summaries = (standing.summaries.get(metric.name) for standing in self.standings)
            ends = ((summary.mean, summary.low, summary.high) for summary in summaries if summary)
            axes[metric.name] = axis_of(metric, chain(seen.get(metric.name, ()), *ends))
        return axes

    def reach(self, metric: AnyMetric, entries: Iterable["Standing"]) -> Axis:
        """Return the part of a metric's axis with means, intervals, pooled values of standings."""
        summaries = [entry.summary(metric) for entry in entries]
        ends = [(summary.mean, summary.low, summary.high, summary.pooled) for summary in summaries]
        return near(self.axes[metric.name], chain.from_iterable(ends))

    def failed(self, algorithm: str) -> TextDict:
        """Return the failure of each case that an algorithm did not finish."""
        return {
            case: record.status
            for case, record in self.attempts[algorithm].items()
            if not record.ok
        }

    def goodness(self, algorithm: str) -> FloatDict:
        """Return the mean goodness by case over the board's metrics, 0 to 1; -inf without any."""
        means = dict.fromkeys(self.case_order, -math.inf)
        for case in means.keys() - self.failed(algorithm):
            good = [
                goodness
                for metric in self.board
                if (value := self.values[algorithm, metric.name].get(case)) is not None
                and (goodness := self.axes[metric.name].goodness(value)) is not None
            ]
            means[case] = sum(good) / len(good) if good else -math.inf
        return means


def ranking_of(ranking: Ranking, names: set[str]) -> Ranking:
    """Return a ranking with the lines and pairs of some algorithms, at their places among all."""

    def part(contest: Contest) -> Contest:
        """Return the lines and pairs of these algorithms in a contest."""
        pairs = {p: own for p, own in contest.differences.items() if names.issuperset(p)}
        better = frozenset(pair for pair in contest.better if names.issuperset(pair))
        order = [name for name in contest.algorithms if name in names]
        return replace(contest, algorithms=order, better=better, differences=pairs)

    metrics = {name: part(contest) for name, contest in ranking.metrics.items()}
    return replace(ranking, overall=part(ranking.overall), metrics=metrics)


def axis_of(metric: AnyMetric, seen: Iterable[float]) -> Axis:
    """Return the axis of a metric: its own range, or the values' where it is unbounded."""
    ends = [end for end in (metric.best, metric.worst) if end is not None and math.isfinite(end)]
    pool = ends if len(ends) == 2 else [*ends, *filter(math.isfinite, seen)]
    low, high = (min(pool), max(pool)) if pool else (0.0, 1.0)
    if high <= low:
        low -= 0.5
        high += 0.5
    return Axis(low, high, metric.higher_is_better)
