"""What a report is made of: plain values, gathered by the benchmark, drawn by this package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pandas as pd

from benchmark.ranking import Standing


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
        Long table with the columns `benchmark.ranking.COLUMNS`, a row per case and metric;
        ``value`` NaN where undefined, ``status`` ``"ok"`` or how it failed, ``seconds`` in s,
        ``peak_memory`` in bytes.
    failures, selections, algorithms, pictures : sequences
        See their classes.
    notes : sequence of str
        Sentences for the reader, shown at the top.
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
