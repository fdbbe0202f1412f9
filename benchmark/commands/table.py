"""Tables: the columns that fit a terminal or a line of a log, CSV and JSON."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import floor, isfinite, isnan, log10
from pathlib import Path
from shutil import get_terminal_size
from typing import Any, Literal

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from cytosuite.benchmark.commands.options import STDOUT, TableOptions
from cytosuite.benchmark.csvfile import as_text
from cytosuite.files import atomic

Cell = str | int | float | None
NOTHING = "-"  # shown for a value that is not defined
NAMED = 6  # columns in the line on those that are not shown
DIGITS, MOST = 3, 6  # decimals of scores, and of the smallest numbers
RANK = "rank"  # column of means of ranks, which are no scores: 1 and 2.5
GAP, FOLDED, LONG = 2, 24, 48  # characters between columns, of a folded column, of a long word
LINE = 100  # characters of a line in a file or pipe, unless COLUMNS says another number


@dataclass(frozen=True)
class ValueTable:
    """Rows of values under names, the columns that matter most first.

    Parameters
    ----------
    names : sequence of str
        Of the columns.
    rows : sequence of sequence
        A cell per column; None and NaN where there is no value.
    keys : int
        First columns that are shown whole however narrow the terminal is.
    quiet : frozenset of int
        Rows that are shown dim.
    main : int, optional
        First columns beyond which none is shown unless all are asked for.
    """

    names: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    keys: int = 1
    quiet: frozenset[int] = field(default_factory=frozenset)
    main: int | None = None

    def csv(self) -> str:
        """Return all columns as CSV; numbers in full, undefined ones empty."""
        return as_text([self.names, *([_known(cell) for cell in row] for row in self.rows)])

    def records(self) -> list[dict[str, Any]]:
        """Return a mapping per row as JSON can hold it; undefined values are left out."""
        pairs = (zip(self.names, map(_known, row), strict=True) for row in self.rows)
        return [{name: cell for name, cell in row if cell is not None} for row in pairs]


def show(table: ValueTable, console: Console, *, wide: bool = False) -> None:
    """Print a table.

    Parameters
    ----------
    table : ValueTable
        Columns without any value are left out.
    console : Console
        A terminal gets as many columns as fit, sentences folded, and a line that names the others;
        a file or pipe too, with a line per row in which sentences are cut.
    wide : bool
        Whether all columns are shown whole, however long the lines are.
    """
    columns = {name: _column(name, cells) for name, cells in _by_name(table).items()}
    columns = {name: column for name, column in columns.items() if set(column.texts) != {NOTHING}}
    main = table.names[: None if wide else table.main]
    shown = {name: column for name, column in columns.items() if name in main}
    if wide:
        _print_lines(shown.values(), console)
        return
    width = console.width if console.is_terminal else get_terminal_size((LINE, 0)).columns
    keys = [name for name in table.names[: table.keys] if name in columns]
    while len(shown) > len(keys) + 1 and _together(c.least for c in shown.values()) > width:
        shown.popitem()
    if console.is_terminal:
        _print_grid(shown.values(), console, table.quiet)
    else:
        _print_lines(_cut(shown, keys, width), console)
    if hidden := list(columns)[len(shown) :]:
        more = f" and {len(hidden) - NAMED} more" if len(hidden) > NAMED else ""
        line = f"not shown: {', '.join(hidden[:NAMED])}{more} (--wide or --csv FILE)"
        console.print(line, style="dim", highlight=False, markup=False)


def _print_grid(columns: Iterable["_Column"], console: Console, quiet: frozenset[int]) -> None:
    """Print columns within the width of a terminal."""
    shown = list(columns)
    grid = Grid(box=None, pad_edge=False, padding=(0, GAP, 0, 0))
    for column in shown:
        side: Literal["left", "right"] = "left" if column.is_text else "right"
        grid.add_column(column.name, justify=side, overflow="fold", no_wrap=not column.folds)
    for number, texts in enumerate(zip(*(column.texts for column in shown), strict=True)):
        grid.add_row(*map(Text, texts), style="dim" if number in quiet else None)
    console.print(grid)


def _print_lines(columns: Iterable["_Column"], console: Console) -> None:
    """Print columns as lines of any length."""
    for line in _lines(columns):
        console.print(Text(line), soft_wrap=True)


def give(
    table: ValueTable, options: TableOptions, console: Console, value: object | None = None
) -> None:
    """Show a table, and write it as CSV and JSON where that is asked for.

    Parameters
    ----------
    table : ValueTable
        It is shown unless stdout is asked for as a file.
    options : TableOptions
        Files, and whether all columns are shown.
    console : Console
        See `show`.
    value : object, optional
        Content of the JSON file; by default a mapping per row.
    """
    if not options.stdout_is_data:
        show(table, console, wide=options.wide)
    keep(table, options, value)


def keep(table: ValueTable, options: TableOptions, value: object | None = None) -> None:
    """Write a table as CSV and JSON where that is asked for; see `give`."""
    if options.csv is not None:
        _write(options.csv, table.csv())
    if options.json is not None:
        found = table.records() if value is None else value
        text = json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False)
        _write(options.json, f"{text}\n")


def _write(path: Path, text: str) -> None:
    """Write a file, or to stdout if its name is ``-``."""
    if path == STDOUT:
        sys.stdout.write(text)
        return
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def number(value: float, decimals: int) -> str:
    """Return a number with fixed decimals as text.

    Examples
    --------
    >>> number(0.5, 3), number(float("inf"), 3), number(float("nan"), 3)
    ('0.500', 'inf', '-')
    """
    return NOTHING if isnan(value) else f"{value:.{decimals}f}"


def decimals(values: Iterable[float]) -> int:
    """Return with how many decimals the numbers of a column are shown.

    Three for scores, fewer for larger numbers and more for smaller ones, by the largest of them.

    Examples
    --------
    >>> decimals([0.8, 1.0]), decimals([366.0, 2.5]), decimals([0.0042]), decimals([])
    (3, 1, 5, 3)
    """
    largest = max((abs(value) for value in values if isfinite(value)), default=0.0)
    if largest == 0:
        return DIGITS
    places = floor(log10(largest))
    return min(max(DIGITS - max(places, 0) - min(places + 1, 0), 0), MOST)


@dataclass(frozen=True, slots=True)
class _Column:
    """A column as text."""

    name: str
    texts: list[str]
    is_text: bool

    @property
    def width(self) -> int:
        """Characters that it takes."""
        return max(map(cell_len, (self.name, *self.texts)))

    @property
    def folds(self) -> bool:
        """Whether it holds sentences, or words too long for a line."""
        words = any(" " in text for text in self.texts) and self.width > FOLDED
        return self.is_text and (words or self.width > LONG)

    @property
    def least(self) -> int:
        """Characters that it takes at least."""
        return min(self.width, FOLDED) if self.folds else self.width

    def cut(self, width: int) -> "_Column":
        """Return it with texts of at most so many characters."""
        texts = [Text(text) for text in self.texts]
        for text in texts:
            text.truncate(width, overflow="ellipsis")
        return replace(self, texts=[text.plain for text in texts])


def _by_name(table: ValueTable) -> dict[str, list[Cell]]:
    """Return the cells of each column."""
    return {name: [row[n] for row in table.rows] for n, name in enumerate(table.names)}


def _column(name: str, cells: Sequence[Cell]) -> _Column:
    """Return a column as text: whole numbers and ranks as they are, others with like decimals."""
    if name == RANK:
        ranks = [NOTHING if cell is None else f"{round(float(cell), 2):g}" for cell in cells]
        return _Column(name, ranks, is_text=False)
    places = decimals(cell for cell in cells if isinstance(cell, float))
    texts = [
        NOTHING
        if cell is None or cell == ""
        else number(cell, places)
        if isinstance(cell, float)
        else _plain(str(cell))
        for cell in cells
    ]
    return _Column(name, texts, any(isinstance(cell, str) for cell in cells))


def _plain(text: str) -> str:
    """Return text as one line without characters that steer a terminal."""
    return "".join(sign if sign.isprintable() else " " for sign in text)


def _together(widths: Iterable[int]) -> int:
    """Return the characters that columns take in a line."""
    return sum(width + GAP for width in widths) - GAP


def _cut(columns: dict[str, _Column], keys: Sequence[str], width: int) -> list[_Column]:
    """Return columns with sentences cut, the widest ones first, until a line fits the width."""
    widths = {name: column.width for name, column in columns.items()}
    sentences = [name for name, column in columns.items() if column.folds and name not in keys]
    while _together(widths.values()) > width:
        widest = max(sentences, key=widths.__getitem__, default="")
        if not widest or widths[widest] <= FOLDED:
            break
        widths[widest] -= 1
    return [column.cut(widths[name]) for name, column in columns.items()]


def _lines(columns: Iterable[_Column]) -> Iterator[str]:
    """Yield heading and rows as lines of full length."""
    padded = []
    for column in columns:
        spaces = [" " * (column.width - cell_len(t)) for t in (column.name, *column.texts)]
        pairs = zip((column.name, *column.texts), spaces, strict=True)
        padded.append([t + gap if column.is_text else gap + t for t, gap in pairs])
    for cells in zip(*padded, strict=True):
        yield (" " * GAP).join(cells).rstrip()


def _known(cell: Cell) -> Cell:
    """Return a value, None where it is not finite."""
    return None if isinstance(cell, float) and not isfinite(cell) else cell
