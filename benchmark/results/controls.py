"""The controls: a perfect and an empty answer, which check the ruler before it measures others."""

from collections.abc import Callable, Iterable, Mapping
from math import isclose, isfinite
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cytosuite.metrics import Metric

Labels = NDArray[Any]
CONTROLS: Mapping[str, Callable[[Labels], Labels]] = MappingProxyType(
    {"oracle": lambda truth: truth, "blank": np.zeros_like}
)


def broken_rulers(scores: pd.DataFrame, metrics: Iterable[Metric[Any]]) -> list[str]:
    """Return one line for each metric that does not give the oracle its best value.

    Parameters
    ----------
    scores : DataFrame
        The long table, with rows of the control ``oracle``.
    metrics : iterable of Metric
        Those that have a best value are looked at; undefined values are passed over.
    """
    found = []
    oracle = scores[scores["algorithm"] == "oracle"]
    for metric in metrics:
        if metric.best is None:
            continue
        for case, value in oracle.loc[
            oracle["metric"] == metric.name, ["case", "value"]
        ].to_numpy():
            if isfinite(value) and not isclose(value, metric.best, abs_tol=1e-9):
                found.append(
                    f"{metric.name} gives the truth itself {value:g} instead of {metric.best:g} "
                    f"on {case}: the metric is wrong, no score of this run can be trusted"
                )
                break
    return found
