"""What a report is made of: plain values, gathered by the benchmark, drawn by this package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pandas as pd

from benchmark.results.ranking import Standing


@dataclass(frozen=True, slots=True)
class MetricInfo:
    """A metric as a reader has to know it.

    Parameters
    ----------
    name : str
        Short name, as in the scores table.
    title, description : str
        Long name; one to three sentences of definition.
    best, worst : float or None
        The ends of its range; None where that end is unbounded.
    reference : str
        DOI of its source, without ``https://doi.org/``; may be empty.
    primary : bool
        Whether it is shown in the leaderboard.
    """

    name: str
    title: str
    description: str
    best: float | None
    worst: float | None
    reference: str = ""
    primary: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """A case an algorithm did not finish: how it ended, why, and the last lines of its log."""

    algorithm: str
    case: str
    status: str
    message: str
    log_tail: str = ""


@dataclass(frozen=True, slots=True)
class SelectionNote:
    """The model chosen for a case, its cost (0 = fits exactly) and why a fallback was needed."""

    algorithm: str
    case: str
    model: str
    cost: float
    fallback: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AlgorithmInfo:
    """An algorithm as its manifest describes it; `startup_seconds` is None where not measured."""

    name: str
    version: str
    title: str
    description: str = ""
    license: str = ""
    references: Sequence[str] = ()
    startup_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class CasePicture:
    """The files of a case, read when it is drawn.

    Parameters
    ----------
    case : str
        Name of the case, as in the scores table.
    image : Path
        The input image.
    truth : Path or None
        Labels (or the wanted image), where there are any.
    predictions : mapping of str to Path
        Output of each algorithm, by its name; those without a valid output are absent.
    kind : {"labels", "image"}
        Whether truth and predictions are label images, drawn as outlines over the input, or
        images, drawn beside it.
    """

    case: str
    image: Path
    truth: Path | None
    predictions: Mapping[str, Path]
    kind: Literal["labels", "image"] = "labels"


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
        What they share: a word, or the ends of a range.
    cases : sequence of str
        Their names; annotated ones only.
    objects : int
        Objects in their truth.
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
        Such as ``density`` and ``%``; the unit may be empty.
    ordered : bool
        Whether the groups are numbers or ranges of numbers, ascending.
    groups : sequence of Group
        Two or more.
    unknown : int
        Annotated cases of which the fact is not known; they are in no group.
    goes_with : mapping of str to float
        Other conditions that rise (or fall) with this one, each with the rank correlation:
        what looks like the effect of one may be that of the other.
    """

    name: str
    unit: str
    ordered: bool
    groups: Sequence[Group]
    unknown: int = 0
    goes_with: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReportContent:
    """Everything a report shows.

    Parameters
    ----------
    title, dataset : str
        Heading, and the name of the dataset.
    generated : str
        ISO 8601 time of making.
    command : str
        The exact command that repeats the run.
    provenance : mapping of str to str
        Engine, seed, versions, machine, fingerprint of the dataset, revision, ...
    standings : sequence of Standing
        One per algorithm and per control.
    metrics : sequence of MetricInfo
        In the order of showing; empty when nothing could be scored.
    scores : DataFrame
        Long table with the columns `benchmark.results.ranking.COLUMNS`, a row per case and metric;
        ``value`` NaN where undefined, ``status`` ``"ok"`` or how it failed, ``seconds`` in s,
        ``peak_memory`` in bytes.
    failures, selections, algorithms, pictures : sequences
        See their classes.
    notes : sequence of str
        Sentences for the reader, shown at the top.
    conditions : sequence of Condition
        By which the scores are broken down; empty where no fact divides the cases.
    """

    title: str
    dataset: str
    generated: str
    command: str
    provenance: Mapping[str, str]
    standings: Sequence[Standing]
    metrics: Sequence[MetricInfo]
    scores: pd.DataFrame
    failures: Sequence[Failure] = ()
    selections: Sequence[SelectionNote] = ()
    algorithms: Sequence[AlgorithmInfo] = ()
    notes: Sequence[str] = ()
    pictures: Sequence[CasePicture] = field(default=())
    conditions: Sequence[Condition] = ()

    def ranked(self) -> list[Standing]:
        """Return the standings of the algorithms, best first, the unranked last."""
        entries = [entry for entry in self.standings if not entry.control]
        return sorted(entries, key=lambda entry: (entry.rank is None, entry.rank or 0.0))

    def controls(self) -> list[Standing]:
        """Return the standings of the controls, as given."""
        return [entry for entry in self.standings if entry.control]

    def primary(self) -> list[MetricInfo]:
        """Return the metrics of the leaderboard: the primary ones, or the first two of all."""
        chosen = [metric for metric in self.metrics if metric.primary]
        return chosen or list(self.metrics[:2])
