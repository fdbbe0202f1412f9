"""Find the images of a user's folder, and the labels and further files that belong to them."""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from cytosuite.datasets.folder.conditions import FILE, read_conditions
from cytosuite.datasets.folder.entries import Entries, case_name, entries, summary
from cytosuite.datasets.folder.pairs import FUSED, FUSION, Views, by_list, by_name, has_pairs
from cytosuite.errors import InputError, plain
from cytosuite.formats import READERS
from cytosuite.tasks import IMAGE, LABELS, TASKS, VIEW, Socket, Task
from cytosuite.volume import Scalar

PLANE = re.compile(r"man_seg_(\d+)_.*\.tif")
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
        Name of the case, see `case_name`.
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
    """The items of a folder, with notes for the readers of the scores.

    Parameters
    ----------
    items : tuple of Item
    notes : tuple of str
        Sentences.
    skipped : mapping of str to str
        Reason by the relative path of each entry that is no item and belongs to none; hidden
        entries do not count.
    """

    items: tuple[Item, ...]
    notes: tuple[str, ...] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)

    @property
    def task(self) -> str:
        """The first task that takes the images in."""
        socket = self.items[0].socket
        return next(t.name for t in TASKS.values() if socket in {s.slug for s in t.inputs})

    @property
    def count(self) -> str:
        """The number of images, and the entries that are skipped, each with the reason."""
        found = "1 image" if len(self.items) == 1 else f"{len(self.items)} images"
        return f"{found}; {summary(dict(self.skipped))}" if self.skipped else found


def collect(folder: Path, task: str | None = None, *, recursive: bool = False) -> Collection:
    """Return the images in a folder with the files that belong to them.

    Parameters
    ----------
    folder : Path
        ``images/`` with optional ``labels/`` of the same file names (suffixes may differ), and
        optional folders named like sockets (``enhanced-image/``, ``acquisition-metadata/``); or
        sequences ``01``, ``02``, ... with optional ``01_GT/SEG/man_segTTT.tif``; or plain image
        files; for the task ``fuse`` views and fused images side by side, see
        `cytosuite.datasets.folder.pairs`. ``conditions.csv`` may give conditions of each, see
        `read_conditions`; the frames of several sequences have their sequence as a condition.
    task : str, optional
        Task of which the files in ``images/`` are the main input. Without it, the first task that
        has all the sockets found in the folder; ``fuse`` where it holds pairs for this.
    recursive : bool
        Whether to look for images in sub-folders too; their path becomes part of the name.

    Raises
    ------
    InputError
        If there is no folder or no image in it, two images would have the same name, there are
        labels but none belongs to an image, or the conditions are no table of these images.
    """
    try:
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder")
        found, table = _found(folder, task, recursive), folder / FILE
    except OSError as error:
        place = error.filename or folder
        raise InputError(f"{place}: cannot be read ({os.strerror(error.errno or 0)})") from None
    if not os.path.lexists(table):
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


def _found(folder: Path, task: str | None, recursive: bool) -> Collection:
    """Return the images of a folder in one of the known layouts."""
    children = {path.name: path for path in sorted(folder.iterdir()) if path.is_dir()}
    rooms = _rooms(children)
    known = {FILE, *(path.name for path in rooms.values())}
    beside = entries(folder, {*known, "images"})
    if "images" in children:
        room = children["images"]
        images = entries(room, recursive=recursive)
        found = _matched(room, images, _main_socket(rooms, task, images), rooms, recursive)
        return _with_skipped(found, _candidates(beside))
    sequences = [path for name, path in children.items() if re.fullmatch(r"\d\d", name)]
    if sequences:
        ours = re.compile(r"\d\d(_\w+)?/")  # truth and results of the challenge, too
        others = {k: v for k, v in _candidates(beside).items() if not ours.fullmatch(k)}
        return _with_skipped(_sequences(sequences), others)
    images = entries(folder, known, recursive=recursive)
    pairs = by_list(folder, images, task) if task in {None, FUSION.name} else None
    if pairs or images.images:
        main = VIEW if pairs else _main_socket(rooms, task, images)
        return _matched(folder, images, main, rooms, recursive, pairs)
    tasks = [TASKS[task]] if task else TASKS.values()
    for socket in (socket for known_task in tasks for socket in known_task.inputs):
        if socket.kind != "json" and socket.slug in rooms:
            room = rooms.pop(socket.slug)
            images = entries(room, recursive=recursive)
            found = _matched(room, images, socket.slug, rooms, recursive)
            return _with_skipped(found, _candidates(beside))
    end = f"; {summary(beside.skipped)}" if beside.skipped else ""
    raise InputError(f"{folder}: expected {LAYOUTS}, found no image{end}")


def _candidates(beside: Entries) -> dict[str, str]:
    """Return the images and folders that stand with the folders of a layout; texts do not count."""
    others = {path.name: "beside the layout's folders" for path in beside.images.values()}
    return others | {name: why for name, why in beside.skipped.items() if why != "no image"}


def _with_skipped(found: Collection, more: Mapping[str, str]) -> Collection:
    """Return a collection with further skipped entries."""
    plain = {name: why.removesuffix(": --recursive") for name, why in more.items()}
    return replace(found, skipped={**plain, **found.skipped})


