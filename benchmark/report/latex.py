"""The leaderboard as a LaTeX table."""

from collections.abc import Iterable
from typing import Any

from cytosuite.benchmark.report.index import Index
from cytosuite.benchmark.report.verdict import places_text, tiers_of
from cytosuite.benchmark.report.wording import known, number
from cytosuite.metrics import Metric

DIGITS = 3
SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
SPECIAL |= {sign: rf"\{sign}" for sign in "&%$#_{}"}


def leaderboard(index: Index) -> str:
    """Return the leaderboard as a table for booktabs, controls below the algorithms.

    Means of the metrics to rank by, the best of each bold, with the 95 % interval where there is
    one; failed cases and the median time of a case; where they are known the 95 % interval of the
    place and the tier, between which is a gap.
    """
    best = {metric.name: _best(index, metric) for metric in index.board}
    ranking = index.results.ranking
    tiers = tiers_of(ranking)
    places = {entry.algorithm: places_text(ranking, entry.algorithm) for entry in index.ranked}
    more = [*(["Places"] if any(places.values()) else []), *(["Tier"] if tiers else [])]
    heads = ["Algorithm", *(metric.name for metric in index.board), "Failed", "s per case", *more]
    power = ranking.overall.power if ranking else ""
    lines = [
        "% needs \\usepackage{booktabs}",
        *([f"% no tiers: {power}"] if power else []),
        rf"\begin{{tabular}}{{l{'c' * len(index.board)}rr{'c' * len(more)}}}",
        r"\toprule",
        _row(map(escape, heads)),
    ]
    for group in filter(None, (index.ranked, index.controls)):
        lines.append(r"\midrule")
        last = tiers.get(group[0].algorithm)
        for entry in group:
            if (tier := tiers.get(entry.algorithm)) != last:
                lines.append(r"\addlinespace")
            last = tier
            cells = [escape(entry.algorithm)]
            for metric in index.board:
                found = index.summary(entry, metric)
                mean = escape(number(found.mean, DIGITS))
                bold = entry.algorithm in best[metric.name]
                ends = f"{number(found.low, DIGITS)}--{number(found.high, DIGITS)}"
                reach = f" ({ends})" if known(found.low) else ""
                cells.append((rf"\textbf{{{mean}}}" if bold else mean) + reach)
            cells.append("" if entry.control else str(entry.failed))
            cells.append("" if entry.control else number(entry.median_seconds))
            own = {
                "Places": places.get(entry.algorithm, ""),
                "Tier": tiers.get(entry.algorithm, ""),
            }
            cells += [str(own[head]).replace(" to ", "--") for head in more]
            lines.append(_row(cells))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def escape(text: str) -> str:
    r"""Return text as LaTeX shows it.

    Examples
    --------
    >>> print(escape("W1_by_std & 50 %"))
    W1\_by\_std \& 50 \%
    """
    return "".join(SPECIAL.get(sign, sign) for sign in text).replace("∞", r"$\infty$")


def _best(index: Index, metric: Metric[Any]) -> set[str]:
    """Return the algorithms with the best mean of a metric."""
    means = {entry.algorithm: index.summary(entry, metric).mean for entry in index.ranked}
    finite = {name: mean for name, mean in means.items() if known(mean)}
    if not finite:
        return set()
    top = max(finite.values()) if metric.higher_is_better else min(finite.values())
    return {name for name, mean in finite.items() if mean == top}


def _row(cells: Iterable[str]) -> str:
    """Return a row of a table."""
    return rf"{' & '.join(cells)} \\"
