"""HDF5 files of one image, by h5py; no other file that one of them names is opened."""

import os
from collections.abc import Iterator
from contextlib import suppress
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cytosuite import large
from cytosuite.errors import InputError
from cytosuite.formats.pieces import chunk_rows, gathered, in_planes, regrouped
from cytosuite.large import is_mapped
from cytosuite.memory import check_claim, check_room
from cytosuite.volume import AXES, KINDS, SPATIAL, Header, Origin, Volume, scalars

if TYPE_CHECKING:
    import h5py

NAMES: tuple[str, ...] = ("image", "raw", "data", "labels", "label")
GROUP, GROUPED = "data", ("image", "instance", "raw_image")  # of the tools of Eschweiler et al.
SPACING = ("spacing", "element_size_um")  # attributes
OWN = ("axes", *SPACING)
PLANE = 1024  # pixels of a chunk of a large image along y and x, at most


def read_hdf5(path: Path) -> Volume:
    """Return the dataset named image, raw, data or labels, or the only one there is.

    Parameters
    ----------
    path : Path
        Where all lies in a group ``data``, the image is ``data/image``, ``data/instance`` or
        ``data/raw_image``.
        The attributes ``axes``, ``spacing`` or ``element_size_um`` (µm) and all texts and numbers
        of the dataset describe it.

    Raises
    ------
    InputError
        If there is no such dataset, it is no array of numbers, its pixels lie in other files,
        they do not fit into memory, or axes or spacing are not of their kind.
    """
    import h5py

    with h5py.File(path, "r") as file:
        dataset = _dataset(path, file)
        _check(path, dataset)
        array = _pixels(path, dataset)
        own = {name: dataset.attrs[name] for name in OWN if name in dataset.attrs}
        metadata, warnings = scalars(_attributes(dataset))
    sources = dict.fromkeys([*metadata, "spacing"], "hdf5")
    axes = _axes(path, own.get("axes", {2: "YX", 3: "ZYX"}.get(array.ndim)), array.shape)
    size = next((own[name] for name in SPACING if name in own), None)
    if size is None:
        size = np.ones(sum(axis in SPATIAL for axis in axes))
        metadata["spacing_source"] = sources["spacing"] = "assumed"
    numbers = np.asarray(size)
    if numbers.ndim != 1 or numbers.dtype.kind not in "uif":
        raise InputError(f"{path}: expected a list of µm as spacing, found {_shown(size)}")
    spacing = tuple(float(value) for value in numbers)
    return Volume(array, spacing, axes, metadata, Origin(sources, "um", warnings))


def hdf5_slabs(path: Path, planes: int | None = None) -> Iterator[NDArray[Any]]:
    """Yield the pixels in slabs along the first axis; see `cytosuite.formats.slabs`."""
    import h5py

    with h5py.File(path, "r") as file:
        dataset = _dataset(path, file)
        _check(path, dataset)
        yield from regrouped(_header(dataset), _rows(dataset), planes)


def write_hdf5(path: Path, volume: Volume, compress: bool) -> None:
    """Write one dataset ``image`` with spacing, axes and metadata as attributes."""
    import h5py

    array, packed = volume.array, "gzip" if compress else None
    with h5py.File(path, "w") as file:
        if is_mapped(array):
            chunks = (*[1] * (array.ndim - 2), *(min(size, PLANE) for size in array.shape[-2:]))
            dataset = file.create_dataset(
                "image", array.shape, array.dtype, chunks=chunks, compression=packed
            )
            planes = zip(np.ndindex(*array.shape[:-2]), in_planes(array), strict=True)
            for index, plane in planes:
                dataset[index] = plane
        else:
            dataset = file.create_dataset("image", data=array, compression=packed)
        for key, value in volume.metadata.items():
            dataset.attrs[key] = value
        dataset.attrs["axes"] = volume.axes
        if not volume.spacing_is_assumed:
            dataset.attrs["spacing"] = volume.spacing


