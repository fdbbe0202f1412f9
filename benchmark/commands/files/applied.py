"""The result for one image of an algorithm without scores: files, a line, a summary."""

import json
import os
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from cytosuite.benchmark.commands.files.sizes import ALONE, SHARED, Sharing
from cytosuite.benchmark.commands.options.apply import SegmentOptions
from cytosuite.benchmark.runs.data.dataset import Case
from cytosuite.benchmark.runs.plan import Job
from cytosuite.benchmark.runs.record import grouped, read_record
from cytosuite.benchmark.runs.store.integrity import foreign_digest
from cytosuite.contract.interface import read_value, write_value
from cytosuite.contract.points import Points, read_points
from cytosuite.contract.sizes import size_in
from cytosuite.contract.tasks import POINTS, TASKS, Socket
from cytosuite.errors import InputError, printable
from cytosuite.files import (
    Entries,
    Json,
    TextDict,
    Texts,
    TextSeq,
    atomic,
    file_digest,
    object_in,
    read_json,
    remove,
    write_json,
)
from cytosuite.folders.entries import OBJECTS, case_name, key_of
from cytosuite.folders.index import Item
from cytosuite.folders.masks import read_labels
from cytosuite.folders.part import Part
from cytosuite.folders.part import content as content_of
from cytosuite.folders.points import point_files
from cytosuite.folders.rois import ENDING as ROIS
from cytosuite.folders.rois import write_rois
from cytosuite.formats import read, write
from cytosuite.formats.imagefiles import FOLDER_SUFFIX
from cytosuite.volume import Volume
from cytosuite.volume.pieces import distinct

FILE = "objects.csv"
CELLS = "cells.csv"
WORDS = {"user": " (chosen by the user)", "use": " (in use)"}  # on the choice of a model
RECORDED = {"algorithm", "image", "key", "model", "part", "selection", "spacing_um"}
# Fields of a run's record that the record of an image repeats.
REPORTED = {
    "algorithm",
    "version",
    "model",
    "selection",
    "warnings",
    "facts",
    "seconds",
    "peak_memory",
}
Status = Literal["written", "there already", "kept", "failed"]


class Applied(NamedTuple):
    """The result for one image."""

    image: Path  # the file
    output: Path  # the first output, see `OutputFiles.output`
    status: Status
    message: str  # number of objects and model, or the reason of a failure
    model: str  # algorithm and model; empty after a failure
    warnings: Texts  # doubts about voxel size, metadata and choice of the model

    @property
    def line(self) -> str:
        """The result in one line."""
        doubts = "".join(f"; warning: {warning}" for warning in self.warnings)
        return f"{printable(self.image.name)}: {self.status}: {self.message}{doubts}"


