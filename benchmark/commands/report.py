"""Command ``report``: finished runs and folders of predictions beside each other."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from cytosuite.benchmark.catalog.places import folder_of, workplace
from cytosuite.benchmark.commands.benchmark import PlannedRun, Request, ended
from cytosuite.benchmark.commands.conclusion import conclude
from cytosuite.benchmark.commands.data import make
from cytosuite.benchmark.comparison.origin import request_facts
from cytosuite.benchmark.data.dataset import Dataset
from cytosuite.benchmark.data.recipe import DataRequest, Recipe, recipe
from cytosuite.benchmark.engines.predictions import FilesEngine, Predictions
from cytosuite.benchmark.options.benchmark import BenchmarkOptions
from cytosuite.benchmark.options.report import ReportOptions
from cytosuite.benchmark.results.circumstances import RunFacts
from cytosuite.benchmark.runs.finished import (
    DATA,
    FACTS,
    RESERVED,
    TRUTH,
    FinishedRun,
    gathered,
    read_run,
    shared,
)
from cytosuite.benchmark.runs.plan import Job, plan
from cytosuite.benchmark.runs.run import locked
from cytosuite.benchmark.store.integrity import stamp
from cytosuite.benchmark.terminal.console import plain_name
from cytosuite.contract.tasks import TASKS, Task
from cytosuite.contract.words import ASSUME
from cytosuite.errors import InputError, plain
from cytosuite.files import link, need_folder, remove, value_digest
from cytosuite.folders.index import OUTPUTS, PLAIN, index
from cytosuite.folders.names import case_name
from cytosuite.folders.points import is_points, tables_of
from cytosuite.folders.sides import bare_name, files_of
from cytosuite.formats.imagefiles import LABEL
from cytosuite.metrics.boards import BOARDS

REPORT, LONGEST = "report-", 60  # of the name of a report: its start, and most letters
MOST_FILES = 100_000  # of an image that is a folder; changes of more are not seen


class _Basis(NamedTuple):
    """Data, task, jobs of finished runs, notes, and the options that name the data again."""

    recipe: Recipe
    dataset: Dataset
    task: Task
    jobs: list[Job]
    notes: list[str]
    words: dict[str, Any]


def report_command(options: ReportOptions, console: Console) -> int:
    """Score and report predictions, and run nothing; exit code 1 if one failed."""
    runs, folders, lost = _sources(options)
    out = _out(options, runs, folders)
    need_folder(out)
    others = [run for run in runs if run.folder.resolve() != out]
    around = any(folder.resolve().parent == out for folder in folders.values())
    if around or (len(others) < len(runs) and (options.out or not others)):
        raise InputError(f"--out {out}: expected a folder of its own, found a source of the report")
    runs = others  # `runs/*` names the report itself the next time
    with locked(out):
        basis = _of_runs(runs, out) if runs else _of_files(options, out, console)
        taken, notes = _taken(folders, basis)
        engine = FilesEngine(folders=taken)
        manifests = [source.manifest for source in taken.values()]
        jobs = [*basis.jobs, *plan(basis.dataset, manifests, engine, out)]
        request = Request(basis.recipe, basis.task, [], manifests, {}, engine, named=True)
        tables: dict[str, Any] = {key: getattr(options, key) for key in ("wide", "csv", "json")}
        run_options = BenchmarkOptions(
            keep_going=True, blind=options.blind, **tables, **basis.words
        )
        engines = [run.facts.engine for run in runs] + [engine.name for _ in taken]
        facts = RunFacts(
            " and ".join(dict.fromkeys(engines)),
            " and ".join(dict.fromkeys(run.facts.api for run in runs)) or engine.api,
            options.command,
            "those of each run" if runs else "none: nothing was run",
            (*basis.notes, *notes, *(f"Left out: {reason}." for reason in lost)),
            {name: source.origin for name, source in taken.items()},
        )
        conclusion = ended(
            PlannedRun(out, basis.dataset, request, jobs, run_options, console), facts
        )
    return max(conclude(conclusion, out, run_options, console), bool(lost))


def _sources(options: ReportOptions) -> tuple[list[FinishedRun], dict[str, Path], list[str]]:
    """Return the finished runs, the folders of predictions by their names, and unusable runs."""
    runs, folders, lost = list[FinishedRun](), dict[str, Path](), list[str]()
    for word in options.sources:
        name, equals, rest = word.partition("=")
        named = bool(equals) and not Path(word).exists()
        place = Path(rest if named else word)
        if not place.is_dir():
            raise InputError(f"{place}: expected a run, or a folder of predictions, found none")
        try:
            run = _run(place, name if named else "")
        except InputError as error:
            lost.append(str(error))
            continue
        if run is not None:
            if any(run.folder.samefile(o.folder) and run.name == o.name for o in runs):
                raise InputError(f"{place}: the run is named twice; name it once")
            runs.append(run)
            continue
        name = name if named else place.resolve().name
        if not named and name in (DATA, "training", "build") and (place.parent / DATA).is_dir():
            continue  # of `runs/*`
        if name in folders:
            raise InputError(f"{place}: two folders are named {name}; give one as NAME={place}")
        if not (plain_name(name) and name not in RESERVED):
            raise InputError(f"{place}: expected another name than {name!r}; give NAME={place}")
        folders[name] = place
    if runs and options.truth is not None:
        raise InputError(f"--truth {options.truth}: the runs have a truth; leave it out")
    if lost and not runs and (options.truth is None or not folders):
        raise InputError(lost[0])
    return runs, folders, lost


def _run(place: Path, name: str) -> FinishedRun | None:
    """Return the run in a folder, or an algorithm of a run by a name; None for predictions."""
    whole, folder = (place / FACTS).is_file(), place.resolve()
    if whole and name:
        raise InputError(f"{name}={place}: a run has names of its own; give {place}")
    if not (whole or (folder.parent / FACTS).is_file()):
        return None
    run = read_run(place if whole else folder.parent)
    if not whole:
        jobs = {a: key for a, key in run.facts.jobs.items() if folder_of(a) == folder.name}
        part = run.facts.model_copy(update={"jobs": jobs})
        run = replace(run, facts=part, name=name or next(iter(jobs), ""))
    run.need_results(run.facts.jobs)
    return run if run.facts.jobs else None


def _out(options: ReportOptions, runs: Sequence[FinishedRun], folders: Iterable[str]) -> Path:
    """Return the folder of the report, by default named by its sources that are no reports."""
    names = [run.name or run.folder.resolve().name for run in runs]
    names = [name for name in names if not name.startswith(REPORT)] or names
    names = names or [Path(str(options.truth)).resolve().name]
    home = f"{REPORT}{'+'.join([*names, *folders])}"[:LONGEST]
    return (options.out or workplace() / "runs" / home).resolve()


def _of_runs(runs: Sequence[FinishedRun], out: Path) -> _Basis:
    """Return the data that runs share, and all their algorithms."""
    dataset, notes = shared(runs)
    places = dict.fromkeys(f"{run.facts.engine} on {run.facts.machine}" for run in runs)
    if len(places) > 1:
        notes.append(f"Time and memory were measured by different means: {'; '.join(places)}.")
    if any(run.facts.reference for run in runs):
        notes.append("Metrics of the whole set are left out: they need the reference set.")
    recipe = Recipe(  # nothing of it is made again
        dataset.name,
        dataset.title,
        dataset.size,
        dataset.task,
        dataset.seed,
        dataset.fingerprint,
        (),
    )
    words = request_facts(replace(runs[0].facts.request or DataRequest(""), dataset=dataset.name))
    return _Basis(recipe, dataset, runs[0].task, gathered(runs, out), notes, words)


def _of_files(options: ReportOptions, out: Path, console: Console) -> _Basis:
    """Return the data of a user's folder."""
    words: dict[str, Any] = {"dataset": str(_data(options, out)), "spacing": options.spacing}
    words["min_object_voxels"] = options.min_object_voxels
    data_options = BenchmarkOptions(runs=out, task=options.task, **words)
    data_recipe = recipe(replace(data_options.data_request, spacing=options.spacing or ASSUME))
    dataset = make(data_recipe, data_options, data_options, None, console)
    return _Basis(data_recipe, dataset, TASKS[data_recipe.task], [], [], words)


