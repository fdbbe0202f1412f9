"""The result for one image of an algorithm without scores: files, a line, a summary."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from cytosuite.benchmark.commands.options import ApplyOptions
from cytosuite.benchmark.data.dataset import Case
from cytosuite.benchmark.pictures.preview import write_result
from cytosuite.benchmark.plan import Job
from cytosuite.benchmark.record import Record, grouped, read_record
from cytosuite.benchmark.results.objects import FILE, join_tables, write_objects
from cytosuite.datasets.folder.collect import Item
from cytosuite.errors import InputError, printable
from cytosuite.files import read_json, remove, write_json
from cytosuite.formats import read, write
from cytosuite.imagefiles import FOLDER_SUFFIX
from cytosuite.large import slabs
from cytosuite.tasks import TASKS, Socket
from cytosuite.volume import Volume

OBJECTS = f"-{FILE}"  # after the name of an image
Status = Literal["written", "there already", "failed"]


@dataclass(frozen=True, slots=True)
class Applied:
    """The result for one image.

    Parameters
    ----------
    image : Path
        The file.
    output : Path
        The first output, see `output_of`.
    status : str
        ``written``, ``there already`` or ``failed``.
    message : str
        Number of objects and model, or the reason of a failure.
    model : str
        Algorithm and model; empty after a failure.
    warnings : tuple of str
        Doubts about voxel size, metadata and choice of the model.
    """

    image: Path
    output: Path
    status: Status
    message: str
    model: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """The result in one line."""
        doubts = "".join(f"; warning: {warning}" for warning in self.warnings)
        return f"{printable(self.image.name)}: {self.status}: {self.message}{doubts}"


def output_of(out: Path, item: Item, more: str = "") -> Path:
    """Return the place of an image's output: of TIFF, and of OME-Zarr where the image is that.

    Parameters
    ----------
    out : Path
        Folder of the results.
    item : Item
        With the image.
    more : str
        What follows the name in those of further outputs.
    """
    suffix = {FOLDER_SUFFIX: ".ome.zarr", ".ozx": ".ozx"}.get(item.image.suffix.lower(), ".tif")
    return out / f"{item.name}{more}{suffix}"


def recorded(out: Path, item: Item) -> dict[str, Any]:
    """Return the record of an image if all its files are there, else an empty one."""
    name = item.name
    if not (out / f"{name}.json").is_file() or not output_of(out, item).exists():
        return {}
    try:
        found = read_json(out / f"{name}.json")
    except InputError:
        return {}
    if not isinstance(found, dict) or not {"algorithm", "key", "model", "selection"} <= set(found):
        return {}
    measured = "objects" in found and "objects_table" not in found
    return found if not measured or (out / f"{name}{OBJECTS}").is_file() else {}


def there_already(item: Item, out: Path, record: Mapping[str, Any]) -> Applied:
    """Return the result of an image that an earlier command has written."""
    warnings = tuple(record.get("warnings", ()))
    output = output_of(out, item)
    return Applied(item.image, output, "there already", "", _model(record), warnings)


def clear(out: Path, item: Item) -> None:
    """Remove the files of an image: old ones must not outlive a failure."""
    for suffix in (".json", ".png", OBJECTS):
        remove(out / f"{item.name}{suffix}")
    remove(output_of(out, item))


def summary(results: Sequence[Applied]) -> list[str]:
    """Return the models that were used, the warnings by their kind, and the failures."""
    models = Counter(found.model for found in results if found.model)
    used = [f"{model} for {count} of {len(results)} images" for model, count in models.items()]
    lines = [f"models: {', '.join(used)}"] if used else []
    doubts = {found.image.name: found.warnings for found in results}
    lines += [f"warning: {line}" for line in grouped(doubts, "image")]
    lost = [found.image.name for found in results if found.status == "failed"]
    return lines + ([f"failed: {len(lost)} of {len(results)} images"] if lost else [])


def failed(item: Item, out: Path, message: str) -> Applied:
    """Return the result of a failed image."""
    return Applied(item.image, output_of(out, item), "failed", " ".join(message.split()))


def write_applied(item: Item, case: Case, job: Job, key: str, options: ApplyOptions) -> Applied:
    """Write the outputs of one image, its picture, and last its record."""
    record = read_record(job.folder / case.name)
    assert record is not None  # the run has just written it
    if not record.ok:
        return failed(item, options.out, f"{record.status}: {record.message}")
    task = TASKS[job.algorithm.task]
    main = case.main(task)
    assert main is not None  # an image was given
    image = read(main)
    facts = _record(record, image) | {"image": printable(str(item.image)), "key": key}
    facts["part"] = {
        name: value for name, value in asdict(options.part).items() if value is not None
    }
    for number, socket in enumerate(s for s in task.outputs if s.slug in record.outputs):
        more = "" if number == 0 else f"-{socket.slug}"
        source = job.folder / case.name / record.outputs[socket.slug]
        if socket.kind == "json":
            write_json(options.out / f"{item.name}{more}-{socket.slug}.json", read_json(source))
            continue
        output = read(source)
        facts |= _notes(output, job.algorithm.name, socket)
        shown = replace(output, metadata=image.metadata)
        write(output_of(options.out, item, more), shown, as_json=socket.stack)
        if number == 0 and socket.kind == "labels":
            facts |= _measure(options.out / f"{item.name}{OBJECTS}", output, image)
        if number == 0 and options.preview:
            write_result(options.out / f"{item.name}.png", image, output, socket.kind)
    write_json(options.out / f"{item.name}.json", facts)
    objects = f"{facts['objects']} objects, " if "objects" in facts else ""
    words = f"{objects}{_model(facts)}, {record.seconds:.1f} s"
    words += f"; {FILE} {facts['objects_table']}" if "objects_table" in facts else ""
    there = output_of(options.out, item)
    return Applied(item.image, there, "written", words, _model(facts), record.warnings)


def _record(record: Record, image: Volume) -> dict[str, Any]:
    """Return the choice of the model, voxel size, time and memory."""
    return {
        "algorithm": record.algorithm,
        "version": record.version,
        "model": record.model,
        "selection": record.selection.model_dump(mode="json"),
        "warnings": list(record.warnings),
        "spacing_um": list(image.spacing),
        "spacing_assumed": image.spacing_is_assumed,
        "seconds": record.seconds,
        "peak_memory": record.peak_memory,
    }


def _notes(output: Volume, algorithm: str, socket: Socket) -> dict[str, Any]:
    """Return the number of objects, and the notes that the algorithm left in the output."""
    prefix = f"{algorithm}_"
    notes: dict[str, Any] = {
        key.removeprefix(prefix): value
        for key, value in output.metadata.items()
        if key.startswith(prefix)
    }
    found: dict[str, Any] = {"notes": notes, "removed": _table(notes.pop("removed_table", "[]"))}
    if socket.kind == "labels":
        numbers = set().union(*(np.unique(output.array[part]) for part in slabs(output.array)))
        found["objects"] = len(numbers - {0})
    return found


def _measure(path: Path, labels: Volume, image: Volume) -> dict[str, str]:
    """Write the table of the objects of an image; return the reason where that is not possible."""
    try:
        write_objects(path, labels, image)
    except InputError as error:
        return {"objects_table": f"lacks this image: {error}"}
    return {}


def join_objects(items: Sequence[Item], out: Path) -> None:
    """Write the tables of the objects of all images as one."""
    tables: dict[tuple[str, ...], Path] = {
        (printable(item.image.name),): out / f"{item.name}{OBJECTS}" for item in items
    }
    if there := {key: path for key, path in tables.items() if path.is_file()}:
        join_tables(out / FILE, ["image"], there)


def _table(text: object) -> list[Any]:
    """Return the rows of a table that a container wrote as JSON; none if it is not that."""
    try:
        found = json.loads(str(text))
    except (ValueError, RecursionError):
        return []
    return found if isinstance(found, list) else []


def _model(facts: Mapping[str, Any]) -> str:
    """Return algorithm and model in words, and whether the user named it."""
    by = "" if facts["selection"].get("by") != "user" else " (chosen by the user)"
    return f"{facts['algorithm']} {facts['model']}{by}"
