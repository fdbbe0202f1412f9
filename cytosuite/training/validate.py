"""Validation: held-out cases, and their score by any metric."""

from collections.abc import Iterable
from math import ceil, isnan, nan
from typing import Any

import numpy as np

from cytosuite.errors import InputError
from cytosuite.metrics import FAMILIES, Metric, metrics_of
from cytosuite.metrics.evidence import Facts
from cytosuite.training.parts import Case, Cases


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


def metric_named(name: str) -> Metric[Any]:
    """Return a metric by its name; the first family with it counts.

    Raises
    ------
    InputError
        If there is none, or neither end of its range is the better one.
    """
    ranking: dict[str, Metric[Any]] = {}
    for metric in (metric for family in FAMILIES for metric in metrics_of(family)):
        if metric.higher_is_better is not None:
            ranking.setdefault(metric.name, metric)
    if name not in ranking:
        raise InputError(f"validation.metric: expected one of {', '.join(ranking)}, found {name!r}")
    return ranking[name]


def score(metric: Metric[Any], facts: Iterable[Facts]) -> float:
    """Return the value of a metric for held-out cases.

    Parameters
    ----------
    metric : Metric
        Of a case or of a set.
    facts : iterable of Facts
        Of each case; of a set a single one.

    Returns
    -------
    float
        The value for the pooled evidence or, where evidence cannot be pooled, the mean over cases
        with a value; NaN where there is none.

    Raises
    ------
    InputError
        If facts are missing that the metric needs.
    """
    evidence = []
    for each in facts:
        if missing := metric.evidence.missing(each):
            raise InputError(
                f"validation.metric: {metric.name} needs {' and '.join(missing)}, which the "
                "validation of this network does not give; choose another"
            )
        evidence.append(metric.evidence.of(each))
    if metric.evidence.pool is not None and evidence:
        return metric.of(metric.evidence.pool(evidence))
    values = [value for value in map(metric.of, evidence) if not isnan(value)]
    return float(np.mean(values)) if values else nan
