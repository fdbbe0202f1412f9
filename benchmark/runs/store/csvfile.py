"""CSV tables, written and read in one place: no text in them is a formula of a spreadsheet."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from cytosuite.files import NUMBER, atomic

if TYPE_CHECKING:
    import pandas as pd

Rows = Iterable[Sequence[object]]

# Characters that begin a formula in a spreadsheet, wide ones too, and characters between cells
# where commas are decimal points. An apostrophe before it makes a text; one more stands for
# each apostrophe that was there.
MARKS = "=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20"
BEGIN = r"(?:\A|(?<=[;\t\r\n]))"
FORMULA = re.compile(rf"{BEGIN}(?='*[{MARKS}])")
NEUTRAL = re.compile(rf"{BEGIN}'(?='*[{MARKS}])")
_RARE = frozenset(MARKS)
BLOCK = 2**16  # rows that are texts at once


def neutral(cell: object) -> object:
    """Return a cell as a spreadsheet must find it: numbers as they are, formulas as texts."""
    if not isinstance(cell, str) or _RARE.isdisjoint(cell) or NUMBER.fullmatch(cell):
        return cell
    return FORMULA.sub("'", cell)


def original(cell: str) -> str:
    """Return the text that became a cell; see `neutral`."""
    return NEUTRAL.sub("", cell) if "'" in cell else cell


def read_rows(lines: Iterable[str]) -> Iterator[list[str]]:
    """Yield the rows of a table with their original texts."""
    for row in csv.reader(lines):
        yield [original(cell) for cell in row]


def write_rows(path: Path, *parts: Rows) -> None:
    """Write rows as a CSV file, complete or absent."""
    with atomic(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        for rows in parts:
            _add(stream, rows)


def as_text(rows: Rows) -> str:
    """Return rows as CSV."""
    _add(stream := io.StringIO(), rows)
    return stream.getvalue()


def frame_parts(table: "pd.DataFrame") -> Iterator[str]:
    """Yield a table of pandas as CSV without its index, in parts; missing values are empty."""
    yield as_text([[*table.columns]])
    for start in range(0, len(table), BLOCK):
        block = table.iloc[start : start + BLOCK]
        cells = [_column(block.iloc[:, place]) for place in range(table.shape[1])]
        yield "".join(f"{','.join(row)}\n" for row in zip(*cells, strict=True))


def _column(column: "pd.Series[Any]") -> list[str]:
    """Return the cells of a column as texts; each distinct value is formatted once."""
    if column.dtype.kind == "f" or column.dtype in ("str", "category"):
        codes, values = column.factorize()
        texts = [*map(_text, values.tolist()), ""]
        return [texts[code] for code in codes.tolist()]
    return [*map(_text, column.astype(object).where(column.notna(), ""))]


def _text(cell: object) -> str:
    """Return a cell as it stands in a table, quoted where it must be."""
    return as_text([[cell, ""]])[:-2] if isinstance(cell, str) else str(cell)


def _add(stream: TextIO, rows: Rows) -> None:
    """Write rows that end with a line feed."""
    csv.writer(_Lines(stream), lineterminator="\r\n").writerows(map(neutral, row) for row in rows)


@dataclass(frozen=True)
class _Lines:
    """A stream of lines; `csv` quotes a carriage return only where it ends lines itself."""

    stream: TextIO

    def write(self, line: str) -> int:
        """Write a line with another end."""
        return self.stream.write(f"{line[:-2]}\n")
