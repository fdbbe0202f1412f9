"""Divide cases by a condition: words are groups, numbers are cut into ranges of equal counts."""

import math
import re
from bisect import bisect
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

from cytosuite.volume import Scalar

RANGES = 4  # at most, of a number
CASES = 3  # of a range, if there are enough
WORDS = 8  # groups at most; beyond that the rarest are taken together


def named(condition: str) -> tuple[str, str]:
    """Return the name of a condition without its unit, and the unit.

    Examples
    --------
    >>> named("density [%]"), named("objects")
    (('density', '%'), ('objects', ''))
    """
    found = re.fullmatch(r"(.+?)\s*\[(.+)\]", condition)
    return (found[1], found[2]) if found else (condition, "")


def is_number(values: Mapping[str, Scalar]) -> bool:
    """Return whether a condition is a number in every case that has it."""
    return all(isinstance(value, int | float) for value in values.values())


def divide(values: Mapping[str, Scalar]) -> dict[str, list[str]]:
    """Return the groups into which a condition divides cases.

    Parameters
    ----------
    values : mapping of str to str, int or float
        The condition of each case.

    Returns
    -------
    dict of str to list of str
        Names of cases by label of the group. Numbers: a group per value if there are at most
        `RANGES` and each occurs twice or more; else up to `RANGES` ranges of about equally many
        cases, at least `CASES` where there are enough for two. Words: a group per word, by name,
        the rarest beyond `WORDS` together and last. One group or none if all cases are alike.

    Examples
    --------
    >>> divide({"a": 1.2, "b": 9.7, "c": 2.9, "d": 7.0})
    {'below 5': ['a', 'c'], '5 or more': ['b', 'd']}
    """
    if not is_number(values):
        words = {case: str(value) for case, value in values.items()}
        often = Counter(words.values())
        kept = [word for word, _ in often.most_common(WORDS - (len(often) > WORDS))]
        rest = f"{len(often) - len(kept)} others"
        order = [*sorted(kept), rest]
        labels = {case: word if word in kept else rest for case, word in words.items()}
    else:
        numbers = {case: float(value) for case, value in values.items()}
        times = Counter(numbers.values())
        if len(times) <= RANGES and min(times.values(), default=0) > 1:
            order = [f"{value:.12g}" for value in sorted(times)]
            labels = {case: f"{value:.12g}" for case, value in numbers.items()}
        else:
            ends = edges(list(numbers.values()))
            order = _ranges([f"{end:.12g}" for end in ends])
            labels = {case: order[bisect(ends, value)] for case, value in numbers.items()}
    groups = {label: [case for case in labels if labels[case] == label] for label in order}
    return {label: cases for label, cases in groups.items() if cases}


def _ranges(ends: Sequence[str]) -> list[str]:
    """Return labels of the ranges between the ends; an end belongs to the range above it."""
    between = [f"{low} to {high}" for low, high in pairwise(ends)]
    return [f"below {ends[0]}", *between, f"{ends[-1]} or more"] if ends else ["all"]


def edges(numbers: Sequence[float]) -> list[float]:
    """Return round numbers between which about equally many of the given ones lie, ascending.

    Parameters
    ----------
    numbers : sequence of float
        In any order.

    Notes
    -----
    A cut may move by a fifth of a range's cases to where a rounder number parts them, and must
    move where it would part equal ones.

    Examples
    --------
    >>> edges([1, 2, 3, 11, 12, 13, 101, 102, 103])
    [10.0, 100.0]
    """
    ordered = sorted(numbers)
    n = len(ordered)
    ranges = max(2, min(RANGES, n // CASES))
    slack = n // (5 * ranges)
    cuts = [cut for cut in range(1, n) if ordered[cut - 1] < ordered[cut]]
    found = set()
    for part in range(1, ranges) if cuts else ():
        away = {cut: abs(cut - round(part * n / ranges)) for cut in cuts}
        close = [cut for cut in cuts if away[cut] <= slack] or [min(cuts, key=away.__getitem__)]
        found.add(roundest(ordered[close[0] - 1], ordered[close[-1]]))
    return sorted(found)


def roundest(low: float, high: float) -> float:
    """Return the number above `low` and not above `high` that is a multiple of the largest step.

    Steps are 1, 2 and 5 times powers of ten; of several multiples the one nearest to the middle.

    Examples
    --------
    >>> roundest(3.0, 11.0), roundest(0.113, 0.118), roundest(-1.0, 1.0)
    (10.0, 0.115, 0.0)
    """
    middle, power = (low + high) / 2, math.floor(math.log10(high - low)) + 1
    if low < 0 <= high:
        return 0.0
    for exponent in (power, power - 1, power - 2):
        for factor in (5, 2, 1):
            step = factor * 10.0**exponent
            if step == 0:  # below the smallest number
                return high
            first, last = math.floor(low / step) + 1, math.floor(high / step)
            found = float(f"{min(max(round(middle / step), first), last) * step:.12g}")
            if low < found <= high:
                return found
    return high
