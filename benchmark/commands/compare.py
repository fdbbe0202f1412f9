"""Commands ``compare`` and ``rank``: runs against each other, algorithms in any table of scores."""

from collections.abc import Sequence

import pandas as pd
from rich.console import Console

from cytosuite.benchmark.commands.options.compare import CompareOptions, RankOptions
from cytosuite.benchmark.commands.terminal.console import say
from cytosuite.benchmark.commands.terminal.table import ValueTable, give, keep, show
from cytosuite.benchmark.scores.comparison.accepted import accepted_for
from cytosuite.benchmark.scores.comparison.changes import DEFAULT, read_thresholds
from cytosuite.benchmark.scores.comparison.comparison import compare
from cytosuite.benchmark.scores.comparison.scored import read_scored, read_scores
from cytosuite.errors import printable
from cytosuite.files import Entries, write_text
from cytosuite.ranking import RankingRules, rank
from cytosuite.ranking.ranking import ranking_json
from cytosuite.volume.arrays import Interval

MAIN = 7  # columns that are shown without --wide


def compare_command(options: CompareOptions, console: Console) -> int:
    """Compare two runs, paired by case; exit code 1 at a regression, see comparison/changes.py."""
    after = read_scored(options.runs[-1])
    before = accepted_for(after) if options.accepted else read_scored(options.runs[0])
    comparison = compare(
        before,
        after,
        read_thresholds(options.thresholds or DEFAULT),
        options.metrics,
        options.without,
    )
    tables = [
        _table(rows, keys) for rows, keys in zip(comparison.tables.values(), (2, 3, 1), strict=True)
    ]
    lines = [] if comparison.identical else [*comparison.remarks]
    lines += [f"warning: {line}" for line in comparison.warnings]
    lines += [f"regression: {line}" for line in comparison.regressions]
    if not options.stdout_is_data and not (comparison.identical and not comparison.regressions):
        for table in (table for table in tables if table.rows):
            show(table, console, wide=options.wide)
            console.print()
    say(console, *lines, comparison.headline)
    keep(tables[0], options, comparison.as_json())
    if options.markdown is not None:
        write_text(options.markdown, comparison.markdown())
    return 1 if comparison.regressions else 0


def _table(rows: Sequence[Entries], keys: int, main: int | None = MAIN) -> ValueTable:
    """Return rows as a table."""
    return ValueTable(list(rows[0]) if rows else [], rows, keys=keys, main=main)


def rank_command(options: RankOptions, console: Console) -> None:
    """Rank the algorithms of any table of scores: intervals, tests, tiers, and the rule."""
    ranking = rank(
        # controls of two runs on the same data are the same rows
        pd.concat([read_scores(path, options.columns) for path in options.files]).drop_duplicates(),
        by=options.by,
        higher=options.higher,
        lower=options.lower,
        controls=options.controls,
        rules=RankingRules(
            options.scheme,
            "left out" if options.failures == "left-out" else "worst",
            options.draws,
            options.seed,
            options.alpha,
        ),
    )
    rows = [row | {"interval": _interval(row["interval"])} for row in ranking.rows()]
    give(_table(rows, 2, None), options, console, ranking_json(ranking))
    over = ranking.consensus
    each = ", ".join(f"{n} ({over.ranks[n]:.3g})" for n in over.algorithms) if over else ""
    consensus = f"Over datasets of equal weight, by mean rank: {each}." if over else ""
    lines = filter(None, (ranking.missing, ranking.rule, consensus))
    for line in map(printable, lines):  # with names of strangers
        console.print(line, highlight=False, markup=False, soft_wrap=not console.is_terminal)


def _interval(ends: Interval | None) -> str | None:
    """Return an interval of places as a text, one number where the ends are equal."""
    return None if ends is None else " to ".join(f"{end:g}" for end in dict.fromkeys(ends))
