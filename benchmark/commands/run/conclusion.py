"""The end of a benchmark: its last lines, kept while all that decides its report stays."""

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError
from rich.console import Console

from cytosuite.benchmark.commands.options.benchmark import BenchmarkOptions
from cytosuite.benchmark.commands.terminal.console import say
from cytosuite.benchmark.commands.terminal.table import ValueTable, give
from cytosuite.benchmark.runs.store.integrity import digests, unaltered
from cytosuite.errors import count
from cytosuite.files import TextMap, TextSeq, atomic, frozen, visible_files

if TYPE_CHECKING:
    from cytosuite.benchmark.scores.results import Results

FAILURES = 10  # that the console lists
FILE = ".conclusion.json"


@frozen
class Conclusion:
    """Leaderboard, notes and failures of a run."""

    table: ValueTable
    lines: TextSeq
    log: str  # of the first failed case, below the folder of the run; empty without
    failed: bool  # whether a case or a control failed
    origin: str  # digest of all that decides it
    files: TextMap  # digests of the reports


def concluded(results: "Results", origin: str, run: Path, options: BenchmarkOptions) -> Conclusion:
    """Return leaderboard, notes and failures of a run with written reports, and keep them."""
    from cytosuite.benchmark.report.files import leaderboard

    failures, log = _failures(results)
    rows = leaderboard(results)
    table = ValueTable(
        list(rows[0]) if rows else ["rank", "algorithm"],
        rows,
        keys=2,
        quiet=frozenset(n for n, row in enumerate(rows) if row["control"]),
        main=5 + 4 * len(results.board),  # the metrics to rank by
    )
    lines = [
        *(f"note: {note}" for note in results.notes),
        *failures,
        *(f"broken ruler: {line}" for line in results.broken),
    ]
    places = [run / "report", *([run / "blind"] if options.blind else [])]
    files = [
        file.relative_to(run).as_posix() for folder in places for file in visible_files(folder)
    ]
    conclusion = Conclusion(
        table, lines, log, bool(failures or results.broken), origin, digests(run, sorted(files))
    )
    with atomic(run / FILE) as temporary:
        temporary.write_bytes(TypeAdapter(Conclusion).dump_json(conclusion))
    return conclusion


def _failures(results: "Results") -> tuple[list[str], str]:
    """Return a line for each of the first failed cases and the others, and a log of the run."""
    from cytosuite.benchmark.report.wording import log_path

    failed = [(key, record) for key, record in results.records.items() if not record.ok]
    lines = [f"failed: {a} on {c}: {r.status}: {r.message}" for (a, c), r in failed[:FAILURES]]
    if more := failed[FAILURES:]:
        lines.append(f"failed: {count(len(more), 'more case')}, all of them in the report")
    logs = [log_path(*key) for key, _ in failed if results.logs.get(key)]
    return lines, next(iter(logs), "")


def kept(run: Path, origin: str) -> Conclusion | None:
    """Return the kept conclusion where its origin is the same and its reports are unaltered."""
    try:
        conclusion = TypeAdapter(Conclusion).validate_json((run / FILE).read_bytes())
    except (OSError, ValidationError):
        return None
    return conclusion if origin == conclusion.origin and unaltered(run, conclusion.files) else None


def conclude(conclusion: Conclusion, run: Path, options: BenchmarkOptions, console: Console) -> int:
    """Print leaderboard, notes and failures, and return the exit code."""
    give(conclusion.table, options, console)
    say(console, *conclusion.lines)
    if conclusion.log:
        say(console, f"log of the first: {_short(run)}/{conclusion.log}")
    say(console, f"report: {_short(run / 'report' / 'index.html')}")
    if options.blind:
        say(console, f"blind report: {_short(run / 'blind')}")
    return 1 if conclusion.failed else 0


def _short(path: Path) -> str:
    """Return a path relative to the current folder, if it lies below."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
