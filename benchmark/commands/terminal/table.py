"""Tables: the columns that fit a terminal or a line of a log, CSV and JSON."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from math import floor, isfinite, isnan, log10
from shutil import get_terminal_size
from typing import Literal

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from cytosuite.benchmark.commands.terminal.console import say
from cytosuite.benchmark.commands.terminal.options import TableOptions, put
from cytosuite.benchmark.runs.store.csvfile import as_text
from cytosuite.errors import listed
from cytosuite.files import Json, TextSeq

Cell = str | int | float | None
NOTHING = "-"  # shown for a value that is not defined
NAMED = 6  # columns in the line on those that are not shown
DIGITS = 3  # decimals of scores
MOST = 6  # decimals of the smallest numbers
RANK = "rank"  # column of means of ranks, which are no scores: 1 and 2.5
GAP, FOLDED, LONG = 2, 24, 48  # characters between columns, of a folded column, of a long word
LINE = 100  # characters of a line in a file or pipe, unless COLUMNS says another number


@dataclass(frozen=True)
class ValueTable:
    """Rows of values under names, the columns that matter most first."""

    names: TextSeq
    rows: Sequence[Mapping[str, Cell]]  # by name; none, None or NaN where there is no value
    keys: int = 1  # first columns that are shown on any terminal
    quiet: frozenset[int] = field(default_factory=frozenset)  # rows that are shown dim
    main: int | None = None  # first columns beyond which only --wide shows

    def csv(self) -> str:
        """Return all columns as CSV; numbers in full, undefined ones empty."""
        return as_text(
            [self.names, *([_known(row.get(name)) for name in self.names] for row in self.rows)]
        )

    def records(self) -> list[Json]:
        """Return a mapping per row as JSON can hold it; undefined values are left out."""
        return [
            {n: cell for n in self.names if (cell := _known(row.get(n))) is not None}
            for row in self.rows
        ]


def show(table: ValueTable, console: Console, *, wide: bool = False) -> None:
    """Print the columns that fit, name the others; a terminal folds sentences, a pipe cuts."""
    columns = {name: [row.get(name) for row in table.rows] for name in table.names}
    texts = {name: _texts(name, cells) for name, cells in columns.items()}
    filled = [name for name in table.names if set(texts[name]) != {NOTHING}]
    shown = [name for name in filled if name in table.names[: None if wide else table.main]]
    keys = [name for name in table.names[: table.keys] if name in filled]
    folds = console.is_terminal and not wide
    width = console.width if console.is_terminal else get_terminal_size((LINE, 0)).columns
    widths = {name: max(map(cell_len, (name, *texts[name]))) for name in filled}
    cut = {n for n in filled if _is_sentence(columns[n], texts[n]) and (folds or n not in keys)}
    least = {n: min(widths[n], FOLDED) if n in cut and not wide else widths[n] for n in filled}

    def together() -> int:
        """Return the characters of the shown columns in a line."""
        return sum(least[name] + GAP for name in shown) - GAP

    while not wide and len(shown) > len(keys) + 1 and together() > width:
        shown.pop()
    grid = Grid(box=None, pad_edge=False, padding=(0, GAP, 0, 0))
    for name in shown:
        side: Literal["left", "right"] = (
            "left" if any(isinstance(cell, str) for cell in columns[name]) else "right"
        )
        grid.add_column(Text(name), justify=side, min_width=least[name], no_wrap=name not in cut)
    for number, row in enumerate(zip(*(texts[name] for name in shown), strict=True)):
        cells = (Text(t, no_wrap=not folds, overflow="fold" if folds else "ellipsis") for t in row)
        grid.add_row(*cells, style="dim" if number in table.quiet else None)
    page = Console(
        width=max(width, together()), file=StringIO(), force_terminal=console.is_terminal
    )
    with page.capture() as lines:
        page.print(grid)
    for line in lines.get().splitlines():
        console.print(Text.from_ansi(line.rstrip()), soft_wrap=True)
    if hidden := filled[len(shown) :]:
        say(console, f"not shown: {listed(hidden, NAMED)} (--wide or --csv FILE)", style="dim")


def give(
    table: ValueTable, options: TableOptions, console: Console, value: object | None = None
) -> None:
    """Show a table unless stdout holds a file, and write it as `keep` does."""
    if not options.stdout_is_data:
        show(table, console, wide=options.wide)
    keep(table, options, value)


def keep(table: ValueTable, options: TableOptions, value: object | None = None) -> None:
    """Write a table as CSV and as JSON (or a value in its place) where options name a file."""
    if options.csv is not None:
        put(options.csv, table.csv())
    if options.json is not None:
        options.keep(table.records() if value is None else value)


def decimals(values: Iterable[float]) -> int:
    """Return the decimals of a column, by its largest number: three for scores."""
    largest = max((abs(value) for value in values if isfinite(value)), default=0.0)
    if largest == 0:
        return DIGITS
    places = floor(log10(largest))
    return min(max(DIGITS - max(places, 0) - min(places + 1, 0), 0), MOST)


def _is_sentence(cells: Sequence[Cell], texts: TextSeq) -> bool:
    """Return whether a column holds sentences, or words too long for a line."""
    longest = max(map(len, texts), default=0)
    words = any(" " in text for text in texts) and longest > FOLDED
    return any(isinstance(cell, str) for cell in cells) and (words or longest > LONG)


def _texts(name: str, cells: Sequence[Cell]) -> list[str]:
    """Return cells as text: whole numbers and ranks as they are, others with like decimals."""
    if name == RANK:
        return [NOTHING if cell is None else f"{round(float(cell), 2):g}" for cell in cells]
    places = decimals(cell for cell in cells if isinstance(cell, float))
    return [
        NOTHING
        if cell is None or cell == "" or (isinstance(cell, float) and isnan(cell))
        else f"{cell:.{places}f}"
        if isinstance(cell, float)
        else "".join(sign if sign.isprintable() else " " for sign in str(cell))
        for cell in cells
    ]


def _known(cell: Cell) -> Cell:
    """Return a value, None where it is not finite."""
    return None if isinstance(cell, float) and not isfinite(cell) else cell
