"""Validation: held-out cases, and their score by any metric."""

import time
from collections.abc import Iterable, Iterator, Sequence
from math import ceil, inf
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import stdtrit

from cytosuite.contract.progress import shown
from cytosuite.contract.words import SPLITS, Say
from cytosuite.errors import InputError
from cytosuite.files import FloatDict, IntPair, Lists
from cytosuite.folders.entries import home_of
from cytosuite.folders.splits import Division
from cytosuite.metrics.evidence import Facts, gather
from cytosuite.metrics.known import known
from cytosuite.metrics.metric import AnyMetric, known_metrics
from cytosuite.training.parts import Case, CaseLists, Cases, State
from cytosuite.training.progress import left
from cytosuite.training.settings import FileSettings, Validation

FEW = 2  # cases that any validation scores
LEAST = 6  # held-out cases by which a model may be adopted
_SILENT_S = 5.0  # between two lines about one validation


def divided(
    folder: Path, cases: Sequence[Case], files: FileSettings, say: Say
) -> tuple[CaseLists[Case], Division | None]:
    """Return cases by part, and the division of their folder; without rules or files all train."""
    if not all(hasattr(case, "path") for case in cases):
        return {"train": [*cases]}, None
    table = files.index(folder)
    by_part = CaseLists[Case]()
    if table.skipped:
        say(f"{folder.name}: {table.count}")
    if len(cases) < len(table.items):
        say(
            f"{folder.name}: {len(cases)} of {len(table.items)} images serve: the others have "
            "other names, or no labels"
        )
    division = table.divided(
        folder, files.splits, f"{folder}: splits" if files.splits else home_of(folder) / SPLITS
    )
    if not division:
        return {"train": [*cases]}, None
    for line in division.lines:
        say(f"parts of {folder.name}: {line}")
    part = {placed.name: placed.part for placed in division.placed}
    parts = {path: part[item.name] for item in table.items for path in item.all_paths}
    for case in cases:
        by_part.setdefault(parts[case.path], []).append(case)  # type: ignore[attr-defined]
    return by_part, division


def hold_out(cases: Sequence[Case], amount: float, role: str) -> tuple[list[Case], list[Case]]:
    """Return the cases of a role to train on and the held-out ones: a share below 1, or a number.

    >>> hold_out("abcdef", 2, "data")
    (['a', 'c', 'd', 'f'], ['b', 'e'])
    """
    count = ceil(amount * len(cases)) if amount < 1 else int(amount)
    if count >= len(cases):
        raise InputError(
            f"validation.cases: {amount:g} leaves none of the {len(cases)} cases of {role} to "
            "train on; hold out fewer, or give more cases"
        )
    chosen = {int((place + 0.5) * len(cases) / count) for place in range(count)}
    rest = [case for number, case in enumerate(cases) if number not in chosen]
    return rest, [cases[number] for number in sorted(chosen)]


def some(cases: Cases[Case], count: int) -> Cases[Case]:
    """Return as many cases of each role, evenly."""
    return {
        role: hold_out(role_cases, count, role)[1] if count < len(role_cases) else role_cases
        for role, role_cases in cases.items()
    }


def judged(held: Cases[Case], state: State) -> Cases[Case]:
    """Return the held-out cases that a validation scores."""
    return held if state.bound is None else some(held, state.bound[0])


def bounded(affordable: float, count: int, due: int) -> IntPair:
    """Return the cases of a validation, and which of the due ones is taken: each, each second ...

    They are so many that all validations score no more than `affordable` cases, or `FEW` once.

    >>> bounded(50, 10, 5), bounded(20, 10, 5), bounded(8, 10, 5), bounded(0.5, 10, 5)
    ((10, 1), (4, 1), (2, 2), (2, 5))
    """
    cases = min(count, max(FEW, int(affordable / due)))
    return cases, ceil(due / max(1, int(affordable / cases)))


def in_sight(facts: Iterable[Facts], count: int, say: Say) -> Iterator[Facts]:
    """Yield facts about `count` cases; say that they are scored, and at times how long it lasts."""
    say(f"validation of {count} held-out cases")
    began = spoken = time.perf_counter()
    done = 0
    cases = iter(facts)

    def tell(share: float) -> None:
        """Say how far the validation is, with a share of the present case."""
        nonlocal spoken
        now = time.perf_counter()
        there = done + share
        if now - spoken > _SILENT_S and there < count:
            # The first facts may come for all cases at once.
            rest = f", {left((now - began) / there * (count - there))}" if done else ""
            say(f"validation: {there:.3g} of {count} cases{rest}")
            spoken = now

    while True:
        with shown(tell):
            case_facts = next(cases, None)
        if case_facts is None:
            return
        yield case_facts
        done += 1
        tell(0.0)


def wanted_metrics(validation: Validation) -> list[AnyMetric]:
    """Return the metric that chooses the weights, then the others, each once; may be refused."""
    chosen = metric_named(validation.metric)
    others = [metric_named(name, "validation.also", ranks=False) for name in validation.also]
    return list({metric.name: metric for metric in (chosen, *others)}.values())


def metric_named(name: str, place: str = "validation.metric", *, ranks: bool = True) -> AnyMetric:
    """Return a metric of the first family with its name; with `ranks` one with a better end."""
    metrics = known_metrics("", ranks=ranks)
    if name not in metrics:
        raise InputError(f"{place}: expected one of {', '.join(metrics)}, found {name!r}")
    return metrics[name]


def score(
    metrics: Sequence[AnyMetric], facts: Iterable[Facts], cases: list[float] | None = None
) -> FloatDict:
    """Return metrics of held-out cases by name: pooled, or means over cases; may be refused.

    The first metric of each case is added to `cases`.
    """
    gathered: dict[str, list[Any]] = {metric.name: [] for metric in metrics}
    missing: Lists = {}  # of the facts that lack least
    for case_facts in facts:
        evidence = gather([metric.evidence for metric in metrics], case_facts)
        for metric in metrics:
            if metric.evidence in evidence:
                gathered[metric.name].append(evidence[metric.evidence])
                continue
            lacks = metric.evidence.missing(case_facts)
            missing[metric.name] = min(missing.get(metric.name, lacks), lacks, key=len)
    for metric in metrics:
        if metric.name in missing and not gathered[metric.name]:
            key = "metric" if metric is metrics[0] else "also"
            raise InputError(
                f"validation.{key}: {metric.name} needs {' and '.join(missing[metric.name])}, "
                "which the validation of this network does not give; choose another"
            )
    if cases is not None:
        cases += map(metrics[0].of, gathered[metrics[0].name])
    return {metric.name: _value(metric, gathered[metric.name]) for metric in metrics}


def least_gain(own: Sequence[float], theirs: Sequence[float], sign: int) -> float:
    """Return the lower end of the 95 % interval (Student) of the mean gain in the same cases.

    It is -inf of fewer than `LEAST` cases. `sign` is 1 where more is better, else -1.

    >>> least_gain([0.9, 0.8, 0.9, 0.8, 0.9, 0.8], [0.7] * 6, 1) > 0 > least_gain([0.9], [0.7], 1)
    True
    """
    gains = sign * (np.array(own) - theirs)
    gains = gains[np.isfinite(gains)]
    if gains.size < LEAST:
        return -inf
    spread = gains.std(ddof=1) / np.sqrt(gains.size)
    return float(gains.mean() - stdtrit(gains.size - 1, 0.975) * spread)


def _value(metric: AnyMetric, evidence: Sequence[Any]) -> float:
    if metric.evidence.pool and evidence:
        return metric.of(metric.evidence.pool(evidence))
    return known([*map(metric.of, evidence)])
