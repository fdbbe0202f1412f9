"""OME-Zarr, folders and single files (.ozx): https://ngff.openmicroscopy.org 0.4, 0.5, RFC-9."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZipFile

import numpy as np

from cytosuite.errors import InputError
from cytosuite.files import IntMap, Json
from cytosuite.formats.ngff import NAMESPACE, image_of
from cytosuite.formats.stored import Stored, picked, rows_of
from cytosuite.formats.zarrarray import (
    array_of,
    entries,
    sizes_of,
    stored,
    written,
)
from cytosuite.volume import AXES, Header, Origin, Volume, guessed_spacing, scalars, with_channel
from cytosuite.volume.arrays import Array
from cytosuite.volume.memory import check_declared, release
from cytosuite.volume.pieces import chunk_regions, regrouped

if TYPE_CHECKING:
    from zarr.core.buffer import Buffer

VERSION = "0.5"
CHUNK = {"Z": 16, "Y": 256, "X": 256}  # flat: planes and slabs of a large image are read fast
LEVEL, META = "0", "zarr.json"  # names of the array, and of the description of array and group
EFFORT = 1  # of the compression: it has most of the gain for little of the time
AXIS_TYPES = {"T": "time", "C": "channel"}  # of axes; the others are of space
ZIP_COMMENT = {"ome": {"version": VERSION, "zipFile": {"centralDirectory": {"jsonFirst": True}}}}

Put = Callable[[str, bytes], None]


def channels(path: Path, scene: int | None = None) -> list[str]:
    """Return the names of an image's channels, empty where a channel has none."""
    with entries(path) as home:
        return image_of(home, scene).channels


@contextmanager
def opened(path: Path, pick: IntMap | None = None, scene: int | None = None) -> Iterator[Stored]:
    """Open an image at its full resolution; T and C are dropped where picked or of length one."""
    with entries(path) as home:
        image = image_of(home, scene)
        stored = array_of(home, image.path)
        check_declared(prod(stored.shape) * stored.dtype.itemsize, sizes_of(path))
        if len(stored.shape) != len(image.axes):
            raise InputError(
                f"the axes {', '.join(image.axes.lower())} contradict the shape {stored.shape}"
            )
        sizes = dict(zip(image.axes, stored.shape, strict=True))
        single = {axis: 0 for axis in "TC" if sizes.get(axis) == 1}
        held = single | picked(pick or {}, image.axes, stored.shape)
        axes = "".join(axis for axis in AXES if axis in sizes and axis not in held)
        metadata, warnings = with_channel(image.metadata, image.channels, axes, held)
        spacing = guessed_spacing(axes, image.sizes, metadata)
        header = Header(tuple(sizes[axis] for axis in axes), stored.dtype, spacing, axes)
        sources = {
            key: "json" if key in image.metadata else "ome"
            for key in metadata
            if key != "spacing_source"
        }
        measured = metadata.get("spacing_source") != "assumed"
        sources["spacing"] = "ome" if measured else "assumed"
        origin = Origin(sources, image.unit if measured else "um", (*image.warnings, *warnings))

        def slabs(planes: int) -> Iterator[Array]:
            """Return the pixels slab by slab."""
            from cytosuite.formats import zarrstore

            array = zarrstore.opened(home, image.path, stored.metadata, stored.limit)
            return regrouped(
                header, rows_of(array, image.axes, stored.chunks, header, held), planes
            )

        yield Stored(header, metadata, origin, slabs)


def write(path: Path, volume: Volume, compress: bool) -> None:
    """Write an OME-Zarr 0.5 with our metadata as the attribute ``cytosuite``; bytes repeat."""
    import zarr
    from zarr.codecs import BloscCodec
    from zarr.storage import MemoryStore

    held: dict[str, Buffer] = {}
    array = volume.array
    with _sink(path) as put:
        put(META, json.dumps(_group(volume), indent=2, allow_nan=False).encode())
        target = zarr.create_array(
            MemoryStore(held),
            shape=array.shape,
            dtype=array.dtype.newbyteorder("="),
            chunks=tuple(
                max(1, min(CHUNK.get(axis, 1), size))
                for axis, size in zip(volume.axes, volume.shape, strict=True)
            ),
            compressors=BloscCodec(cname="zstd", clevel=EFFORT) if compress else None,
            dimension_names=list(volume.axes.lower()),
            fill_value=0,
            zarr_format=3,
            config={"write_empty_chunks": True},  # or `check_declared` refuses the image
        )
        put(f"{LEVEL}/{META}", held.pop(META).to_bytes())
        for piece in chunk_regions(array.shape, target.chunks, array.dtype.itemsize):
            target[piece] = array[piece]
            release(array)
            for name in sorted(held):  # threads pack the chunks of a piece in any order
                put(f"{LEVEL}/{name}", held.pop(name).to_bytes())


def _group(volume: Volume) -> Json:
    steps = volume.steps
    axes = [
        {"name": axis.lower(), "type": AXIS_TYPES.get(axis, "space")}
        | ({} if volume.spacing_is_assumed or axis not in steps else {"unit": "micrometer"})
        for axis in volume.axes
    ]
    scale = {"type": "scale", "scale": [steps.get(axis, 1.0) for axis in volume.axes]}
    image = {"axes": axes, "datasets": [{"path": LEVEL, "coordinateTransformations": [scale]}]}
    metadata, _ = scalars(volume.metadata)
    ome: Json = {"version": VERSION, "multiscales": [image]}
    if "C" not in volume.axes and "channel" in metadata:
        plane = volume.array[tuple(size // 2 for size in volume.shape[:-2])]
        finite = plane[np.isfinite(plane)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
        release(volume.array)
        shown = {
            "label": str(metadata["channel"]),
            "color": "FFFFFF",
            "active": True,
            "window": {"min": low, "start": low, "end": high, "max": high},
        }
        ome["omero"] = {"channels": [shown]}
    return {
        "zarr_format": 3,
        "node_type": "group",
        "attributes": {"ome": ome} | ({NAMESPACE: metadata} if metadata else {}),
    }


@contextmanager
def _sink(path: Path) -> Iterator[Put]:
    if path.suffix.lower() != ".ozx":
        path.mkdir()
        yield partial(written, path)
        return
    with ZipFile(path, "w") as file:
        file.comment = json.dumps(ZIP_COMMENT).encode()
        yield partial(stored, file)
