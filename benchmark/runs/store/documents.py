"""Texts of documents: Markdown, and templates of Jinja next to the code that fills them."""

import json
import re
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from cytosuite.figures.markdown import table_lines

Cells = list[list[object]]  # of a table, a list per row
SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~]|:(?=[\w+-]+:))")  # :name: is an emoji


def escape(text: object) -> str:
    """Return text as one line that Markdown shows as it is."""
    return SPECIAL.sub(r"\\\1", " ".join(str(text).split()))


def valued(heads: Iterable[str], rows: Iterable[Iterable[object]]) -> tuple[list[str], Cells]:
    """Return heads and rows of a table without the columns, but the first, that have no value."""
    names = list(heads)
    cells = [list(row) for row in rows]
    full = [
        n
        for n in range(len(names))
        if not (n and cells and all(row[n] in ("", "-") for row in cells))
    ]
    return [names[n] for n in full], [[row[n] for n in full] for row in cells]


def table(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> list[str]:
    """Return the lines of a Markdown table of the columns with values; its cells are escaped."""
    names, rows = valued(columns, rows)
    return table_lines([*map(escape, names)], (map(escape, row) for row in rows))


def rendered(template: Path, **facts: Any) -> str:  # noqa: ANN401 - of any document
    """Return a template with its facts; `json` writes a value."""
    import jinja2  # a comparison needs none

    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["json"] = partial(json.dumps, ensure_ascii=False)
    return environment.from_string(template.read_text("utf-8")).render(facts)