def _dataset(path: Path, file: "h5py.File") -> "h5py.Dataset":
    """Return the dataset of the image; links, which may lead into other files, are not followed."""
    kinds, known, place = _kinds(file), NAMES, ""
    if kinds == {GROUP: "a group"}:
        file, known, place = file[GROUP], GROUPED, f" in {GROUP}"
        kinds = _kinds(file)
    names = [name for name, kind in kinds.items() if not kind]
    chosen = [name for name in known if name in names] or names
    if not chosen or (len(chosen) > 1 and chosen[0] not in known):
        found = [f"{name} ({kind})" if kind else name for name, kind in kinds.items()]
        raise InputError(
            f"{path}: expected a dataset named {' or '.join(known)}{place}, "
            f"found {', '.join(found) or 'none'}"
        )
    return file[chosen[0]]


def _kinds(group: "h5py.Group") -> dict[str, str]:
    """Return the kind of each member of a group; an empty text for a dataset."""
    import h5py

    kinds: dict[str, str] = {}
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            kinds[name] = "a link"
        else:
            kinds[name] = "" if isinstance(group[name], h5py.Dataset) else "a group"
    return kinds


def _check(path: Path, dataset: "h5py.Dataset") -> None:
    """Refuse pixels that are no numbers, lie in other files, or are too many."""
    if dataset.is_virtual or dataset.external:
        raise InputError(f"{path}: expected pixels in the file itself, found them in other files")
    if dataset.shape is None or not 2 <= dataset.ndim <= 5:
        raise InputError(f"{path}: expected 2 to 5 dimensions, found shape {dataset.shape}")
    if dataset.dtype.kind not in KINDS:
        raise InputError(f"{path}: expected numbers, found dtype {dataset.dtype}")
    check_claim(prod(dataset.shape) * dataset.dtype.itemsize, [path.stat().st_size])
    check_room(path, prod(dataset.chunks or ()) * dataset.dtype.itemsize)  # decoded as a whole


def _pixels(path: Path, dataset: "h5py.Dataset") -> NDArray[Any]:
    """Return the pixels, or name the filter without which they cannot be decoded."""
    import h5py

    try:
        if large.fits(prod(dataset.shape) * dataset.dtype.itemsize):
            return np.asarray(dataset[()])
        return gathered(dataset.shape, dataset.dtype.newbyteorder("="), _rows(dataset))
    except OSError:
        made = dataset.id.get_create_plist()
        for code, _, _, name in (made.get_filter(n) for n in range(made.get_nfilters())):
            if not h5py.h5z.filter_avail(code):
                raise InputError(
                    f"{path}: the pixels are packed by the filter {code} ({os.fsdecode(name)}), "
                    "which is not installed; save them with gzip"
                ) from None
        raise


def _rows(dataset: "h5py.Dataset") -> Iterator[NDArray[Any]]:
    """Yield rows of chunks along the first axis."""
    chunks = dataset.chunks or (1, dataset.shape[1])
    return chunk_rows(_header(dataset), chunks, lambda *region: np.asarray(dataset[region]))


def _header(dataset: "h5py.Dataset") -> Header:
    """Return shape and dtype of a dataset, as if its axes were known."""
    axes = AXES[-dataset.ndim :]
    ones = (1.0,) * sum(axis in SPATIAL for axis in axes)
    return Header(dataset.shape, dataset.dtype.newbyteorder("="), ones, axes)


def _attributes(dataset: "h5py.Dataset") -> dict[str, Any]:
    """Return the attributes of a dataset but for axes and spacing, each as plain Python value."""
    found: dict[str, Any] = {}
    for name in (name for name in dataset.attrs if name not in OWN):
        with suppress(OSError, TypeError, ValueError, RuntimeError, KeyError):  # a foreign type
            value = dataset.attrs[name]
            value = value.item() if isinstance(value, np.generic) else value
            found[name] = os.fsdecode(value) if isinstance(value, bytes) else value
    return found


def _axes(path: Path, axes: object, shape: tuple[int, ...]) -> str:
    """Return the axes of a shape."""
    text = os.fsdecode(axes) if isinstance(axes, bytes) else axes
    if not isinstance(text, str):
        raise InputError(
            f"{path}: expected the axes of shape {shape} as a text, found {_shown(axes)}"
        )
    return text


def _shown(value: object) -> object:
    """Return the value of an attribute for a message."""
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else repr(value)
