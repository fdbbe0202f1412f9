"""Contests: rankings by one metric and by several together, from arrays of scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cytosuite.benchmark.ranking.bootstrap import (
    FEWEST,
    kendall_tau,
    percentiles,
    place_intervals,
    place_shares,
)
from cytosuite.benchmark.ranking.differences import pairwise
from cytosuite.benchmark.ranking.ranking import (
    SCHEMES,
    Contest,
    Difference,
    Failures,
    Pair,
    Scheme,
)
from cytosuite.benchmark.ranking.rule import RankingRules
from cytosuite.benchmark.ranking.schemes import minimum_ranks, scheme_ranks
from cytosuite.benchmark.ranking.scores import (
    Floats,
    Measure,
    MetricScores,
    ScoreArrays,
    metric_scores,
)
from cytosuite.benchmark.ranking.significance import cases_needed, tiers


@dataclass(frozen=True, slots=True)
class Field:
    """Algorithms that compete, their scores and the declared rules.

    Parameters
    ----------
    arrays : ScoreArrays
        Of algorithms and controls.
    names : sequence of str
        Algorithms to rank, ascending.
    counts : ndarray of float64, (draws, cases)
        How often each case is in each bootstrap sample; no rows for few cases.
    rules : RankingRules
        Declared ones.
    """

    arrays: ScoreArrays
    names: Sequence[str]
    counts: Floats
    rules: RankingRules

    def scores(self, measure: Measure, failures: Failures | None = None) -> MetricScores:
        """Return the values of a metric, by the declared rule for failures or another."""
        rule = failures or self.rules.failures
        return metric_scores(self.arrays, measure, self.names, rule)

    def ranks(self, own: MetricScores, scheme: Scheme | None = None) -> Floats:
        """Return the ranks by all cases, in the declared scheme or another, (algorithms,)."""
        once = np.ones((1, own.used.size))
        found: Floats = scheme_ranks(own, once, scheme or self.rules.scheme, self.rules.alpha)[0]
        return found


@dataclass(frozen=True, slots=True)
class Standoff:
    """Ranks of all algorithms, in the order of their names, by one metric or several together.

    Parameters
    ----------
    ranks : mapping of str to ndarray, (algorithms,)
        By scheme.
    drawn : ndarray of float64, (draws, algorithms)
        In each bootstrap sample, in the declared scheme; no rows for no interval, a row of NaN
        where a sample has no case of the metric.
    without : ndarray or None
        Over the cases that nobody failed; None if that is all, or no case.
    better : frozenset of (str, str)
        Significant wins.
    differences : mapping of (str, str) to Difference
        Of every ordered pair; empty for several metrics.
    tested : bool
        Whether there are tests that could tell any two apart.
    power : str
        Why there are none that could; empty where there are, or the metric is of the whole set.
    """

    ranks: Mapping[Scheme, Floats]
    drawn: Floats
    without: Floats | None
    better: frozenset[Pair]
    differences: Mapping[Pair, Difference]
    tested: bool
    power: str


def standoff(field: Field, measure: Measure) -> Standoff:
    """Return ranks, tests and ranks of bootstrap samples by one metric."""
    own, rules = field.scores(measure), field.rules
    counts = field.counts
    if own.used.sum() < FEWEST or measure.of_set:
        counts = np.zeros((0, own.used.size))
    drawn = scheme_ranks(own, counts, rules.scheme, rules.alpha)
    drawn[~(counts[:, own.used] > 0).any(axis=1)] = np.nan
    differences = pairwise(own, field.names, counts)
    power = "" if measure.of_set else _power(own, rules.alpha)
    return Standoff(
        {scheme: field.ranks(own, scheme) for scheme in SCHEMES},
        drawn,
        _without_failures(field, measure),
        _better(own, field, differences),
        differences,
        tested=not (measure.of_set or power),
        power=power,
    )


def _power(own: MetricScores, alpha: float) -> str:
    """Return in words that no difference could be significant; empty where one could."""
    cases, algorithms = int(own.used.sum()), int(own.present.sum())
    needed = cases_needed(algorithms, alpha)
    if cases >= needed:
        return ""
    noun = "case" if cases == 1 else "cases"
    return f"{cases} {noun} cannot separate {algorithms} algorithms by this test (needs {needed})"


def _better(
    own: MetricScores, field: Field, differences: Mapping[Pair, Difference]
) -> frozenset[Pair]:
    """Return the significant wins, and those over algorithms without a result."""
    present = dict(zip(field.names, own.present.tolist(), strict=True))
    return frozenset(
        (first, second)
        for (first, second), found in differences.items()
        if (found.p < field.rules.alpha and found.rank_biserial > 0)
        or (present[first] and not present[second])
    )


def _without_failures(field: Field, measure: Measure) -> Floats | None:
    """Return the ranks over the cases that nobody failed; None if that is all or no case."""
    fair, every = (field.scores(measure, way) for way in ("left out", "worst"))
    if measure.of_set or not fair.used.any() or fair.used.sum() == every.used.sum():
        return None
    return field.ranks(fair)


def together(parts: Sequence[Standoff], scheme: Scheme) -> Standoff:
    """Return the mean of the ranks in each metric, and who is better in one and worse in none."""
    if len(parts) == 1:
        return replace(parts[0], differences={})
    sampled = min(len(part.drawn) for part in parts)
    fair = [part.ranks[scheme] if part.without is None else part.without for part in parts]
    won = {pair for part in parts for pair in part.better}
    return Standoff(
        {way: _mean([part.ranks[way] for part in parts]) for way in SCHEMES},
        _mean([part.drawn[:sampled] for part in parts]),
        None if all(part.without is None for part in parts) else _mean(fair),
        frozenset(pair for pair in won if pair[::-1] not in won),
        {},
        tested=any(part.tested for part in parts),
        power="" if any(part.tested for part in parts) else max(part.power for part in parts),
    )


def contest(metric: str, found: Standoff, field: Field) -> Contest:
    """Return a ranking by names.

    Parameters
    ----------
    metric : str
        Empty for all metrics together.
    found : Standoff
        Its ranks.
    field : Field
        Names and rules.
    """
    names, own = field.names, found.ranks[field.rules.scheme]
    order = [name for _, name in sorted(zip(own.tolist(), names, strict=True))]
    drawn = found.drawn[~np.isnan(found.drawn).any(axis=1)]
    drawn_places = minimum_ranks(drawn)
    ends = place_intervals(drawn_places).tolist() if len(drawn) else []
    shares = place_shares(drawn_places).tolist() if len(drawn) else []
    return Contest(
        metric=metric,
        algorithms=order,
        ranks={
            scheme: dict(zip(names, ranks.tolist(), strict=True))
            for scheme, ranks in found.ranks.items()
        },
        places=_places(own, names),
        interval={name: (low, high) for name, (low, high) in zip(names, ends, strict=False)},
        shares=dict(zip(names, map(tuple, shares), strict=False)),
        tier=tiers(order, found.better) if found.tested else {},
        better=found.better,
        differences=found.differences,
        tau=percentiles(kendall_tau(own, drawn)),
        without_failures={} if found.without is None else _places(found.without, names),
        power=found.power,
    )


def _mean(ranks: Sequence[Floats]) -> Floats:
    """Return the mean over metrics."""
    found: Floats = np.mean(ranks, axis=0)
    return found


def _places(ranks: Floats, names: Sequence[str]) -> dict[str, int]:
    """Return the places that follow from ranks; ties share the best."""
    return dict(zip(names, minimum_ranks(ranks[None])[0].astype(int).tolist(), strict=True))
