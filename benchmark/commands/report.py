"""Command ``report``: finished runs and folders of predictions beside each other."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from cytosuite.benchmark.catalog.places import workplace
from cytosuite.benchmark.commands import benchmark, data
from cytosuite.benchmark.commands.options.benchmark import BenchmarkOptions
from cytosuite.benchmark.commands.options.report import ReportOptions
from cytosuite.benchmark.commands.run import planned, sources
from cytosuite.benchmark.engines.predictions import FilesEngine
from cytosuite.benchmark.runs import finished, plan
from cytosuite.benchmark.runs.data import dataset as datasets
from cytosuite.benchmark.runs.data import recipe as recipes
from cytosuite.benchmark.runs.run import locked
from cytosuite.benchmark.scores.circumstances import RunFacts, request_facts
from cytosuite.contract.tasks import TASKS, Task
from cytosuite.contract.words import ASSUME
from cytosuite.errors import InputError
from cytosuite.files import Json, need_folder
from cytosuite.folders.splits import Placed

REPORT = "report-"  # start of the name of a report
LONGEST = 60  # most letters of it


class _Basis(NamedTuple):
    """Data, task, jobs of finished runs, notes, the options that name the data again, and parts."""

    dataset: datasets.Dataset
    task: Task
    jobs: list[plan.Job]
    notes: list[str]
    words: Json
    parts: Mapping[str, Sequence[Placed]]


def report_command(options: ReportOptions, console: Console) -> int:
    """Score and report predictions, and run nothing; exit code 1 if one failed."""
    runs, folders, lost = sources.named_sources(options)
    out = _out(options, runs, folders)
    need_folder(out)
    others = [run for run in runs if run.folder.resolve() != out]
    names = {path.name for path in out.glob("[!.]*")}
    if (
        (names and names.isdisjoint({finished.FACTS, finished.DATA}))
        or any(folder.resolve().parent == out for folder in folders.values())
        or (len(others) < len(runs) and (options.out or not others))
    ):
        raise InputError(
            f"--out {out}: expected a folder of its own, found a source of the report or others"
        )
    runs = others  # `runs/*` names the report itself the next time
    with locked(out):
        basis = _of_runs(runs, out) if runs else _of_files(options, out, console)
        externals, notes = sources.taken_in(folders, basis.dataset, basis.task, basis.jobs)
        engine = FilesEngine(externals=externals)
        manifests = [source.manifest for source in externals.values()]
        jobs = [*basis.jobs, *plan.plan(basis.dataset, manifests, engine, out)]
        run_options = BenchmarkOptions(
            keep_going=True,
            **{key: getattr(options, key) for key in ("blind", "wide", "csv", "json")},
            **basis.words,
        )
        typed = planned.typed_options(options)
        typed.pop("sources")
        engines = [run.facts.engine for run in runs] + [engine.name for _ in externals]
        facts = RunFacts(
            " and ".join(dict.fromkeys(engines)),
            " and ".join(dict.fromkeys(run.facts.api for run in runs)) or engine.api,
            planned.command_line("report", options.sources, typed),
            "those of each run" if runs else "none: nothing was run",
            (*basis.notes, *notes, *(f"Left out: {reason}." for reason in lost)),
            {name: source.origin for name, source in externals.items()},
        )
        run = planned.PlannedRun(
            out, basis.dataset, basis.task, engine, jobs, run_options, console, parts=basis.parts
        )
        end = benchmark.run_score_report(run, facts)
    return max(planned.conclude(end, out, run_options, console), bool(lost))


def _out(
    options: ReportOptions, runs: Sequence[finished.FinishedRun], folders: Iterable[str]
) -> Path:
    """Return the folder of the report, by default named by its sources that are no reports."""
    names = [run.name or run.folder.resolve().name for run in runs]
    names = [name for name in names if not name.startswith(REPORT)] or names
    names = names or [Path(str(options.truth)).resolve().name]
    home = f"{REPORT}{'+'.join([*names, *folders])}"[:LONGEST]
    return (options.out or workplace() / "runs" / home).resolve()


def _of_runs(runs: Sequence[finished.FinishedRun], out: Path) -> _Basis:
    """Return the data that runs share, and all their algorithms."""
    dataset, notes = finished.shared(runs)
    places = dict.fromkeys(f"{run.facts.engine} on {run.facts.machine}" for run in runs)
    if len(places) > 1:
        notes.append(f"Time and memory were measured by different means: {'; '.join(places)}.")
    if any(run.facts.reference for run in runs):
        notes.append("Metrics of the whole set are left out: they need the reference set.")
    request = replace(runs[0].facts.request or recipes.DataRequest(""), dataset=dataset.name)
    return _Basis(
        dataset, runs[0].task, finished.gathered(runs, out), notes, request_facts(request), {}
    )


def _of_files(options: ReportOptions, out: Path, console: Console) -> _Basis:
    """Return the data of a user's folder."""
    words: Json = {
        "dataset": str(sources.annotated(options, out)),
        "spacing": options.spacing,
        "min_object_voxels": options.min_object_voxels,
    }
    data_options = BenchmarkOptions(runs=out, task=options.task, **words)
    data_recipe = recipes.recipe(replace(data_options.request, spacing=options.spacing or ASSUME))
    dataset = data.make(data_recipe, data_options, data_options, None, console)
    return _Basis(dataset, TASKS[data_recipe.task], [], [], words, data_recipe.parts)
