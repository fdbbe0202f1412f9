"""The end of a benchmark: scores, report and last lines, kept while all that decides them stays."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError
from rich.console import Console

from cytosuite.benchmark.cluster.processes import beside
from cytosuite.benchmark.data.dataset import Dataset
from cytosuite.benchmark.options.benchmark import BenchmarkOptions
from cytosuite.benchmark.results.circumstances import RunFacts
from cytosuite.benchmark.runs.plan import Job
from cytosuite.benchmark.store.integrity import digests, unaltered
from cytosuite.benchmark.terminal.console import lines_to, progress
from cytosuite.benchmark.terminal.table import ValueTable, give
from cytosuite.contract.tasks import Task
from cytosuite.files import atomic, visible_files

if TYPE_CHECKING:
    from cytosuite.benchmark.results.results import Results
    from cytosuite.benchmark.store.pool import Pool

FAILURES = 10  # that the console lists
FILE = ".conclusion.json"


@dataclass(frozen=True, slots=True)
class Conclusion:
    """Leaderboard, notes and failures of a run."""

    table: ValueTable
    lines: Sequence[str]
    log: str  # of the first failed case, below the folder of the run; empty without
    failed: bool  # whether a case or a control failed


@dataclass(frozen=True, slots=True)
class KeptReport:
    """A conclusion, the digest of all that decides it, and digests of its report."""

    origin: str
    files: dict[str, str]
    conclusion: Conclusion


def score(
    dataset: Dataset,
    task: Task,
    jobs: Sequence[Job],
    facts: RunFacts,
    pool: "Pool | None",
    console: Console,
) -> "Results":
    """Return the scores of a run, in processes or on the workers of a cluster."""
    from cytosuite.benchmark.results.gather import gather  # pandas

    with progress(console, "scoring", minor=True) as step:
        images = [main for case in dataset.cases if (main := case.main(task)) is not None]
        results = gather(dataset, task, jobs, facts, step, pool or beside(images))
        step(len(dataset.cases), len(dataset.cases))
    return results


def report(results: "Results", folder: Path, options: BenchmarkOptions, console: Console) -> None:
    """Write the report of a run, and the one without the truth if it is wanted."""
    from cytosuite.benchmark.report import write_blind, write_report

    with progress(console, "writing the report", minor=True) as step:
        write_report(results, folder / "report", step)
        if options.blind:
            write_blind(results, folder)
        step(1, 1)


def concluded(results: "Results") -> Conclusion:
    """Return leaderboard, notes and failures of a run."""
    failures, log = _failures(results)
    notes = [f"note: {note}" for note in results.notes]
    broken = [f"broken ruler: {line}" for line in results.broken]
    bad = bool(failures or broken)
    return Conclusion(_table(results), [*notes, *failures, *broken], log, bad)


def _failures(results: "Results") -> tuple[list[str], str]:
    """Return a line for each of the first failed cases and the others, and a log of the run."""
    from cytosuite.benchmark.report.wording import count, log_path

    failed = [(key, record) for key, record in results.records.items() if not record.ok]
    lines = [f"failed: {a} on {c}: {r.status}: {r.message}" for (a, c), r in failed[:FAILURES]]
    if more := failed[FAILURES:]:
        lines.append(f"failed: {count(len(more), 'more case')}, all of them in the report")
    logs = [log_path(*key) for key, _ in failed if results.logs.get(key)]
    return lines, next(iter(logs), "")


def _table(results: "Results") -> ValueTable:
    """Return the leaderboard; without --wide with the metrics to rank by alone."""
    from cytosuite.benchmark.report.files import leaderboard
    from cytosuite.benchmark.report.index import index

    indexed = index(results)
    rows = leaderboard(indexed)
    names = list(rows[0]) if rows else ["rank", "algorithm"]
    return ValueTable(
        names,
        [list(row.values()) for row in rows],
        keys=2,
        quiet=frozenset(n for n, row in enumerate(rows) if row["control"]),
        main=5 + 4 * len(indexed.board),
    )


def keep(conclusion: Conclusion, run: Path, origin: str, options: BenchmarkOptions) -> None:
    """Keep the conclusion of a run whose reports are written."""
    places = [run / "report", *([run / "blind"] if options.blind else [])]
    files = [
        file.relative_to(run).as_posix() for folder in places for file in visible_files(folder)
    ]
    with atomic(run / FILE) as temporary:
        value = KeptReport(origin, digests(run, sorted(files)), conclusion)
        temporary.write_bytes(TypeAdapter(KeptReport).dump_json(value))


def kept(run: Path, origin: str) -> Conclusion | None:
    """Return the kept conclusion where its origin is the same and its reports are unaltered."""
    try:
        report = TypeAdapter(KeptReport).validate_json((run / FILE).read_bytes())
    except (OSError, ValidationError):
        return None
    same = origin == report.origin and unaltered(run, report.files)
    return report.conclusion if same else None


def conclude(conclusion: Conclusion, run: Path, options: BenchmarkOptions, console: Console) -> int:
    """Print leaderboard, notes and failures, and return the exit code."""
    give(conclusion.table, options, console)
    say = lines_to(console)
    for line in conclusion.lines:
        say(line)
    if conclusion.log:
        say(f"log of the first: {_short(run)}/{conclusion.log}")
    say(f"report: {_short(run / 'report' / 'index.html')}")
    if options.blind:
        say(f"blind report: {_short(run / 'blind')}")
    return 1 if conclusion.failed else 0


def _short(path: Path) -> str:
    """Return a path relative to the current folder, if it lies below."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
