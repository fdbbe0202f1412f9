"""Rank the algorithms of a long table of scores."""

from collections.abc import Collection, Iterable, Sequence

import numpy as np
import pandas as pd

from cytosuite.benchmark.ranking.bootstrap import FEWEST, draw_counts, kendall_tau, varied
from cytosuite.benchmark.ranking.contests import Field, contest, standoff, together
from cytosuite.benchmark.ranking.ranking import Pair, Ranking
from cytosuite.benchmark.ranking.rule import Extent, RankingRules, rule_sentences
from cytosuite.benchmark.ranking.scaled import metric_means, scaled_means
from cytosuite.benchmark.ranking.scores import (
    ABSENT,
    VALID,
    Bools,
    Measure,
    failed_cells,
    score_arrays,
)
from cytosuite.errors import InputError


def rank(
    scores: pd.DataFrame,
    measures: Sequence[Measure],
    primary: Sequence[str],
    controls: Collection[str] = (),
    rules: RankingRules | None = None,
) -> Ranking | None:
    """Return the ranking of the algorithms of a long table.

    Parameters
    ----------
    scores : DataFrame
        As of `score_arrays`; a case without a row that another algorithm has is a failed one.
    measures : sequence of Measure
        Metrics with a better end.
    primary : sequence of str
        Those to rank by.
    controls : collection of str
        Answers that are not ranked.
    rules : RankingRules, optional
        Declared rules.

    Returns
    -------
    Ranking or None
        None without an algorithm or a metric to rank by.

    Raises
    ------
    InputError
        If a row is there twice, or no case is left.
    """
    if scores.empty:
        return None
    rules, arrays = rules or RankingRules(), score_arrays(scores)
    names = [name for name in arrays.algorithms if name not in controls]
    known = {measure.name: measure for measure in measures if measure.name in arrays.metrics}
    chosen = [known[name] for name in primary if name in known]
    if not names or not chosen:
        return None
    draws = rules.draws if varied(arrays.strata) >= FEWEST else 0
    field = Field(arrays, names, draw_counts(arrays.strata, draws, rules.seed), rules)
    extent, means = _extent(field, chosen), _means(field, known.values())
    parts = {measure.name: standoff(field, measure) for measure in chosen}
    overall = together([*parts.values()], rules.scheme)
    return Ranking(
        scheme=rules.scheme,
        failures=rules.failures,
        rule=rule_sentences(rules, chosen, extent, overall.power),
        overall=contest("", overall, field),
        metrics={name: contest(name, part, field) for name, part in parts.items()},
        agreement=_agreement(field, [*known.values()]),
        scaled=scaled_means(arrays, known.values(), means),
        cases=extent.cases,
        failed=extent.failed,
        draws=draws,
        seed=rules.seed,
        alpha=rules.alpha,
        means=means,
    )


def _extent(field: Field, chosen: Sequence[Measure]) -> Extent:
    """Return the numbers of cases of the metrics to rank by; of the whole set, of all metrics."""
    arrays = field.arrays
    wanted = {measure.name for measure in chosen if not measure.of_set} or {*arrays.metrics}
    metrics = [name in wanted for name in arrays.metrics]
    rows = [name in field.names for name in arrays.algorithms]
    states = arrays.states[metrics][:, rows][:, :, ~arrays.of_set]
    taken: Bools = np.any(states != ABSENT, axis=(0, 1))
    failed: Bools = np.any(failed_cells(states), axis=(0, 1))
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
        len({name for name, own in zip(arrays.strata, taken, strict=True) if own}),
        [own.measure.name for own in scored if own.lost.any()],
        len(field.counts) > 0,
        [name for name, lost in zip(field.names, empty.tolist(), strict=True) if lost],
    )


def _means(field: Field, known: Iterable[Measure]) -> dict[Pair, float]:
    """Return the mean of each algorithm in each metric."""
    means: dict[Pair, float] = {}
    for measure in known:
        means |= metric_means(field.scores(measure), field.names)
    return means


def _agreement(field: Field, known: Sequence[Measure]) -> dict[Pair, float]:
    """Return Kendall's tau-b between the rankings by each two metrics."""
    ranks = np.array([field.ranks(field.scores(measure)) for measure in known])
    found: dict[Pair, float] = {}
    for number, measure in enumerate(known[:-1]):
        tau = kendall_tau(ranks[number], ranks[number + 1 :])
        others = (other.name for other in known[number + 1 :])
        found |= {(measure.name, other): t for other, t in zip(others, tau.tolist(), strict=True)}
    return found
