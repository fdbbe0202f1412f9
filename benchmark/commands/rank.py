"""Command ``rank``: the algorithms of any long table of scores, with intervals, tests and tiers."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cytosuite.benchmark.commands.console import console, names
from cytosuite.benchmark.commands.fields import Text, takes
from cytosuite.benchmark.commands.options import Seed, TableOptions
from cytosuite.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from cytosuite.benchmark.commands.table import ValueTable
    from cytosuite.benchmark.ranking.ranking import Ranking

COLUMNS = ("case", "algorithm", "metric", "value", "dataset", "status")
MOST_DRAWS = 100_000
ENOUGH = 10**8  # bootstrap samples times cases


@dataclass(frozen=True, kw_only=True)
class RankOptions(TableOptions):
    """Options of a ranking."""

    files: Annotated[
        list[Path],
        typer.Argument(help="Long tables (CSV): case, algorithm, metric, value in each row."),
    ]
    by: Annotated[list[str], Text(names, "Metrics to rank by; all, or our primary ones.")] = ()  # type: ignore[assignment]
    higher: Annotated[list[str], Text(names, "Metrics of which more is better.")] = ()  # type: ignore[assignment]
    lower: Annotated[list[str], Text(names, "Metrics of which less is better.")] = ()  # type: ignore[assignment]
    scheme: Annotated[
        Literal["mean", "cases", "tests"],
        typer.Option(help="Rank by means, by ranks within cases, or by significant wins."),
    ] = "mean"
    failures: Annotated[
        Literal["worst", "left-out"],
        typer.Option(help="A failed case counts as the worst value, or is left out for all."),
    ] = "worst"
    draws: Annotated[
        int, typer.Option(min=0, max=MOST_DRAWS, help="Bootstrap samples of the cases.")
    ] = 2000
    seed: Seed = 0
    alpha: Annotated[float, typer.Option(min=0, max=1, help="Level of the tests.")] = 0.05
    controls: Annotated[
        list[str], Text(names, "Algorithms that are not ranked; ours are known.")
    ] = ()  # type: ignore[assignment]
    case: Annotated[str, typer.Option(help="Name of the column.")] = ""
    algorithm: Annotated[str, typer.Option(help="Name of the column.")] = ""
    metric: Annotated[str, typer.Option(help="Name of the column.")] = ""
    value: Annotated[str, typer.Option(help="Name of the column; of the metric, if alone.")] = ""
    dataset: Annotated[str, typer.Option(help="Name of the column, by which cases are drawn.")] = ""
    status: Annotated[str, typer.Option(help="Name of the column: ok, or the failure.")] = ""

    @property
    def columns(self) -> dict[str, str]:
        """Names of columns in the files, by ours."""
        given = {name: getattr(self, name) for name in COLUMNS}
        return {name: theirs for name, theirs in given.items() if theirs}


@takes(RankOptions)
def rank_command(options: RankOptions) -> None:
    """Rank the algorithms of any table of scores: intervals, tests, tiers, and the rule."""
    from cytosuite.benchmark.commands.table import give
    from cytosuite.benchmark.ranking.as_json import ranking_json

    screen = console(stderr=options.stdout_is_data)
    scores = read_tables(options)
    found, notes = ranked(scores, options)
    give(ranking_table(found), options, screen, ranking_json(found))
    for line in (*notes, found.rule):
        screen.print(line, highlight=False, markup=False, soft_wrap=not screen.is_terminal)


def read_tables(options: RankOptions) -> "pd.DataFrame":
    """Return the rows of all files.

    Raises
    ------
    InputError
        If a file is no long table.
    """
    import pandas as pd

    from cytosuite.benchmark.comparison.scored import read_scores

    return pd.concat([read_scores(path, options.columns) for path in options.files])


def ranked(scores: "pd.DataFrame", options: RankOptions) -> "tuple[Ranking, list[str]]":
    """Return the ranking of a long table, and sentences on missing values.

    Raises
    ------
    InputError
        If metrics, algorithms or options do not suit.
    """
    from cytosuite.benchmark.comparison.scored import known_metrics
    from cytosuite.benchmark.ranking.rank import rank
    from cytosuite.benchmark.ranking.rule import RankingRules
    from cytosuite.benchmark.ranking.table import (
        Directions,
        missing_rows,
        primary_names,
        table_measures,
    )
    from cytosuite.benchmark.results.controls import CONTROLS

    present, controls = {*scores["algorithm"]}, {*CONTROLS, *options.controls}
    if "" in present:
        raise InputError("expected the name of an algorithm in every row, found an empty one")
    if unknown := sorted({*options.controls} - present):
        raise InputError(f"--controls {unknown[0]}: no such algorithm in the table")
    if len(present - controls) < 2:
        raise InputError(
            f"expected two or more algorithms to rank, found {len(present - controls)} besides "
            f"controls ({', '.join(sorted(present - controls)) or 'none'})"
        )
    if not 0 < options.alpha < 1:
        raise InputError(f"--alpha {options.alpha:g}: expected a level between 0 and 1, like 0.05")
    cases = len(scores[["dataset", "case"]].drop_duplicates())
    if options.draws * cases > ENOUGH:
        raise InputError(
            f"--draws {options.draws} of {cases} cases: expected {ENOUGH // cases} at most"
        )
    directions = Directions(known_metrics(""), options.higher, options.lower)
    measures = table_measures(scores, directions)
    primary = primary_names(scores, measures, directions, options.by)
    rules = RankingRules(
        options.scheme,
        "left out" if options.failures == "left-out" else "worst",
        options.draws,
        options.seed,
        options.alpha,
    )
    found = rank(scores, measures, primary, controls, rules)
    assert found is not None  # there are algorithms and metrics
    chosen = [measure for measure in measures if measure.name in primary]
    return found, [line for line in (missing_rows(scores, chosen, controls),) if line]


def ranking_table(found: "Ranking") -> "ValueTable":
    """Return a row per algorithm, best first.

    Parameters
    ----------
    found : Ranking
        Of the table.

    Returns
    -------
    ValueTable
        Place, algorithm, mean rank, interval of the place, tier, share of first places, mean of
        each metric over its defined cases, and where a case failed the place without such.
    """
    from cytosuite.benchmark.commands.table import Cell, ValueTable

    overall = found.overall
    rows: list[list[Cell]] = []
    for name in overall.algorithms:
        ends, shares = overall.interval.get(name), overall.shares.get(name)
        rows.append(
            [
                overall.places[name],
                name,
                float(overall.ranks[found.scheme][name]),
                None if ends is None else _places(*ends),
                overall.tier.get(name),
                None if shares is None else float(shares[0]),
                *(found.means.get((name, metric)) for metric in found.metrics),
                overall.without_failures.get(name),
            ]
        )
    heads = ["place", "algorithm", "rank", "interval", "tier", "P(first)", *found.metrics]
    return ValueTable([*heads, "without failures"], rows, keys=2)


def _places(low: float, high: float) -> str:
    """Return the ends of an interval of places."""
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"
