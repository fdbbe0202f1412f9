"""Rankings by one metric and by several together, differences of all pairs or of chosen ones.

Of many algorithms the pairs are chosen that places and tiers hang on, by the scores that they
compare: the first of many is the best by chance too, and its difference to the last the largest of
all pairs. So p is multiplied by the number of all pairs, which holds the family-wise error however
pairs are chosen, as Holm over the chosen ones would not: of 60 equal algorithms it errs in 24 % of
tables, this in 2 %.
"""

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from itertools import pairwise as neighbours
from math import comb

import numpy as np

from cytosuite.errors import count
from cytosuite.files import IntDict, TextSeq, frozen
from cytosuite.ranking import intervals, significance
from cytosuite.ranking.intervals import FEWEST, medians, sums, weighted_means
from cytosuite.ranking.ranking import MANY, SCHEMES, Contest, Difference, Failures, Pair, Scheme
from cytosuite.ranking.rule import RankingRules
from cytosuite.ranking.scores import (
    Counts,
    Measure,
    MetricScores,
    ScoreArrays,
    metric_scores,
    without_rounding,
)
from cytosuite.ranking.significance import (
    drawn_p,
    paired_differences,
    signed_rank,
    significant,
)
from cytosuite.volume.arrays import Doubles, Indices

FAMILY = (
    "the first against each, of neighbours in the order, and of the first of each tier against "
    "those down to the next tier"
)
AT_ONCE = 8  # algorithms that the first of a tier is tested against at once, then twice as many


def scheme_ranks(scores: MetricScores, counts: Counts, scheme: Scheme, alpha: float) -> Doubles:
    """Return the ranks by one metric, (draws, algorithms), from `counts` (draws, cases)."""
    if scheme == "mean" or scores.measure.of_set:
        return mean_ranks(scores, counts)
    return case_ranks(scores, counts) if scheme == "cases" else win_ranks(scores, counts, alpha)


def mean_ranks(scores: MetricScores, counts: Counts) -> Doubles:
    """Return the ranks by the mean over the cases; without a worst value lost cases go first."""
    means = weighted_means(scores.goodness, counts)
    keys = np.where(np.isnan(means), np.inf, -without_rounding(means, scores.goodness))
    if scores.measure.worst is not None or not scores.lost.any():
        return minimum_ranks(keys)
    order = minimum_ranks(sums(counts, scores.lost.T)) * (keys.shape[1] + 1)
    return minimum_ranks(order + minimum_ranks(keys))


def case_ranks(scores: MetricScores, counts: Counts) -> Doubles:
    """Return the ranks by the mean of the ranks in each case, a lost one behind all others."""
    ranks = minimum_ranks(-without_rounding(scores.filled[:, scores.used], scores.goodness).T)
    means = weighted_means(ranks.T, counts[:, scores.used])
    return minimum_ranks(np.where(np.isnan(means), np.inf, without_rounding(means, ranks)))


def win_ranks(scores: MetricScores, counts: Counts, alpha: float) -> Doubles:
    """Return the ranks by significant wins, of samples by `drawn_p`, of all cases by exact p."""
    filled = scores.filled[:, scores.used]
    counts = counts[:, scores.used]

    def ranked(p: Doubles) -> Doubles:
        """Return the ranks from p of all pairs in both directions, (2, draws, pairs)."""
        won = significant(p, alpha, scores.present).sum(axis=2)
        return minimum_ranks(-won.astype(np.float64))

    if len(counts) == 1 and (counts == 1).all():
        return ranked(signed_rank(paired_differences(filled))[0][:, None])
    return intervals.in_blocks(lambda part: ranked(drawn_p(filled, part)), counts, len(filled) ** 2)


def minimum_ranks(keys: Doubles) -> Doubles:
    """Return the ranks within each row, the smallest key being 1; ties share the smallest rank."""
    order = np.argsort(keys, axis=1)
    ordered = np.take_along_axis(keys, order, axis=1)
    ranks = np.zeros(keys.shape)
    larger = np.zeros(keys.shape, int)  # where it differs from the key before
    larger[:, 1:] = np.arange(1, keys.shape[1]) * (ordered[:, 1:] != ordered[:, :-1])
    np.put_along_axis(ranks, order, 1.0 + np.maximum.accumulate(larger, axis=1), axis=1)
    return ranks


