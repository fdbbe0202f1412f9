"""From images to labels in one command, without scores: files or folders in, labels out."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture
from rich.console import Console

from benchmark.containers.build import ensure_images
from benchmark.containers.images import Device
from benchmark.catalog import ROOT, algorithms, pick
from benchmark.engines.choose import choose
from benchmark.engines.docker import DockerEngine
from benchmark.engines.outcome import Api, Engine, Limits, Outcome, Session, StartError
from benchmark.pictures.planes import boundary
from benchmark.pictures.sheet import OUTLINE
from benchmark.run import own_record
from benchmark.validate import BadOutput, check, survey
from cytosuite.errors import InputError
from cytosuite.files import atomic, digest, read_json, remove, write_json
from cytosuite.formats import write
from cytosuite.interface import write_case
from cytosuite.manifest import AlgorithmManifest
from cytosuite.tasks import TASKS
from cytosuite.volume import Volume
from datasets.folder.collect import Item, collect
from datasets.folder.load import load

Status = Literal["written", "there already", "failed"]
TASK = TASKS["segment"]
IMAGE, LABELS = TASK.main_input, TASK.outputs[0]
SELECTION = ("cost", "terms", "fallback", "broken", "sources")


@dataclass(frozen=True, slots=True)
class Wish:
    """How a user wants images segmented; every default is here.

    Parameters
    ----------
    algorithm : str
        Name in ``algorithms/``.
    engine : str
        ``auto``, ``docker`` or ``process``.
    api : str
        ``serve`` (started once) or ``exec`` (once per image).
    spacing : tuple of float or None
        µm per voxel (z, y, x), in place of what the files say.
    diameter_um : float or None
        Typical lateral diameter of the nuclei; estimated without it.
    channel : str or None
        What is stained, like ``nucleus``: counts in the choice of the model.
    memory_gib : float or None
        Memory limit of an image; the algorithm's own without it.
    timeout_s : float
        Time limit of an image.
    device : str
        ``cuda`` takes an image of the container with CUDA and gives it a GPU.
    base_image : str or None
        What a missing container is built upon.
    preview : bool
        Whether to write a picture with outlines of each volume.
    """

    algorithm: str = "cellpose3d"
    engine: str = "auto"
    api: Api = "serve"
    spacing: tuple[float, ...] | None = None
    diameter_um: float | None = None
    channel: str | None = None
    memory_gib: float | None = None
    timeout_s: float = 3600.0
    device: Device = "cpu"
    base_image: str | None = None
    preview: bool = True


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one image.

    Parameters
    ----------
    image : Path
        The file.
    labels : Path
        ``<out>/<name>.tif``.
    status : str
        ``written``, ``there already`` or ``failed``.
    message : str
        Number of objects and model, or why it failed.
    """

    image: Path
    labels: Path
    status: Status
    message: str


def segment(
    images: Sequence[Path], out: Path, wish: Wish = Wish(), console: Console | None = None
) -> list[Result]:
    """Segment images, and write ``<name>.tif``, ``<name>.json`` and ``<name>.png`` for each.

    Parameters
    ----------
    images : sequence of Path
        Image files, and folders of them (as `datasets.folder` reads them).
    out : Path
        Folder for the results; what is there under the same key is left.
    wish : Wish
        How.
    console : Console, optional
        Where to say what is going on, line by line.

    Returns
    -------
    list of Result
        One per image, in their order; a failed image does not stop the others.

    Raises
    ------
    InputError
        If there is no such algorithm, engine, file or folder, or two images have one name.
    """
    say = partial(
        (console or Console(quiet=True)).print, highlight=False, markup=False, soft_wrap=True
    )
    known = {name: found for name, found in algorithms().items() if found.task == TASK.name}
    manifest = known[pick(f"algorithm for the task {TASK.name}", [wish.algorithm], known)[0]]
    if wish.diameter_um is not None and not wish.diameter_um > 0:
        raise InputError(f"diameter must be a positive number of µm, found {wish.diameter_um}")
    items = _items(images, out)
    engine, sentence = choose(wish.engine, wish.device)
    say(sentence)
    if isinstance(engine, DockerEngine):
        ensure_images(engine.client, ROOT, [manifest.name], say, wish.device, wish.base_image)
    base = _base_key(manifest.name, engine, wish)
    results = {
        item.name: Result(item.image, out / f"{item.name}.tif", "there already", "")
        for item in items
        if _is_there(out, item.name, _key(base, item.image))
    }
    if results:
        say(f"{len(results)} of {len(items)} images are segmented already")
    todo = [item for item in items if item.name not in results]
    for item, done in _run_all(todo, out, manifest, engine, wish, base):
        results[item.name] = done
        say(f"{len(results)} of {len(items)}: {done.image.name}: {done.status}: {done.message}")
    return [results[item.name] for item in items]


