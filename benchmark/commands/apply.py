"""An algorithm on a user's images without scores: files or folders in, outputs out."""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import numpy as np
from rich.console import Console

from cytosuite.benchmark.catalog import algorithms, pick
from cytosuite.benchmark.commands.data import start_engine
from cytosuite.benchmark.commands.options import ApplyOptions
from cytosuite.benchmark.data.dataset import Case, make_case
from cytosuite.benchmark.engines.outcome import Engine
from cytosuite.benchmark.pictures.preview import write_result
from cytosuite.benchmark.plan import Job, job_key
from cytosuite.benchmark.record import Record, read_record
from cytosuite.benchmark.results.objects import FILE, joined, write_objects
from cytosuite.benchmark.run import run_job
from cytosuite.datasets.folder.collect import Item, collect
from cytosuite.datasets.folder.load import load
from cytosuite.errors import InputError
from cytosuite.files import atomic, digest, read_json, remove, write_json
from cytosuite.formats import read, write
from cytosuite.tasks import TASKS, Socket
from cytosuite.volume import Scalar, Volume

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
        ``<out>/<name>.tif``: the first output.
    status : str
        ``written``, ``there already`` or ``failed``.
    message : str
        Number of objects and model, or the reason of a failure.
    """

    image: Path
    output: Path
    status: Status
    message: str


def apply(options: ApplyOptions, console: Console | None = None) -> list[Applied]:
    """Run an algorithm on images, and write ``<name>.tif``, ``.json`` and ``.png`` for each.

    Of labels come ``<name>-objects.csv``, and ``objects.csv`` of all images together.

    Parameters
    ----------
    options : ApplyOptions
        Images, algorithm, engine. Results under the same key are left as they are.
    console : Console, optional
        Shows a line per image.

    Returns
    -------
    list of Applied
        One per image, in their order; a failed image does not stop the others.

    Raises
    ------
    InputError
        If there is no such algorithm, engine, file or folder, or two images have one name.

    Notes
    -----
    The images become a dataset of the kind ``folder`` in a hidden folder of `out`, and the
    ordinary run does the rest. Further outputs of a task are ``<name>-<socket>``.
    """
    console = console or Console(quiet=True)
    say = partial(console.print, highlight=False, markup=False, soft_wrap=True)
    known = algorithms()
    (name,) = pick("algorithm", [options.algorithm], known)
    if options.diameter is not None and not options.diameter > 0:
        raise InputError(f"diameter must be a positive number of µm, found {options.diameter}")
    items = _items(options.images, options.out, known[name].task)
    engine = start_engine(options, [name], console)
    keys = {item.name: job_key(_fingerprint(item, options), name, engine) for item in items}
    results = {
        item.name: Applied(item.image, options.out / f"{item.name}.tif", "there already", "")
        for item in items
        if _is_there(options.out, item.name, keys[item.name])
    }
    if results:
        say(f"{len(results)} of {len(items)} images are done already")

    def finish(item: Item, done: Applied) -> None:
        """Keep and show the result of one image."""
        results[item.name] = done
        say(f"{len(results)} of {len(items)}: {done.image.name}: {done.status}: {done.message}")

    todo = [item for item in items if item.name not in results]
    _run_all(todo, keys, options, engine, finish)
    _join_objects(items, options.out)
    return [results[item.name] for item in items]


def _items(images: Sequence[Path], out: Path, task: str) -> list[Item]:
    """Return the images, each with a name of its own and without its truth."""
    outputs = {socket.slug for socket in TASKS[task].outputs}
    items = []
    for path in images:
        if path.is_dir():
            items += list(collect(path, task).items)
        elif path.is_file():
            main = next(socket for socket in TASKS[task].inputs if socket.kind != "json")
            items.append(Item(path.stem, path, socket=main.slug))
        else:
            raise InputError(f"{path}: no such file or folder")
    if not items:
        raise InputError("no image is given: name image files, or folders of them")
    for name, count in Counter(item.name.lower() for item in items).items():
        if count > 1:
            twins = ", ".join(str(item.image) for item in items if item.name.lower() == name)
            raise InputError(f"images need different names, found {twins}")
    for item in items:
        if (out / f"{item.name}.tif").resolve() == item.image.resolve():
            raise InputError(f"{out}: the output would overwrite {item.image}; name another folder")
    return [
        replace(item, files={s: path for s, path in item.files.items() if s not in outputs})
        for item in items
    ]


def _metadata(options: ApplyOptions) -> dict[str, Scalar]:
    """Return the facts that the user gives about the images."""
    given = {"channel": options.channel, "diameter_um": options.diameter}
    return {key: value for key, value in given.items() if value is not None}


def _fingerprint(item: Item, options: ApplyOptions) -> str:
    """Return the digest of an image, its further files, and the facts that the user gives."""
    files = {"main": item.image, **item.files}
    content = {
        "files": {slug: digest([path], path.parent) for slug, path in files.items()},
        "spacing": options.spacing,
        **_metadata(options),
    }
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _is_there(out: Path, name: str, key: str) -> bool:
    """Return whether the output of an image is there, under the same key."""
    if not (out / f"{name}.json").is_file() or not (out / f"{name}.tif").is_file():
        return False
    try:
        found = read_json(out / f"{name}.json")
    except InputError:
        return False
    if not isinstance(found, dict) or found.get("key") != key:
        return False
    measured = "objects" in found and "objects_table" not in found
    return not measured or (out / f"{name}{OBJECTS}").is_file()


def _run_all(
    items: Sequence[Item],
    keys: Mapping[str, str],
    options: ApplyOptions,
    engine: Engine,
    finish: Callable[[Item, Applied], None],
) -> None:
    """Make a case of each image, run them, and write each result as it comes."""
    manifest = algorithms()[options.algorithm]
    if items and any(socket.kind == "labels" for socket in TASKS[manifest.task].outputs):
        remove(options.out / FILE)  # of all images, written anew at the end
    with _workspace(options.out) as folder:
        made: dict[Case, Item] = {}
        for item in items:
            for suffix in (".json", ".tif", ".png", OBJECTS):
                remove(options.out / f"{item.name}{suffix}")
            case = Case(item.name, folder / "cases" / item.name)
            try:
                make_case(case, partial(load, item, options.spacing, _metadata(options)), {})
                made[case] = item
            except InputError as error:
                finish(item, _failed(item, options.out, str(error)))
        job = Job(manifest, "", folder / "results", tuple(made), 0)

        def take(algorithm: str, name: str, status: str) -> None:
            """Write the result of one image."""
            del algorithm, status
            case = Case(name, folder / "cases" / name)
            finish(made[case], _write(made[case], case, job, keys[name], options))

        limits = options.limits(manifest)
        run_job(job, TASKS[manifest.task], engine, limits, options.api, take)


@contextmanager
def _workspace(out: Path) -> Iterator[Path]:
    """Give a hidden folder in the folder of the results for as long as it is needed."""
    folder = out.resolve() / f".apply-{os.getpid()}"
    remove(folder)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        remove(folder)


def _failed(item: Item, out: Path, message: str) -> Applied:
    """Return the result of a failed image."""
    return Applied(item.image, out / f"{item.name}.tif", "failed", " ".join(message.split()))


def _write(item: Item, case: Case, job: Job, key: str, options: ApplyOptions) -> Applied:
    """Write the outputs of one image, its picture, and last its record."""
    record = read_record(job.folder / case.name)
    assert record is not None  # the run has just written it
    if not record.ok:
        return _failed(item, options.out, f"{record.status}: {record.message}")
    task = TASKS[job.algorithm.task]
    main = case.main(task)
    assert main is not None  # an image was given
    image = read(main)
    facts = _record(record, image) | {"image": str(item.image), "key": key}
    for number, socket in enumerate(s for s in task.outputs if s.slug in record.outputs):
        name = item.name if number == 0 else f"{item.name}-{socket.slug}"
        source = job.folder / case.name / record.outputs[socket.slug]
        if socket.kind == "json":
            write_json(options.out / f"{name}-{socket.slug}.json", read_json(source))
            continue
        output = read(source)
        facts |= _notes(output, job.algorithm.name, socket)
        write(options.out / f"{name}.tif", replace(output, metadata=image.metadata))
        if number == 0 and socket.kind == "labels":
            facts |= _measure(options.out / f"{name}{OBJECTS}", output, image)
        if number == 0 and options.preview:
            write_result(options.out / f"{name}.png", image, output, socket.kind)
    write_json(options.out / f"{item.name}.json", facts)
    objects = f"{facts['objects']} objects, " if "objects" in facts else ""
    words = f"{objects}model {record.model}, {record.seconds:.1f} s"
    words += f"; {FILE} {facts['objects_table']}" if "objects_table" in facts else ""
    return Applied(item.image, options.out / f"{item.name}.tif", "written", words)


def _record(record: Record, image: Volume) -> dict[str, Any]:
    """Return the choice of the model, voxel size, time and memory."""
    return {
        "algorithm": record.algorithm,
        "version": record.version,
        "model": record.model,
        "selection": record.selection.model_dump(mode="json"),
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
        found["objects"] = int(np.count_nonzero(np.unique(output.array)))
    return found


def _measure(path: Path, labels: Volume, image: Volume) -> dict[str, str]:
    """Write the table of the objects of an image; return the reason where that is not possible."""
    try:
        write_objects(path, labels, image)
    except InputError as error:
        return {"objects_table": f"lacks this image: {error}"}
    return {}


def _join_objects(items: Sequence[Item], out: Path) -> None:
    """Write the tables of the objects of all images as one."""
    tables = {(item.image.name,): out / f"{item.name}{OBJECTS}" for item in items}
    if there := {key: path for key, path in tables.items() if path.is_file()}:
        with atomic(out / FILE) as temporary:
            temporary.write_text(joined(["image"], there), encoding="utf-8")


def _table(text: object) -> list[Any]:
    """Return the rows of a table that a container wrote as JSON; none if it is not that."""
    try:
        found = json.loads(str(text))
    except (ValueError, RecursionError):
        return []
    return found if isinstance(found, list) else []