def _data(options: ReportOptions, out: Path) -> Path:
    """Return the folder of images with their truth; a truth alone is linked into one."""
    truth = options.truth
    if truth is None:
        raise InputError("predictions need a truth: give --truth FOLDER, or a run of the same data")
    points = truth.is_dir() and any(map(is_points, truth.iterdir()))
    if options.images is None and not (points and not (truth / "images").is_dir()):
        if any(OUTPUTS & {*item.files} for item in index(truth, options.task).items):
            return truth
        if (truth / "images").is_dir():
            raise InputError(f"{truth}: expected the truth beside images/, as in labels/")
    task = options.task or ("detect" if points else "segment")
    slug = TASKS[task].outputs[0].slug
    place = out / TRUTH / truth.resolve().name
    for name, target in (("images", options.images or truth), (PLAIN.get(slug, slug), truth)):
        remove(place / name)
        link(place / name, target)
    return place


def _taken(folders: Mapping[str, Path], basis: _Basis) -> tuple[dict[str, Predictions], list[str]]:
    """Return the predictions of each folder for the cases, and notes on other files."""
    taken, notes, socket = dict[str, Predictions](), list[str](), basis.task.main_output
    names = {*BOARDS[basis.task.name].controls, *(job.algorithm.name for job in basis.jobs)}
    for name, folder in folders.items():
        if socket is None or name in names:
            reason = "is taken" if socket else f"has no use: nothing is scored in {basis.task.name}"
            raise InputError(f"{folder}: the name {name} {reason}; give NAME={folder}")
        taken[name], remarks = _predictions(name, folder, basis)
        notes += [f"{name}: {line}." for line in remarks]
    if not basis.jobs and folders and not any(answers.files for answers in taken.values()):
        name = next(iter(folders))
        raise InputError(f"{folders[name]}: {notes[0].removeprefix(f'{name}: ')}")
    return taken, notes


