"""The results of a run: everything that a report shows, as plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from cytosuite.benchmark.ranking.ranking import Ranking
from cytosuite.benchmark.record import Record
from cytosuite.benchmark.results.standings import Standing
from cytosuite.manifest import AlgorithmManifest
from cytosuite.metrics import Metric
from cytosuite.tasks import Task


@dataclass(frozen=True, slots=True)
class CaseFiles:
    """Files of a case, read when it is drawn.

    Parameters
    ----------
    name : str
        Name of the case.
    inputs : mapping of str to Path
        Its input images and labels by slug, the main one first.
    truth : mapping of str to Path
        True outputs by slug; empty where there are none.
    """

    name: str
    inputs: Mapping[str, Path] = field(default_factory=dict)
    truth: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Matches:
    """Objects of one case that an algorithm found or missed, by the overlap table it is scored by.

    Parameters
    ----------
    missed, extra : tuple of int
        Labels of the truth that no object matches, and of the answer that match nothing
        (a match covers more than half of a true object).
    true : int
        Number of objects in the truth.
    truth_classes, answer_classes : mapping of int to str
        Class of each object of the truth (``missed``, ``split``, ``merged``) and of the answer
        (``false``, ``split``: a piece, ``merged``) that is not simply ``matched``, by its label,
        see `cytosuite.metrics.labels.object_errors`.
    """

    missed: tuple[int, ...]
    extra: tuple[int, ...]
    true: int
    truth_classes: Mapping[int, str] = field(default_factory=dict)
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
    """The cases that a condition has in common.

    Parameters
    ----------
    label : str
        A word, or the ends of a range.
    cases : sequence of str
        Their names; annotated ones only.
    objects : int
        Objects in their truth; 0 where the truth is no labels.
    scores : mapping of (algorithm, metric) to Pooled
        Controls included.
    failed : mapping of str to int
        Cases each algorithm failed, which count as empty answers; those with none may be absent.
    """

    label: str
    cases: Sequence[str]
    objects: int
    scores: Mapping[tuple[str, str], Pooled]
    failed: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Condition:
    """A fact about the cases, and the groups into which it divides them.

    Parameters
    ----------
    name, unit : str
        For instance ``density`` and ``%``; the unit may be empty.
    ordered : bool
        Whether the groups are numbers or ranges of numbers, ascending.
    groups : sequence of Group
        Two or more.
    unknown : int
        Annotated cases whose value is not known; they are in no group.
    goes_with : mapping of str to float
        Other conditions that rise (or fall) with this one, each with the rank correlation.
    values : mapping of str to float
        A number by case, where the condition is one; of the cases in groups.
    """

    name: str
    unit: str
    ordered: bool
    groups: Sequence[Group]
    unknown: int = 0
    goes_with: Mapping[str, float] = field(default_factory=dict)
    values: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Results:
    """Everything a report shows.

    Parameters
    ----------
    title, dataset : str
        Heading, and the name of the dataset.
    task : Task
        Task of the algorithms.
    generated : str
        ISO 8601 time of making.
    command : str
        The exact command that repeats the run.
    provenance : mapping of str to str
        Engine, seed, versions, machine, fingerprint of the dataset, revision, ...
    algorithms : sequence of AlgorithmManifest
        Those that ran, controls not among them.
    metrics : sequence of Metric
        In the order of showing, those to rank by first; empty when nothing could be scored.
    primary : sequence of str
        Names of those to rank by.
    standings : sequence of Standing
        One per algorithm and per control.
    scores : DataFrame
        Long table with the columns `standings.COLUMNS`, a row per case and metric;
        ``case`` is empty for a metric of the whole set, ``value`` NaN where undefined, ``status``
        ``"ok"`` or the failure, ``seconds`` in s, ``peak_memory`` in bytes.
    records : mapping of (algorithm, case) to Record
        How each case went.
    logs : mapping of (algorithm, case) to str
        Last lines of the log of each failed case.
    cases : sequence of CaseFiles
        In the order of the dataset.
    outputs : mapping of (algorithm, case) to mapping of str to Path
        Valid outputs by slug.
    matches : mapping of (algorithm, case) to Matches
        Of label outputs with a truth; empty for other tasks.
    objects : mapping of (algorithm, case) to Path
        Tables of the measured objects of label outputs.
    object_scores : mapping of (algorithm, case) to Path
        Tables of the judged objects of label outputs and their truth; of a failed case all objects
        are missed.
    reference : sequence of Path
        Real images that unpaired outputs are compared with; empty without a reference set.
    conditions : sequence of Condition
        By which the scores are broken down; empty where no fact divides the cases.
    notes : sequence of str
        Sentences for the reader, shown at the top.
    broken : sequence of str
        A sentence for each control that misses its value.
    ranking : Ranking or None
        Of the algorithms; None where nothing ranks.
    """

    title: str
    dataset: str
    task: Task
    generated: str
    command: str
    provenance: Mapping[str, str]
    algorithms: Sequence[AlgorithmManifest]
    metrics: Sequence[Metric[Any]]
    primary: Sequence[str]
    standings: Sequence[Standing]
    scores: pd.DataFrame
    records: Mapping[tuple[str, str], Record] = field(default_factory=dict)
    logs: Mapping[tuple[str, str], str] = field(default_factory=dict)
    cases: Sequence[CaseFiles] = ()
    outputs: Mapping[tuple[str, str], Mapping[str, Path]] = field(default_factory=dict)
    matches: Mapping[tuple[str, str], Matches] = field(default_factory=dict)
    objects: Mapping[tuple[str, str], Path] = field(default_factory=dict)
    object_scores: Mapping[tuple[str, str], Path] = field(default_factory=dict)
    reference: Sequence[Path] = ()
    conditions: Sequence[Condition] = ()
    notes: Sequence[str] = ()
    broken: Sequence[str] = ()
    ranking: Ranking | None = None
