"""One order over several datasets, each with the same weight, and how far it hangs on them.

Mean of the ranks within each dataset, as the Borda count; samples draw datasets, and cases within
each. Wiesenfarth et al. (2021), doi:10.1038/s41598-021-82017-6 (challengeR).
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cytosuite.ranking import bootstrap
from cytosuite.ranking.contests import Field, best_first, mean_drawn, minimum_ranks, places_of
from cytosuite.ranking.ranking import Consensus
from cytosuite.ranking.scores import Measure, ScoreArrays
from cytosuite.volume.arrays import Doubles

DIGITS = 9  # of a mean rank behind the point: beyond is rounding, which must not break ties


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
    shares = bootstrap.place_shares(names, overall)
    return Consensus(
        algorithms=best_first(mean, names),
        ranks=dict(zip(names, mean.tolist(), strict=True)),
        interval=bootstrap.place_intervals(names, overall),
        shares={name: first for name, (first, *_) in shares.items()},
        places={
            dataset: places_of(row, names) for dataset, row in zip(datasets, table, strict=True)
        },
        tau=dict(zip(datasets, bootstrap.kendall_tau(mean, table).tolist(), strict=True)),
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
