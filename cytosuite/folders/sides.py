"""Files of one kind, labels or predictions, in places of their own: by name; weighted sums."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from cytosuite.contract.spacing import text
from cytosuite.errors import InputError
from cytosuite.files import PathDict, PathLists, Paths
from cytosuite.folders.entries import key_of, one_per_name, readable
from cytosuite.folders.part import read_colours
from cytosuite.folders.rois import name_of, roi_files
from cytosuite.formats import read
from cytosuite.formats.imagefiles import LABEL, READABLE, image_name, is_readable
from cytosuite.formats.lists import is_list, read_list
from cytosuite.volume import Volume, merged
from cytosuite.volume.arrays import Array
from cytosuite.volume.memory import SLAB
from cytosuite.volume.pieces import parts_of

# Masks, results and planes of the Cell Tracking Challenge are called by the number of a frame.
FRAME = re.compile(r"(?:man_seg|man_track|mask)_?(\d{3,})(?:_\d+)?")
SAME = 1e-3  # relative difference of voxel sizes that is none
CLIPPED = "clipped_fraction"  # of a sum's pixels, in its metadata


def files_of(place: Path, root: Path | None = None, *, rois: bool = False) -> list[Path]:
    """Return a file, or the images in a folder or a list, sorted; ROIs in place of their images."""
    if not place.exists():
        raise InputError(f"{place}: no such file or folder")
    if is_list(place):
        return [image for image, _ in read_list(place, root)]
    if is_file(place):
        return [place]
    files = readable(place)
    drawn = roi_files(place, [image_name(file) for file in files]) if rois else {}
    files = sorted([*(file for file in files if image_name(file) not in drawn), *drawn.values()])
    if not files:
        raise InputError(f"{place}: expected images ({', '.join(READABLE)}), found none")
    return files


def is_file(path: Path) -> bool:
    """Return whether a path is a file, or the folder that is an OME-Zarr."""
    return path.is_file() or (path.is_dir() and is_readable(path))


def named(place: Path, root: Path | None = None, *, rois: bool = False) -> PathDict:
    """Return the files of a place by their names; InputError for two of one name."""
    return one_per_name(
        place, ((bare_name(path), path) for path in files_of(place, root, rois=rois))
    )


def bare_name(path: Path) -> str:
    """Return the name by which a file belongs to others, of ROIs their image's."""
    return name_of(path) or key_of(path)


def partners(names: Iterable[str], place: object, files: Paths) -> PathDict:
    """Return the file of each name that has one: of the same, else of one that means the same.

    ``a_label`` means ``a``, ``mask000`` the frame of ``man_seg000``.
    """
    keys = dict.fromkeys(names)
    pairs = dict[str, Path]()
    rest = {key: path for key, path in files.items() if key not in keys}
    meant = [(short, path) for key, path in rest.items() for short in _meanings(key)]
    for key in keys:
        if key in files:
            pairs[key] = files[key]
        elif meant:
            short = _meanings(key)
            fitting = dict.fromkeys(path for word, path in meant if word in short)
            pairs |= one_per_name(place, ((key, path) for path in fitting))
    return pairs


def _meanings(key: str) -> set[str]:
    """Return a name, also without its end ``_label``, and the number of its frame."""
    match = FRAME.fullmatch(key)
    return {key, key.removesuffix(LABEL), *([match[1]] if match else [])}


def side_by_side(places: Sequence[Path]) -> PathLists:
    """Return the files of each name, one of each place; InputError for one that a place lacks."""
    if all(map(is_file, places)):
        return {bare_name(places[0]): [*places]}
    sides = [named(place) for place in places]
    names = sorted(set().union(*sides))
    for place, side in zip(places, sides, strict=True):
        if missing := [key for key in names if key not in side]:
            raise InputError(f"{place}: expected an image {missing[0]}, as the others have it")
    return {key: [side[key] for side in sides] for key in names}


def weighted_sum(paths: Sequence[Path], weights: Sequence[float]) -> Volume:
    """Return the sum of images in their dtype, whole numbers rounded and clipped once.

    Grey values beyond the dtype are clipped, and their fraction stands in the metadata.
    """
    # Colours are channels.
    first, *others = map(merged, (read_colours(path) or [read(path)] for path in paths))
    for path, image in zip(paths[1:], others, strict=True):
        kinds = [f"{volume.axes} {volume.shape} {volume.array.dtype}" for volume in (first, image)]
        if kinds[0] != kinds[1]:
            raise InputError(f"{path}: expected {kinds[0]} as in {paths[0]}, found {kinds[1]}")
    pairs = zip(paths, (first, *others), strict=True)
    sizes = {path: image.spacing for path, image in pairs if not image.spacing_is_assumed}
    for path, size in sizes.items():
        place, usual = next(iter(sizes.items()))
        if not np.allclose(size, usual, rtol=SAME, atol=0):
            raise InputError(
                f"{path}: expected voxels of {text(usual)} µm as in {place}, found {text(size)} µm"
            )
    result = np.empty_like(first.array)
    clipped = 0
    most = np.iinfo(result.dtype) if result.dtype.kind in "iu" else None
    exact = np.float32 if result.dtype.itemsize < 3 else np.float64  # type of the sums
    for part in parts_of(result.shape, SLAB):
        total: Array = first.array[part] * exact(weights[0])
        for image, weight in zip(others, weights[1:], strict=True):
            total += image.array[part] * exact(weight)
        if most is not None:
            np.rint(total, out=total)
            clipped += int(np.count_nonzero((total < most.min) | (total > most.max)))
            np.clip(total, most.min, most.max, out=total)
        result[part] = total
    facts = {CLIPPED: clipped / max(result.size, 1)} if most is not None else {}
    return replace(first, array=result, metadata={**first.metadata, **facts})
