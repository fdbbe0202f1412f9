"""How often 95 % intervals of means and medians hold the truth, over simulated benchmarks.

    python performance/intervals.py [benchmarks]

Scores of cases are drawn as real ones lie: near the best end and skewed (SEG, DET), unbounded
(distances), in two groups. A row is a distribution, a column a number of cases; beside ours the
percentile bootstrap of 2000 samples.
"""

import sys
from collections.abc import Callable

import numpy as np

from cytosuite.ranking.bootstrap import draw_counts, weighted_means
from cytosuite.ranking.intervals import ENDS, mean_interval, medians
from cytosuite.volume.arrays import Doubles

CASES = (6, 8, 10, 20)
SCORES: dict[str, Callable[[np.random.Generator, object], Doubles]] = {
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


def shares(
    draw: Callable[[np.random.Generator, object], Doubles], cases: int, benchmarks: int
) -> list[float]:
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


def main(benchmarks: int = 10_000) -> None:
    """Print the shares by distribution and number of cases."""
    print(f"{'cases':>18}", *(f"{cases:^22}" for cases in CASES))
    print(f"{'':>18}", *(" mean bootstrap median" for _ in CASES))
    for name, draw in SCORES.items():
        rows = [shares(draw, cases, benchmarks) for cases in CASES]
        print(f"{name:>18}", *("{:6.3f} {:7.3f} {:7.3f}".format(*row) for row in rows))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
