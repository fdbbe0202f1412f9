"""Finished runs, and folders of predictions, that a user names for a report."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from cytosuite.benchmark.catalog.places import folder_of
from cytosuite.benchmark.commands.options.report import ReportOptions
from cytosuite.benchmark.engines.predictions import Predictions
from cytosuite.benchmark.runs import finished, plan
from cytosuite.benchmark.runs.data.dataset import Dataset
from cytosuite.benchmark.runs.record import RECORD, read_record
from cytosuite.benchmark.runs.store.integrity import stamp
from cytosuite.contract.tasks import TASKS, TRACKS, Task
from cytosuite.errors import InputError, plain, reason_of
from cytosuite.files import Paths, link, read_json, remove, value_digest
from cytosuite.folders import entries, index, points, sides
from cytosuite.formats.imagefiles import LABEL

MOST_FILES = 100_000  # of an image that is a folder; changes of more are not seen


def named_sources(
    options: ReportOptions,
) -> tuple[list[finished.FinishedRun], Paths, list[str]]:
    """Return the finished runs, the folders of predictions by their names, and unusable runs."""
    runs, folders, lost = list[finished.FinishedRun](), dict[str, Path](), list[str]()
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
        name = name if named else place.resolve().name
        if (
            not (named or run)
            and name in (finished.DATA, "training", "build")
            and (place.parent / finished.DATA).is_dir()
        ):
            continue  # of `runs/*`
        if named or run is None:
            _need_name(name, place)
        if run is not None:
            if any(run.folder.samefile(o.folder) and run.name == o.name for o in runs):
                raise InputError(f"{place}: the run is named twice; name it once")
            runs.append(run)
            continue
        if folder_of(name) in map(folder_of, folders):
            raise InputError(
                f"{place}: two folders are named {folder_of(name)} (a colon counts as a hyphen); "
                f"give one as NAME={place}"
            )
        folders[name] = place
    if runs and options.truth is not None:
        raise InputError(f"--truth {options.truth}: the runs have a truth; leave it out")
    if lost and not runs and (options.truth is None or not folders):
        raise InputError(lost[0])
    return runs, folders, lost


def _need_name(name: str, place: Path) -> None:
    """Refuse a name that no algorithm of a report can have."""
    try:
        finished.algorithm_name(name)
    except ValueError:
        raise InputError(
            f"{place}: expected a short printable name without / and spaces at its ends, which "
            f"neither a control nor a file of runs has, found {name!r}; give NAME={place}"
        ) from None


def _run(place: Path, name: str) -> finished.FinishedRun | None:
    """Return the run in a folder, or an algorithm of a run by a name; None for predictions."""
    whole = _is_run(place)
    folder = place.resolve()
    if whole and name:
        raise InputError(f"{name}={place}: a run has names of its own; give {place}")
    if whole or _is_run(folder.parent):
        run = finished.read_run(place if whole else folder.parent)
        if not whole:
            jobs = {a: key for a, key in run.facts.jobs.items() if folder_of(a) == folder.name}
            run = replace(
                run,
                facts=run.facts.model_copy(update={"jobs": jobs}),
                name=name or next(iter(jobs), ""),
            )
        if run.facts.jobs:
            run.need_results(run.facts.jobs)
            return run
    if any(
        read_record(path.parent)
        for depth in ("*", "*/*")
        for path in place.glob(f"{depth}/{RECORD}")
    ):
        raise InputError(
            f"{place}: results that no run.json beside them names; run the benchmark once more "
            "for all algorithms and shards, finished cases stay"
        )
    return None


def _is_run(place: Path) -> bool:
    """Return whether a folder is a run, no submission with a file of its own of that name."""
    path = place / finished.FACTS
    facts = read_json(path) if path.is_file() else None
    return isinstance(facts, dict) and "jobs" in facts


def taken_in(
    folders: Paths, dataset: Dataset, task: Task, jobs: Sequence[plan.Job]
) -> tuple[dict[str, Predictions], list[str]]:
    """Return the predictions of each folder for the cases, and notes on other files."""
    taken, notes, socket = dict[str, Predictions](), list[str](), task.main_output
    others = {job.folder.name for job in jobs}
    if folders and TRACKS in task.outputs:  # a folder holds no tables by case
        raise InputError(
            f"{next(iter(folders.values()))}: expected a finished run, found a folder; score its "
            "tracks with cytosuite score --truth 01_GT --prediction 01_RES"
        )
    for name, folder in folders.items():
        if socket is None or folder_of(name) in others:
            reason = "is taken" if socket else f"has no use: nothing is scored in {task.name}"
            raise InputError(f"{folder}: the name {name} {reason}; give NAME={folder}")
        taken[name], remarks = _predictions(name, folder, dataset, task)
        notes += [f"{name}: {line}." for line in remarks]
    if not jobs and folders and not any(answers.files for answers in taken.values()):
        name = next(iter(folders))
        raise InputError(f"{folders[name]}: {notes[0].removeprefix(f'{name}: ')}")
    return taken, notes


def _predictions(
    name: str, folder: Path, dataset: Dataset, task: Task
) -> tuple[Predictions, list[str]]:
    """Return the predictions in a folder for the cases, which may be none, and notes on it."""
    cases = [case.name for case in dataset.cases]
    notes = list[str]()
    listed = task.main_output is not None and task.main_output.is_file
    reason = "no file is named like an image"
    groups = defaultdict(list)
    try:
        for path in points.tables_of(folder) if listed else sides.files_of(folder):
            key = entries.case_name(sides.bare_name(path))
            groups[key if key in cases else key.removesuffix(LABEL)].append(path)
    except (InputError, OSError) as error:
        reason = reason_of(error, folder)
    files = {key: groups.pop(key) for key in cases if key in groups}
    if not files:
        end = ".csv" if listed else ".tif"
        notes.append(f"{reason}; expected for example {cases[0]}{end}: all its cases failed")
    if others := [path.name for group in groups.values() for path in group]:
        notes.append(f"{len(others)} files are named like no image (first: {plain(others[0])})")
    every = (
        path
        for group in files.values()
        for top in group
        for path in (top, *islice(top.rglob("*"), MOST_FILES))
    )
    taken = Predictions(
        name,
        folder.resolve().name,
        f"state {value_digest(sorted([path.name, stamp(path)] for path in every))[:12]}",
        "exec",
        task,
        files={key: group[0] for key, group in files.items() if not group[1:]},
        refused={
            key: f"expected one file, found {' and '.join(path.name for path in group)}"
            for key, group in files.items()
            if group[1:]
        },
    )
    return taken, notes


def annotated(options: ReportOptions, out: Path) -> Path:
    """Return the folder of images with their truth; a truth alone is linked into one."""
    truth = options.truth
    if truth is None:
        raise InputError("predictions need a truth: give --truth FOLDER, or a run of the same data")
    listed = truth.is_dir() and any(map(points.is_points, truth.iterdir()))
    if options.images is None and not (listed and not (truth / "images").is_dir()):
        if any(index.OUTPUTS & {*item.files} for item in index.index(truth, options.task).items):
            return truth
        if (truth / "images").is_dir():
            raise InputError(f"{truth}: expected the truth beside images/, as in labels/")
    slug = TASKS[options.task or ("detect" if listed else "segment")].outputs[0].slug
    place = out / finished.TRUTH / truth.resolve().name
    for name, target in (("images", options.images or truth), (index.PLAIN.get(slug, slug), truth)):
        remove(place / name)
        link(place / name, target)
    return place