def _rooms(children: Mapping[str, Path]) -> dict[str, Path]:
    """Return the folders of sockets, by slug: named like the socket, or ``labels``."""
    rooms = {}
    for slug, socket in SOCKETS.items():
        names = (slug, socket.folder, *(("labels",) if slug == LABELS.slug else ()))
        found = next((children[name] for name in names if name in children), None)
        if found is not None:
            rooms[slug] = found
    return rooms


def _main_socket(rooms: Mapping[str, Path], task: str | None, images: Entries) -> str:
    """Return the slug of the socket that the images fill."""
    if task is None and has_pairs(images.images) and _holds(FUSION, rooms):
        return VIEW
    tasks = [TASKS[task]] if task else TASKS.values()
    for known in tasks:
        if task or _holds(known, rooms):
            slugs = (socket.slug for socket in known.inputs if socket.kind == "image")
            main = next(slugs, IMAGE.slug)
            return IMAGE.slug if main in rooms else main
    return IMAGE.slug


def _holds(task: Task, slugs: Iterable[str]) -> bool:
    """Return whether sockets are all of a task."""
    return {socket.slug for socket in (*task.inputs, *task.outputs)}.issuperset(slugs)


def _matched(
    folder: Path,
    found: Entries,
    socket: str,
    rooms: Mapping[str, Path],
    recursive: bool,
    pairs: Views | None = None,
) -> Collection:
    """Return images with the files of the same name in the folders of other sockets."""
    views = pairs or (by_name(found) if socket == VIEW else Views(found))
    found = views.found
    if not found.images:
        end = f"; {summary(found.skipped)}" if found.skipped else ""
        raise InputError(f"{folder}: expected images ({', '.join(READERS)}), found none{end}")
    items = {
        key: Item(case_name(key), path, views.truth(key), socket=socket)
        for key, path in found.images.items()
    }
    _refuse_twins(items.values())
    notes = [*views.notes, *(_notes(items.values(), FUSED, ()) if views.fused else ())]
    skipped = dict(found.skipped)
    for slug, room in rooms.items():
        given = {} if slug == socket else _files(room, slug, recursive, skipped)
        if not given:
            continue
        orphans = sorted(set(given) - set(items))
        if len(orphans) == len(given):
            image, file = next(iter(found.images.values())), given[orphans[0]]
            raise InputError(
                f"{room}: no file is named like an image; expected for example "
                f"{image.stem}{file.suffix}, found {file.name}"
            )
        for key in set(given) & set(items):
            items[key] = replace(items[key], files={**items[key].files, slug: given[key]})
        notes += _notes(items.values(), slug, orphans)
    return Collection(tuple(items.values()), tuple(notes), skipped)


def _files(
    room: Path,
    slug: str,
    recursive: bool,
    skipped: dict[str, str],
) -> dict[str, Path]:
    """Return the files of a socket's folder by key; unreadable ones join the skipped."""
    if SOCKETS[slug].kind == "json":
        paths = sorted(room.glob("**/*.json" if recursive else "*.json"))
        names = (path.relative_to(room).with_suffix("").as_posix() for path in paths)
        return {unicodedata.normalize("NFC", n): path for n, path in zip(names, paths, strict=True)}
    found = entries(room, recursive=recursive)
    skipped |= {f"{room.name}/{name}": reason for name, reason in found.skipped.items()}
    return found.images


def _notes(items: Iterable[Item], slug: str, orphans: Sequence[str]) -> list[str]:
    """Return notes on files of a socket without image, and on images without file."""
    nouns, noun = ("labels", "label") if slug == LABELS.slug else (slug, slug)
    has = [slug in item.files for item in items]
    notes = []
    if not all(has):
        scored = " and are not scored" if slug in OUTPUTS else ""
        notes.append(f"{has.count(False)} of {len(has)} images have no {nouns}{scored}.")
    if orphans:
        first = plain(orphans[0])
        notes.append(f"{len(orphans)} {noun} files have no image (first: {first}).")
    return notes


def _sequences(sequences: Sequence[Path]) -> Collection:
    """Return the frames of Cell Tracking Challenge sequences."""
    items: list[Item] = []
    skipped: dict[str, str] = {}
    sliced = 0
    for sequence in sequences:
        truth = sequence.with_name(f"{sequence.name}_GT") / "SEG"
        own: Mapping[str, Scalar] = {"sequence": sequence.name} if len(sequences) > 1 else {}
        found = entries(sequence)
        planes = {match[1] for path in truth.glob("*") if (match := PLANE.match(path.name))}
        skipped |= {f"{sequence.name}/{name}": why for name, why in found.skipped.items()}
        for path in found.images.values():
            match = FRAME.fullmatch(path.name)
            if match is None:
                raise InputError(f"{path}: expected frames named t000.tif, t001.tif, ...")
            whole = truth / f"man_seg{match[1]}.tif"
            sliced += match[1] in planes and not whole.is_file()
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
    return Collection(tuple(items), tuple(notes), skipped)


def _refuse_twins(items: Iterable[Item]) -> None:
    """Refuse two images that would be one case."""
    first: dict[str, Path] = {}
    for item in items:
        other = first.setdefault(item.name.casefold(), item.image)
        if other != item.image:
            raise InputError(
                f"{other.parent}: images need different names, found {other.name} and "
                f"{item.image.name}"
            )
