"""CPU time and memory of a ranking, its family-wise error, and how often intervals hold the truth.

    python performance/ranking.py [ALGORITHMS...]         time and peak memory, a process each
    python performance/ranking.py error [TABLES]          null tables with a significant pair
    python performance/ranking.py intervals [BENCHMARKS]  share of 95 % intervals with the truth

Null tables: all algorithms alike but for chance, and two groups of which one is better, where a
pair within a group is an error. Beside our rule, Holm over the chosen pairs alone. Intervals of
means and medians are of scores as real ones lie: near the best end and skewed (SEG, DET), unbounded
(distances), in two groups; beside ours the percentile bootstrap of 2,000 samples.
"""

import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from cytosuite.ranking import RankingRules, rank
from cytosuite.ranking.bootstrap import draw_counts, weighted_means
from cytosuite.ranking.intervals import ENDS, mean_interval, medians
from cytosuite.ranking.significance import holm, signed_rank, two_sided
from cytosuite.volume.arrays import Doubles

SIZES = ("50", "200", "1000", "10000")
CASES, METRICS = 100, ("SEG", "DET")
FEW = (6, 8, 10, 20)  # cases of a benchmark
Draw = Callable[[np.random.Generator, int | tuple[int, int]], Doubles]
SCORES: dict[str, Draw] = {
    "normal": lambda rng, size: rng.normal(0.7, 0.1, size),
    "beta(8, 2)": lambda rng, size: rng.beta(8, 2, size),
    "beta(20, 2)": lambda rng, size: rng.beta(20, 2, size),
    "beta(6, 1)": lambda rng, size: rng.beta(6, 1, size),
    "beta(20, 1)": lambda rng, size: rng.beta(20, 1, size),
    "exponential": lambda rng, size: rng.exponential(1, size),
    "lognormal(0.7)": lambda rng, size: rng.lognormal(0, 0.7, size),
    "30 % hard cases": lambda rng, size: np.where(
        rng.random(size) < 0.3, rng.beta(5, 5, size), rng.beta(30, 3, size)
    ),
}


def table(
    levels: Doubles, cases: int, rng: np.random.Generator, metrics: Sequence[str] = METRICS
) -> pd.DataFrame:
    """Return scores of algorithms with a mean each (algorithms,); cases are harder or easier."""
    count = len(levels)
    names = np.repeat([f"a{n:05}" for n in range(count)], cases)
    tables = []
    for metric in metrics:
        values = levels[:, None] + rng.normal(0, 0.1, cases) + rng.normal(0, 0.1, (count, cases))
        case = np.tile([f"{n:03}" for n in range(cases)], count)
        scores = {"case": case, "algorithm": names, "metric": metric, "value": values.ravel()}
        tables.append(pd.DataFrame(scores))
    return pd.concat(tables, ignore_index=True)


def size(count: int) -> None:
    """Print CPU seconds and peak memory of a ranking of so many algorithms."""
    rng = np.random.default_rng(count)
    scores = table(rng.uniform(0.4, 0.8, count), CASES, rng)
    start, before = time.process_time(), _peak()
    ranking = rank(scores)
    tests = sum(len(contest.differences) for contest in ranking.metrics.values()) // 2
    print(
        f"{count:10} {time.process_time() - start:8.1f} {_peak():10.0f} {before:10.0f} "
        f"{tests:8} {max(ranking.overall.tier.values()):6}"
    )


def _peak() -> float:
    """Return the peak memory of this process in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def error(tables: int) -> None:
    """Print how often any pair of equal algorithms is significant, at 0.05."""
    print("algorithms cases groups     ours  Holm over the chosen pairs")
    for count, cases, groups in ((60, 30, 1), (60, 30, 2), (200, 100, 1)):
        found = np.zeros(2)
        for seed in range(tables):
            rng = np.random.default_rng(seed)
            group = np.arange(count) % groups
            scores = table(np.asarray(0.3 * group, np.float64), cases, rng, METRICS[:1])
            ranking = rank(scores, rules=RankingRules(draws=0))
            differences = ranking.metrics["SEG"].differences
            pairs = [(int(a[1:]), int(b[1:])) for a, b in differences if a < b]
            within = np.array([group[a] == group[b] for a, b in pairs])
            p = np.array([own.p for (a, b), own in differences.items() if a < b])
            values = scores["value"].to_numpy().reshape(count, cases)
            apart = np.array([values[a] - values[b] for a, b in pairs])
            alone = holm(two_sided(signed_rank(apart)[0], signed_rank(-apart)[0]))
            found += (p[within] < 0.05).any(), (alone[within] < 0.05).any()
        ours, naive = found / tables
        print(f"{count:10} {cases:5} {groups:6} {ours:8.3f} {naive:8.3f}")


def shares(draw: Draw, cases: int, benchmarks: int) -> list[float]:
    """Return the share of intervals that hold the truth: of means, by bootstrap, of medians."""
    population = draw(np.random.default_rng(1), 10**6)
    mean, median = population.mean(), np.median(population)
    values = draw(np.random.default_rng(cases), (benchmarks, cases))
    ends = np.array([mean_interval(row) for row in values]).T
    drawn = weighted_means(values, draw_counts([""] * cases))
    return [
        ((low <= truth) & (truth <= high)).mean()
        for truth, (low, high) in (
            (mean, ends),
            (mean, np.percentile(drawn, ENDS, axis=0)),
            (median, medians(values)[1:]),
        )
    ]


def intervals(benchmarks: int) -> None:
    """Print the shares by distribution and number of cases."""
    print(f"{'cases':>18}", *(f"{cases:^22}" for cases in FEW))
    print(f"{'':>18}", *(" mean bootstrap median" for _ in FEW))
    for name, draw in SCORES.items():
        rows = [shares(draw, cases, benchmarks) for cases in FEW]
        print(f"{name:>18}", *("{:6.3f} {:7.3f} {:7.3f}".format(*row) for row in rows))


def main(*words: str) -> None:
    """Measure what the words say."""
    if words[:1] == ("error",):
        error(int(words[1]) if words[1:] else 1000)
    elif words[:1] == ("intervals",):
        intervals(int(words[1]) if words[1:] else 10_000)
    elif len(words) == 1:
        size(int(words[0]))
    else:
        print("algorithms    CPU s   peak MiB  table MiB    tests  tiers", flush=True)
        for word in words or SIZES:
            subprocess.run([sys.executable, __file__, word], check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
