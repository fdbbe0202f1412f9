"""Divide cases by a condition: words are groups, numbers are cut into ranges of equal counts."""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

import pandas as pd

from cytosuite.volume import Scalar

RANGES = 4  # at most, of a number
CASES = 3  # of a range, if there are enough
WORDS = 8  # groups at most; beyond that the rarest are taken together
Groups = list[tuple[str, list[str]]]


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


def divide(values: Mapping[str, Scalar]) -> Groups:
    """Return the groups into which a condition divides cases.

    Parameters
    ----------
    values : mapping of str to str, int or float
        The condition of each case.

    Returns
    -------
    list of (label, names of cases)
        Numbers: a group per value if there are at most `RANGES` and each stands twice or more;
        else up to `RANGES` ranges of about equally many cases, at least `CASES` where there are
        enough for two. Words: a group per word, by name, the rarest beyond `WORDS` together and
        last. One group or none if all cases are alike.

    Examples
    --------
    >>> divide({"a": 1.2, "b": 9.7, "c": 2.9, "d": 7.0})
    [('below 5', ['a', 'c']), ('5 or more', ['b', 'd'])]
    """
    if not is_number(values):
        return _words({case: str(value) for case, value in values.items()})
    numbers = {case: float(value) for case, value in values.items()}
    times = Counter(numbers.values())
    if len(times) <= RANGES and min(times.values(), default=0) > 1:
        labels = {value: f"{value:.12g}" for value in sorted(times)}
        return [
            (label, [case for case, found in numbers.items() if found == value])
            for value, label in labels.items()
        ]
    return _ranges(numbers, edges(list(numbers.values())))


def correlation(one: Mapping[str, Scalar], other: Mapping[str, Scalar]) -> float:
    """Return Spearman's rank correlation of two conditions over the cases that have both.

    NaN where one of them is a word or the same in all cases.

    Examples
    --------
    >>> round(correlation({"a": 1, "b": 2, "c": 9}, {"a": 5.0, "b": 4.0, "c": 0.0}), 6)
    -1.0
    """
    both = [case for case in one if case in other]
    pairs = pd.DataFrame({"one": [one[c] for c in both], "other": [other[c] for c in both]})
    if len(both) < CASES or not (is_number(one) and is_number(other)):
        return math.nan
    ranks = pairs.rank()
    if (ranks.nunique() < 2).any():
        return math.nan
    return float(ranks["one"].corr(ranks["other"]))


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
    found: list[float] = []
    for part in range(1, ranges):
        ideal = round(part * n / ranges)
        near = sorted(range(1, n), key=lambda cut: abs(cut - ideal))
        parting = [cut for cut in near if ordered[cut - 1] < ordered[cut]]
        close = [cut for cut in parting if abs(cut - ideal) <= slack] or parting[:1]
        if close:
            found.append(roundest(ordered[min(close) - 1], ordered[max(close)]))
    return sorted(set(found))


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


def _ranges(numbers: Mapping[str, float], ends: Sequence[float]) -> Groups:
    """Return the cases between the ends; an end belongs to the range above it."""
    if not ends:
        return [("all", list(numbers))]
    text = [f"{end:.12g}" for end in ends]
    labels = [
        f"below {text[0]}",
        *(f"{low} to {high}" for low, high in pairwise(text)),
        f"{text[-1]} or more",
    ]
    groups: Groups = [(label, []) for label in labels]
    for case, value in numbers.items():
        groups[sum(value >= end for end in ends)][1].append(case)
    return [group for group in groups if group[1]]


def _words(values: Mapping[str, str]) -> Groups:
    """Return the cases of each word, the rarest together."""
    times = Counter(values.values())
    kept = {word for word, _ in times.most_common(WORDS if len(times) <= WORDS else WORDS - 1)}
    groups = {word: [case for case, own in values.items() if own == word] for word in sorted(kept)}
    rest = [case for case, own in values.items() if own not in kept]
    return [*groups.items(), *([(f"{len(times) - len(kept)} others", rest)] if rest else [])]
