"""Means in units of the controls: the worst answer is 0, the best 1."""

from collections.abc import Collection, Iterable

import numpy as np

from cytosuite.benchmark.ranking.ranking import Pair
from cytosuite.benchmark.ranking.scores import FAILED, Measure, ScoreArrays

TOPS, BOTTOMS = ("oracle", "real"), ("blank", "identity")  # the first that has a value
TOPS_OF_SET = ("real", "oracle")  # the truth is not from the reference set


def scaled_means(
    arrays: ScoreArrays, measures: Iterable[Measure], algorithms: Collection[str]
) -> dict[Pair, float]:
    """Return (mean - bottom) / (top - bottom) by algorithm and metric.

    Parameters
    ----------
    arrays : ScoreArrays
        Of algorithms and controls.
    measures : iterable of Measure
        Metrics; one without both controls, or with equal means of them, is left out.
    algorithms : collection of str
        Names; one with failed cases has no mean in a metric without a worst value.
    """
    found = {}
    for measure in measures:
        means = _means(arrays, measure)
        tops = TOPS_OF_SET if measure.of_set else TOPS
        top = next((means[name] for name in tops if name in means), np.nan)
        bottom = next((means[name] for name in BOTTOMS if name in means), np.nan)
        if top == bottom or np.isnan(top - bottom):
            continue
        for name in sorted(algorithms & means.keys()):
            found[name, measure.name] = (means[name] - bottom) / (top - bottom)
    return found


def _means(arrays: ScoreArrays, measure: Measure) -> dict[str, float]:
    """Return the mean of each algorithm and control over its defined cases."""
    values, states = arrays.of(measure)
    failed = states == FAILED
    if measure.worst is not None:
        values = np.where(failed, measure.worst, values)
        failed = np.zeros_like(failed)
    known = np.isfinite(values) & ~failed.any(axis=1)[:, None]
    return {
        name: float(own[at].mean())
        for name, own, at in zip(arrays.algorithms, values, known, strict=True)
        if at.any()
    }
