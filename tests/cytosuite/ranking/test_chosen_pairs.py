"""Rankings of more algorithms than all pairs are tested of."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from mistakes import refused

from cytosuite.ranking.by_measure import rank_measures
from cytosuite.ranking.ranking import MANY, ranking_json
from cytosuite.ranking.rule import RankingRules
from cytosuite.ranking.scores import Measure

SEG = Measure("SEG", True, 0.0)
DET = Measure("DET", True, 0.0)
FEW = RankingRules(draws=100)


def ladder(algorithms, cases=30, step=0.02, seed=0):
    """Return scores of algorithms of which each is a step worse than the one before, but for chance."""
    values = np.random.default_rng(seed).normal(0.5, 0.03, (algorithms, cases))
    values -= step * np.arange(algorithms)[:, None]
    return {f"a{n:03}": row for n, row in enumerate(values)}


@pytest.fixture
def both(table, monkeypatch):
    """Return the ranking by chosen pairs, and that by all."""

    def both(primary=("SEG",), **by_metric):
        scores = pd.concat([table(name, **values) for name, values in by_metric.items()])
        rankings = []
        for most in (2, 1000):
            monkeypatch.setattr("cytosuite.ranking.contests.MANY", most)
            rankings.append(rank_measures(scores, [SEG, DET], primary, rules=FEW))
        return rankings

    return both


@pytest.mark.parametrize("seed", range(3))
def test_what_is_significant_is_so_among_all_pairs_too(both, seed):
    chosen, every = both(SEG=ladder(12, seed=seed))
    mine = chosen.metrics["SEG"]
    theirs = every.metrics["SEG"]
    assert mine.better <= theirs.better
    for pair, ours in mine.differences.items():
        other = theirs.differences[pair]
        assert (ours.median, ours.low, ours.high) == (other.median, other.low, other.high)
        assert ours.p >= other.p
    for name in ("places", "interval", "shares", "tau"):
        assert getattr(mine, name) == getattr(theirs, name)


def test_the_pairs_are_those_of_the_rule(both):
    chosen, _ = both(SEG=ladder(20))
    contest = chosen.metrics["SEG"]
    order = contest.algorithms
    tier = contest.tier
    asked = {*contest.differences}
    assert {(order[0], other) for other in order[1:]} | {*pairwise(order)} <= asked
    assert max(tier.values()) > 2
    firsts = {number: next(n for n in order if tier[n] == number) for number in tier.values()}
    for name in order:
        first = firsts[tier[name]]
        assert name == first or ((first, name) in asked and (first, name) not in contest.better)
        if name == first and tier[name] > 1:
            assert (firsts[tier[name] - 1], name) in contest.better


def test_with_clear_differences_tiers_are_those_of_all_pairs(both, ideal):
    chosen, every = both(SEG=ideal)
    assert chosen.overall.tier == every.overall.tier
    assert (every.family, "Bonferroni" in every.rule) == (None, False)
    assert "the first of each tier" in chosen.family
    assert chosen.family in chosen.rule


def test_together_a_win_is_one_that_no_metric_contradicts(both):
    scores = ladder(10, step=0.05)
    worst_last = dict(zip(scores, [scores[name] for name in reversed(scores)], strict=True))
    chosen, _ = both(("SEG", "DET"), SEG=scores, DET=worst_last)
    assert chosen.metrics["SEG"].better
    assert chosen.overall.better == frozenset()
    assert {*chosen.overall.tier.values()} == {1}
    for pair in pairwise(chosen.overall.algorithms):
        assert pair in chosen.metrics["SEG"].differences


def test_without_a_result_all_are_behind_whom_they_are_tested_with(both):
    chosen, _ = both(SEG=ladder(6) | {"z": [None] * 30})
    assert chosen.overall.tier["z"] == max(chosen.overall.tier.values())
    assert ("a000", "z") in chosen.overall.better


def test_a_table_of_many_names_its_family_and_shares_of_the_first_places(table):
    scores = table("SEG", **ladder(MANY + 1, cases=8))
    ranked = rank_measures(scores, [SEG], ["SEG"], rules=FEW)
    assert {len(shares) for shares in ranked.overall.shares.values()} == {MANY}
    assert "tests" not in ranked.overall.ranks
    fewer = rank_measures(scores[scores["algorithm"] != "a000"], [SEG], ["SEG"], rules=FEW)
    assert "family" not in ranking_json(fewer)
    assert fewer.metrics["SEG"].ranks["tests"]


def test_more_than_a_rank_by_wins_can_compare_are_refused(table):
    refused(
        "expected 200 algorithms at most, found 201; rank by",
        rank_measures,
        table("SEG", **ladder(201, cases=2)),
        [SEG],
        ["SEG"],
        rules=RankingRules(scheme="tests"),
    )