def pairwise(
    scores: MetricScores, names: TextSeq, chosen: Indices | None = None
) -> dict[Pair, Difference]:
    """Return the differences of pairs, both ways: median over the cases of both, test over all.

    Without `chosen`, places of names (2, pairs), of all pairs, p after Holm. Else p is multiplied
    by the number of all pairs (Bonferroni), since the pairs are chosen by the scores they compare.
    """
    if scores.measure.of_set or len(names) < 2:
        return {}
    filled = scores.filled[:, scores.used]
    sides = np.stack(np.triu_indices(len(names), 1)) if chosen is None else chosen
    both = np.all(np.isfinite(filled)[sides], axis=0)
    apart = paired_differences(filled, sides)
    tests, effect = signed_rank(apart)
    middle = medians(np.where(both, apart, np.nan))
    p = np.where(scores.present[sides].all(axis=0), significance.two_sided(tests), np.nan)
    rivals = int(scores.present.sum())
    p = significance.holm(p) if chosen is None else np.minimum(p * comb(rivals, 2), 1.0)
    ends = middle if scores.measure.higher_is_better else -middle[[0, 2, 1]]
    differences = {}
    rows = np.stack((*ends, effect, p), axis=1).tolist()
    for (one, other), (median, low, high, r, adjusted) in zip(sides.T.tolist(), rows, strict=True):
        first = names[one]
        second = names[other]
        differences[first, second] = Difference(median, low, high, r, adjusted)
        differences[second, first] = Difference(-median, -high, -low, -r, adjusted)
    return differences


@frozen
class Field:
    """Algorithms that compete, their scores and the declared rules."""

    arrays: ScoreArrays  # of algorithms and controls
    names: TextSeq  # algorithms to rank, ascending
    counts: Counts  # how often each case is in each bootstrap sample; no rows for few cases
    rules: RankingRules  # declared ones

    @property
    def many(self) -> bool:
        """Whether only chosen pairs are tested, which a rank by wins does not allow."""
        return len(self.names) > MANY and self.rules.scheme != "tests"

    def scores(self, measure: Measure, failures: Failures | None = None) -> MetricScores:
        """Return the values of a metric, by the declared rule for failures or another."""
        return metric_scores(self.arrays, measure, self.names, failures or self.rules.failures)

    def ranks(self, scores: MetricScores, scheme: Scheme | None = None) -> Doubles:
        """Return the ranks by all cases, in the declared scheme or another, (algorithms,)."""
        once = np.ones((1, scores.used.size), np.uint16)
        rules = self.rules
        ranks: Doubles = scheme_ranks(scores, once, scheme or rules.scheme, rules.alpha)[0]
        return ranks

    def drawn(self, scores: MetricScores) -> Doubles:
        """Return the ranks in each sample (samples, algorithms), NaN in one without a used case.

        There are no rows for few cases, and by a metric of a whole set.
        """
        counts = self.counts
        rules = self.rules
        if scores.used.sum() < FEWEST or scores.measure.of_set:
            counts = np.zeros((0, scores.used.size), np.uint16)
        drawn = intervals.in_blocks(
            lambda part: scheme_ranks(scores, part, rules.scheme, rules.alpha),
            counts,
            len(self.names),
        )
        drawn[~(counts[:, scores.used] > 0).any(axis=1)] = np.nan
        return drawn


@frozen
class Standoff:
    """Ranks of all algorithms, in the order of their names, by one metric or several together."""

    ranks: Mapping[Scheme, Doubles]  # by scheme
    drawn: Doubles  # in each sample, declared scheme; no rows: no interval
    without: Doubles | None  # over the cases that nobody failed; None if that is all, or no case
    better: frozenset[Pair]  # significant wins
    differences: Mapping[Pair, Difference]  # of tested pairs, both ways; none of several metrics
    tested: bool  # whether there are tests that could tell any two apart
    power: str  # why no test is possible; empty where one is


def standoff(field: Field, measure: Measure) -> Standoff:
    """Return ranks, tests of all pairs of a few, and ranks of bootstrap samples by one metric."""
    scores = field.scores(measure)
    differences = {} if field.many else pairwise(scores, field.names)
    fair, every = (field.scores(measure, way) for way in ("left out", "worst"))
    alike = measure.of_set or fair.used.sum() in (0, every.used.sum())
    cases, algorithms, power = int(scores.used.sum()), int(scores.present.sum()), ""
    needed = significance.cases_needed(algorithms, field.rules.alpha)
    if not measure.of_set and cases < needed:
        test = f"cannot separate {algorithms} algorithms by this test (needs {needed})"
        power = f"{count(cases, 'case')} {test}"
    return Standoff(
        {way: field.ranks(scores, way) for way in SCHEMES if not (field.many and way == "tests")},
        field.drawn(scores),
        None if alike else field.ranks(fair),
        wins(differences, scores, field),
        differences,
        tested=not (measure.of_set or power),
        power=power,
    )


def wins(
    differences: Mapping[Pair, Difference], scores: MetricScores, field: Field
) -> frozenset[Pair]:
    """Return pairs (better, worse): the first wins significantly, or alone has results."""
    present = dict(zip(field.names, scores.present.tolist(), strict=True))
    return frozenset(
        (first, second)
        for (first, second), difference in differences.items()
        if (difference.p < field.rules.alpha and difference.rank_biserial > 0)
        or (present[first] and not present[second])
    )