def _predictions(name: str, folder: Path, basis: _Basis) -> tuple[Predictions, list[str]]:
    """Return the predictions in a folder for the cases, which may be none, and notes on it."""
    cases, notes = [case.name for case in basis.dataset.cases], list[str]()
    points = basis.task.main_output is not None and basis.task.main_output.is_json
    reason, groups = "no file is named like an image", dict[str, list[Path]]()
    try:
        for path in tables_of(folder) if points else files_of(folder):
            key = case_name(bare_name(path))
            groups.setdefault(key if key in cases else key.removesuffix(LABEL), []).append(path)
    except (InputError, OSError) as error:
        reason = str(error).removeprefix(f"{folder}: ")
    files = {key: groups.pop(key) for key in cases if key in groups}
    if not files:
        end = ".csv" if points else ".tif"
        notes.append(f"{reason}; expected for example {cases[0]}{end}: all its cases failed")
    if others := [path.name for group in groups.values() for path in group]:
        notes.append(f"{len(others)} files are named like no image (first: {plain(others[0])})")
    tops = chain.from_iterable(files.values())
    every = (path for top in tops for path in (top, *islice(top.rglob("*"), MOST_FILES)))
    taken = Predictions(
        name,
        folder.resolve().name,
        f"state {value_digest(sorted([path.name, stamp(path)] for path in every))[:12]}",
        "exec",
        basis.task,
        files={key: group[0] for key, group in files.items() if not group[1:]},
        refused={
            key: f"expected one file, found {' and '.join(path.name for path in group)}"
            for key, group in files.items()
            if group[1:]
        },
    )
    return taken, notes
