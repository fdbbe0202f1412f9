"""Ranking of 20 algorithms by 100 cases and two metrics: ours, and pandas with SciPy in loops.

The peers do the parts that take the time, pair by pair and sample by sample: the tests of all
ordered pairs, and the places in bootstrap samples by the mean. Run with ``OPENBLAS_NUM_THREADS=1``
for times that do not depend on idle cores.
"""

from functools import partial
from itertools import permutations

import numpy as np
import pandas as pd
from scipy.stats import wilcoxon
from side_by_side import Row, measure, table

from cytosuite.benchmark.ranking.bootstrap import draw_counts
from cytosuite.benchmark.ranking.rank import rank
from cytosuite.benchmark.ranking.ranking import SCHEMES, Scheme
from cytosuite.benchmark.ranking.rule import RankingRules
from cytosuite.benchmark.ranking.schemes import mean_ranks
from cytosuite.benchmark.ranking.scores import Measure, metric_scores, score_arrays
from cytosuite.benchmark.ranking.significance import pairs_p

ALGORITHMS, CASES, DRAWS = 20, 100, 1000
MEASURES = (Measure("SEG", True, 0.0), Measure("DET", True, 0.0))


def scores(algorithms: int = ALGORITHMS, cases: int = CASES) -> pd.DataFrame:
    """Return a long table of random scores, in which later algorithms are a little better."""
    rng = np.random.default_rng(0)
    rows = [
        ("set", f"c{case:04d}", f"a{name:02d}", one.name, rng.random() + 0.02 * name, "ok")
        for name in range(algorithms)
        for case in range(cases)
        for one in MEASURES
    ]
    columns = ["dataset", "case", "algorithm", "metric", "value", "status"]
    return pd.DataFrame(rows, columns=columns)


def rows(found: pd.DataFrame) -> list[Row]:
    """Return time and memory of whole rankings, and of parts and their peers."""
    size = f"{ALGORITHMS} x {CASES} x {len(MEASURES)}, {DRAWS} samples"
    result = []
    for scheme in SCHEMES:
        run = partial(_places, found, scheme)
        result += measure(f"rank, {scheme}: {size}", {"cytosuite": run}, repeats=5)
    arrays = score_arrays(found)
    own = metric_scores(arrays, MEASURES[0], arrays.algorithms, "worst")
    result += measure(
        f"tests of all ordered pairs: {ALGORITHMS} x {CASES}",
        {
            "cytosuite": lambda: f"{np.nansum(pairs_p(own.filled)):.4f}",
            "scipy, pair by pair": lambda: f"{_pairs(own.filled):.4f}",
        },
        repeats=3,
    )
    counts = draw_counts(arrays.strata, DRAWS)
    wide = pd.DataFrame(own.goodness.T)
    drawn = [np.repeat(np.arange(CASES), row) for row in counts.astype(int)]
    result += measure(
        f"places in {DRAWS} samples: {ALGORITHMS} x {CASES}",
        {
            "cytosuite": lambda: f"{mean_ranks(own, counts).sum():.0f}",
            "pandas, sample by sample": lambda: f"{_samples(wide, drawn):.0f}",
        },
        repeats=3,
    )
    return result


def _places(found: pd.DataFrame, scheme: Scheme) -> str:
    """Rank by both metrics, and return the number of tiers."""
    names = [one.name for one in MEASURES]
    ranking = rank(found, MEASURES, names, rules=RankingRules(scheme=scheme, draws=DRAWS))
    assert ranking is not None  # there are algorithms
    return f"{max(ranking.overall.tier.values())} tiers"


def _pairs(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
    """Return the sum of p over all ordered pairs, one test at a time."""
    options = {"alternative": "greater", "correction": False, "method": "approx"}
    pairs = permutations(range(len(values)), 2)
    return float(sum(wilcoxon(values[i] - values[j], **options).pvalue for i, j in pairs))


def _samples(
    wide: pd.DataFrame, drawn: list[np.ndarray[tuple[int, ...], np.dtype[np.int64]]]
) -> float:
    """Return the sum of the places over all samples, one sample at a time."""
    ranks = (wide.iloc[rows].mean().rank(method="min", ascending=False) for rows in drawn)
    return float(sum(own.sum() for own in ranks))


if __name__ == "__main__":
    print(table(rows(scores())))
