"""Scored runs: the scores of a run, read from disk, and their origin by ``run.json``."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pandas as pd

from cytosuite.benchmark.catalog.places import workplace
from cytosuite.benchmark.runs.store.csvfile import original
from cytosuite.benchmark.scores.standings import COLUMNS
from cytosuite.errors import InputError, listed, plain
from cytosuite.files import Entries, Json, TextMap, delimiter_of, frozen, read_json, read_table
from cytosuite.metrics.boards import CONTROLS
from cytosuite.ranking.table import NEEDED, numbers, states

FILE = "scores.csv"
FACTS = "run.json"
NUMBERS = ("value", "seconds", "peak_memory")
SHOWN = 3  # names in a list of many
KEY = ["dataset", "case", "algorithm", "metric"]


def some(names: Iterable[object], most: int = SHOWN) -> str:
    """Return names as a short list: the first in order, and the number of the others."""
    return listed(sorted(plain(str(name), 100) for name in names), most) or "none"


@frozen
class ScoredRun:
    """Scores of a run, and their origin."""

    place: Path  # where they were read
    scores: pd.DataFrame  # columns `standings.COLUMNS`; texts of any origin, numbers or NaN
    facts: Entries  # of ``run.json``

    @property
    def algorithms(self) -> list[str]:
        """Names of the algorithms, controls apart, in alphabetical order."""
        return sorted(set(self.scores["algorithm"]) - set(CONTROLS))

    @property
    def cases(self) -> set[str]:
        """Names of the cases."""
        return set(self.scores["case"]) - {""}

    @property
    def least(self) -> int:
        """Voxels of a true object that is judged, at least."""
        return self.table("request").get("min_object_voxels") or 0

    def table(self, name: str) -> Json:
        """Return an object of ``run.json``; empty where it has none of this name."""
        part = self.facts.get(name)
        return part if isinstance(part, dict) else {}

    def said(self, name: str) -> str:
        """Return a text of ``run.json``; empty where it has none of this name."""
        text = self.facts.get(name)
        return plain(text) if isinstance(text, str) else ""


def read_scored(place: Path) -> ScoredRun:
    """Return the scores of a run's folder or name, its ``report``, or a table; or InputError."""
    named = workplace() / "runs" / place
    if not place.exists() and len(place.parts) == 1 and named.is_dir():
        place = named
    inside = (place / "report" / FILE, place / FILE)
    path = next((path for path in inside if path.is_file()), inside[0]) if place.is_dir() else place
    if not path.exists():
        raise InputError(
            f"{place}: expected a finished run (report/{FILE}) or a table of scores, found none; "
            "make benchmark RUN=name makes one"
        )
    home = path.parent.parent if path.parent.name == "report" else path.parent
    facts = read_json(home / FACTS) if (home / FACTS).is_file() and path.name == FILE else {}
    if not isinstance(facts, dict):
        raise InputError(f"{home / FACTS}: expected an object, found {type(facts).__name__}")
    return ScoredRun(place, read_scores(path), facts)


def told_apart(*runs: ScoredRun) -> list[ScoredRun]:
    """Return runs, with datasets in the names of cases where two of a run share a name."""
    single = [run.scores[run.scores["case"] != ""] for run in runs]
    if not any((table.groupby("case")["dataset"].nunique() > 1).any() for table in single):
        return [*runs]
    tables = [run.scores.copy() for run in runs]
    for table, rows in zip(tables, single, strict=True):
        table.loc[rows.index, "case"] = rows["dataset"] + "/" + rows["case"]
    return [replace(run, scores=table) for run, table in zip(runs, tables, strict=True)]


def read_scores(path: Path, columns: TextMap | None = None) -> pd.DataFrame:
    """Return a long table of scores with `COLUMNS`, by our names of its `columns`."""
    table = _cells(path)
    if columns is not None:
        table = _renamed(path, table, columns)
    if missing := [name for name in NEEDED if name not in table]:
        raise InputError(f"{path}: expected the column {missing[0]}, found {some(table, 20)}")
    table = table.reindex(columns=list(COLUMNS), fill_value="")
    table["status"] = states(table["status"])
    for name in NUMBERS:
        table[name] = numbers(table[name], path, 2)
    twice = table[table.duplicated(KEY)]
    if len(twice):
        words = ", ".join(f"{name} {twice[name].iloc[0]!r}" for name in KEY)
        raise InputError(f"{path}: expected each value once, found two of {words}")
    return table


def _cells(path: Path) -> pd.DataFrame:
    """Return a CSV file as texts; every row must have the cells of the header."""
    rows = [[original(cell).strip() for cell in row] for row in read_table(path, delimiter_of)]
    head, *body = rows or [[]]
    for number, row in enumerate(body, start=2):
        if row and len(row) != len(head):
            raise InputError(f"{path}, row {number}: expected {len(head)} cells, found {len(row)}")
    if len(set(head)) < len(head):
        raise InputError(f"{path}: expected each column once, found {some(head, 20)}")
    return pd.DataFrame(list(filter(None, body)), columns=head, dtype=str)


def _renamed(path: Path, table: pd.DataFrame, columns: TextMap) -> pd.DataFrame:
    """Return a table with our names of the columns, and a metric."""
    for name, theirs in columns.items():
        if theirs not in table:
            raise InputError(
                f"{path}: expected the column {theirs} ({name}), found {some(table, 20)}"
            )
    table = table.drop(columns=[*{*columns.values()} - {*columns}]).assign(
        **{name: table[theirs] for name, theirs in columns.items()}
    )
    if "metric" in table or "value" not in table:
        return table
    return table.assign(metric=columns.get("value", "value"))
