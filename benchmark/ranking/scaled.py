"""Means of the algorithms, and the same in units of the controls."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from cytosuite.benchmark.ranking.ranking import Pair
from cytosuite.benchmark.ranking.schemes import weighted_means
from cytosuite.benchmark.ranking.scores import Measure, MetricScores, ScoreArrays

TOPS, BOTTOMS = ("oracle", "real"), ("blank", "identity")  # the first that has a value
TOPS_OF_SET = ("real", "oracle")  # the truth is not from the reference set


def metric_means(own: MetricScores, names: Sequence[str]) -> dict[Pair, float]:
    """Return the mean of a metric by algorithm and metric, over the defined cases.

    Parameters
    ----------
    own : MetricScores
        Values of the metric.
    names : sequence of str
        Algorithms, in their order; one that lost a case has no mean in a metric without a worst
        value.
    """
    sign = 1.0 if own.measure.higher_is_better else -1.0
    means = sign * weighted_means(own.goodness, np.ones((1, own.used.size)))[0]
    if own.measure.worst is None:
        means = np.where(own.lost.any(axis=1), np.nan, means)
    pairs = zip(names, means.tolist(), strict=True)
    return {(name, own.measure.name): mean + 0.0 for name, mean in pairs if np.isfinite(mean)}


def scaled_means(
    arrays: ScoreArrays, measures: Iterable[Measure], means: Mapping[Pair, float]
) -> dict[Pair, float]:
    """Return (mean - bottom) / (top - bottom) by algorithm and metric.

    Parameters
    ----------
    arrays : ScoreArrays
        With the controls.
    measures : iterable of Measure
        Metrics; one without both controls, or with equal means of them, is left out.
    means : mapping of (algorithm, metric) to float
        Means of the algorithms.
    """
    ends = {}
    for measure in measures:
        values, _ = arrays.of(measure.name, measure.of_set)
        known = {
            name: float(own[np.isfinite(own)].mean())
            for name, own in zip(arrays.algorithms, values, strict=True)
            if np.isfinite(own).any()
        }
        tops = TOPS_OF_SET if measure.of_set else TOPS
        top = next((known[name] for name in tops if name in known), np.nan)
        bottom = next((known[name] for name in BOTTOMS if name in known), np.nan)
        if np.isfinite(top - bottom) and top != bottom:
            ends[measure.name] = bottom, top
    return {
        pair: (mean - ends[pair[1]][0]) / (ends[pair[1]][1] - ends[pair[1]][0])
        for pair, mean in means.items()
        if pair[1] in ends
    }
