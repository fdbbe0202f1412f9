"""Images to learn from: their files, arrays mapped from the disk, and turned crops."""

from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cytosuite.errors import InputError
from cytosuite.imagefiles import IMAGE_SUFFIXES, image_files
from cytosuite.lists import list_of, read_list
from cytosuite.metrics.realism.scene import Scene
from cytosuite.segmentation.foreground import li_threshold
from cytosuite.tasks import IMAGE, LABELS
from cytosuite.volume import Volume

_SMOOTH = 1.0  # pixels, before the threshold that finds objects
_LEAST = 50  # voxels of an object
_MARGIN, _DARK, _LIGHT = 4, 1.0, 99.8  # pixels between planes; percentiles shown as black and white

T = TypeVar("T", bound=np.generic)


class Places(NamedTuple):
    """Places of the images to learn from, and of the twins of the same name, as of their labels."""

    slugs: tuple[str, str]  # in the cases of a dataset
    folders: tuple[str, str]  # in any other folder, in any case


LABELLED = Places((IMAGE.slug, LABELS.slug), ("images", "labels"))


def find_images(
    folder: Path, patterns: Sequence[str], places: Places = LABELLED
) -> list[tuple[Path, Path | None]]:
    """Return the images of a domain with their twins, where there are any, by name.

    Parameters
    ----------
    folder : Path
        A dataset (``cases/<case>/sockets/images/<slug>/``), a folder with a list
        ``*_train.csv``, see `cytosuite.lists`, one with ``images/`` and maybe ``labels/``,
        or one with images at any depth, as the published program takes.
    patterns : sequence of str
        Names without suffix; one must fit.
    places : Places
        Of images and twins; by default of microscopy images and their labels.

    Raises
    ------
    InputError
        If there is no image, or a list is wrong.
    """
    if (folder / "cases").is_dir():
        sockets = sorted((folder / "cases").glob("*/sockets/images"))
        found = [
            (path, twin_of(path, socket / places.slugs[1]))
            for socket in sockets
            for path in image_files(socket / places.slugs[0])
        ]
    elif (listed := list_of(folder)) is not None:
        found = read_list(listed)
    else:
        own, other = (_folder(folder, name) for name in places.folders)
        paths = image_files(own) if own.is_dir() else image_files(folder, deep=True)
        found = [(path, twin_of(path, other)) for path in paths]
    fitting = [each for each in found if any(fnmatch(each[0].stem, p) for p in patterns)]
    if not fitting:
        names = ", ".join(patterns)
        raise InputError(
            f"{folder}: expected images ({', '.join(IMAGE_SUFFIXES)}) with names like {names}, "
            f"found {len(found)} of other names; give another folder, or patterns of names in the "
            "settings"
        )
    return fitting


def mapped(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array mapped from a file: the system keeps in memory the parts in use."""
    with TemporaryFile() as stream:
        mapped = np.memmap(stream, array.dtype, "w+", shape=array.shape)
    mapped[:] = array
    mapped.flush()
    return mapped


def padded(array: NDArray[Any], crop: Sequence[int]) -> NDArray[Any]:
    """Return an array that goes on beyond its far sides until a crop fits in."""
    shape = array.shape[-len(crop) :]
    missing = [(0, max(0, c - n)) for n, c in zip(shape, crop, strict=True)]
    return np.pad(array, [(0, 0)] * (array.ndim - len(crop)) + missing, mode="edge")


def twin_of(path: Path, folder: Path) -> Path | None:
    """Return the file of an image's name in another folder, as of its labels, if there is one."""
    found = [folder / f"{path.stem}{suffix}" for suffix in IMAGE_SUFFIXES]
    return next((each for each in found if each.is_file()), None)


def _folder(folder: Path, name: str) -> Path:
    """Return a folder in another one, by its name in any case; its place where there is none."""
    exact = folder / name
    inside = sorted(folder.iterdir()) if folder.is_dir() and not exact.is_dir() else ()
    near = (path for path in inside if path.name.lower() == name and path.is_dir())
    return next(near, exact)


def turned(crop: NDArray[T], turn: NDArray[np.bool_]) -> NDArray[T]:
    """Return a crop mirrored along y and x, and with both exchanged, as three choices say."""
    crop = crop[..., ::-1, :] if turn[0] else crop
    crop = crop[..., ::-1] if turn[1] else crop
    square = crop.shape[-1] == crop.shape[-2]
    crop = crop.swapaxes(-1, -2) if turn[2] and square else crop
    return np.ascontiguousarray(crop)


def views(volume: Volume) -> NDArray[np.uint8]:
    """Return the middle planes across z and across y side by side, as light in 8 bits."""
    array = volume.array if volume.array.ndim == 3 else volume.array[0]
    low, high = np.percentile(array, (_DARK, _LIGHT))
    z, y, _ = array.shape
    planes = []
    for plane in (array[z // 2], array[:, y // 2])[: min(z, 2)]:  # one of a plane
        light = (plane.astype(np.float32) - low) / max(float(high - low), 1e-6)
        planes.append((np.clip(light, 0, 1) * 255).astype(np.uint8))
    return joined(planes, 1)


def joined(planes: Sequence[NDArray[np.uint8]], axis: int) -> NDArray[np.uint8]:
    """Return planes of any size one after the other, with white margins."""
    other = 1 - axis
    longest = max(plane.shape[other] for plane in planes)
    framed = []
    for plane in planes:
        margins = [(0, _MARGIN), (0, _MARGIN)]
        margins[other] = (0, longest - plane.shape[other])
        framed.append(np.pad(plane, margins, constant_values=255))
    return np.concatenate(framed, axis)


def scenes_of(volumes: Sequence[Volume]) -> list[Scene]:
    """Return volumes with the objects that a threshold finds in them."""
    return [Scene(volume, objects_of(volume.array)) for volume in volumes]


def objects_of(image: NDArray[Any]) -> NDArray[np.int32]:
    """Return the pieces of a smoothed image above Li's threshold, numbered."""
    smooth = ndimage.gaussian_filter(image.astype(np.float32), _SMOOTH)
    labels, _ = ndimage.label(smooth > li_threshold(smooth))
    kept = np.bincount(labels.ravel()) >= _LEAST
    kept[0] = False
    return np.where(kept[labels], labels, 0).astype(np.int32)