@dataclass(eq=False)
class OutputFiles:
    """An image, its files in the folder of the results, and facts that precede its run."""

    folder: Path
    item: Item
    fingerprint: str = ""  # of its files and all that decides its algorithm
    doubts: TextSeq = ()  # on its algorithm and size
    sharing: Sharing | None = None  # once sizes are known

    @property
    def name(self) -> str:
        """The name of the image among the results."""
        return self.item.name

    def file(self, end: str) -> Path:
        """Return the file of the image with an end."""
        return self.folder / f"{self.name}{end}"

    def output(self, more: str = "") -> Path:
        """Return the place of an output: of TIFF, of OME-Zarr as the image, or of points alone."""
        points = self.file(f"-{POINTS.slug}.json")
        suffix = {FOLDER_SUFFIX: ".ome.zarr", ".ozx": ".ozx"}.get(
            self.item.image.suffix.lower(), ".tif"
        )
        volume = self.file(f"{more}{suffix}")
        return points if not more and points.is_file() and not volume.exists() else volume

    def record(self) -> Json:
        """Return the record of the image if its output is there, else an empty one."""
        return self.written() if self.output().exists() else {}

    def written(self) -> Json:
        """Return the record that an earlier command has written, else an empty one."""
        record = object_in(self.file(".json"))
        return record if record.keys() >= RECORDED else {}

    def result(
        self, status: Status, message: str, model: str = "", warnings: Texts = ()
    ) -> Applied:
        """Return the result for the image."""
        return Applied(self.item.image, self.output(), status, message, model, warnings)

    def failed(self, message: str) -> Applied:
        """Return the result of a failure; an earlier command's files stay."""
        output = self.output()
        stays = f"; {output.name} of an earlier command stays" if output.exists() else ""
        return self.result("failed", " ".join(message.split()) + stays)

    def earlier(self, record: Entries, options: SegmentOptions, *, current: bool) -> Applied | None:
        """Return the result of an earlier command if it is current or must not be replaced."""
        output = self.output()
        drawn = options.rois and "rois_missing" not in record
        ends = [*[OBJECTS] * self.is_measured(record), *[ROIS] * drawn]
        whole = current and all(self.file(end).is_file() for end in ends)
        if options.overwrite and not whole:
            return None
        if not os.path.lexists(output):
            others = [path for path in map(self.file, (".png", ".json")) if path.exists()]
            if not others or self.written():
                return None
            return self.result(
                "failed",
                f"{others[0]} is no file of a result; name another folder, or --overwrite "
                "replaces it",
            )
        altered = self.altered(record)
        if whole and not (altered and options.overwrite):
            changed = "not as it was written" if altered else ""
            warnings = tuple(record.get("warnings", ()))
            return self.result("there already", changed, _model(record), warnings)
        if altered:
            message = f"{altered} is not as it was written; --overwrite replaces it"
            return None if options.overwrite else self.result("kept", message)
        if self.has(record) and record["part"] == asked(self.item.part):
            return None
        parts = (f"{noun} {of}" for noun, of in record["part"].items())
        return self.result(
            "failed",
            f"{output} is the result for {' '.join([record['image'], *parts])}; name another "
            "folder, or --overwrite replaces it",
        )

    def altered(self, record: Entries) -> Path | None:
        """Return the output or the ROIs of the image if they are not as they were written."""
        output = self.output()
        rois = self.file(ROIS)
        if record.get("sha256") != digest_of(output):
            return output
        return rois if rois.exists() and record.get("rois_sha256") != file_digest(rois) else None

    def is_measured(self, record: Entries) -> bool:
        """Return whether a result has a table of its objects."""
        return "objects" in record and "objects_table" not in record

    def is_corrected(self, record: Entries) -> bool:
        """Return whether the labels of a result of this part are not as they were written."""
        return (
            self.is_measured(record)
            and self.has(record)
            and record["part"] == asked(self.item.part)
            and self.altered(record) == self.output()
        )

    def has(self, record: Entries) -> bool:
        """Return whether a record belongs to the image."""
        return record.get("image") == printable(str(self.item.image.resolve()))


def named(item: Item, folder: Path, others: Collection[str]) -> OutputFiles:
    """Return an image called as its file, its next parts also by channel, frame and scene."""
    target = OutputFiles(folder, item)
    there = target.record()
    part = asked(item.part)
    if not part or not target.has(there) or there["part"] == part:
        return target
    name = case_name("_".join([item.name, *(f"{noun}-{value}" for noun, value in part.items())]))
    return target if name.casefold() in others else OutputFiles(folder, replace(item, name=name))


def asked(part: Part) -> Json:
    """Return the wanted channel, frame and scene, as the record holds them."""
    return {k: v for k, v in asdict(part).items() if v is not None and k != "stains"}


def digest_of(output: Path) -> str:
    """Return the SHA-256 of an output, by which a change is known."""
    return foreign_digest(content_of(output), output.parent)


def put(made: OutputFiles, target: OutputFiles) -> None:
    """Move the files of an image from a folder of their own to the others, its record last.

    A picture follows its output: without one it would be no picture of a result.
    """
    last = [made.file(".png"), made.file(".json")]
    for end in (".png", OBJECTS, ROIS):
        if not made.file(end).exists():
            remove(target.file(end))  # of the result before
    for path in [*sorted({*made.folder.iterdir()} - {*last}), *filter(Path.exists, last)]:
        with atomic(target.folder / path.name) as temporary:
            path.rename(temporary)


