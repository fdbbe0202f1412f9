"""Commands of a challenge's participants: build and export images, and check uploads."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from rich.console import Console

from cytosuite.benchmark.catalog.contract import need_imports
from cytosuite.benchmark.catalog.models import algorithms, asked_for, need_weights
from cytosuite.benchmark.catalog.places import folder_of, need_checkout, workplace
from cytosuite.benchmark.commands.data import builder
from cytosuite.benchmark.commands.options.export import (
    BuildOptions,
    ExportOptions,
    PreflightOptions,
)
from cytosuite.benchmark.commands.terminal.console import new_folder, progress, say
from cytosuite.benchmark.engines.images.blueprints import image_tag
from cytosuite.benchmark.engines.images.build import dry_run
from cytosuite.benchmark.runs.finished import FACTS, FinishedRun, read_run
from cytosuite.benchmark.submission import ctc
from cytosuite.benchmark.submission.checks.preflight import preflight, upload_kind
from cytosuite.benchmark.submission.checks.rules import SEVERITIES, Finding
from cytosuite.benchmark.submission.export import Submission, export
from cytosuite.contract.tasks import TASKS
from cytosuite.errors import InputError, count, pick
from cytosuite.files import IntDict, Json, need_folder
from cytosuite.folders.sides import named, partners
from cytosuite.formats.imagefiles import image_name

KINDS = {"image": "image archive", "tarball": "tarball", "output": "output folder"}
STYLES = {"error": "bold red", "warning": "yellow", "note": "dim"}


def build_command(options: BuildOptions, console: Console) -> None:
    """Build the containers of all or some algorithms."""
    chosen = asked_for(options.algorithm, algorithms())
    root = need_checkout("a build of containers")
    need_weights(chosen, {})
    for name in chosen:
        need_imports(root, name)
    if options.dry_run:
        dry_run(root, chosen, options.device, options.base_image, partial(say, console))
        return
    images = builder(options, options.engine, root, console)
    for name in chosen:
        images.build(name)


def export_command(options: ExportOptions, console: Console) -> None:
    """Export algorithms, or the segmentations of a run."""
    if options.ctc is not None:
        export_ctc(options.ctc, options, console)
        return
    manifests = algorithms()
    root = need_checkout("an export")
    folder = options.out or workplace() / "dist"
    need_folder(folder)
    chosen = asked_for(options.algorithm, manifests)
    need_weights(chosen, {})  # before the minutes that an image takes
    images = builder(options, options.engine, root, console)
    for name in chosen:
        images.ensure([name])
        submission = Submission(
            manifests[name], image_tag(name, options.device), options.api, options.models
        )
        with progress(console, f"exporting {name}") as step:
            record = export(images.client, submission, root, folder, step)
        show(record, folder, console)


def show(record: Json, folder: Path, screen: Console) -> None:
    """Print the files of an export with their sizes, and the step that comes next."""
    image = record["image"]
    models = record["models"]
    lines = [
        (
            f"{folder / image['file']}: {image['bytes'] / 1e6:.0f} MB, "
            f"{image['unpacked_bytes'] / 1e6:.0f} MB unpacked, {record['api']}, {image['id'][:19]}"
        )
    ]
    if models:
        lines.append(f"{folder / models['file']}: {models['bytes'] / 1e6:.1f} MB, models")
    if record["rehearsed"]:
        lines.append(f"rehearsed: {record['rehearsed']['site']}")
    else:
        api = " API=exec" if record["api"] == "exec" else ""
        lines.append(
            f"not rehearsed as {record['api']}: `make rehearse "
            f"ALGORITHM={record['algorithm']}{api}`"
        )
    lines.append(f"next: `make preflight FILE={folder / image['file']}`")
    say(screen, *lines)


def export_ctc(source: Path, options: ExportOptions, console: Console) -> None:
    """Write a run or label images as result folders of the Cell Tracking Challenge."""
    run = read_run(source) if (source / FACTS).is_file() else None
    if run is not None and run.facts.task == "track":
        _export_movies(run, options, console)
        return
    exported = _of_labels(source, options) if run is None else _of_run(run, options)
    dataset, name, segmentations, true = exported
    place = options.out or Path("dist") / f"{name}-ctc"
    need_folder(place, new=True)
    plan = ctc.sequences([labelled.case for labelled in segmentations], series=options.series)
    with new_folder(place) as temporary:
        folder = temporary / dataset
        remarks = ctc.write_ctc(folder, segmentations, plan, anew=run is None)
        if true is not None:
            remarks += ctc.write_ctc(folder, true, plan, truth=True, anew=run is None)
        ctc.write_sequences_table(temporary / ctc.TABLE, plan)
    if any(len(frames) > 1 for frames in plan.values()):
        remarks.append(
            "tracks follow the labels: of an algorithm that segments each frame alone, SEG and DET "
            "mean something, TRA and LNK do not"
        )
    say(
        console,
        *(f"note: {remark}" for remark in remarks),
        f"written: {place}, {len(plan)} sequences of {len(segmentations)} cases",
    )


def _export_movies(run: FinishedRun, options: ExportOptions, console: Console) -> None:
    """Write the tracked movies of a run as result folders, ``01_RES``, and maybe the truth."""
    folder = run.folder / folder_of(_only_algorithm(run, options))
    place = options.out or Path("dist") / f"{run.folder.resolve().name}-{folder.name}-ctc"
    need_folder(place, new=True)
    movies = dict(ctc.movies(folder, run.dataset.cases, truth=options.truth))
    with new_folder(place) as temporary:
        for sequence, movie in movies.items():
            ctc.write_movie(temporary / run.facts.dataset / sequence, movie)
    say(console, f"written: {place / run.facts.dataset}, {', '.join(movies)}")


def _only_algorithm(run: FinishedRun, options: ExportOptions) -> str:
    """Return the algorithm of a run with whole results."""
    name, *others = pick("algorithm in this run", options.algorithm, run.facts.jobs)
    if others:
        raise InputError(
            f"{run.folder}: expected one algorithm, found {', '.join((name, *others))}; give "
            "export ALGORITHM --ctc"
        )
    run.need_results([name])
    return name


Exported = tuple[str, str, list[ctc.Segmentation], list[ctc.Segmentation] | None]


def _of_run(run: FinishedRun, options: ExportOptions) -> Exported:
    """Return dataset, name, segmentations and wanted truth of a run."""
    if options.true_labels or options.crop:
        raise InputError(f"--true-labels and --crop are for label images, {run.folder} is a run")
    facts = run.facts
    cases = run.dataset.cases
    if facts.task != "segment":
        raise InputError(f"{run.folder}: expected a run of the task segment, found {facts.task}")
    name = _only_algorithm(run, options)
    folder = run.folder / folder_of(name)
    return (
        facts.dataset,
        f"{run.folder.resolve().name}-{folder.name}",
        list(ctc.segmentations(folder, facts.jobs[name], cases, run.task)),
        ctc.truths(cases) if options.truth else None,
    )


def _of_labels(source: Path, options: ExportOptions) -> Exported:
    """Return name, again, labels and true labels of a label image or a folder of them."""
    if options.algorithm or options.truth:
        raise InputError(
            f"{source}: expected a run with run.json, found label images; give --true-labels "
            "in place of --truth, and no algorithm"
        )
    sides = [named(place) for place in filter(None, (source, options.true_labels))]
    if all(len(files) == 1 for files in sides):  # their names may differ
        sides = [dict.fromkeys(sides[0], *files.values()) for files in sides]
    sides[1:] = [partners(sides[0], options.true_labels, side) for side in sides[1:]]
    if not sides[-1]:
        raise InputError(f"{options.true_labels}: no file is named like one in {source}")
    name = image_name(source.resolve())
    segmentations, *true = [ctc.labelled(files, options.crop) for files in sides]
    return name, name, segmentations, true[0] if true else None


def preflight_command(options: PreflightOptions, console: Console) -> int:
    """Check uploads; exit code 1 if a platform would refuse one."""
    kinds = {path: upload_kind(path) for path in options.files}
    task = TASKS[options.task] if options.task else None
    findings_of = {path: preflight(path, task) for path in kinds}
    for path, findings in findings_of.items():
        show_findings(console, f"{path}: {KINDS[kinds[path]]}", findings)
    every = [finding.severity for findings in findings_of.values() for finding in findings]
    verdict = "refused" if "error" in every else "accepted"
    summary: IntDict = {severity: every.count(severity) for severity in SEVERITIES}
    value: Json = {"verdict": verdict, **summary} | {
        "files": [
            {"file": str(path), "kind": kinds[path], "findings": [f._asdict() for f in rows]}
            for path, rows in findings_of.items()
        ]
    }
    options.keep(value)
    counts = [count(summary[name], name) for name in STYLES]
    what = "do not upload" if summary["error"] else "may be uploaded"
    say(console, f"verdict: {what}: {', '.join(counts)}")
    return 1 if summary["error"] else 0


def show_findings(screen: Console, title: str, findings: Sequence[Finding]) -> None:
    """Show findings below a title, each with its remedy."""
    say(screen, title)
    for finding in findings:
        say(
            screen,
            f"  {finding.severity}  {finding.rule}  {finding.where}: {finding.text}",
            style=STYLES[finding.severity],
        )
        say(screen, f"      do: {finding.fix}")
    if not findings:
        say(screen, "  nothing found")
