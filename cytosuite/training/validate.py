"""Validation: held-out cases, and their score by any metric."""

from collections.abc import Iterable, Sequence
from math import ceil, isnan, nan
from typing import Any

import numpy as np

from cytosuite.errors import InputError
from cytosuite.metrics import FAMILIES, Metric, metrics_of
from cytosuite.metrics.evidence import Facts, gather
from cytosuite.training.parts import Case, Cases
from cytosuite.training.settings import Validation


def hold_out(cases: Cases[Case], amount: float) -> tuple[Cases[Case], Cases[Case]]:
    """Return the cases to train on and those to validate on, both by role.

    Parameters
    ----------
    cases : mapping of str to sequence
        Cases by role.
    amount : float
        Held out of each role, evenly over its order: a share below 1, or a number.

    Raises
    ------
    InputError
        If no case of a role is left to train on.

    Examples
    --------
    >>> hold_out({"data": "abcdef"}, 2)
    ({'data': ['a', 'c', 'd', 'f']}, {'data': ['b', 'e']})
    """
    kept: dict[str, list[Case]] = {}
    held: dict[str, list[Case]] = {}
    for role, given in cases.items():
        count = ceil(amount * len(given)) if amount < 1 else int(amount)
        if count >= len(given):
            raise InputError(
                f"validation.cases: {amount:g} leaves none of the {len(given)} cases of {role} to "
                "train on; hold out fewer, or give more cases"
            )
        chosen = {int((place + 0.5) * len(given) / count) for place in range(count)}
        kept[role] = [case for number, case in enumerate(given) if number not in chosen]
        held[role] = [given[number] for number in sorted(chosen)]
    return kept, held


def wanted_metrics(validation: Validation) -> list[Metric[Any]]:
    """Return the metric that chooses the weights, then the further ones, each once.

    Raises
    ------
    InputError
        If there is none of a name, or the one that chooses has no better end of its range.
    """
    chosen = metric_named(validation.metric)
    others = [metric_named(name, "validation.also", ranks=False) for name in validation.also]
    return list({metric.name: metric for metric in (chosen, *others)}.values())


def metric_named(name: str, place: str = "validation.metric", *, ranks: bool = True) -> Metric[Any]:
    """Return a metric by its name; the first family with it counts.

    Parameters
    ----------
    name : str
    place : str
        Key of the settings, for the message.
    ranks : bool
        Whether one end of its range must be the better one.

    Raises
    ------
    InputError
        If there is none.
    """
    known: dict[str, Metric[Any]] = {}
    for metric in (metric for family in FAMILIES for metric in metrics_of(family)):
        if metric.higher_is_better is not None or not ranks:
            known.setdefault(metric.name, metric)
    if name not in known:
        raise InputError(f"{place}: expected one of {', '.join(known)}, found {name!r}")
    return known[name]


def score(metrics: Sequence[Metric[Any]], facts: Iterable[Facts]) -> dict[str, float]:
    """Return the values of metrics for held-out cases, by name.

    Parameters
    ----------
    metrics : sequence of Metric
        Of a case or of a set; those with the same evidence share it.
    facts : iterable of Facts
        Of each case, and of the set of all; read once. A metric takes those that hold all that it
        needs.

    Returns
    -------
    dict of str to float
        The value for the pooled evidence or, where evidence cannot be pooled, the mean over cases
        with a value; NaN where there is none.

    Raises
    ------
    InputError
        If no facts hold what a metric needs.
    """
    gathered: dict[str, list[Any]] = {metric.name: [] for metric in metrics}
    missing: dict[str, list[str]] = {}  # of the facts that lack least
    for each in facts:
        found = gather([metric.evidence for metric in metrics], each)
        for metric in metrics:
            if metric.evidence in found:
                gathered[metric.name].append(found[metric.evidence])
                continue
            lacks = metric.evidence.missing(each)
            missing[metric.name] = min(missing.get(metric.name, lacks), lacks, key=len)
    for metric in metrics:
        if metric.name in missing and not gathered[metric.name]:
            key = "metric" if metric is metrics[0] else "also"
            raise InputError(
                f"validation.{key}: {metric.name} needs {' and '.join(missing[metric.name])}, "
                "which the validation of this network does not give; choose another"
            )
    return {metric.name: _value(metric, gathered[metric.name]) for metric in metrics}


def _value(metric: Metric[Any], evidence: Sequence[Any]) -> float:
    """Return the value of a metric for the evidence of several cases, see `score`."""
    if metric.evidence.pool is not None and evidence:
        return metric.of(metric.evidence.pool(evidence))
    values = [value for value in map(metric.of, evidence) if not isnan(value)]
    return float(np.mean(values)) if values else nan
