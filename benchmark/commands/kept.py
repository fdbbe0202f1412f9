"""The last lines of a benchmark, kept while all that decides them and its report is the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from rich.console import Console

from cytosuite.benchmark.commands.console import lines_to
from cytosuite.benchmark.commands.options import BenchmarkOptions
from cytosuite.benchmark.commands.table import ValueTable, give
from cytosuite.benchmark.store.integrity import digests, unaltered
from cytosuite.files import atomic, visible_files

FILE = ".conclusion.json"


@dataclass(frozen=True, slots=True)
class Conclusion:
    """Leaderboard, notes and failures of a run."""

    table: ValueTable
    lines: Sequence[str]
    log: str  # of the first failed case, below the folder of the run; empty without
    failed: bool  # whether a case or a control failed


@dataclass(frozen=True, slots=True)
class Kept:
    """A conclusion, the digest of all that decides it, and those of the files of its report."""

    origin: str
    files: dict[str, str]
    conclusion: Conclusion


def keep(found: Conclusion, run: Path, origin: str, options: BenchmarkOptions) -> None:
    """Keep the conclusion of a run whose reports are written."""
    places = [run / "report", *([run / "blind"] if options.blind else [])]
    files = [file.relative_to(run).as_posix() for each in places for file in visible_files(each)]
    with atomic(run / FILE) as temporary:
        value = Kept(origin, digests(run, sorted(files)), found)
        temporary.write_bytes(TypeAdapter(Kept).dump_json(value))


def kept(run: Path, origin: str) -> Conclusion | None:
    """Return the kept conclusion where its origin is the same and its reports are unaltered."""
    try:
        found = TypeAdapter(Kept).validate_json((run / FILE).read_bytes())
    except (OSError, ValidationError):
        return None
    same = origin == found.origin and unaltered(run, found.files)
    return found.conclusion if same else None


def conclude(found: Conclusion, run: Path, options: BenchmarkOptions, console: Console) -> int:
    """Print leaderboard, notes and failures, and return the exit code."""
    give(found.table, options, console)
    say = lines_to(console)
    for line in found.lines:
        say(line)
    if found.log:
        say(f"log of the first: {_short(run)}/{found.log}")
    say(f"report: {_short(run / 'report' / 'index.html')}")
    if options.blind:
        say(f"blind report: {_short(run / 'blind')}")
    return 1 if found.failed else 0


def _short(path: Path) -> str:
    """Return a path relative to the current folder, if it lies below."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