def _items(images: Sequence[Path], out: Path) -> list[Item]:
    """Return the image files, each with a name of its own."""
    items = []
    for path in images:
        if path.is_dir():
            items += [replace(item, labels=None) for item in collect(path).items]
        elif path.is_file():
            items.append(Item(path.stem, path, None))
        else:
            raise InputError(f"{path}: no such file or folder")
    if not items:
        raise InputError("nothing to segment: give image files, or folders of them")
    for name, count in Counter(item.name.lower() for item in items).items():
        if count > 1:
            twins = ", ".join(str(item.image) for item in items if item.name.lower() == name)
            raise InputError(f"images need different names, found {twins}")
    for item in items:
        if (out / f"{item.name}.tif").resolve() == item.image.resolve():
            raise InputError(f"{out}: the labels would overwrite {item.image}; name another folder")
    return items


def _base_key(algorithm: str, engine: Engine, wish: Wish) -> str:
    """Return the digest of all but the image that decides the labels."""
    sources = [ROOT / "cytosuite", ROOT / "algorithms" / algorithm, ROOT / "weights" / algorithm]
    content = {
        "source": digest(sources, ROOT),
        "engine": engine.name,
        "identity": engine.identity(algorithm),
        "spacing": wish.spacing,
        "diameter_um": wish.diameter_um,
        "channel": wish.channel,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _key(base: str, image: Path) -> str:
    """Return the digest of all that decides the labels of an image."""
    with image.open("rb") as stream:
        content = hashlib.file_digest(stream, "sha256").hexdigest()
    return hashlib.sha256(f"{base} {content}".encode()).hexdigest()


def _is_there(out: Path, name: str, key: str) -> bool:
    """Return whether the labels of an image are there, under the same key."""
    record = out / f"{name}.json"
    if not record.is_file() or not (out / f"{name}.tif").is_file():
        return False
    try:
        found = read_json(record)
    except InputError:
        return False
    return isinstance(found, dict) and found.get("key") == key


def _run_all(
    items: Sequence[Item],
    out: Path,
    manifest: AlgorithmManifest,
    engine: Engine,
    wish: Wish,
    base: str,
) -> Iterator[tuple[Item, Result]]:
    """Segment images one by one; an algorithm that does not start fails all that are left."""
    if not items:
        return
    pending = list(items)
    limits = Limits(
        memory_gib=wish.memory_gib or manifest.resources.memory_gib,
        timeout_s=wish.timeout_s,
        cpus=float(os.cpu_count() or 1),
    )
    with _workspace(out) as folder:
        try:
            with engine.session(manifest.name, folder / "session", limits, wish.api) as session:
                while pending:
                    item = pending[0]
                    done = _run(item, out, folder, session, limits, wish, manifest, base)
                    yield pending.pop(0), done
        except StartError as error:
            for item in pending:
                yield item, _failed(item, out, str(error))


@contextmanager
def _workspace(out: Path) -> Iterator[Path]:
    """Give a hidden folder in the results' folder for as long as it is needed."""
    folder = out.resolve() / f".segment-{os.getpid()}"
    remove(folder)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        remove(folder)


def _run(
    item: Item,
    out: Path,
    folder: Path,
    session: Session,
    limits: Limits,
    wish: Wish,
    manifest: AlgorithmManifest,
    base: str,
) -> Result:
    """Segment one image and write what came out, the record last."""
    for suffix in (".json", ".tif", ".png"):
        remove(out / f"{item.name}{suffix}")
    case, raw, log = (folder / name for name in ("case", "raw", "log.txt"))
    for path in (case, raw, log):
        remove(path)
    try:
        image = _image(item, wish)
        write_case(case, TASK, item.name, {IMAGE.slug: image})
    except InputError as error:
        return _failed(item, out, str(error))
    raw.mkdir()
    log.touch()
    outcome = session.predict(case, raw, log)
    if outcome.status != "ok":
        return _failed(item, out, f"{outcome.status}: {outcome.message}")
    try:
        survey(raw, int(limits.output_gib * 2**30))
        _, labels = check(raw, LABELS, image)
    except BadOutput as finding:
        return _failed(item, out, f"{finding.status}: {finding}")
    said = own_record(raw / "record.json")
    record = _record(manifest, image, labels, outcome, said)
    write(out / f"{item.name}.tif", replace(labels, metadata=image.metadata))
    if wish.preview:
        _write_preview(out / f"{item.name}.png", image, labels.array)
    head = {"image": str(item.image), "key": _key(base, item.image)}
    write_json(out / f"{item.name}.json", head | record)
    words = f"{record['objects']} objects, model {record['model']}, {outcome.seconds:.1f} s"
    return Result(item.image, out / f"{item.name}.tif", "written", words)


def _image(item: Item, wish: Wish) -> Volume:
    """Return an image with what the user says of it."""
    image = load(item, wish.spacing).inputs[IMAGE.slug]
    given = {"channel": wish.channel, "diameter_um": wish.diameter_um}
    known = {key: value for key, value in given.items() if value is not None}
    return replace(image, metadata={**image.metadata, **known})


def _failed(item: Item, out: Path, message: str) -> Result:
    """Return the result of an image that could not be segmented."""
    return Result(item.image, out / f"{item.name}.tif", "failed", " ".join(message.split()))


def _record(
    manifest: AlgorithmManifest,
    image: Volume,
    labels: Volume,
    outcome: Outcome,
    said: Mapping[str, Any],
) -> dict[str, Any]:
    """Return what is worth knowing of how an image was segmented."""
    prefix = f"{manifest.name}_"
    notes: dict[str, Any] = {
        key.removeprefix(prefix): value
        for key, value in labels.metadata.items()
        if key.startswith(prefix)
    }
    removed = notes.pop("removed_table", "[]")
    return {
        "algorithm": manifest.name,
        "version": manifest.version,
        "model": str(said.get("model", "")),
        "selection": {key: said[key] for key in SELECTION if key in said},
        "spacing_um": list(image.spacing),
        "spacing_assumed": image.spacing_is_assumed,
        "objects": np.unique(labels.array[labels.array > 0]).size,
        "notes": notes,
        "removed": _table(removed),
        "seconds": round(outcome.seconds, 4),
        "peak_memory": outcome.peak_memory,
    }


def _table(text: object) -> list[Any]:
    """Return the rows of a table that a container wrote as JSON; none if it is not that."""
    try:
        found = json.loads(str(text))
    except (ValueError, RecursionError):
        return []
    return found if isinstance(found, list) else []


def _write_preview(path: Path, image: Volume, labels: NDArray[np.integer]) -> None:
    """Write the slice with most of the objects, alone and with their outlines."""
    plane, found = image.array, labels
    if found.ndim == 3:
        middle = int(np.count_nonzero(found, axis=(1, 2)).argmax()) if found.any() else 0
        middle = middle if found.any() else len(found) // 2
        plane, found = plane[middle], found[middle]
    low, high = (float(value) for value in np.percentile(plane, (1.0, 99.8)))
    grey = np.clip((plane - low) / max(high - low, 1e-9) * 255, 0, 255).astype(np.uint8)
    left = np.repeat(grey[:, :, None], 3, axis=2)
    right = left.copy()
    right[boundary(found)] = OUTLINE
    with atomic(path) as temporary:
        Picture.fromarray(np.concatenate([left, right], axis=1)).save(temporary, format="PNG")
