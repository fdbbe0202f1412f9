"""Changes of scores between two runs, with tests paired by case.

A metric *regressed* where its mean is worse by more than the smallest relevant change, and a
one-sided Wilcoxon signed-rank test says so after Holm over all metrics and algorithms. The mean
alone decides below `FEWEST` cases, or where no loss could be significant (``tests * 0.5**cases >=
alpha``): inputs and outputs repeat, so a relevant change has a cause.
"""

from collections.abc import Iterator, Mapping
from math import nan
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import Field

from cytosuite.contract.manifest import Described, NotNegative, parse
from cytosuite.files import read_toml
from cytosuite.metrics import AnyMetric
from cytosuite.metrics.boards import CONTROLS
from cytosuite.ranking.intervals import FEWEST, medians
from cytosuite.ranking.scores import DIGITS
from cytosuite.ranking.significance import holm, paired_differences, signed_rank, two_sided

DEFAULT = Path(__file__).with_name("thresholds.toml")
CASE = ["dataset", "case", "algorithm"]
MIB = 2**20
Level = Annotated[float, Field(gt=0, lt=1)]
Ratio = Annotated[float, Field(ge=1)]
COLUMNS = (
    *("algorithm", "metric", "sign", "cases", "before", "after", "median", "low", "high"),
    *("p", "p_worse", "relevant", "loss", "verdict"),
)
CASES = ("algorithm", "case", "metric", "before", "after", "difference")
COSTS = {"seconds": ("s", "time", ".3g", 1), "peak_memory": ("MiB", "memory", ".0f", MIB)}


class CostThresholds(Described):
    """Ratios of time and memory, after to before, that are worth a warning."""

    time: Ratio = 1.5  # of the seconds of a case
    memory: Ratio = 1.25  # of its peak memory
    fails: bool = False  # whether they are regressions, too


class Thresholds(Described):
    """Level and smallest changes of a regression."""

    alpha: Level = 0.05  # level of the tests, after Holm's correction
    range: Level = 0.01  # smallest relevant change, part of a metric's range
    share: Level = 0.05  # the same where the range is open, part of the mean
    # smallest relevant change of single metrics, in their unit
    metrics: dict[str, NotNegative] = Field({})
    cost: CostThresholds = CostThresholds()  # time and memory

    def relevant(self, metric: AnyMetric, before: float) -> float:
        """Return the smallest relevant change of a metric, in its unit."""
        if metric.name in self.metrics:
            return self.metrics[metric.name]
        if metric.best is None or metric.worst is None:
            return self.share * abs(before)
        return self.range * abs(metric.best - metric.worst)


def read_thresholds(path: Path = DEFAULT) -> Thresholds:
    """Return the thresholds in a TOML file."""
    return parse(path, read_toml(path), Thresholds)


def changes(
    pairs: pd.DataFrame, metrics: Mapping[str, AnyMetric], thresholds: Thresholds
) -> pd.DataFrame:
    """Return `COLUMNS`: means of both runs over the cases in which both have a value, and tests.

    ``sign`` is 1 where larger values are better, -1 where smaller ones are, else 0. ``median`` is
    of after minus before; it has no interval, and p is NaN, below `FEWEST` cases. ``p`` has two
    sides and ``p_worse`` one, after Holm. ``loss`` is the change of the mean to the worse.
    """
    scored = pairs[np.isfinite(pairs["before"]) & np.isfinite(pairs["after"])]
    rows = []
    for (algorithm, name), values in scored.groupby(["algorithm", "metric"], sort=False):
        before = values["before"].to_numpy(float)
        after = values["after"].to_numpy(float)
        old, new, metric = float(before.mean()), float(after.mean()), metrics.get(name)
        sign, relevant, loss = 0, nan, nan
        if metric is not None and metric.higher_is_better is not None:
            sign = 1 if metric.higher_is_better else -1
            relevant = thresholds.relevant(metric, old)
            loss = round(sign * (old - new), DIGITS)
        differences = paired_differences(np.stack((after, before)))
        tests, _ = signed_rank(differences)
        worse = tests[int(sign > 0), 0]  # p that differences are negative, else positive
        middle = medians(differences)[:, 0].tolist()
        rows.append(
            (
                algorithm,
                name,
                sign,
                before.size,
                old,
                new,
                *middle,
                two_sided(tests)[0],
                worse,
                relevant,
                loss,
                "",
            )
        )
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    cases, signed, alpha = table["cases"].to_numpy(float), table["sign"] != 0, thresholds.alpha
    # NaN where no test is possible: too few cases, or a loss in each would not be significant.
    possible = signed & (cases >= FEWEST) & (signed.sum() * 0.5**cases < alpha)
    for name, tested in (("p", cases >= FEWEST), ("p_worse", possible)):
        table[name] = holm(table[name].where(tested).to_numpy(float))
    worse = (table["loss"] > table["relevant"]) & ~(table["p_worse"] >= alpha)
    better = (-table["loss"] > table["relevant"]) & ~(possible & (table["p"] >= alpha))
    return table.assign(verdict=np.select([worse, better], ["worse", "better"], ""))


def largest(pairs: pd.DataFrame, changed: pd.DataFrame, count: int) -> pd.DataFrame:
    """Return the cases that changed most, in units of the smallest relevant change."""
    units = changed.set_index(["algorithm", "metric"])["relevant"].replace(0.0, 1.0).to_dict()
    scales = [units.get(key, nan) for key in zip(pairs["algorithm"], pairs["metric"], strict=True)]
    table = pairs.assign(difference=(pairs["after"] - pairs["before"]).round(DIGITS))
    size = (table["difference"] / np.array(scales, dtype=float)).abs()
    order = size[size > 0].sort_values(ascending=False, kind="stable").index[:count]
    ordered: pd.DataFrame = table[list(CASES)].loc[order]
    return ordered


def costs(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """Return medians of s and MiB per case, and of their ratios, by algorithm of both runs."""
    joined = _cases(before).merge(_cases(after), on=CASE[1:], suffixes=("_before", "_after"))
    spent = joined[["algorithm"]]
    for name, (unit, ratio, _, size) in COSTS.items():
        old, new = (joined[f"{name}_{side}"] / size for side in ("before", "after"))
        both = {f"{unit}_before": old, f"{unit}_after": new, f"{ratio}_ratio": new / old}
        spent = spent.join(pd.DataFrame(both).where((old > 0) & (new > 0)))
    return spent.groupby("algorithm").median().reset_index()


def slower(spent: pd.DataFrame, thresholds: CostThresholds) -> Iterator[str]:
    """Yield a sentence for each algorithm with a ratio above its threshold."""
    for row in spent.to_dict("records"):
        words = [
            f"{row[f'{noun}_ratio']:.2f} times the {noun} (medians "
            f"{row[f'{unit}_before']:{digits}} -> {row[f'{unit}_after']:{digits}} {unit})"
            for unit, noun, digits, _ in COSTS.values()
            if row[f"{noun}_ratio"] > getattr(thresholds, noun)
        ]
        if words:
            yield f"{row['algorithm']}: in the median case {' and '.join(words)}"


def _cases(scores: pd.DataFrame) -> pd.DataFrame:
    """Return a row per case that an algorithm finished, with time and memory."""
    ran = scores[(scores["status"] == "ok") & (scores["case"] != "")]
    ran = ran[~ran["algorithm"].isin(CONTROLS)].drop_duplicates(CASE)
    return ran[[*CASE, *COSTS]]
