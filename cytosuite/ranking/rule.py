"""The declared rules of a ranking, and the sentences that state them for the reader."""

from collections.abc import Iterator, Sequence

from cytosuite.errors import count
from cytosuite.files import TextSeq, frozen
from cytosuite.ranking.intervals import DRAWS, FEWEST
from cytosuite.ranking.ranking import Failures, Scheme
from cytosuite.ranking.scores import Measure

ALPHA = 0.05
BY = {
    "mean": "by mean {}",
    "cases": "by the mean of the {} ranks within each case",
    "tests": "by the number of significant wins in {}",
}


@frozen
class RankingRules:
    """Declared rules of a ranking, see `cytosuite.ranking.ranking.Ranking`."""

    scheme: Scheme = "mean"
    failures: Failures = "worst"
    draws: int = DRAWS
    seed: int = 0
    alpha: float = ALPHA


@frozen
class Extent:
    """Size of a ranking."""

    cases: int  # cases, those that any algorithm failed, and datasets they belong to
    failed: int
    datasets: int
    undefined: TextSeq  # defined for one algorithm, undefined for another in the same case
    sampled: bool  # whether there is a bootstrap
    empty: TextSeq  # algorithms that failed every case


def rule_sentences(
    rules: RankingRules,
    primary: Sequence[Measure],
    extent: Extent,
    power: str,
    family: str,
) -> str:
    """Return the rule of a ranking: ranks, failures, tests of a family, tiers and intervals."""
    by_case = [measure for measure in primary if not measure.of_set]
    parts = [f"by {m.name}" if m.of_set else BY[rules.scheme].format(m.name) for m in primary]
    way = parts[0] if len(parts) == 1 else f"mean of the ranks {joined(parts)}"
    over = f" over {count(extent.cases, 'case')}" if by_case else ""
    sentences = [f"Rank: {way}{over}; ties share the best rank."]
    sentences += _failures(rules, by_case, extent)
    if extent.undefined and rules.scheme == "mean":
        sentences.append(f"Undefined values of {joined(extent.undefined)} are in no mean.")
    if by_case:
        sentences += _tests(rules, by_case, power, family)
    if extent.empty:
        verb = "has" if len(extent.empty) == 1 else "have"
        sentences.append(f"{joined(extent.empty)} {verb} no result: last, and in no test.")
    if len(by_case) < len(primary):
        names = [measure.name for measure in primary if measure.of_set]
        verb = "has" if len(names) == 1 else "have"
        sentences.append(
            f"{joined(names)} {verb} one value for the whole set: no tests, and no intervals of "
            "places that depend on it."
        )
    if extent.sampled and by_case:
        within = f", drawn within each of {extent.datasets} datasets" * (extent.datasets > 1)
        sentences.append(
            f"Intervals of places: 95 % of {rules.draws} bootstrap samples of the cases{within}, "
            f"seed {rules.seed}."
        )
    elif by_case and rules.draws:
        sentences.append(f"No intervals: they need {FEWEST} cases, of datasets with more than one.")
    return " ".join(sentences)


def _failures(rules: RankingRules, by_case: Sequence[Measure], extent: Extent) -> Iterator[str]:
    """Yield the sentences on failed cases."""
    if rules.failures == "left out" and by_case:
        yield f"Cases that any algorithm failed ({extent.failed}) are left out for all."
        by_case = []
    ends = {m.name: f"{m.worst:g}" for m in by_case if m.worst is not None}
    open_ends = [m.name for m in by_case if m.worst is None]
    if ends:
        alike = len(set(ends.values())) == 1 and not open_ends
        words = [*ends.values()][:1] if alike else [f"{name} {end}" for name, end in ends.items()]
        yield f"A failed case counts as the worst value ({', '.join(words)})."
    if open_ends:
        yield (
            f"In {joined(open_ends)}, without a worst value, a failed case is behind all that "
            "have a value."
        )


def _tests(
    rules: RankingRules, by_case: Sequence[Measure], power: str, family: str
) -> Iterator[str]:
    """Yield the sentences on tests and tiers."""
    each = family or "each pair"
    adjusted = (
        "times the number of all pairs (Bonferroni), as if all were tested"
        if family
        else "adjusted after Holm over the pairs of a metric"
    )
    yield (
        f"Significantly better: two-sided Wilcoxon signed-rank test of {each}, paired by case, "
        f"p {adjusted}, p < {rules.alpha:g}"
        + (
            "; overall: in at least one of the metrics, and worse in none."
            if len(by_case) > 1
            else "."
        )
    )
    yield (
        f"No tiers: {power}."
        if power
        else "Tiers: down the order, a new tier begins at the first algorithm that "
        f"{'the first' if family else 'any member'} of the current tier is significantly better "
        "than."
    )


def joined(words: TextSeq) -> str:
    """Return words as a list in a sentence."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
