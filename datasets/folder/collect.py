"""Find the images of a user's folder, and the labels that belong to them."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from cytosuite.errors import InputError
from cytosuite.formats import READERS
from cytosuite.volume import Scalar
from datasets.folder.conditions import FILE, read_conditions

FRAME = re.compile(r"t(\d{3,})\.tiff?", re.IGNORECASE)
LAYOUTS = "images/ (and labels/), or 01/ (and 01_GT/SEG/) of the Cell Tracking Challenge"


@dataclass(frozen=True, slots=True)
class Item:
    """One image file and the file of its labels.

    Parameters
    ----------
    name : str
        Name of the case: letters, digits, dot, underscore and hyphen.
    image : Path
        The image.
    labels : Path or None
        Its instance labels; None where it is not annotated.
    conditions : mapping of str to str or float
        What is known of it.
    """

    name: str
    image: Path
    labels: Path | None
    conditions: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Collection:
    """The items of a folder, and what a reader of the scores must know of them."""

    items: tuple[Item, ...]
    notes: tuple[str, ...] = ()


def collect(folder: Path) -> Collection:
    """Return the images in a folder with their labels.

    Parameters
    ----------
    folder : Path
        ``images/`` with optional ``labels/`` of the same file names (suffixes may differ); or
        sequences ``01``, ``02``, ... with optional ``01_GT/SEG/man_segTTT.tif``; or plain image
        files. ``conditions.csv`` beside them may say something of each, see `read_conditions`;
        of several sequences each frame knows its own.

    Raises
    ------
    InputError
        If there is no folder or no image in it, two images would have the same name, there are
        labels but none belongs to an image, or the conditions are no table of these images.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    found, table = _found(folder), folder / FILE
    if not table.is_file():
        return found
    said = read_conditions(table, _names(found.items))
    items = (
        replace(item, conditions={**item.conditions, **said.get(item.name, {})})
        for item in found.items
    )
    return replace(found, items=tuple(items))


def _names(items: Iterable[Item]) -> dict[str, str]:
    """Return the case of each name by which one image, and no other, can be meant."""
    given = [
        (text, item.name)
        for item in items
        for text in dict.fromkeys((item.image.name, item.image.stem, item.name))
    ]
    times = Counter(text for text, _ in given)
    return {text: name for text, name in given if times[text] == 1}


def _found(folder: Path) -> Collection:
    """Return the images of a folder in one of the known layouts."""
    sequences = [
        path
        for path in sorted(folder.iterdir())
        if path.is_dir() and re.fullmatch(r"\d\d", path.name)
    ]
    if (folder / "images").is_dir():
        return _pairs(folder / "images", folder / "labels")
    if sequences:
        return _sequences(sequences)
    if _images(folder):
        return _pairs(folder, folder / "labels")
    raise InputError(f"{folder}: expected {LAYOUTS}, found no image")


def _pairs(images: Path, labels: Path) -> Collection:
    """Return images with the labels of the same name."""
    files = _images(images)
    if not files:
        raise InputError(f"{images}: expected images ({', '.join(READERS)}), found none")
    annotated = {path.stem: path for path in _images(labels)} if labels.is_dir() else {}
    items = [Item(_safe(path.stem), path, annotated.get(path.stem)) for path in files]
    _refuse_twins(items)
    without = sum(item.labels is None for item in items)
    if annotated and without == len(items):
        raise InputError(
            f"{labels}: no file is named like an image; expected for example "
            f"{files[0].stem}.tif, found {next(iter(annotated.values())).name}"
        )
    notes = []
    if annotated and without:
        notes.append(f"{without} of {len(items)} images have no labels and are not scored.")
    orphans = sorted(set(annotated) - {path.stem for path in files})
    if orphans:
        notes.append(f"{len(orphans)} label files have no image (first: {orphans[0]}).")
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
            items.append(Item(name, path, whole if whole.is_file() else None, own))
    if not items:
        raise InputError(f"{sequences[0]}: expected frames t000.tif, ..., found none")
    notes = ["DET is computed on the segmentation masks (SEG), not on the tracking markers (TRA)."]
    without = sum(item.labels is None for item in items)
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
    items = list(items)
    for name, count in Counter(item.name.lower() for item in items).items():
        if count > 1:
            twins = [item.image.name for item in items if item.name.lower() == name]
            raise InputError(
                f"{items[0].image.parent}: images need different names, "
                f"found {twins[0]} and {twins[1]}"
            )