def summary(results: Sequence[Applied]) -> list[str]:
    """Return the models that were used, the warnings by their kind, and the failures."""
    models = Counter(applied.model for applied in results if applied.model)
    used = [f"{model} for {count} of {len(results)} images" for model, count in models.items()]
    lines = [f"models: {', '.join(used)}"] if used else []
    unchanged = [applied.output.name for applied in results if applied.status == "kept"]
    if unchanged:
        lines.append(f"kept, --overwrite replaces them: {', '.join(unchanged)}")
    doubts = {applied.output.name: applied.warnings for applied in results}
    lines += [f"warning: {line}" for line in grouped(doubts, "image")]
    lost = sum(applied.status == "failed" for applied in results)
    return lines + ([f"failed: {lost} of {len(results)} images"] if lost else [])


def write_applied(
    target: OutputFiles,
    case: Case,
    job: Job,
    key: str,
    options: SegmentOptions,
) -> Applied:
    """Write the outputs of one image, its picture, and last its record, with doubts."""
    home = job.folder / case.name
    record = read_record(home)
    assert record is not None  # the run has just written it
    if not record.ok:
        return target.failed(f"{record.status}: {record.message}")
    record = record.model_copy(update={"warnings": (*target.doubts, *record.warnings)})
    task = TASKS[job.algorithm.task]
    item = target.item
    main = case.main(task)
    assert main is not None  # an image was given
    image = read(main)
    made = OutputFiles(home / "made", item)
    facts = {
        **record.model_dump(mode="json", include=REPORTED),
        "spacing_um": list(image.spacing),
        "spacing_assumed": image.spacing_is_assumed,
        "image": printable(str(item.image.resolve())),
        "key": key,
        "part": asked(item.part),
        **({SHARED: target.sharing.metadata} if target.sharing else {}),
    }
    for number, socket in enumerate(s for s in task.outputs if s.slug in record.outputs):
        source = home / record.outputs[socket.slug]
        if socket.is_file:
            write_value(made.file(f"-{socket.slug}{socket.suffix}"), read_value(source))
            if number == 0 and socket.kind == "points":
                points = read_points(source, image.spacing)
                _write_points(made, image, points, preview=options.preview)
                facts |= {"objects": len(points), "sha256": digest_of(made.output())}
            continue
        output = read(source)
        facts = _notes(output, job.algorithm.name, socket) | facts  # the first output's stay
        facts |= _own_size(facts, target.record())
        shown = replace(output, metadata=image.metadata)
        place = made.output(f"-{socket.slug}" if number else "")
        write(place, shown, as_json=bool(socket.axes))
        if number:
            continue
        facts["sha256"] = digest_of(place)
        objects = socket.kind == "labels" and not socket.movie
        if objects:
            from cytosuite.benchmark.scores.objects import write_objects

            try:
                write_objects(made.file(OBJECTS), output, image)
            except InputError as error:
                facts["objects_table"] = f"lacks this image: {error}"
        if objects and options.rois:
            try:
                write_rois(made.file(ROIS), output)
                facts["rois_sha256"] = file_digest(made.file(ROIS))
            except InputError as error:
                facts["rois_missing"] = str(error)
        if options.preview:
            from cytosuite.benchmark.runs.data.preview import write_result

            write_result(made.file(".png"), image, output, socket.kind)
    write_json(made.file(".json"), facts)
    put(made, target)
    counts = "".join(f"{facts[n]} {n}, " for n in ("objects", "tracks") if n in facts)
    words = f"{counts}{_model(facts)}, {record.seconds:.1f} s"
    if "objects_table" in facts:
        words += f"; {FILE} {facts['objects_table']}"
    if "rois_missing" in facts:
        words += f"; without ROIs: {facts['rois_missing']}"
    if item.name != case_name(key_of(item.image)):
        words += f"; as {target.output().name}"
    return target.result("written", words, _model(facts), record.warnings)


def _write_points(made: OutputFiles, image: Volume, points: Points, *, preview: bool) -> None:
    """Write the table of the points of an image, and its picture with circles."""
    from cytosuite.benchmark.runs.data.circles import circles
    from cytosuite.benchmark.runs.data.planes import spatial
    from cytosuite.benchmark.runs.data.preview import write_result
    from cytosuite.benchmark.scores.points import write_points

    write_points(made.file(OBJECTS), points)
    if preview:
        shape = spatial(image)[0].shape
        discs = circles(points, shape, shape)
        plane = len(points.spacing) == 2
        drawn = Volume(discs[0] if plane else discs, points.spacing, "YX" if plane else "ZYX")
        write_result(made.file(".png"), image, drawn, "labels")


