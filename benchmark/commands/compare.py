"""Commands ``compare`` and ``accept``: runs against each other, and against accepted scores."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cytosuite.benchmark.commands.console import console, names, plain_name, printable
from cytosuite.benchmark.commands.fields import Text, takes
from cytosuite.benchmark.commands.options import TableOptions
from cytosuite.errors import InputError
from cytosuite.files import atomic
from cytosuite.places import need_file

if TYPE_CHECKING:
    from cytosuite.benchmark.commands.table import ValueTable
    from cytosuite.benchmark.comparison.comparison import Comparison
    from cytosuite.benchmark.comparison.summary import Row

MAIN = 7  # columns that are shown without --wide


@dataclass(frozen=True, kw_only=True)
class CompareOptions(TableOptions):
    """Options of a comparison."""

    runs: Annotated[
        list[Path],
        typer.Argument(help="Before and after: folders of runs, scores.csv, or names in runs/."),
    ]
    accepted: Annotated[
        bool, typer.Option(help="Compare one run with the accepted scores of its dataset.")
    ] = False
    metrics: Annotated[list[str], Text(names, "Names, comma-separated; those to rank by.")] = ()  # type: ignore[assignment]
    thresholds: Annotated[
        Path | None, typer.Option(help="File (.toml): level, relevant changes, costs.")
    ] = None
    markdown: Annotated[Path | None, typer.Option(help="Write as Markdown here.")] = None
    badge: Annotated[Path | None, typer.Option(help="Write a badge (.svg) here.")] = None

    def __post_init__(self) -> None:
        """Refuse a wrong number of runs, and places for the files before the work."""
        super().__post_init__()
        expected = 1 if self.accepted else 2
        if len(self.runs) != expected:
            raise InputError(
                f"compare: expected {'one run with --accepted' if self.accepted else 'two runs'}, "
                f"found {len(self.runs)}; compare BEFORE AFTER, or compare --accepted RUN"
            )
        for path in (self.markdown, self.badge):
            if path is not None:
                need_file(path)


@takes(CompareOptions)
def compare_command(options: CompareOptions) -> None:
    """Compare two runs, paired by case; exit code 1 at a regression, see comparison/changes.py."""
    from cytosuite.benchmark.comparison.accepted import accepted_for
    from cytosuite.benchmark.comparison.comparison import compare
    from cytosuite.benchmark.comparison.scored import read_scored
    from cytosuite.benchmark.comparison.summary import markdown, score_badge
    from cytosuite.benchmark.comparison.thresholds import DEFAULT, read_thresholds

    thresholds = read_thresholds(options.thresholds or DEFAULT)
    after = read_scored(options.runs[-1])
    before = accepted_for(after) if options.accepted else read_scored(options.runs[0])
    found = compare(before, after, thresholds, options.metrics)
    _show(found, options)
    for path, text in ((options.markdown, markdown), (options.badge, score_badge)):
        if path is not None:
            with atomic(path) as temporary:
                temporary.write_text(text(found), encoding="utf-8")
    raise typer.Exit(1 if found.regressions else 0)


def accept_command(
    run: Annotated[Path, typer.Argument(help="Folder of a run, or its name in runs/.")],
    name: Annotated[str | None, typer.Option(help="Of the scores; the run's.")] = None,
    title: Annotated[
        str | None, typer.Option(help="Of the data, in tables (Markdown); the former one.")
    ] = None,
) -> None:
    """Accept the scores of a run: later ones are compared with them (compare --accepted)."""
    from cytosuite.benchmark.catalog import need_checkout
    from cytosuite.benchmark.comparison.accepted import accept
    from cytosuite.benchmark.comparison.scored import read_scored

    need_checkout("to accept scores")
    found = read_scored(run)
    own = plain_name(name or found.place.resolve().name)
    typer.echo(f"written: {accept(found, str(own), printable(title) or '')}")


def _show(found: "Comparison", options: CompareOptions) -> None:
    """Print sentences and tables, and write the changes as CSV and all as JSON."""
    from cytosuite.benchmark.commands.table import keep, show
    from cytosuite.benchmark.comparison.summary import (
        as_json,
        case_rows,
        change_rows,
        cost_rows,
        headline,
    )

    screen = console(stderr=options.stdout_is_data)
    changes = _table(change_rows(found), 2)
    lines = [] if found.identical else [*found.remarks]
    lines += [f"warning: {line}" for line in found.warnings]
    lines += [f"regression: {line}" for line in found.regressions]
    if not options.stdout_is_data and not (found.identical and not found.regressions):
        for table in (changes, _table(case_rows(found), 3), _table(cost_rows(found), 1)):
            if table.rows:
                show(table, screen, wide=options.wide)
                screen.print()
    for line in [*lines, headline(found)]:
        screen.print(line, highlight=False, markup=False, soft_wrap=True)
    keep(changes, options, as_json(found))


def _table(rows: "list[Row]", keys: int) -> "ValueTable":
    """Return rows as a table."""
    from cytosuite.benchmark.commands.table import ValueTable

    heads = list(rows[0]) if rows else []
    return ValueTable(heads, [list(row.values()) for row in rows], keys=keys, main=MAIN)
