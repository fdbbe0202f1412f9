"""The sentences of the rule, word by word."""

import pytest

from cytosuite.benchmark.ranking.rule import Extent, RankingRules, rule_sentences
from cytosuite.benchmark.ranking.scores import Measure

SEG, DET = Measure("SEG", True, 0.0), Measure("DET", True, 0.0)
MAE, W1 = Measure("MAE", False), Measure("W1", False, of_set=True)
TWELVE = Extent(12, 0, 1, (), sampled=True)
TESTS = (
    "Significantly better: two-sided Wilcoxon signed-rank test of each pair, paired by case, p "
    "adjusted after Holm over the pairs of a metric, p < 0.05"
)
TIERS = (
    "Tiers: down the order, a new tier begins at the first algorithm that any member of the "
    "current tier is significantly better than."
)


def said(primary=(SEG, DET), extent=TWELVE, **rules):
    return rule_sentences(RankingRules(**rules), primary, extent)


def test_the_rule_of_a_benchmark():
    assert said() == (
        "Rank: mean of the ranks by mean SEG and by mean DET over 12 cases; ties share the best "
        f"rank. A failed case counts as the worst value (0). {TESTS}; overall: in at least one of "
        f"the metrics, and worse in none. {TIERS} Intervals: 95 % of 2000 bootstrap samples of "
        "the cases, seed 0."
    )


@pytest.mark.parametrize(
    ("scheme", "words"),
    [
        ("mean", "Rank: by mean SEG over 12 cases;"),
        ("cases", "Rank: by the mean of the SEG ranks within each case over 12 cases;"),
        ("tests", "Rank: by the number of significant wins in SEG over 12 cases;"),
    ],
)
def test_each_scheme_says_how_it_ranks(scheme, words):
    assert said((SEG,), scheme=scheme).startswith(words)


def test_failures_are_stated_by_metric():
    assert "counts as the worst value (SEG 0, X 9)." in said((SEG, Measure("X", False, 9.0)))
    assert "In MAE, without a worst value, a failed case is behind all" in said((MAE,))
    words = said((SEG, MAE))
    assert "counts as the worst value (SEG 0). In MAE, without" in words


def test_left_out_cases_are_counted():
    words = said(extent=Extent(12, 3, 1, (), sampled=True), failures="left out")
    assert "Cases that any algorithm failed (3) are left out for all." in words
    assert "worst value" not in words


def test_few_cases_have_no_intervals_and_say_so():
    words = said(extent=Extent(1, 0, 1, (), sampled=False))
    assert "over 1 case;" in words
    assert words.endswith("No intervals: they need 6 cases, of datasets with more than one.")
    assert "ntervals" not in said(extent=Extent(12, 0, 1, (), sampled=False), draws=0)


def test_datasets_and_level_and_undefined_values_are_named():
    words = said((SEG,), Extent(12, 0, 3, ("SEG",), sampled=True), alpha=0.01, draws=100, seed=4)
    assert "100 bootstrap samples of the cases, drawn within each of 3 datasets, seed 4." in words
    assert "Undefined values of SEG are in no mean." in words
    assert "p < 0.01." in words


def test_whole_sets_have_neither_tests_nor_intervals():
    words = said((SEG, W1))
    assert "by mean SEG and by W1 over 12 cases" in words
    assert "W1 has one value for the whole set: no tests, and no intervals of places" in words
    alone = said((W1,))
    assert alone.startswith("Rank: by W1; ties share the best rank.")
    assert "Wilcoxon" not in alone
    assert "bootstrap" not in alone
