"""Rank the algorithms of a long table of scores; means, also in units of the controls."""

from collections.abc import Collection, Iterable, Sequence
from itertools import chain, combinations

import numpy as np
import pandas as pd

from cytosuite.errors import InputError
from cytosuite.ranking import bootstrap
from cytosuite.ranking.chosen_pairs import FAMILY, tested
from cytosuite.ranking.consensus import consensus
from cytosuite.ranking.contests import Field, contest, standoff, together
from cytosuite.ranking.intervals import FEWEST
from cytosuite.ranking.ranking import Pair, PairDict, PairMap, Ranking
from cytosuite.ranking.rule import Extent, RankingRules, rule_sentences
from cytosuite.ranking.scores import (
    ABSENT,
    VALID,
    Measure,
    ScoreArrays,
    failed_cells,
    score_arrays,
)

MOST_BY_WINS = 200  # algorithms
TOPS, BOTTOMS = ("oracle", "real"), ("blank", "identity")  # the first that has a value
TOPS_OF_SET = ("real", "oracle")  # the truth is not from the reference set


def scaled_means(arrays: ScoreArrays, measures: Iterable[Measure], means: PairMap) -> PairDict:
    """Return (mean - bottom) / (top - bottom) by algorithm and metric."""
    scaled: PairDict = {}
    for measure in measures:
        values, _ = arrays.of(measure.name, measure.of_set)
        finite = {
            name: float(row[known].mean())
            for name, row in zip(arrays.algorithms, values, strict=True)
            if (known := np.isfinite(row)).any()
        }
        bottom, top = (
            next((finite[name] for name in names if name in finite), np.nan)
            for names in (BOTTOMS, TOPS_OF_SET if measure.of_set else TOPS)
        )
        if np.isfinite(top - bottom) and top != bottom:
            scaled |= {
                pair: (mean - bottom) / (top - bottom)
                for pair, mean in means.items()
                if pair[1] == measure.name and np.isfinite(mean)
            }
    return scaled


def rank_measures(
    scores: pd.DataFrame,
    measures: Sequence[Measure],
    primary: Sequence[str],
    controls: Collection[str] = (),
    rules: RankingRules | None = None,
) -> Ranking | None:
    """Return the ranking of a long table, None without an algorithm or metric to rank by."""
    if scores.empty:
        return None
    rules = rules or RankingRules()
    arrays = score_arrays(scores)
    names = [name for name in arrays.algorithms if name not in controls]
    if rules.scheme == "tests" and len(names) > MOST_BY_WINS:
        raise InputError(
            f"scheme tests compares all pairs: expected {MOST_BY_WINS} algorithms at most, found "
            f"{len(names)}; rank by mean or cases"
        )
    by_name = {measure.name: measure for measure in measures if measure.name in arrays.metrics}
    chosen = [by_name[name] for name in primary if name in by_name]
    if not names or not chosen:
        return None
    draws = rules.draws if bootstrap.varied(arrays.strata) >= FEWEST else 0
    field = Field(arrays, names, bootstrap.draw_counts(arrays.strata, draws, rules.seed), rules)
    extent, (means, agreement) = _extent(field, chosen), _by_metric(field, [*by_name.values()])
    parts = {measure.name: standoff(field, measure) for measure in chosen}
    overall = together([*parts.values()], rules.scheme)
    if field.many:
        parts, overall = tested(field, chosen, parts, overall)
    return Ranking(
        scheme=rules.scheme,
        failures=rules.failures,
        rule=rule_sentences(rules, chosen, extent, overall.power, FAMILY if field.many else ""),
        overall=contest(overall, field),
        metrics={name: contest(part, field) for name, part in parts.items()},
        agreement=agreement,
        scaled=scaled_means(arrays, by_name.values(), means),
        cases=extent.cases,
        failed=extent.failed,
        draws=draws,
        seed=rules.seed,
        alpha=rules.alpha,
        means=means,
        family=FAMILY if field.many else None,
        consensus=consensus(field, chosen),
    )


def _extent(field: Field, chosen: Sequence[Measure]) -> Extent:
    """Return the numbers of cases of the metrics to rank by; of the whole set, of all metrics."""
    arrays = field.arrays
    names = [measure.name for measure in chosen if not measure.of_set] or arrays.metrics
    metrics = np.isin(arrays.metrics, names)
    rows = np.isin(arrays.algorithms, field.names)
    states = arrays.states[metrics][:, rows][:, :, ~arrays.of_set]
    taken = np.any(states != ABSENT, axis=(0, 1))
    failed = np.any(failed_cells(states), axis=(0, 1))
    if field.rules.failures == "left out" and taken.any() and not (taken & ~failed).any():
        raise InputError(
            f"{int(taken.sum())} cases, and each was failed by an algorithm: none is left; count "
            "failures as the worst value, or leave an algorithm out"
        )
    scored = [field.scores(m, "worst") for m in chosen if m.worst is not None]
    empty = ~(states == VALID).any(axis=(0, 2)) & bool(taken.any())
    return Extent(
        int(taken.sum()),
        int(failed.sum()),
        np.unique(np.compress(taken, arrays.strata)).size,
        [scores.measure.name for scores in scored if scores.lost.any()],
        len(field.counts) > 0,
        np.compress(empty, field.names).tolist(),
    )


def _by_metric(field: Field, measures: Sequence[Measure]) -> tuple[PairDict, PairDict]:
    """Return the means by algorithm and metric, and Kendall's tau-b of two rankings each.

    A lost case without a worst value leaves no mean.
    """
    means = dict[Pair, float]()
    ranks = []
    for measure in measures:
        scores = field.scores(measure)
        sign = 1.0 if measure.higher_is_better else -1.0
        once = np.ones((1, scores.used.size), np.uint16)
        goodness = bootstrap.weighted_means(scores.goodness, once)[0]
        lost = scores.lost.any(axis=1) & (measure.worst is None)
        for name, mean in zip(field.names, np.where(lost, np.nan, goodness).tolist(), strict=True):
            if not np.isnan(mean):
                means[name, measure.name] = sign * mean + 0.0
        ranks.append(field.ranks(scores))
    table = np.array(ranks)
    pairs = combinations([measure.name for measure in measures], 2)
    taus = (bootstrap.kendall_tau(one, table[n:]).tolist() for n, one in enumerate(table, start=1))
    return means, dict(zip(pairs, chain.from_iterable(taus), strict=True))
