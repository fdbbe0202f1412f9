"""A ranking as plain values: places, how sure they are, and which differences are significant."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Scheme: TypeAlias = Literal["mean", "cases", "tests"]
Failures: TypeAlias = Literal["worst", "left out"]
Pair: TypeAlias = tuple[str, str]
SCHEMES: Mapping[Scheme, str] = {
    "mean": "aggregate, then rank: by the mean over the cases",
    "cases": "rank, then aggregate: by the mean of the ranks in each case",
    "tests": "test, then rank: by the number of significant wins",
}


@dataclass(frozen=True, slots=True)
class Difference:
    """Paired comparison of two algorithms in one metric, over the cases that both have.

    Parameters
    ----------
    median : float
        Of the first minus the second, in the unit of the metric.
        Over the cases in which both have a value, a failed one the worst.
    low, high : float
        Ends of its 95 % bootstrap interval; NaN for few cases.
    rank_biserial : float
        Matched-pairs rank-biserial correlation, -1 to 1, positive where the first is better.
    p : float
        Two-sided Wilcoxon signed-rank test, adjusted after Holm; NaN where one has no result.
    """

    median: float
    low: float
    high: float
    rank_biserial: float
    p: float


@dataclass(frozen=True, slots=True)
class Contest:
    """Ranking by one metric, or by all primary metrics together.

    Parameters
    ----------
    metric : str
        Its name; empty for all primary metrics together.
    algorithms : sequence of str
        Best first by the declared scheme, equal ones by name.
    ranks : mapping of str to mapping of str to float
        By scheme, see `SCHEMES`, the rank of each algorithm, 1 is best; ties share the best rank.
        Of all metrics together the mean of the ranks in each.
    places : mapping of str to int
        Place of each algorithm by its rank in the declared scheme; ties share the best.
    interval : mapping of str to (float, float)
        95 % interval of the place over bootstrap samples of the cases; empty for few cases, and
        where a metric of the whole set takes part.
    shares : mapping of str to sequence of float
        Share of the bootstrap samples in which an algorithm has place 1, 2, ...; empty for few.
    tier : mapping of str to int
        From 1, never falling along `algorithms`, see the rule of `Ranking`; empty where nothing is
        tested (metrics of the whole set have one value) or the cases are too few, see `power`.
    better : set of (str, str)
        Pairs of which the first is significantly better than the second, or alone has results.
    differences : mapping of (str, str) to Difference
        Of every ordered pair; empty for all metrics together.
    tau : (float, float, float)
        Kendall's tau-b between the ranking of each bootstrap sample and the full one: median and
        95 % interval; NaN for few cases.
    without_failures : mapping of str to int
        Places when cases that any algorithm failed are left out; empty without failures.
    power : str
        Why no test could tell any two apart, in words; empty where one could, or none is made.
    """

    metric: str
    algorithms: Sequence[str]
    ranks: Mapping[Scheme, Mapping[str, float]]
    places: Mapping[str, int]
    interval: Mapping[str, tuple[float, float]]
    shares: Mapping[str, Sequence[float]]
    tier: Mapping[str, int]
    better: frozenset[Pair]
    differences: Mapping[Pair, Difference]
    tau: tuple[float, float, float]
    without_failures: Mapping[str, int] = field(default_factory=dict)
    power: str = ""


@dataclass(frozen=True, slots=True)
class Ranking:
    """The ranking of the algorithms of a run or table, controls apart.

    Parameters
    ----------
    scheme : {"mean", "cases", "tests"}
        The declared one.
    failures : {"worst", "left out"}
        What a failed case counts: the worst value, or the case is left out for all algorithms.
    rule : str
        The sentences that state both, and the tests, for the reader.
    overall : Contest
        By all primary metrics together.
    metrics : mapping of str to Contest
        By each primary metric.
    agreement : mapping of (str, str) to float
        Kendall's tau-b between the rankings by two metrics, of all that say which end is better;
        each pair once. NaN where one of them has all on one place.
    scaled : mapping of (str, str) to float
        Mean by algorithm and metric, in units of the controls: blank (or identity) is 0, oracle
        (or real) 1; where there are both.
    cases, failed : int
        Cases, and those among them that any algorithm failed.
    draws, seed : int
        Of the bootstrap; no draws for few cases.
    alpha : float
        Level of the tests.
    means : mapping of (str, str) to float
        Mean by algorithm and metric over the defined cases, a failed one the worst; none where a
        failed case has no worst value.
    """

    scheme: Scheme
    failures: Failures
    rule: str
    overall: Contest
    metrics: Mapping[str, Contest]
    agreement: Mapping[Pair, float]
    scaled: Mapping[Pair, float]
    cases: int
    failed: int
    draws: int
    seed: int
    alpha: float
    means: Mapping[Pair, float] = field(default_factory=dict)
