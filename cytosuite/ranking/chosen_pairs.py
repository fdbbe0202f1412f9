"""Tests of many algorithms: the pairs that places and tiers hang on.

The pairs are chosen by the scores that they compare: the first of many is the best by chance too,
and its difference to the last the largest of all pairs. So p is multiplied by the number of all
pairs, which holds the family-wise error however pairs are chosen, as Holm over the chosen ones
would not: of 60 equal algorithms it errs in 24 % of tables, this in 2 %.
"""

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from itertools import pairwise as neighbours

import numpy as np

from cytosuite.files import TextSeq, frozen
from cytosuite.ranking.contests import Field, Standoff, best_first, pairwise, wins
from cytosuite.ranking.ranking import Difference, Pair
from cytosuite.ranking.scores import Measure, MetricScores

FAMILY = (
    "the first against each, of neighbours in the order, and of the first of each tier against "
    "those down to the next tier"
)
BLOCK = 8  # algorithms that the first of a tier is tested against at once, then twice as many


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
            sides = np.searchsorted(np.asarray(names), np.asarray(new)).T
            self.differences.update(pairwise(self.scores, names, sides))
        both = [*pairs, *(pair[::-1] for pair in pairs)]
        outcomes = {pair: self.differences[pair] for pair in both}
        return wins(outcomes, self.scores, self.competition)


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
    first, other, step = 0, 1, BLOCK
    while other < len(order):
        worse = beaten([(order[first], name) for name in order[other : other + step]])
        if True in worse:
            first = other + worse.index(True)
            step = BLOCK
            other = first + 1
        else:
            other = other + len(worse)
            step = 2 * step
    return frozenset(better)
