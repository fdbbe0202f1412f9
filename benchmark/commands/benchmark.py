"""The main job: dataset, containers, run, scores, report, in this order."""

from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from cytosuite.benchmark.catalog.models import unlike
from cytosuite.benchmark.commands import data, request
from cytosuite.benchmark.commands.options.benchmark import BenchmarkOptions
from cytosuite.benchmark.commands.run import planned
from cytosuite.benchmark.commands.terminal.console import Cases, progress, say
from cytosuite.benchmark.runs import plan
from cytosuite.benchmark.runs.record import RECORD
from cytosuite.benchmark.runs.run import locked
from cytosuite.benchmark.runs.store.integrity import FOREIGN, forget
from cytosuite.benchmark.runs.store.pool import beside
from cytosuite.benchmark.scores import circumstances
from cytosuite.errors import listed

if TYPE_CHECKING:  # pandas
    from cytosuite.benchmark.scores.results import Results


def benchmark_command(options: BenchmarkOptions, console: Console) -> int:
    """Make the dataset, plan, run, score and report, in this order; exit code 1 at a failure."""
    if options.verify:
        forget(FOREIGN, options.folder)
    asked = request.requested(options, console)
    shard = options.shard
    engine = asked.engine
    folder = options.folder / (options.run or request.run_name(asked))
    with data.opened(options, options.folder, options.device) as pool:
        dataset = data.make(
            asked.recipe,
            options,
            options,
            engine,
            console,
            retry=options.retry,
            pool=pool,
            shard=shard,
        )
        chosen, notes = request.runnable(asked, dataset) if dataset.cases else ([], [])
        with locked(folder, shard):
            jobs = plan.plan(
                dataset, chosen, engine, folder, retry=options.retry or options.keep_going
            )
            run = planned.PlannedRun(
                folder,
                dataset,
                asked.task,
                engine,
                jobs,
                options,
                console,
                asked.models,
                asked.recipe.parts,
                pool,
            )
            if shard:
                run_missing(run)
                say(
                    console,
                    f"shard {shard}: {len(dataset.cases)} cases, nothing is scored: give the "
                    "command without --shard after all shards",
                )
                return 0
            notes += [*unlike(asked.models), *_left(folder, {job.folder.name for job in jobs})]
            end = run_score_report(run, planned.circumstances_of(options, engine, notes))
    return planned.conclude(end, folder, options, console)


def _left(folder: Path, named: Collection[str]) -> list[str]:
    """Return a note on algorithms with results of earlier commands, if there are any."""
    homes = [home.name for home in sorted(folder.glob("*")) if any(home.glob(f"*/{RECORD}"))]
    others = listed([name for name in homes if name not in named], 5)
    return [f"Results of {others} here are left out: name all algorithms."] if others else []


def run_score_report(run: planned.PlannedRun, facts: circumstances.RunFacts) -> planned.Conclusion:
    """Run the missing cases, score all and write the report; results that are up to date stay."""
    folder, dataset, jobs, options = run.folder, run.dataset, run.jobs, run.options
    planned.write_run(run, facts)
    origin = partial(circumstances.origin, dataset, jobs, facts)
    former = None if any(job.missing for job in jobs) else planned.kept(folder, origin())
    if former is not None:
        say(
            run.console,
            f"{sum(job.present for job in jobs)} results are there already, and their report",
        )
        return former
    run_missing(run)
    results = score(run, facts)
    report(run, results)
    return planned.concluded(results, origin(), folder, options)


def run_missing(run: planned.PlannedRun) -> None:
    """Run the missing cases, with progress over all jobs."""
    jobs = run.jobs
    total = sum(len(job.missing) for job in jobs)
    if present := sum(job.present for job in jobs):
        say(run.console, f"{present} results are there already")
    with progress(run.console, "running") as step:
        if total:
            step(0, total)
        data.run_jobs(
            jobs,
            run.task,
            run.engine,
            run.options,
            Cases(step, total),
            run.pool,
            keep_going=run.options.keep_going,
        )


def score(run: planned.PlannedRun, facts: circumstances.RunFacts) -> "Results":
    """Return the scores of a run, in processes or on the workers of a cluster."""
    from cytosuite.benchmark.scores.gather import gather  # pandas

    with progress(run.console, "scoring", minor=True) as step:
        pool = run.pool or beside(run.dataset.mains(run.task))
        return gather(run.dataset, run.task, run.jobs, facts, step, pool)


def report(run: planned.PlannedRun, results: "Results") -> None:
    """Write the report of a run, and the one without the truth if it is wanted."""
    from cytosuite.benchmark.report import write_blind, write_report

    with progress(run.console, "writing the report", minor=True) as step:
        write_report(results, run.folder / "report", step)
        if run.options.blind:
            write_blind(results, run.folder)
