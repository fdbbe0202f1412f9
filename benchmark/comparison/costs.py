"""Costs of two runs: time and memory by algorithm, over the cases that ran in both."""

from dataclasses import dataclass
from math import nan

import pandas as pd

from cytosuite.benchmark.comparison.thresholds import CostThresholds
from cytosuite.benchmark.results.controls import CONTROLS

CASE = ["dataset", "case", "algorithm"]
MIB = 2**20


@dataclass(frozen=True, slots=True)
class Cost:
    """Time and memory of an algorithm, before and after.

    Parameters
    ----------
    algorithm : str
        Its name.
    seconds, memory : (float, float)
        Medians over the common cases, before and after: seconds, MiB. NaN where they are unknown.
    time_ratio, memory_ratio : float
        Medians of the ratios of each case, after to before; NaN where they are unknown.
    warning : str
        A sentence where a ratio is above its threshold.
    """

    algorithm: str
    seconds: tuple[float, float]
    memory: tuple[float, float]
    time_ratio: float
    memory_ratio: float
    warning: str = ""


def costs(before: pd.DataFrame, after: pd.DataFrame, thresholds: CostThresholds) -> list[Cost]:
    """Return time and memory of each algorithm of both runs.

    Parameters
    ----------
    before, after : DataFrame
        Long tables of scores, see `cytosuite.benchmark.comparison.scored.read_scores`.
    thresholds : CostThresholds
        Ratios that are worth a warning.
    """
    joined = _cases(before).merge(_cases(after), on=CASE[1:], suffixes=("_before", "_after"))
    found = []
    for name, rows in joined.groupby("algorithm"):
        seconds, time_ratio = _change(rows, "seconds", 1)
        memory, memory_ratio = _change(rows, "peak_memory", MIB)
        words = []
        if time_ratio > thresholds.time:
            words.append(
                f"{time_ratio:.2f} times the time ({seconds[0]:.3g} -> {seconds[1]:.3g} s)"
            )
        if memory_ratio > thresholds.memory:
            change = f"{memory[0]:.0f} -> {memory[1]:.0f} MiB"
            words.append(f"{memory_ratio:.2f} times the memory ({change})")
        warning = f"{name}: {' and '.join(words)} per case, in the median" if words else ""
        found.append(Cost(str(name), seconds, memory, time_ratio, memory_ratio, warning))
    return found


def _cases(scores: pd.DataFrame) -> pd.DataFrame:
    """Return a row per case that an algorithm finished, with time and memory."""
    ran = scores[(scores["status"] == "ok") & (scores["case"] != "")]
    ran = ran[~ran["algorithm"].isin(CONTROLS)].drop_duplicates(CASE)
    return ran[[*CASE, "seconds", "peak_memory"]]


def _change(rows: pd.DataFrame, name: str, unit: int) -> tuple[tuple[float, float], float]:
    """Return the medians before and after, in a unit, and the median ratio."""
    both = rows[(rows[f"{name}_before"] > 0) & (rows[f"{name}_after"] > 0)]
    if both.empty:
        return (nan, nan), nan
    one, two = both[f"{name}_before"], both[f"{name}_after"]
    ratio = float((two / one).median())
    return (float(one.median() / unit), float(two.median() / unit)), ratio
