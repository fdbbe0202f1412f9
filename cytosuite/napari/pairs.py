"""Corrected images in a folder for a fine-tuning: ``images/NAME.tif`` and ``labels/NAME.tif``."""

from pathlib import Path

import numpy as np

from cytosuite.contract.tasks import LABELS
from cytosuite.errors import InputError
from cytosuite.files import atomic, need_folder
from cytosuite.folders.entries import case_name, key_of, readable
from cytosuite.folders.index import index
from cytosuite.formats import write
from cytosuite.volume import Volume


def save_pair(
    folder: Path, name: str, image: Volume, labels: Volume, *, replace: bool = False
) -> int:
    """Write an image with its labels, both or none, and return the number of objects.

    InputError for a name that no file can have, or one that is taken and not to be replaced.
    """
    if not name or case_name(name) != name:
        raise InputError(f"name: expected one like {case_name(name)!r}, found {name!r}")
    need_folder(folder)
    images = folder / "images"
    truths = folder / "labels"
    for home in (images, truths):
        for path in readable(home):
            if key_of(path).casefold() != name.casefold():
                continue
            if path != home / f"{name}.tif":
                raise InputError(f"{path}: an image of this name is there; take another name")
            if not replace:
                raise InputError(f"{path}: it is there already; take another name, or replace it")
    with (
        atomic(images / f"{name}.tif") as image_part,
        atomic(truths / f"{name}.tif") as labels_part,  # takes its name first
    ):
        write(image_part, image)
        write(labels_part, labels)
    return int(np.count_nonzero(np.unique(labels.array)))


def in_pieces(labels: Volume) -> str:
    """Return the labels of several pieces in words: a painting may have joined two objects."""
    from cytosuite.segmentation.objects import largest_pieces  # compiles its loops

    array = labels.array.astype(np.uint32)
    torn = ", ".join(map(str, np.unique(array[largest_pieces(array) != array])))
    return f"; in several pieces, which may be objects of their own: {torn}" if torn else ""


def count(folder: Path) -> int:
    """Return how many images with labels a training finds in a folder; InputError if it refuses."""
    if not (folder / "images").is_dir():
        return 0
    return sum(LABELS.slug in item.files for item in index(folder, "segment").items)
