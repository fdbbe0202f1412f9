"""The last steps of a benchmark: scores, report, and the lines on them."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from cytosuite.benchmark.cluster.opened import OpenCluster
from cytosuite.benchmark.cluster.processes import beside
from cytosuite.benchmark.commands.console import progress
from cytosuite.benchmark.commands.kept import Conclusion
from cytosuite.benchmark.commands.options import BenchmarkOptions
from cytosuite.benchmark.commands.table import ValueTable
from cytosuite.benchmark.data.dataset import Dataset
from cytosuite.benchmark.report import write_blind, write_report
from cytosuite.benchmark.report.files import leaderboard
from cytosuite.benchmark.report.index import index as indexed
from cytosuite.benchmark.report.wording import count, log_path
from cytosuite.benchmark.results.circumstances import RunFacts
from cytosuite.benchmark.results.gather import gather
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
    """Return the scores of a run, in processes or on the workers of a cluster."""
    with progress(console, "scoring", minor=True) as step:
        images = [main for case in dataset.cases if (main := case.main(task)) is not None]
        pool = beside(images) if cluster is None else cluster.pool()
        results = gather(dataset, task, jobs, facts, step, pool)
        step(len(dataset.cases), len(dataset.cases))
    return results


def report(results: Results, folder: Path, options: BenchmarkOptions, console: Console) -> None:
    """Write the report of a run, and the one without the truth if it is wanted."""
    with progress(console, "writing the report", minor=True) as step:
        write_report(results, folder / "report", step)
        if options.blind:
            write_blind(results, folder)
        step(1, 1)


def concluded(results: Results) -> Conclusion:
    """Return leaderboard, notes and failures of a run."""
    failures, log = _failures(results)
    notes = [f"note: {note}" for note in results.notes]
    broken = [f"broken ruler: {line}" for line in results.broken]
    bad = bool(failures or broken)
    return Conclusion(_table(results), [*notes, *failures, *broken], log, bad)


def _failures(results: Results) -> tuple[list[str], str]:
    """Return a line for each of the first failed cases and the others, and a log of the run."""
    failed = [(key, record) for key, record in results.records.items() if not record.ok]
    lines = [f"failed: {a} on {c}: {r.status}: {r.message}" for (a, c), r in failed[:FAILURES]]
    if more := failed[FAILURES:]:
        lines.append(f"failed: {count(len(more), 'more case')}, all of them in the report")
    logs = [log_path(*key) for key, _ in failed if key in results.logs]
    return lines, next(iter(logs), "")


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
