"""The results of a run: everything that a report shows, as plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cytosuite.benchmark.runs.record import Record
from cytosuite.contract.manifest import AlgorithmManifest
from cytosuite.contract.tasks import Task
from cytosuite.metrics import Metric
from cytosuite.metrics.evidence import Evidence
from cytosuite.ranking.ranking import Ranking

if TYPE_CHECKING:  # pandas
    import pandas as pd

    from cytosuite.benchmark.results.standings import Standing


@dataclass(frozen=True, slots=True)
class CaseFiles:
    """Files of a case, read when it is drawn."""

    name: str  # name of the case
    inputs: Mapping[str, Path] = field(default_factory=dict)  # by slug, the main one first
    truth: Mapping[str, Path] = field(default_factory=dict)  # by slug
    channels: Mapping[str, Path] = field(default_factory=dict)  # other images of it, by name


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class Pooled:
    """A metric of the cases of a group taken as one, with its 95 % interval (NaN: not known)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Group:
    """The cases that a condition has in common."""

    label: str  # a word, or the ends of a range
    cases: Sequence[str]  # their names; annotated ones only
    objects: int  # objects or points in their truth; 0 where the truth is an image
    scores: Mapping[tuple[str, str], Pooled]  # controls included
    failed: Mapping[str, int] = field(default_factory=dict)  # count as empty answers


@dataclass(frozen=True, slots=True)
class Condition:
    """A fact about the cases, and the groups into which it divides them."""

    name: str  # for instance ``density`` and ``%``; the unit may be empty
    unit: str
    ordered: bool  # whether the groups are numbers or ranges of numbers, ascending
    groups: Sequence[Group]  # two or more
    unknown: int = 0  # annotated cases with an unknown value; they are in no group
    goes_with: Mapping[str, float] = field(default_factory=dict)  # rank correlations
    values: Mapping[str, float] = field(default_factory=dict)  # of numbers, by case


@dataclass(frozen=True, slots=True)
class Results:
    """Everything a report shows."""

    title: str  # heading, and the name of the dataset
    dataset: str
    task: Task  # task of the algorithms
    generated: str  # ISO 8601 time of making
    command: str  # the exact command that repeats the run
    provenance: Mapping[str, str]  # engine, seed, versions, machine, fingerprint, revision
    algorithms: Sequence[AlgorithmManifest]  # those that ran, controls not among them
    metrics: Sequence[Metric[Any]]  # in the order of showing, those to rank by first
    primary: Sequence[str]  # names of those to rank by
    standings: Sequence["Standing"]  # one per algorithm and per control
    scores: "pd.DataFrame"  # `standings.COLUMNS`: a row per case and metric, see `Scores.table`
    records: Mapping[tuple[str, str], Record] = field(default_factory=dict)  # how each case went
    logs: Mapping[tuple[str, str], str] = field(default_factory=dict)  # last lines
    cases: Sequence[CaseFiles] = ()  # in the order of the dataset
    outputs: Mapping[tuple[str, str], Mapping[str, Path]] = field(default_factory=dict)  # by slug
    matches: Mapping[tuple[str, str], Matches] = field(default_factory=dict)  # of labels
    objects: Mapping[tuple[str, str], Path] = field(default_factory=dict)  # CSV files
    object_scores: Mapping[tuple[str, str], Path] = field(default_factory=dict)  # CSV
    links: Mapping[tuple[str, str], Path] = field(default_factory=dict)  # CSV of wrong links
    reference: Sequence[Path] = ()  # real images that unpaired outputs are compared with
    sets: Mapping[str, Mapping[Evidence[Any], Any]] = field(default_factory=dict)  # by answer
    conditions: Sequence[Condition] = ()  # empty where no fact divides the cases
    notes: Sequence[str] = ()  # sentences for the reader, shown at the top
    broken: Sequence[str] = ()  # a sentence for each control that misses its value
    ranking: Ranking | None = None  # of the algorithms; None where nothing ranks
