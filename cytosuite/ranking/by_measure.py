"""Rank the algorithms of a long table of scores, by each dataset and over all of them.

Mean of the ranks within each dataset, as the Borda count; samples draw datasets, and cases within
each. Wiesenfarth et al. (2021), doi:10.1038/s41598-021-82017-6 (challengeR).
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from itertools import chain, combinations

import numpy as np
import pandas as pd

from cytosuite.errors import InputError
from cytosuite.ranking import intervals
from cytosuite.ranking.contests import (
    FAMILY,
    Field,
    best_first,
    contest,
    mean_drawn,
    minimum_ranks,
    places_of,
    standoff,
    tested,
    together,
)
from cytosuite.ranking.intervals import FEWEST
from cytosuite.ranking.ranking import Consensus, Pair, PairDict, PairMap, Ranking
from cytosuite.ranking.rule import Extent, RankingRules, joined, rule_sentences
from cytosuite.ranking.scores import (
    ABSENT,
    VALID,
    Measure,
    MetricScores,
    ScoreArrays,
    failed_cells,
    score_arrays,
)
from cytosuite.volume.arrays import Doubles

DIGITS = 9  # of a mean rank behind the point: beyond is rounding, which must not break ties
MOST_BY_WINS = 200  # algorithms
TOPS, BOTTOMS = ("oracle", "real"), ("blank", "identity")  # the first that has a value
TOPS_OF_SET = ("real", "oracle")  # the truth is not from the reference set


def consensus(field: Field, measures: Sequence[Measure]) -> Consensus | None:
    """Return the consensus of a field by the metrics to rank by; None of a single dataset.

    Metrics of a whole set belong to none of several datasets, and failures that are left out can
    leave one without a case: there is no consensus then either.
    """
    datasets = list(dict.fromkeys(field.arrays.strata))
    by_case = not any(measure.of_set for measure in measures)
    if len(datasets) < 2 or not by_case or field.rules.failures == "left out":
        return None
    ranks = []
    drawn = []
    for dataset in datasets:
        part = _within(field, dataset)
        by_metric = [part.scores(measure) for measure in measures]
        ranks.append(np.mean([part.ranks(scores) for scores in by_metric], axis=0))
        samples = mean_drawn([part.drawn(scores) for scores in by_metric])
        drawn.append(samples[~np.isnan(samples).any(axis=1)])
    names = field.names
    table = np.stack(ranks)
    mean = _mean(table)
    overall = minimum_ranks(_sampled(table, drawn, field.rules.draws, field.rules.seed))
    shares = intervals.place_shares(names, overall)
    return Consensus(
        algorithms=best_first(mean, names),
        ranks=dict(zip(names, mean.tolist(), strict=True)),
        interval=intervals.place_intervals(names, overall),
        shares={name: first for name, (first, *_) in shares.items()},
        places={
            dataset: places_of(row, names) for dataset, row in zip(datasets, table, strict=True)
        },
        tau=dict(zip(datasets, intervals.kendall_tau(mean, table).tolist(), strict=True)),
        first_without={
            dataset: best_first(_mean(np.delete(table, n, axis=0)), names)[0]
            for n, dataset in enumerate(datasets)
        },
        fixed=[dataset for dataset, rows in zip(datasets, drawn, strict=True) if not len(rows)],
    )


def _mean(table: Doubles) -> Doubles:
    """Return mean ranks over datasets; equal ones are equal to the last digit."""
    mean: Doubles = table.mean(axis=0).round(DIGITS)
    return mean


def _within(field: Field, dataset: str) -> Field:
    """Return a field on the cases of one dataset, with their share of the samples."""
    arrays = field.arrays
    columns = np.array([name == dataset for name, _ in arrays.cases])
    cases = [case for case in arrays.cases if case[0] == dataset]
    part = ScoreArrays(
        arrays.algorithms,
        arrays.metrics,
        cases,
        arrays.values[:, :, columns],
        arrays.states[:, :, columns],
    )
    single = np.asarray(arrays.strata) == dataset
    return replace(field, arrays=part, counts=field.counts[:, single])


def _sampled(table: Doubles, drawn: Sequence[Doubles], draws: int, seed: int) -> Doubles:
    """Return sums of ranks (draws, algorithms) over datasets drawn with equal chances."""
    (rng,) = np.random.default_rng(seed).spawn(1)  # other numbers than those that draw the cases
    weights = rng.multinomial(len(table), np.full(len(table), 1 / len(table)), draws)
    total = np.zeros((draws, table.shape[1]))
    for weight, ranks, rows in zip(weights.T, table, drawn, strict=True):
        total += weight[:, None] * (np.resize(rows, total.shape) if len(rows) else ranks)
    return total.round(DIGITS)


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
    asked = [by_name[name] for name in primary if name in by_name]
    if not names or not asked:
        return None
    draws = rules.draws if intervals.varied(arrays.strata) >= FEWEST else 0
    field = Field(arrays, names, intervals.draw_counts(arrays.strata, draws, rules.seed), rules)
    chosen = [measure for measure in asked if _has_value(field.scores(measure))] or asked
    void = [measure.name for measure in asked if measure not in chosen]
    extent, (means, agreement) = _extent(field, chosen), _by_metric(field, [*by_name.values()])
    parts = {measure.name: standoff(field, measure) for measure in chosen}
    overall = together([*parts.values()], rules.scheme)
    if field.many:
        parts, overall = tested(field, chosen, parts, overall)
    return Ranking(
        scheme=rules.scheme,
        failures=rules.failures,
        rule=rule_sentences(rules, chosen, extent, overall.power, FAMILY if field.many else "")
        + (f" Without a value, and in no rank: {joined(void)}." if void else ""),
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


def _has_value(scores: MetricScores) -> bool:
    """Return whether an algorithm has a value of a metric, be it the worst one of a failure."""
    return bool(scores.used.any() and not np.isneginf(scores.filled[:, scores.used]).all())


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
        goodness = intervals.weighted_means(scores.goodness, once)[0]
        lost = scores.lost.any(axis=1) & (measure.worst is None)
        for name, mean in zip(field.names, np.where(lost, np.nan, goodness).tolist(), strict=True):
            if not np.isnan(mean):
                means[name, measure.name] = sign * mean + 0.0
        ranks.append(field.ranks(scores))
    table = np.array(ranks)
    pairs = combinations([measure.name for measure in measures], 2)
    taus = (intervals.kendall_tau(one, table[n:]).tolist() for n, one in enumerate(table, start=1))
    return means, dict(zip(pairs, chain.from_iterable(taus), strict=True))