def _notes(output: Volume, algorithm: str, socket: Socket) -> Json:
    """Return the number of objects, and the notes that the algorithm left in the output."""
    prefix = f"{algorithm}_"
    notes = {
        key.removeprefix(prefix): value
        for key, value in output.metadata.items()
        if key.startswith(prefix)
    }
    facts: Json = {"notes": notes, "removed": _table(notes.pop("removed_table", "[]"))}
    if socket.kind == "labels":
        facts["tracks" if socket.movie else "objects"] = int(
            np.count_nonzero(distinct(output.array))
        )
    return facts


def _own_size(facts: Entries, earlier: Entries) -> Json:
    """Return the size of the objects of an image by itself, where it or its earlier record says."""
    known = earlier.get(ALONE) if earlier.get("key") == facts["key"] else None
    size = size_in(facts["notes"], facts["spacing_um"][-1]) or known
    return {ALONE: [*size]} if size else {}


def join_objects(out: Path) -> list[str]:
    """Write the tables of the objects of all images as one, and return lines on those it lacks."""
    images, assumed, lines = _images_with_objects(out)
    columns = ["image", "voxel_size"][: 1 + bool(assumed)]
    tables = {
        (im, "assumed" if name in assumed else "given")[: len(columns)]: out / f"{name}{OBJECTS}"
        for name, im in images.items()
    }
    if tables:
        from cytosuite.benchmark.scores.objects import join_tables

        join_tables(out / FILE, columns, tables)
    return lines


def _images_with_objects(out: Path) -> tuple[TextDict, set[str], list[str]]:
    """Return image names by output (output names where several share one), assumed sizes, lines."""
    images = {}
    assumed = set()
    lines = []
    for name in sorted(path.name.removesuffix(OBJECTS) for path in out.glob(f"*{OBJECTS}")):
        try:
            record = read_json(out / f"{name}.json")
            images[name] = Path(record["image"]).name
            assumed |= {name} if record.get("spacing_assumed") else set()
        except (InputError, KeyError, TypeError):
            lines.append(
                printable(
                    f"{FILE} lacks {name}{OBJECTS}: {name}.json is no record of an image; make it "
                    "again with --overwrite"
                )
            )
    times = Counter(images.values())
    images = {name: image if times[image] == 1 else name for name, image in images.items()}
    return images, assumed, lines


def count_in_cells(out: Path, cells: Path) -> Path:
    """Write the cell of each point into the tables, and the points of each cell of all images."""
    from cytosuite.benchmark.commands.files.pairs import images_by_name
    from cytosuite.benchmark.scores.points import write_cell_counts, write_points

    files = point_files(out)
    counts = {}
    if not files:
        raise InputError(f"--cells: expected an algorithm that finds points, found none in {out}")
    rooms = images_by_name(cells, files)
    for name, path in files.items():
        spacing = read_json(out / f"{name}.json")["spacing_um"]
        if name not in rooms:
            raise InputError(f"{cells}: expected labels of cells named {name}, found none")
        points = read_points(path, spacing)
        labels = read_labels(rooms[name]).channels[0].array
        if labels.ndim != len(spacing):
            raise InputError(
                f"{rooms[name]}: expected labels with {len(spacing)} axes as the image has, found "
                f"the shape {labels.shape}"
            )
        write_points(out / f"{name}{OBJECTS}", points, labels)
        counts[name] = points, labels
    images, *_ = _images_with_objects(out)
    write_cell_counts(out / CELLS, {images[name]: pair for name, pair in counts.items()})
    join_objects(out)
    return out / CELLS


def _table(text: object) -> list[Any]:
    """Return the rows of a table that a container wrote as JSON; none if it is not that."""
    try:
        rows = json.loads(str(text))
    except (ValueError, RecursionError):
        return []
    return rows if isinstance(rows, list) else []


def _model(facts: Entries) -> str:
    """Return algorithm and model in words, and whether the user named it."""
    return f"{facts['algorithm']} {facts['model']}{WORDS.get(facts['selection'].get('by'), '')}"
