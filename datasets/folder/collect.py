"""Find the images of a user's folder, and the labels and further files that belong to them."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from cytosuite.datasets.folder.conditions import FILE, read_conditions
from cytosuite.errors import InputError
from cytosuite.formats import READERS
from cytosuite.tasks import IMAGE, LABELS, TASKS, Socket
from cytosuite.volume import Scalar

FRAME = re.compile(r"t(\d{3,})\.tiff?", re.IGNORECASE)
SOCKETS: Mapping[str, Socket] = {
    socket.slug: socket for task in TASKS.values() for socket in (*task.inputs, *task.outputs)
}
OUTPUTS = frozenset(socket.slug for task in TASKS.values() for socket in task.outputs)
LAYOUTS = "images/ (and labels/), or 01/ (and 01_GT/SEG/) of the Cell Tracking Challenge"


@dataclass(frozen=True, slots=True)
class Item:
    """The files of one case.

    Parameters
    ----------
    name : str
        Name of the case: letters, digits, dot, underscore and hyphen.
    image : Path
        The main image.
    files : mapping of str to Path
        Further files by the slug of their socket (`cytosuite.tasks`): ``instance-labels``, a
        second view, the true output of a task.
    conditions : mapping of str to str or float
        Facts about the case that the user gives.
    socket : str
        Slug of the main image's socket.
    """

    name: str
    image: Path
    files: Mapping[str, Path] = field(default_factory=dict)
    conditions: Mapping[str, Scalar] = field(default_factory=dict)
    socket: str = IMAGE.slug


@dataclass(frozen=True, slots=True)
class Collection:
    """The items of a folder, with notes for the readers of the scores."""

    items: tuple[Item, ...]
    notes: tuple[str, ...] = ()


def collect(folder: Path, task: str | None = None) -> Collection:
    """Return the images in a folder with the files that belong to them.

    Parameters
    ----------
    folder : Path
        ``images/`` with optional ``labels/`` of the same file names (suffixes may differ), and
        optional folders named like sockets (``enhanced-image/``, ``acquisition-metadata/``); or
        sequences ``01``, ``02``, ... with optional ``01_GT/SEG/man_segTTT.tif``; or plain image
        files. ``conditions.csv`` may give conditions of each, see `read_conditions`; the frames
        of several sequences have their sequence as a condition.
    task : str, optional
        Task of which the files in ``images/`` are the main input. Without it, the first task that
        has all the sockets found in the folder.

    Raises
    ------
    InputError
        If there is no folder or no image in it, two images would have the same name, there are
        labels but none belongs to an image, or the conditions are no table of these images.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    found, table = _found(folder, task), folder / FILE
    if not table.is_file():
        return found
    rows = read_conditions(table, _names(found.items))
    items = (
        replace(item, conditions={**item.conditions, **rows.get(item.name, {})})
        for item in found.items
    )
    return replace(found, items=tuple(items))


def _names(items: Iterable[Item]) -> dict[str, str]:
    """Return the case of each name that belongs to one image only."""
    given = [
        (text, item.name)
        for item in items
        for text in dict.fromkeys((item.image.name, item.image.stem, item.name))
    ]
    times = Counter(text for text, _ in given)
    return {text: name for text, name in given if times[text] == 1}


def _found(folder: Path, task: str | None) -> Collection:
    """Return the images of a folder in one of the known layouts."""
    children = {path.name: path for path in sorted(folder.iterdir()) if path.is_dir()}
    rooms = _rooms(children)
    if "images" in children:
        return _matched(children["images"], _main_socket(rooms, task), rooms)
    sequences = [path for name, path in children.items() if re.fullmatch(r"\d\d", name)]
    if sequences:
        return _sequences(sequences)
    if _images(folder):
        return _matched(folder, _main_socket(rooms, task), rooms)
    tasks = [TASKS[task]] if task else TASKS.values()
    for socket in (socket for known in tasks for socket in known.inputs):
        if socket.kind != "json" and socket.slug in rooms:
            return _matched(rooms.pop(socket.slug), socket.slug, rooms)
    raise InputError(f"{folder}: expected {LAYOUTS}, found no image")


