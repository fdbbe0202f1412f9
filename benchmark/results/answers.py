"""Scores of one answer: the output of an algorithm or control for a case, or for the whole set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import nan
from typing import Any

from benchmark.record import Record
from cytosuite.errors import InputError
from cytosuite.metrics import Metric
from cytosuite.metrics.evidence import Evidence, Facts, gather
from cytosuite.tasks import Socket, Task

Metrics = Sequence[Metric[Any]]


@dataclass(frozen=True, slots=True)
class Answer:
    """Scores of one answer.

    Parameters
    ----------
    algorithm, case : str
        Names; ``case`` is empty for the whole set.
    metrics : sequence of Metric
        Those whose needs are met.
    values : mapping of str to float
        By name of the metric; NaN where it is undefined.
    status : str
        ``ok``, or the failure.
    record : Record or None
        Of the runner; None for controls and sets.
    evidence : mapping of Evidence to object
        Evidence that can be pooled.
    refused : mapping of str to str
        By name of the metric, why there is no value: the images do not suit it.
    """

    algorithm: str
    case: str
    metrics: Metrics
    values: Mapping[str, float]
    status: str = "ok"
    record: Record | None = None
    evidence: Mapping[Evidence[Any], Any] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)


def main_output(task: Task) -> Socket | None:
    """Return the output that metrics apply to: the first that is an image or labels."""
    return next((socket for socket in task.outputs if socket.kind != "json"), None)


def measure(
    algorithm: str,
    case: str,
    metrics: Metrics,
    facts: Facts,
    status: str = "ok",
    record: Record | None = None,
) -> Answer:
    """Return the scores of an answer; those of a failure are the worst ones, NaN without a worst.

    Parameters
    ----------
    algorithm, case, metrics, status, record
        As of `Answer`.
    facts : Facts
        Of the case or set; each evidence is gathered once.
    """
    evidence: dict[Evidence[Any], Any] = {}
    values: dict[str, float] = {}
    refused: dict[str, str] = {}
    for metric in metrics:
        try:
            if metric.evidence not in evidence:
                evidence |= gather([metric.evidence], facts)
            if status != "ok":
                values[metric.name] = nan if metric.worst is None else metric.worst
            elif metric.evidence in evidence:
                values[metric.name] = metric.of(evidence[metric.evidence])
        except InputError as error:
            refused[metric.name] = str(error)
    kept = {each: table for each, table in evidence.items() if each.pool is not None}
    return Answer(algorithm, case, metrics, values, status, record, kept, refused)
