"""HDF5 files of one image, by h5py; no other file that one of them names is opened."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cytosuite.errors import InputError
from cytosuite.files import Json, Scalars, TextDict, Texts, TextSeq
from cytosuite.formats.stored import Stored, rows_of
from cytosuite.volume import (
    AXES,
    KINDS,
    SPATIAL,
    Header,
    Origin,
    Volume,
    Volumes,
    counted_sizes,
    guessed_spacing,
    scalars,
)
from cytosuite.volume.arrays import Array
from cytosuite.volume.memory import check_declared, check_room, is_mapped
from cytosuite.volume.pieces import planes_of, regrouped

if TYPE_CHECKING:
    import h5py

NAMES: Texts = ("image", "raw_image", "raw", "data")
LABELLED: Texts = ("labels", "label", "segmentation", "instance", "instances")
LABELS_FIRST = "labels first"  # a group: look for the usual names, labels before images
GROUP = "data"  # of the tools of Eschweiler et al.
MAPS = ("light_map", "surface_distance")  # made of raw_image by the converter for view fusion
SPACING = ("spacing", "element_size_um")  # attributes
OWN = ("axes", *SPACING)
PLANE = 1024  # pixels of a chunk of a large image along y and x, at most
# Decoder by filter, of H5Zpublic.h and h5py: chunks of more packed bytes are decoded here first,
# into no more than their pixels. libhdf5 keeps all that deflate makes, 258 MiB of 2**18 bytes, and
# decodes lzf anew for each part of a chunk.
CHECKED = {1: ("deflate_decode", 2**18), 32000: ("lzf_decode", 0)}
MEMBERS = 2**14  # of a group: each is opened to learn its kind
ATTRIBUTE = 2**20  # bytes
CHECKSUM = 3  # puts 4 bytes behind a chunk
HARMLESS = (2, CHECKSUM)  # shuffle, checksum: no byte becomes many
LYING = (5, 6)  # n-bit, scale and offset: libhdf5 follows the number of pixels that they state
MARGIN = 64  # bytes of checksums besides the pixels of a chunk


@contextmanager
def opened(path: Path, axes: str = "", group: str = "") -> Iterator[Stored]:
    """Open the dataset of a path in the file, else named image or labels, or alone."""
    import h5py

    with h5py.File(path, "r") as file:
        dataset = _dataset(file, group)
        _check(path, dataset)
        header, metadata, origin = _described(
            dataset, axes, [f"{GROUP}/{name}" for name in MAPS if _member(file, f"{GROUP}/{name}")]
        )
        stored = axes if len(axes) == dataset.ndim else header.axes
        yield Stored(header, metadata, origin, partial(_slabs, dataset, header, stored))


def _described(
    dataset: "h5py.Dataset", named: str, unread: TextSeq
) -> tuple[Header, Scalars, Origin]:
    """Return header, metadata and origin of a dataset, with a warning on those not read."""
    attributes = {name: _attribute(dataset, name) for name in OWN if name in dataset.attrs}
    metadata, warnings = scalars(_attributes(dataset))
    if unread:
        warnings = (*warnings, f"{', '.join(unread)} not read: maps are made of the image")
    if dataset.ndim < len(named):
        warnings = (*warnings, f"axes {named} not used: the file has the shape {dataset.shape}")
    sources = dict.fromkeys([*metadata, "spacing"], "hdf5")
    axes = attributes.get("axes", {2: "YX", 3: "ZYX"}.get(dataset.ndim))
    shape = dataset.shape
    stored = named if len(named) == dataset.ndim else ""
    if stored:
        pairs = sorted(zip(stored, shape, strict=True), key=lambda pair: AXES.find(pair[0]))
        letters, shape = zip(*pairs, strict=True)
        axes = "".join(letters)
    axes = os.fsdecode(axes) if isinstance(axes, bytes) else axes
    if not isinstance(axes, str):
        raise InputError(
            f"expected the axes of shape {dataset.shape} as a text, found {_shown(axes)}; "
            "name them as they are stored, by --axes to benchmark, segment and apply"
        )
    size = next((attributes[name] for name in SPACING if name in attributes), ())
    numbers = np.asarray(size)
    steps = [axis for axis in stored or axes if axis in SPATIAL]
    if numbers.shape not in {(0,), (len(steps),)} or numbers.dtype.kind not in "uif":
        raise InputError(f"expected {len(steps)} numbers in µm as spacing, found {_shown(size)}")
    sizes, odd = counted_sizes(dict(zip(steps, numbers.tolist(), strict=False)), "hdf5")
    spacing = guessed_spacing(axes, sizes, metadata)
    if metadata.get("spacing_source") == "assumed":
        sources["spacing"] = "assumed"
    header = Header(shape, dataset.dtype.newbyteorder("="), spacing, axes)
    return header, metadata, Origin(sources, "um", (*warnings, *odd))


def write(path: Path, volume: Volume, compress: bool) -> None:
    """Write one dataset ``image`` with spacing, axes and metadata as attributes."""
    write_named(path, {"image": volume}, compress)


def write_named(path: Path, volumes: Volumes, compress: bool) -> None:
    """Write volumes as datasets by their names, like ``data/instances``, as `write` does."""
    import h5py

    packed = "gzip" if compress else None
    with h5py.File(path, "w") as file:
        for name, volume in volumes.items():
            array = volume.array
            if is_mapped(array):
                chunks = (*[1] * (array.ndim - 2), *(min(size, PLANE) for size in array.shape[-2:]))
                dataset = file.create_dataset(
                    name, array.shape, array.dtype, chunks=chunks, compression=packed
                )
                for index, plane in zip(
                    np.ndindex(*array.shape[:-2]), planes_of(array), strict=True
                ):
                    dataset[index] = plane
            else:
                dataset = file.create_dataset(name, data=array, compression=packed)
            dataset.attrs.update({**volume.metadata, "axes": volume.axes})
            if not volume.spacing_is_assumed:
                dataset.attrs["spacing"] = volume.spacing


def _dataset(file: "h5py.File", group: str = "") -> "h5py.Dataset":
    """Return the dataset of the image; links, which may lead into other files, are not followed."""
    if group and group != LABELS_FIRST:
        return _named(file, [name.strip() for name in group.split(",")])
    kinds = _kinds(file)
    place = ""
    if kinds == {GROUP: "a group"}:
        file = file[GROUP]
        place = f" in {GROUP}"
        kinds = _kinds(file)
    expected = LABELLED + NAMES if group else NAMES + LABELLED
    names = [name for name, kind in kinds.items() if not kind]
    chosen = [name for name in expected if name in names] or names
    if not chosen or (len(chosen) > 1 and chosen[0] not in expected):
        members = [f"{name} ({kind})" if kind else name for name, kind in kinds.items()]
        raise InputError(
            f"expected a dataset named {' or '.join(expected)}{place}, "
            f"found {', '.join(members) or 'none'}; name one by --group to benchmark, segment, "
            "apply, score and train"
        )
    return file[chosen[0]]


def _named(file: "h5py.File", names: TextSeq) -> "h5py.Dataset":
    """Return the one dataset among the wanted ones that a file has."""
    datasets = {name: dataset for name in names if (dataset := _member(file, name)) is not None}
    if len(datasets) != 1:
        inner = _kinds(file[GROUP]) if _kinds(file).get(GROUP) == "a group" else {}
        there = list(datasets) or [*_kinds(file), *(f"{GROUP}/{member}" for member in inner)]
        raise InputError(
            f"expected one of the datasets {', '.join(names)}, found "
            f"{', '.join(there) or 'none'}; name one per file with --group"
        )
    return next(iter(datasets.values()))


def _member(group: "h5py.Group", name: str) -> "h5py.Dataset | None":
    """Return the dataset at a path in a group, if there is one without links."""
    first, _, rest = name.strip("/").partition("/")
    kind = _kinds(group).get(first)
    if rest:
        return _member(group[first], rest) if kind == "a group" else None
    return group[first] if kind == "" else None


def _kinds(group: "h5py.Group") -> TextDict:
    """Return the kind of each member of a group; an empty text for a dataset."""
    import h5py

    kinds = {}
    if len(group) > MEMBERS:
        raise InputError(
            f"expected at most {MEMBERS} members of {group.name}, found {len(group)}; save the "
            "image in a file of its own"
        )
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            kinds[name] = "a link"
        else:
            kinds[name] = "" if isinstance(group[name], h5py.Dataset) else "a group"
    return kinds


def _check(path: Path, dataset: "h5py.Dataset") -> None:
    """Refuse pixels in other files, unknown filters, and pixels that are packed twice."""
    import h5py

    if dataset.is_virtual or dataset.external:
        raise InputError("expected pixels in the file itself, found them in other files")
    if dataset.shape is None or not 2 <= dataset.ndim <= 5:
        raise InputError(f"expected 2 to 5 dimensions, found shape {dataset.shape}")
    if dataset.dtype.kind not in KINDS:
        raise InputError(f"expected numbers, found dtype {dataset.dtype}")
    check_declared(prod(dataset.shape) * dataset.dtype.itemsize, [path.stat().st_size])
    check_room(prod(dataset.chunks or ()) * dataset.dtype.itemsize)  # decoded as a whole
    filters = _filters(dataset)
    for code, name in filters:
        if code in LYING or not h5py.h5z.filter_avail(code):
            raise InputError(
                f"the pixels are packed by the filter {code} ({name}), "
                "which is not read here; save them with gzip"
            )
    codes = [code for code, _ in filters]
    if sum(code not in HARMLESS for code in codes) > 1:  # a bomb within a bomb
        raise InputError(
            f"expected pixels that are packed once, found them packed by the filters "
            f"{codes}; save them with gzip"
        )


def _filters(dataset: "h5py.Dataset") -> list[tuple[int, str]]:
    """Return code and name of the filters of a dataset."""
    properties = dataset.id.get_create_plist()
    filters = (properties.get_filter(number) for number in range(properties.get_nfilters()))
    return [(code, os.fsdecode(name)) for code, _, _, name in filters]


def _check_inflated(dataset: "h5py.Dataset") -> None:
    """Refuse chunks that inflate to more than their pixels, see `CHECKED`."""
    import imagecodecs

    codes = [code for code, _ in _filters(dataset)]
    if not (checked := CHECKED.keys() & codes):
        return
    [code] = checked
    (decoder, least), large = CHECKED[code], list["h5py.h5d.StoreInfo"]()
    dataset.id.chunk_iter(lambda chunk: large.append(chunk) if chunk.size > least else None)
    size = prod(dataset.chunks) * dataset.dtype.itemsize + MARGIN
    end = -4 * codes[codes.index(code) :].count(CHECKSUM) or None
    for chunk in large:
        mask, packed = dataset.id.read_direct_chunk(chunk.chunk_offset)
        if not mask >> codes.index(code) & 1:
            try:
                getattr(imagecodecs, decoder)(packed[:end], out=bytearray(size))
            except (imagecodecs.DeflateError, imagecodecs.LzfError):
                raise InputError(
                    f"expected chunks of {size - MARGIN} bytes, found one that is broken or "
                    "inflates to more; save them with gzip"
                ) from None


def _slabs(dataset: "h5py.Dataset", head: Header, axes: str, planes: int) -> Iterator[Array]:
    """Yield the pixels in the order of the header; `axes` are as stored."""
    _check_inflated(dataset)
    if planes >= head.shape[0]:
        yield np.asarray(dataset[()]).transpose(list(map(axes.index, head.axes)))
    else:
        chunks = dataset.chunks or (1, *dataset.shape[1:])
        yield from regrouped(head, rows_of(dataset, axes, chunks, head), planes)


def _attributes(dataset: "h5py.Dataset") -> Json:
    attributes = {}
    for name in (name for name in dataset.attrs if name not in OWN):
        with suppress(OSError, TypeError, ValueError, RuntimeError, KeyError):  # a foreign type
            value = _attribute(dataset, name)
            attributes[name] = os.fsdecode(value) if isinstance(value, bytes) else value
    return attributes


def _attribute(dataset: "h5py.Dataset", name: str) -> object:
    """Return the value of an attribute; InputError for one as large as an image."""
    if (size := dataset.attrs.get_id(name).get_storage_size()) > ATTRIBUTE:
        raise InputError(
            f"expected attributes of at most {ATTRIBUTE} bytes, found {name} of {size}; take it out"
        )
    return dataset.attrs[name]


def _shown(value: object) -> object:
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else repr(value)
