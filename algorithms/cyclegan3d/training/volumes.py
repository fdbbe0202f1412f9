"""Volumes of both domains: decoded once into a mapped file, read crop by crop."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cytosuite.algorithms.cyclegan3d.intensity import Scale, to_network
from cytosuite.errors import InputError, at
from cytosuite.formats import read
from cytosuite.tasks import IMAGE, LABELS

SUFFIXES = (".tif", ".tiff", ".mha")
BRIGHT = 0.35  # in units of the network, 2.4 standard deviations above the background


@dataclass(frozen=True, slots=True)
class DomainVolume:
    """One volume of a domain; 2 bytes per voxel on disk, 4 with labels, few in memory.

    Parameters
    ----------
    path : Path
        The image's file.
    twin : Path or None
        The file of its labels: of a real volume None, it is not even looked for.
    image : (C, Z, Y, X) float16 array
        In units of the network, at least as large as a crop; mapped from a file without a name.
    labels : (Z, Y, X) int32 array or None
        Known objects of a simulated volume.
    shape : tuple of int
        Voxels z y x of the image without what was added to reach a crop.
    spacing : tuple of float
        µm per voxel, z y x.
    """

    path: Path
    twin: Path | None
    image: NDArray[np.float16]
    labels: NDArray[np.int32] | None
    shape: tuple[int, ...]
    spacing: tuple[float, ...]


def find_images(folder: Path, patterns: Sequence[str]) -> list[tuple[Path, Path | None]]:
    """Return the images of a domain with their labels, where there are any, by name.

    Parameters
    ----------
    folder : Path
        A dataset (``cases/<case>/sockets/images/microscopy-image/``), a folder with ``images/``
        and maybe ``labels/``, or one with images at any depth, as the published program takes.
    patterns : sequence of str
        Names without suffix; one must fit.

    Raises
    ------
    InputError
        If there is no image.
    """
    if (folder / "cases").is_dir():
        sockets = sorted((folder / "cases").glob("*/sockets/images"))
        found = [
            (path, socket / LABELS.slug)
            for socket in sockets
            for path in _files(socket / IMAGE.slug)
        ]
    elif (folder / "images").is_dir():
        found = [(path, folder / "labels") for path in _files(folder / "images")]
    else:
        found = [(path, folder / "labels") for path in _files(folder, deep=True)]
    fitting = [each for each in found if any(fnmatch(each[0].stem, p) for p in patterns)]
    if not fitting:
        names = ", ".join(patterns)
        raise InputError(
            f"{folder}: expected images ({', '.join(SUFFIXES)}) with names like {names}, found "
            f"{len(found)} of other names; give another folder, or patterns in [images]"
        )
    return [(path, _twin(path, labels)) for path, labels in fitting]


def load_items(
    folder: Path, patterns: Sequence[str], scale: Scale, crop: Sequence[int], *, labelled: bool
) -> list[DomainVolume]:
    """Return the volumes of a domain.

    Parameters
    ----------
    folder, patterns
        As for `find_images`.
    scale : {"background", "dtype"}
        Units of the network.
    crop : sequence of int
        Voxels z y x; smaller volumes go on beyond their far sides with their border values.
    labelled : bool
        Whether labels are decoded for the crops.

    Raises
    ------
    InputError
        If an image is no volume, holds a number that is not finite, or labels do not fit.
    """
    found = []
    for path, labels in find_images(folder, patterns):
        with at(path):
            found.append(_item(path, labels, scale, crop, labelled=labelled))
    return found


def _item(
    path: Path, twin: Path | None, scale: Scale, crop: Sequence[int], *, labelled: bool
) -> DomainVolume:
    """Return one volume."""
    volume = read(path)
    array = volume.array
    if volume.axes not in ("ZYX", "CZYX"):
        raise InputError(f"expected a volume with the axes ZYX or CZYX, found {volume.axes}")
    if not np.isfinite(array).all():
        raise InputError("expected finite grey values, found NaN or infinity")
    array = array if volume.axes == "CZYX" else array[None]
    values = np.stack([to_network(channel, scale) for channel in array])
    labels = read(twin).array if labelled and twin is not None else None
    if labels is not None and labels.shape != array.shape[1:]:
        raise InputError(f"expected labels of the shape {array.shape[1:]}, found {labels.shape}")
    return DomainVolume(
        path=path,
        twin=twin,
        image=_mapped(_padded(values.astype(np.float16), crop)),
        labels=None if labels is None else _mapped(_padded(labels.astype(np.int32), crop)),
        shape=array.shape[1:],
        spacing=volume.spacing,
    )


def _mapped(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array mapped from a file: the system keeps in memory the parts in use."""
    with TemporaryFile() as stream:
        mapped = np.memmap(stream, array.dtype, "w+", shape=array.shape)
    mapped[:] = array
    mapped.flush()
    return mapped


def _padded(array: NDArray[Any], crop: Sequence[int]) -> NDArray[Any]:
    """Return an array that goes on beyond its far sides until a crop fits in."""
    shape = array.shape[-len(crop) :]
    missing = [(0, max(0, c - n)) for n, c in zip(shape, crop, strict=True)]
    return np.pad(array, [(0, 0)] * (array.ndim - len(crop)) + missing, mode="edge")


def _files(folder: Path, *, deep: bool = False) -> list[Path]:
    """Return the image files in a folder, sorted; those with hidden names are passed over."""
    found = folder.rglob("*") if deep else folder.glob("*")
    return sorted(
        path
        for path in found
        if path.suffix.lower() in SUFFIXES and path.is_file() and not path.name.startswith(".")
    )


def _twin(path: Path, folder: Path) -> Path | None:
    """Return the labels of an image, if there are any."""
    found = [folder / f"{path.stem}{suffix}" for suffix in SUFFIXES]
    return next((each for each in found if each.is_file()), None)
