"""A ranking as plain values and as JSON: places, their certainty, significant differences."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, field
from math import isfinite
from typing import Any, Literal

from cytosuite.files import FloatMap, FloatTriple, IntMap, Json, TextMap, TextPair, TextSeq, frozen
from cytosuite.volume.arrays import Interval

Scheme = Literal["mean", "cases", "tests"]
Failures = Literal["worst", "left out"]
Pair = TextPair
PairMap = Mapping[Pair, float]
PairDict = dict[Pair, float]  # the same, to be written
MANY = 50  # algorithms: of more, chosen pairs are tested, and shares are of the first places
SCHEMES: Mapping[Scheme, str] = {
    "mean": "aggregate, then rank: by the mean over the cases",
    "cases": "rank, then aggregate: by the mean of the ranks in each case",
    "tests": "test, then rank: by the number of significant wins",
}


@frozen
class Difference:
    """Paired comparison of two algorithms in one metric, over the cases that both have."""

    median: float  # first minus second, over the cases of both; a failed one the worst
    low: float  # ends of its 95 % interval; NaN for few cases
    high: float
    rank_biserial: float  # matched pairs, -1 to 1, positive where the first is better
    p: float  # two-sided Wilcoxon test after Holm; NaN where one has no result


@frozen
class Contest:
    """Ranking by one metric, or by all primary metrics together."""

    algorithms: TextSeq  # best first by the declared scheme, equal ones by name
    ranks: Mapping[Scheme, FloatMap]  # by algorithm, 1 is best, ties share it
    places: IntMap  # in the declared scheme; ties share the best
    interval: Mapping[str, Interval]  # 95 % of the place; empty for few
    shares: Mapping[str, Sequence[float]]  # of the samples, by place, `MANY` at most; or empty
    tier: IntMap  # from 1, never falling along `algorithms`; or empty
    better: frozenset[Pair]  # the first is significantly better, or alone has results
    differences: Mapping[Pair, Difference]  # of tested pairs, both ways; none of all metrics
    tau: FloatTriple  # median and 95 % interval of tau-b, samples to all
    without_failures: IntMap = field(default_factory=dict)  # places
    power: str = ""  # why no test could tell any two apart; else empty


@frozen
class Consensus:
    """An order of algorithms over datasets."""

    algorithms: TextSeq  # best first, equal ones by name
    ranks: FloatMap  # mean over the datasets of the rank in each, 1 is best
    interval: Mapping[str, Interval]  # 95 % of the place; empty without samples
    shares: FloatMap  # of the samples in which it is first; empty without samples
    places: Mapping[str, IntMap]  # by dataset and algorithm
    tau: FloatMap  # Kendall's tau-b of each dataset's order and this one
    first_without: TextMap  # the first if a dataset is left out
    fixed: TextSeq  # datasets with too few cases to be drawn


@frozen
class Ranking:
    """The ranking of the algorithms of a run or table, controls apart."""

    scheme: Scheme  # the declared one
    failures: Failures  # the worst value, or the case is left out for all
    rule: str  # the sentences that state both, and the tests, for the reader
    overall: Contest  # by all primary metrics together
    metrics: Mapping[str, Contest]  # by each primary metric
    agreement: PairMap  # tau-b of two metrics, each pair once; or NaN
    scaled: PairMap  # by algorithm and metric: blank 0, oracle 1
    cases: int  # cases, and those among them that any algorithm failed
    failed: int
    draws: int  # of the bootstrap; no draws for few cases
    seed: int
    alpha: float  # level of the tests
    means: PairMap = field(default_factory=dict)  # a failed case the worst
    missing: str = ""  # see `scores.missing_rows`
    family: str | None = None  # the pairs that are tested; None: all
    consensus: Consensus | None = None  # over several datasets

    def rows(self) -> list[Json]:
        """Return a row per algorithm, best first: place, rank, interval, tier and means."""
        overall = self.overall
        return [
            {
                "place": overall.places[name],
                "algorithm": name,
                "rank": float(overall.ranks[self.scheme][name]),
                "interval": overall.interval.get(name),
                "tier": overall.tier.get(name),
                "P(first)": next(map(float, overall.shares.get(name, ())), None),
                **{metric: self.means.get((name, metric)) for metric in self.metrics},
                "without failures": overall.without_failures.get(name),
            }
            for name in overall.algorithms
        ]


def ranking_json(ranking: Ranking) -> Json:
    """Return a ranking for JSON: pairs as lists of rows, finite numbers only."""
    plain = ("rule", "family", "scheme", "failures", "cases", "failed", "draws", "seed", "alpha")
    parts = {
        **{name: getattr(ranking, name) for name in plain},
        "consensus": asdict(ranking.consensus) if ranking.consensus else None,
        "overall": _contest(ranking.overall),
        "metrics": {name: _contest(contest) for name, contest in ranking.metrics.items()},
        "agreement": _rows(ranking.agreement, ("metric", "other"), "tau_b"),
        "means": _rows(ranking.means, ("algorithm", "metric"), "mean"),
        "scaled": _rows(ranking.scaled, ("algorithm", "metric"), "value"),
    }
    return dict(_finite(parts))


def _contest(contest: Contest) -> Json:
    """Return one ranking: a row per algorithm, best first, and a row per tested ordered pair."""
    rows = [
        {
            "algorithm": name,
            "place": contest.places[name],
            "ranks": {scheme: ranks[name] for scheme, ranks in contest.ranks.items()},
            "interval": contest.interval.get(name),
            "shares": contest.shares.get(name),
            "tier": contest.tier.get(name),
            "place_without_failures": contest.without_failures.get(name),
        }
        for name in contest.algorithms
    ]
    differences = [
        {"algorithm": first, "other": second, **asdict(difference)}
        for (first, second), difference in contest.differences.items()
    ]
    middle, low, high = contest.tau
    return {
        "algorithms": rows,
        "better": sorted(map(list, contest.better)),
        "power": contest.power,
        "differences": differences,
        "tau_b": {"median": middle, "low": low, "high": high},
    }


def _rows(values: PairMap, names: Pair, value: str) -> list[Json]:
    """Return a row per pair."""
    return [
        {names[0]: first, names[1]: second, value: number}
        for (first, second), number in values.items()
    ]


def _finite(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return a value without None and infinite numbers in its mappings."""
    if isinstance(value, Mapping):
        return {
            key: _finite(part)
            for key, part in value.items()
            if part is not None and (not isinstance(part, float) or isfinite(part))
        }
    return [_finite(part) for part in value] if isinstance(value, list | tuple) else value
