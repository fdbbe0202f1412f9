"""Rank the algorithms of any long table of scores."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from cytosuite.errors import InputError
from cytosuite.metrics.boards import CONTROLS
from cytosuite.ranking.by_measure import rank_measures
from cytosuite.ranking.ranking import SCHEMES, Ranking
from cytosuite.ranking.rule import RankingRules
from cytosuite.ranking.scores import KEYS, missing_rows, table_measures

NEEDED = ("case", "algorithm", "metric", "value")
LARGEST = 10**8  # bootstrap samples times cases


def rank(
    scores: pd.DataFrame,
    *,
    by: Sequence[str] = (),
    higher: Collection[str] = (),
    lower: Collection[str] = (),
    controls: Collection[str] = (),
    rules: RankingRules | None = None,
) -> Ranking:
    """Rank algorithms by their scores: places, intervals, paired tests, and tiers.

    Parameters
    ----------
    scores : pandas.DataFrame
        A row per ``case`` (empty for the whole set), ``algorithm`` and ``metric``, with ``value``;
        optionally ``dataset``, within which cases are drawn, ``status``: ``ok`` or the failure.
    by : sequence of str
        Metrics to rank by, with equal weight; by default the primary ones of our boards, or all.
    higher, lower : collection of str
        Metrics of which more, or less, is better; those of `cytosuite.metrics` are known.
    controls : collection of str
        Algorithms that are not ranked; oracle, blank, identity and real never are.
    rules : RankingRules, optional
        Scheme, failures, bootstrap samples, seed and level of the tests.

    Returns
    -------
    Ranking
        `Ranking.rows` has a row per algorithm, `Ranking.rule` the rules in sentences.

    Raises
    ------
    InputError
        If columns, directions, rules or algorithms are missing, or values repeat or are not finite.

    References
    ----------
    Wiesenfarth et al. (2021), doi:10.1038/s41598-021-82017-6; Maier-Hein et al. (2018),
    doi:10.1038/s41467-018-07619-7.

    Examples
    --------
    >>> rows = [(c, a, "IoU", v) for a, vs in {"a": (9, 8), "b": (7, 8)}.items()
    ...         for c, v in enumerate(vs)]
    >>> table = pd.DataFrame(rows, columns=["case", "algorithm", "metric", "value"])
    >>> ranking = rank(table, higher=["IoU"])
    >>> [(row["place"], row["algorithm"]) for row in ranking.rows()]
    [(1, 'a'), (2, 'b')]
    """
    rules = rules or RankingRules()
    if missing := [name for name in NEEDED if name not in scores]:
        raise InputError(f"expected the column {missing[0]}, found {', '.join(map(str, scores))}")
    scores = scores.reindex(columns=[*KEYS, "value", "status"], fill_value="")
    scores = scores.assign(**{n: texts(scores[n]) for n in KEYS}, status=states(scores["status"]))
    scores["value"] = numbers(scores["value"], "scores", 0)
    present = {*scores["algorithm"]}
    unranked = {*CONTROLS, *controls}
    if "" in present:
        raise InputError("expected the name of an algorithm in every row, found an empty one")
    if unknown := sorted({*controls} - present):
        raise InputError(f"controls {unknown[0]}: no such algorithm in the table")
    if len(ranked := sorted(present - unranked)) < 2:
        raise InputError(
            f"expected two or more algorithms to rank, found {len(ranked)} besides controls "
            f"({', '.join(ranked) or 'none'})"
        )
    _check(rules)
    cases = len(scores[["dataset", "case"]].drop_duplicates())
    if rules.draws * cases > LARGEST:
        raise InputError(
            f"draws {rules.draws} of {cases} cases: expected {LARGEST // cases} at most"
        )
    measures, primary = table_measures(scores, higher, lower, by)
    ranking = rank_measures(scores, measures, primary, unranked, rules)
    assert ranking is not None  # there are algorithms and metrics
    chosen = [measure for measure in measures if measure.name in primary]
    return replace(ranking, missing=missing_rows(scores, chosen, unranked))


def _check(rules: RankingRules) -> None:
    """Refuse rules that are none."""
    if not 0 < rules.alpha < 1:
        raise InputError(f"alpha {rules.alpha:g}: expected a level between 0 and 1, like 0.05")
    for name, words in (("scheme", SCHEMES), ("failures", ("worst", "left out"))):
        if (word := getattr(rules, name)) not in words:
            raise InputError(f"{name} {word!r}: expected {' or '.join(map(repr, words))}")
    if min(rules.draws, rules.seed) < 0:
        raise InputError(f"draws {rules.draws}, seed {rules.seed}: expected whole numbers from 0")


def numbers(column: "pd.Series[Any]", place: object, first: int) -> "pd.Series[float]":
    """Return a column as numbers, NaN where it is empty; InputError with the row from `first`."""
    values: pd.Series[float] = pd.to_numeric(column.mask(column == ""), errors="coerce")
    wrong = values.isna() & ~texts(column).str.lower().isin(["", "nan"])
    if wrong.any():
        raise InputError(
            f"{place}, row {first + wrong.to_numpy().argmax()}: expected a number as "
            f"{column.name}, found {column[wrong].iloc[0]!r}"
        )
    return values.astype(float)


def texts(column: "pd.Series[Any]") -> "pd.Series[str]":
    """Return cells as text, empty where there is none."""
    return column.astype(object).where(column.notna(), "").astype(str)


def states(column: "pd.Series[Any]") -> "pd.Series[str]":
    """Return the statuses of a table, ``ok`` in any case and where there is none."""
    return texts(column).str.strip().str.lower().replace("", "ok")
