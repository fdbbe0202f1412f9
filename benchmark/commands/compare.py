"""Commands ``compare`` and ``rank``: runs against each other, algorithms in any table of scores."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd
from rich.console import Console

from cytosuite.benchmark.comparison.accepted import accepted_for
from cytosuite.benchmark.comparison.changes import DEFAULT, read_thresholds
from cytosuite.benchmark.comparison.comparison import Comparison, compare
from cytosuite.benchmark.comparison.scored import known_metrics, read_scored, read_scores
from cytosuite.benchmark.comparison.summary import (
    Row,
    as_json,
    case_rows,
    change_rows,
    cost_rows,
    headline,
    markdown,
)
from cytosuite.benchmark.ranking.rank import rank
from cytosuite.benchmark.ranking.ranking import Ranking, ranking_json
from cytosuite.benchmark.ranking.rule import RankingRules
from cytosuite.benchmark.ranking.scores import (
    Directions,
    missing_rows,
    primary_names,
    table_measures,
)
from cytosuite.benchmark.results.controls import CONTROLS
from cytosuite.benchmark.terminal.console import lines_to, names
from cytosuite.benchmark.terminal.options import TableOptions, option
from cytosuite.benchmark.terminal.table import Cell, ValueTable, give, keep, show
from cytosuite.errors import InputError
from cytosuite.files import atomic, need_file

MAIN = 7  # columns that are shown without --wide
COLUMNS = ("case", "algorithm", "metric", "value", "dataset", "status")
MOST_DRAWS = 100_000
ENOUGH = 10**8  # bootstrap samples times cases


@dataclass(frozen=True, kw_only=True)
class CompareOptions(TableOptions):
    """Options of a comparison."""

    runs: list[Path] = option(
        ..., "Before and after: folders of runs, scores.csv, or names in runs/.", argument=True
    )
    accepted: bool = option(False, "Compare one run with the accepted scores of its dataset.")
    metrics: list[str] = option((), "Names, comma-separated; those to rank by.", parse=names)
    without: list[str] = option(
        (), "Algorithms, cases, metrics that AFTER may lack, comma-separated.", parse=names
    )
    thresholds: Path | None = option(None, "File (.toml): level, relevant changes, costs.")
    markdown: Path | None = option(None, "Write as Markdown here.")

    def __post_init__(self) -> None:
        """Refuse a wrong number of runs, and places for the files before the work."""
        super().__post_init__()
        expected = 1 if self.accepted else 2
        if len(self.runs) != expected:
            raise InputError(
                f"compare: expected {'one run with --accepted' if self.accepted else 'two runs'}, "
                f"found {len(self.runs)}; compare BEFORE AFTER, or compare --accepted RUN"
            )
        if self.markdown is not None:
            need_file(self.markdown)


def compare_command(options: CompareOptions, console: Console) -> int:
    """Compare two runs, paired by case; exit code 1 at a regression, see comparison/changes.py."""
    thresholds = read_thresholds(options.thresholds or DEFAULT)
    after = read_scored(options.runs[-1])
    before = accepted_for(after) if options.accepted else read_scored(options.runs[0])
    found = compare(before, after, thresholds, options.metrics, options.without)
    _show(found, options, console)
    if options.markdown is not None:
        with atomic(options.markdown) as temporary:
            temporary.write_text(markdown(found), encoding="utf-8")
    return 1 if found.regressions else 0


def _show(found: Comparison, options: CompareOptions, console: Console) -> None:
    """Print sentences and tables, and write the changes as CSV and all as JSON."""
    changes = _table(change_rows(found), 2)
    lines = [] if found.identical else [*found.remarks]
    lines += [f"warning: {line}" for line in found.warnings]
    lines += [f"regression: {line}" for line in found.regressions]
    if not options.stdout_is_data and not (found.identical and not found.regressions):
        for table in (changes, _table(case_rows(found), 3), _table(cost_rows(found), 1)):
            if table.rows:
                show(table, console, wide=options.wide)
                console.print()
    for line in [*lines, headline(found)]:
        lines_to(console)(line)
    keep(changes, options, as_json(found))


def _table(rows: list[Row], keys: int) -> ValueTable:
    """Return rows as a table."""
    heads = list(rows[0]) if rows else []
    return ValueTable(heads, [list(row.values()) for row in rows], keys=keys, main=MAIN)


@dataclass(frozen=True, kw_only=True)
class RankOptions(TableOptions):
    """Options of a ranking."""

    files: list[Path] = option(
        ..., "Long tables (CSV): case, algorithm, metric, value in each row.", argument=True
    )
    by: list[str] = option((), "Metrics to rank by; all, or our primary ones.", parse=names)
    higher: list[str] = option((), "Metrics of which more is better.", parse=names)
    lower: list[str] = option((), "Metrics of which less is better.", parse=names)
    scheme: Literal["mean", "cases", "tests"] = option(
        "mean", "Rank by means, by ranks within cases, or by significant wins."
    )
    failures: Literal["worst", "left-out"] = option(
        "worst", "A failed case counts as the worst value, or is left out for all."
    )
    draws: int = option(2000, "Bootstrap samples of the cases.", min=0, max=MOST_DRAWS)
    seed: int = option(0, "Of everything drawn.", min=0, max=2**63 - 1)
    alpha: float = option(0.05, "Level of the tests.", min=0, max=1)
    controls: list[str] = option((), "Algorithms that are not ranked; ours are known.", parse=names)
    case: str = option("", "Name of the column.")
    algorithm: str = option("", "Name of the column.")
    metric: str = option("", "Name of the column.")
    value: str = option("", "Name of the column; of the metric, if alone.")
    dataset: str = option("", "Name of the column, by which cases are drawn.")
    status: str = option("", "Name of the column: ok, or the failure.")

    @property
    def columns(self) -> dict[str, str]:
        """Names of columns in the files, by ours."""
        given = {name: getattr(self, name) for name in COLUMNS}
        return {name: theirs for name, theirs in given.items() if theirs}


def rank_command(options: RankOptions, console: Console) -> None:
    """Rank the algorithms of any table of scores: intervals, tests, tiers, and the rule."""
    scores = pd.concat([read_scores(path, options.columns) for path in options.files])
    found, notes = ranked(scores, options)
    give(ranking_table(found), options, console, ranking_json(found))
    for line in (*notes, found.rule):
        console.print(line, highlight=False, markup=False, soft_wrap=not console.is_terminal)


def ranked(scores: pd.DataFrame, options: RankOptions) -> tuple[Ranking, list[str]]:
    """Return the ranking of a long table, and sentences on missing values."""
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


def ranking_table(found: Ranking) -> ValueTable:
    """Return a row per algorithm, best first."""
    overall = found.overall
    rows: list[list[Cell]] = []
    for name in overall.algorithms:
        ends, shares = overall.interval.get(name), overall.shares.get(name)
        rows.append(
            [
                overall.places[name],
                name,
                float(overall.ranks[found.scheme][name]),
                None if ends is None else " to ".join(f"{end:g}" for end in dict.fromkeys(ends)),
                overall.tier.get(name),
                None if shares is None else float(shares[0]),
                *(found.means.get((name, metric)) for metric in found.metrics),
                overall.without_failures.get(name),
            ]
        )
    heads = ["place", "algorithm", "rank", "interval", "tier", "P(first)", *found.metrics]
    return ValueTable([*heads, "without failures"], rows, keys=2)
