"""The end of a benchmark: scores, report, and the lines on the console."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from cytosuite.benchmark.cluster.opened import OpenCluster
from cytosuite.benchmark.commands.console import lines_to, progress
from cytosuite.benchmark.commands.options import BenchmarkOptions
from cytosuite.benchmark.commands.table import ValueTable, give
from cytosuite.benchmark.data.dataset import Dataset
from cytosuite.benchmark.report import write_blind, write_report
from cytosuite.benchmark.report.files import leaderboard
from cytosuite.benchmark.report.index import index as indexed
from cytosuite.benchmark.report.wording import count, log_path
from cytosuite.benchmark.results.gather import RunFacts, gather
from cytosuite.benchmark.results.results import Results
from cytosuite.benchmark.runs.plan import Job
from cytosuite.contract.tasks import Task

FAILURES = 10  # that the console lists


def score(
    dataset: Dataset,
    task: Task,
    jobs: Sequence[Job],
    facts: RunFacts,
    cluster: OpenCluster | None,
    console: Console,
) -> Results:
    """Return the scores of a run, in this process or on the workers of a cluster."""
    with progress(console, "scoring", minor=True) as step:
        pool = None if cluster is None else cluster.pool()
        results = gather(dataset, task, jobs, facts, step, pool)
        step(len(dataset.cases), len(dataset.cases))
    return results


def report(results: Results, folder: Path, options: BenchmarkOptions, console: Console) -> Path:
    """Write the report of a run, and the one without the truth if it is wanted; return its page."""
    with progress(console, "writing the report", minor=True) as step:
        index = write_report(results, folder / "report", step)
        if options.blind:
            write_blind(results, folder)
        step(1, 1)
    return index


def conclude(results: Results, index: Path, options: BenchmarkOptions, console: Console) -> int:
    """Print leaderboard, notes and failures, and return the exit code."""
    give(_table(results), options, console)
    failed = any(not record.ok for record in results.records.values())
    lines = [f"note: {note}" for note in results.notes]
    lines += _failures(results, index.parents[1])
    lines += [f"broken ruler: {line}" for line in results.broken]
    for line in lines:
        lines_to(console)(line)
    lines_to(console)(f"report: {_short(index)}")
    if options.blind:
        lines_to(console)(f"blind report: {_short(index.parents[1] / 'blind')}")
    return 1 if failed or results.broken else 0


def _failures(results: Results, run: Path) -> list[str]:
    """Return a line for each of the first failed cases, the number of the others, and the logs."""
    failed = [(key, record) for key, record in results.records.items() if not record.ok]
    lines = [f"failed: {a} on {c}: {r.status}: {r.message}" for (a, c), r in failed[:FAILURES]]
    if more := failed[FAILURES:]:
        lines.append(f"failed: {count(len(more), 'more case')}, all of them in the report")
    logs = [key for key, _ in failed if key in results.logs]
    if logs:
        lines.append(f"log of the first: {_short(run)}/{log_path(*logs[0])}")
    return lines


def _table(results: Results) -> ValueTable:
    """Return the leaderboard; without --wide with the metrics to rank by alone."""
    found = indexed(results)
    rows = leaderboard(found)
    names = list(rows[0]) if rows else ["rank", "algorithm"]
    return ValueTable(
        names,
        [list(row.values()) for row in rows],
        keys=2,
        quiet=frozenset(n for n, row in enumerate(rows) if row["control"]),
        main=5 + 4 * len(found.board),
    )


def _short(path: Path) -> str:
    """Return a path relative to the current folder, if it lies below."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
