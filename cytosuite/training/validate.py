"""Validation: held-out cases, and their score by any metric."""

from collections.abc import Iterable, Sequence
from math import ceil, isnan, nan
from pathlib import Path
from typing import Any
from unicodedata import normalize

import numpy as np

from cytosuite.errors import InputError
from cytosuite.folders.splits import (
    FILE,
    Placed,
    Splits,
    classes_of,
    conditions_of,
    counts,
    divide,
    splits_of,
    with_names,
)
from cytosuite.formats.imagefiles import image_name
from cytosuite.metrics import FAMILIES, Metric, metrics_of
from cytosuite.metrics.evidence import Facts, gather
from cytosuite.training.parts import Case, Cases
from cytosuite.training.settings import Validation


def divided(
    folder: Path, cases: Sequence[Case], own: Splits | None
) -> tuple[dict[str, list[Case]], list[Placed], list[str]]:
    """Return cases by part, the rule of each, and lines on both; without rules all are to train."""
    rules = own or splits_of(folder)
    if rules is None:
        return {"train": [*cases]}, [], []
    place = f"{folder}: splits" if own else folder / FILE
    known = with_names(rules, conditions_of(folder, map(_name, cases)), place)
    placed = divide(rules, known, place)
    part = {each.name: each.part for each in placed}
    found: dict[str, list[Case]] = {}
    for case in cases:
        found.setdefault(part[_name(case)], []).append(case)
    return found, placed, counts(placed, known, classes_of(folder))


def _name(case: object) -> str:
    """Return the name of a case, that of its image's file where it has no other, as NFC."""
    found = getattr(case, "name", None) or image_name(case.path)  # type: ignore[attr-defined]
    return normalize("NFC", str(found))


def hold_out(cases: Cases[Case], amount: float) -> tuple[Cases[Case], Cases[Case]]:
    """Return the cases to train on and the held-out ones, by role: a share below 1, or a number.

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
    """Return the metric that chooses the weights, then the others, each once; may be refused."""
    chosen = metric_named(validation.metric)
    others = [metric_named(name, "validation.also", ranks=False) for name in validation.also]
    return list({metric.name: metric for metric in (chosen, *others)}.values())


def metric_named(name: str, place: str = "validation.metric", *, ranks: bool = True) -> Metric[Any]:
    """Return a metric of the first family with its name; with `ranks` one with a better end."""
    known: dict[str, Metric[Any]] = {}
    for metric in (metric for family in FAMILIES for metric in metrics_of(family)):
        if metric.higher_is_better is not None or not ranks:
            known.setdefault(metric.name, metric)
    if name not in known:
        raise InputError(f"{place}: expected one of {', '.join(known)}, found {name!r}")
    return known[name]


def score(metrics: Sequence[Metric[Any]], facts: Iterable[Facts]) -> dict[str, float]:
    """Return metrics of held-out cases by name: pooled, or means over cases; may be refused."""
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
    if metric.evidence.pool is not None and evidence:
        return metric.of(metric.evidence.pool(evidence))
    values = [value for value in map(metric.of, evidence) if not isnan(value)]
    return float(np.mean(values)) if values else nan