def _rooms(children: Mapping[str, Path]) -> dict[str, Path]:
    """Return the folders of sockets, by slug: named like the socket, or ``labels``."""
    rooms = {}
    for slug, socket in SOCKETS.items():
        names = (slug, socket.folder, *(("labels",) if slug == LABELS.slug else ()))
        found = next((children[name] for name in names if name in children), None)
        if found is not None:
            rooms[slug] = found
    return rooms


def _main_socket(rooms: Mapping[str, Path], task: str | None) -> str:
    """Return the slug of the socket that the files in ``images/`` fill."""
    tasks = [TASKS[task]] if task else TASKS.values()
    for known in tasks:
        if task or {socket.slug for socket in (*known.inputs, *known.outputs)}.issuperset(rooms):
            images = (socket.slug for socket in known.inputs if socket.kind == "image")
            main = next(images, IMAGE.slug)
            return IMAGE.slug if main in rooms else main
    return IMAGE.slug


def _matched(images: Path, socket: str, rooms: Mapping[str, Path]) -> Collection:
    """Return images with the files of the same name in the folders of other sockets."""
    files = _images(images)
    if not files:
        raise InputError(f"{images}: expected images ({', '.join(READERS)}), found none")
    items = [Item(_safe(path.stem), path, {}, socket=socket) for path in files]
    _refuse_twins(items)
    notes: list[str] = []
    for slug, room in rooms.items():
        kind = SOCKETS[slug].kind
        nouns, noun = ("labels", "label") if slug == LABELS.slug else (slug, slug)
        given = sorted(room.glob("*.json")) if kind == "json" else _images(room)
        named = {path.stem: path for path in given}
        if slug == socket or not named:
            continue
        items = [
            replace(item, files={**item.files, slug: named[item.image.stem]})
            if item.image.stem in named
            else item
            for item in items
        ]
        without = sum(slug not in item.files for item in items)
        if without == len(items):
            raise InputError(
                f"{room}: no file is named like an image; expected for example "
                f"{files[0].stem}{given[0].suffix}, found {given[0].name}"
            )
        if without:
            scored = " and are not scored" if slug in OUTPUTS else ""
            notes.append(f"{without} of {len(items)} images have no {nouns}{scored}.")
        orphans = sorted(set(named) - {path.stem for path in files})
        if orphans:
            notes.append(f"{len(orphans)} {noun} files have no image (first: {orphans[0]}).")
    return Collection(tuple(items), tuple(notes))


def _sequences(sequences: Sequence[Path]) -> Collection:
    """Return the frames of Cell Tracking Challenge sequences."""
    items: list[Item] = []
    sliced = 0
    for sequence in sequences:
        truth = sequence.with_name(f"{sequence.name}_GT") / "SEG"
        own: Mapping[str, Scalar] = {"sequence": sequence.name} if len(sequences) > 1 else {}
        for path in _images(sequence):
            match = FRAME.fullmatch(path.name)
            if match is None:
                raise InputError(f"{path}: expected frames named t000.tif, t001.tif, ...")
            whole = truth / f"man_seg{match[1]}.tif"
            sliced += any(truth.glob(f"man_seg_{match[1]}_*.tif")) and not whole.is_file()
            name = f"{sequence.name}_{path.stem}"
            files = {LABELS.slug: whole} if whole.is_file() else {}
            items.append(Item(name, path, files, own))
    if not items:
        raise InputError(f"{sequences[0]}: expected frames t000.tif, ..., found none")
    notes = ["DET is computed on the segmentation masks (SEG), not on the tracking markers (TRA)."]
    without = sum(not item.files for item in items)
    if without == len(items):
        notes = []
    elif without:
        notes.append(f"{without} of {len(items)} frames have no full mask and are not scored.")
    if sliced:
        notes.append(f"{sliced} frames are annotated in single slices only; these are not scored.")
    return Collection(tuple(items), tuple(notes))


def _images(folder: Path) -> list[Path]:
    """Return the readable image files directly in a folder, sorted by name."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in READERS and path.is_file() and not path.name.startswith(".")
    )


def _safe(name: str) -> str:
    """Return a name that is safe as a folder's on any system."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip(".") or "image"


def _refuse_twins(items: Iterable[Item]) -> None:
    """Refuse two images that would be one case."""
    first: dict[str, Path] = {}
    for item in items:
        other = first.setdefault(item.name.lower(), item.image)
        if other != item.image:
            raise InputError(
                f"{other.parent}: images need different names, found {other.name} and "
                f"{item.image.name}"
            )
