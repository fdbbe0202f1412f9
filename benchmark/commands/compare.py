"""Commands ``compare`` and ``rank``: runs against each other, algorithms in any table of scores."""

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
from cytosuite.benchmark.options.compare import CompareOptions, RankOptions
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
from cytosuite.benchmark.terminal.console import lines_to
from cytosuite.benchmark.terminal.table import Cell, ValueTable, give, keep, show
from cytosuite.errors import InputError
from cytosuite.files import atomic

MAIN = 7  # columns that are shown without --wide
ENOUGH = 10**8  # bootstrap samples times cases


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
