"""CPU time and peak memory of a ranking, by the number of algorithms: a process each.

Usage: python performance/ranking.py [ALGORITHMS...]
"""

import resource
import subprocess
import sys
import time

import numpy as np
import pandas as pd

from cytosuite.ranking import rank
from cytosuite.volume.arrays import Doubles

SIZES = ("50", "200", "1000", "10000")
CASES, METRICS = 100, ("SEG", "DET")


def table(levels: Doubles, cases: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return scores of algorithms with a mean each (algorithms,); cases are harder or easier."""
    count = len(levels)
    names = np.repeat([f"a{n:05}" for n in range(count)], cases)
    tables = []
    for metric in METRICS:
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


def main(*words: str) -> None:
    """Measure one size in this process, several in one each."""
    if len(words) == 1:
        size(int(words[0]))
    else:
        print("algorithms    CPU s   peak MiB  table MiB    tests  tiers", flush=True)
        for word in words or SIZES:
            subprocess.run([sys.executable, __file__, word], check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
