"""Changes of scores between two runs, with tests paired by case.

A metric *regressed* where its mean is worse by more than the smallest relevant change, and a
one-sided Wilcoxon signed-rank test says so after Holm over all metrics and algorithms. The mean
alone decides below `FEWEST` cases, or where no loss could be significant (``tests * 0.5**cases >=
alpha``): inputs and outputs repeat, so a relevant change has a cause.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite, nan
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from cytosuite.contract.manifest import Described, parse
from cytosuite.files import read_toml
from cytosuite.metrics import Metric
from cytosuite.metrics.boards import CONTROLS
from cytosuite.ranking.intervals import FEWEST
from cytosuite.ranking.scores import DIGITS
from cytosuite.ranking.significance import Paired, holm, paired, paired_differences

DEFAULT = Path(__file__).with_name("thresholds.toml")
CASE = ["dataset", "case", "algorithm"]
MIB = 2**20
Level = Annotated[float, Field(gt=0, lt=1)]
Ratio = Annotated[float, Field(ge=1)]
Verdict = Literal["worse", "better", ""]


class CostThresholds(Described):
    """Ratios of time and memory, after to before, that are worth a warning."""

    time: Ratio = Field(1.5, description="Of the seconds of a case.")
    memory: Ratio = Field(1.25, description="Of its peak memory.")
    fails: bool = Field(False, description="Whether they are regressions, too.")


class Thresholds(Described):
    """Level and smallest changes of a regression."""

    alpha: Level = Field(0.05, description="Level of the tests, after Holm's correction.")
    range: Level = Field(0.01, description="Smallest relevant change, part of a metric's range.")
    share: Level = Field(0.05, description="The same where the range is open, part of the mean.")
    metrics: dict[str, Annotated[float, Field(ge=0)]] = Field(
        {}, description="Smallest relevant change of single metrics, in their unit."
    )
    cost: CostThresholds = Field(CostThresholds(), description="Time and memory.")

    def relevant(self, metric: Metric[Any], before: float) -> float:
        """Return the smallest relevant change of a metric, in its unit."""
        if metric.name in self.metrics:
            return self.metrics[metric.name]
        if metric.best is None or metric.worst is None:
            return self.share * abs(before)
        return self.range * abs(metric.best - metric.worst)


def read_thresholds(path: Path = DEFAULT) -> Thresholds:
    """Return the thresholds in a TOML file."""
    return parse(path, read_toml(path), Thresholds)


@dataclass(frozen=True, slots=True)
class Change:
    """Change of a metric of an algorithm, over the cases in which both runs have a value."""

    algorithm: str
    metric: str
    sign: int  # 1 where larger values are better, -1 where smaller ones are, 0 where neither is
    cases: int  # number of common cases
    before: float
    after: float
    median: float = nan  # paired difference, after minus before; NaN below `FEWEST` cases
    low: float = nan
    high: float = nan
    p: float = nan  # two-sided Wilcoxon signed-rank test, after Holm; NaN below `FEWEST` cases
    p_worse: float = nan  # one-sided, after Holm; NaN where no test is possible
    relevant: float = nan  # smallest relevant change, in the unit of the metric
    loss: float = nan  # change of the mean in the worse direction
    verdict: Verdict = ""  # see the rule of this module


def changes(
    pairs: pd.DataFrame, metrics: Mapping[str, Metric[Any]], thresholds: Thresholds
) -> list[Change]:
    """Return the change of each metric of each algorithm."""
    scored = pairs[np.isfinite(pairs["before"]) & np.isfinite(pairs["after"])]
    tested: list[tuple[Change, Paired]] = []
    for (algorithm, name), rows in scored.groupby(["algorithm", "metric"], sort=False):
        before, after = rows["before"].to_numpy(float), rows["after"].to_numpy(float)
        old, new, metric = float(before.mean()), float(after.mean()), metrics.get(name)
        change = Change(algorithm, name, 0, before.size, old, new)
        if metric is not None and metric.higher_is_better is not None:
            sign, relevant = 1 if metric.higher_is_better else -1, thresholds.relevant(metric, old)
            loss = round(sign * (old - new), DIGITS)
            change = replace(change, sign=sign, loss=loss, relevant=relevant)
        differences = paired_differences(np.stack((after, before)))
        tested.append((change, paired(differences, np.ones_like(differences, bool))))
    many, alpha = sum(change.sign != 0 for change, _ in tested), thresholds.alpha
    # NaN where no test is possible: too few cases, or a loss in each would not be significant.
    p_two = [test.p[0] if change.cases >= FEWEST else nan for change, test in tested]
    p_one = [
        (test.below if change.sign > 0 else test.above)[0]
        if change.sign and change.cases >= FEWEST and many * 0.5**change.cases < alpha
        else nan
        for change, test in tested
    ]
    adjusted = (holm(np.array(p)).tolist() for p in (p_two, p_one))
    return [
        _with_tests(change, test, p, worse, alpha)
        for (change, test), p, worse in zip(tested, *adjusted, strict=True)
    ]


def _with_tests(change: Change, test: Paired, p: float, worse: float, alpha: float) -> Change:
    """Return a change with median, interval, tests and verdict."""
    median, low, high = test.medians[:, 0].tolist()
    verdict: Verdict = ""
    if change.loss > change.relevant and not (isfinite(worse) and worse >= alpha):
        verdict = "worse"
    elif -change.loss > change.relevant and not (isfinite(worse) and p >= alpha):
        verdict = "better"
    return replace(change, median=median, low=low, high=high, p=p, p_worse=worse, verdict=verdict)


def largest(pairs: pd.DataFrame, changed: Sequence[Change], count: int) -> list[dict[str, Any]]:
    """Return the cases that changed most, in units of the smallest relevant change."""
    units = {(change.algorithm, change.metric): change.relevant or 1.0 for change in changed}
    scales = [units.get(key, nan) for key in zip(pairs["algorithm"], pairs["metric"], strict=True)]
    table = pairs.assign(difference=(pairs["after"] - pairs["before"]).round(DIGITS))
    size = (table["difference"] / np.array(scales, dtype=float)).abs()
    order = size[size > 0].sort_values(ascending=False, kind="stable").index[:count]
    return [{str(k): v for k, v in row.items()} for row in table.loc[order].to_dict("records")]


@dataclass(frozen=True, slots=True)
class Cost:
    """Time and memory of an algorithm, before and after."""

    algorithm: str  # its name
    seconds: tuple[float, float]  # medians over the common cases, before and after; or NaN
    memory: tuple[float, float]
    time_ratio: float  # median of the ratios of each case, after to before; or NaN
    memory_ratio: float
    warning: str = ""  # a sentence where a ratio is above its threshold


def costs(before: pd.DataFrame, after: pd.DataFrame, thresholds: CostThresholds) -> list[Cost]:
    """Return time and memory of each algorithm of both runs."""
    joined = _cases(before).merge(_cases(after), on=CASE[1:], suffixes=("_before", "_after"))
    spent = []
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
        spent.append(Cost(str(name), seconds, memory, time_ratio, memory_ratio, warning))
    return spent


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
    old, new = both[f"{name}_before"], both[f"{name}_after"]
    ratio = float((new / old).median())
    return (float(old.median() / unit), float(new.median() / unit)), ratio