def together(parts: Sequence[Standoff], scheme: Scheme) -> Standoff:
    """Return the mean of the ranks in each metric, and who is better in one and worse in none."""
    if len(parts) == 1:
        return replace(parts[0], differences={})
    fair = [part.ranks[scheme] if part.without is None else part.without for part in parts]
    won = {pair for part in parts for pair in part.better}
    tested = any(part.tested for part in parts)
    return Standoff(
        {way: np.mean([part.ranks[way] for part in parts], axis=0) for way in parts[0].ranks},
        mean_drawn([part.drawn for part in parts]),
        None if all(part.without is None for part in parts) else np.mean(fair, axis=0),
        frozenset(pair for pair in won if pair[::-1] not in won),
        {},
        tested=tested,
        power="" if tested else max(part.power for part in parts),
    )


def mean_drawn(drawn: Sequence[Doubles]) -> Doubles:
    """Return the mean over metrics of ranks in samples, as many as all metrics have."""
    sampled = min(map(len, drawn))
    mean: Doubles = np.mean([ranks[:sampled] for ranks in drawn], axis=0, dtype=np.float64)
    return mean


def contest(outcome: Standoff, field: Field) -> Contest:
    """Return a ranking by names."""
    names = field.names
    declared = outcome.ranks[field.rules.scheme]
    order = best_first(declared, names)
    drawn = outcome.drawn[~np.isnan(outcome.drawn).any(axis=1)]
    drawn_places = intervals.in_blocks(minimum_ranks, drawn, len(names))
    return Contest(
        algorithms=order,
        ranks={
            scheme: dict(zip(names, ranks.tolist(), strict=True))
            for scheme, ranks in outcome.ranks.items()
        },
        places=places_of(declared, names),
        interval=intervals.place_intervals(names, drawn_places),
        shares=intervals.place_shares(names, drawn_places),
        tier=significance.tiers(order, outcome.better, field.many) if outcome.tested else {},
        better=outcome.better,
        differences=outcome.differences,
        tau=intervals.percentiles(intervals.kendall_tau(declared, drawn)),
        without_failures={} if outcome.without is None else places_of(outcome.without, names),
        power=outcome.power,
    )


def best_first(ranks: Doubles, names: TextSeq) -> list[str]:
    """Return names by their rank, equal ones by name."""
    return [name for _, name in sorted(zip(ranks.tolist(), names, strict=True))]


def places_of(ranks: Doubles, names: TextSeq) -> IntDict:
    """Return the places that follow from ranks; ties share the best."""
    return dict(zip(names, minimum_ranks(ranks[None])[0].astype(int).tolist(), strict=True))


@frozen
class PairTests:
    """Tests by one metric of the pairs that are asked for, each once."""

    scores: MetricScores
    competition: Field
    differences: dict[Pair, Difference] = field(default_factory=dict)  # both ways

    def ask(self, pairs: Sequence[Pair]) -> frozenset[Pair]:
        """Return the wins among pairs, both ways."""
        if new := [pair for pair in pairs if pair not in self.differences]:
            names = self.competition.names
            self.differences.update(
                pairwise(self.scores, names, np.searchsorted(np.asarray(names), np.asarray(new)).T)
            )
        both = [*pairs, *(pair[::-1] for pair in pairs)]
        return wins({pair: self.differences[pair] for pair in both}, self.scores, self.competition)


def tested(
    competition: Field,
    measures: Sequence[Measure],
    parts: Mapping[str, Standoff],
    overall: Standoff,
) -> tuple[dict[str, Standoff], Standoff]:
    """Return the outcomes by each metric and by all with the tests of their chosen pairs."""
    scheme = competition.rules.scheme
    names = competition.names
    tests = {
        measure.name: PairTests(competition.scores(measure), competition)
        for measure in measures
        if not measure.of_set
    }
    for name, one in tests.items():
        chosen_wins(best_first(parts[name].ranks[scheme], names), [one])
    better = chosen_wins(best_first(overall.ranks[scheme], names), [*tests.values()])
    found = {
        name: replace(
            parts[name],
            differences=one.differences,
            better=wins(one.differences, one.scores, competition),
        )
        for name, one in tests.items()
    }
    return {**parts, **found}, replace(overall, better=better)


def chosen_wins(order: TextSeq, tests: Sequence[PairTests]) -> frozenset[Pair]:
    """Test the pairs of `FAMILY`; return those better in one metric and worse in none."""
    better = set[Pair]()

    def beaten(pairs: Sequence[Pair]) -> list[bool]:
        """Test pairs; return whether the first of each is better."""
        won = frozenset[Pair]().union(*(one.ask(pairs) for one in tests))
        better.update(pair for pair in won if pair[::-1] not in won)
        return [pair in better for pair in pairs]

    beaten([(order[0], other) for other in order[1:]])
    beaten([*neighbours(order)])
    first, other, step = 0, 1, AT_ONCE
    while other < len(order):
        worse = beaten([(order[first], name) for name in order[other : other + step]])
        if True in worse:
            first = other + worse.index(True)
            step = AT_ONCE
            other = first + 1
        else:
            other = other + len(worse)
            step = 2 * step
    return frozenset(better)
