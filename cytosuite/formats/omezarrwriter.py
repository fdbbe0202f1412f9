"""Writing of OME-Zarr 0.5, of one resolution, in a folder or a zip file, piece by piece."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

from cytosuite.formats.ngff import NAMESPACE
from cytosuite.formats.pieces import SLAB
from cytosuite.formats.zarrhome import stored, written
from cytosuite.large import release
from cytosuite.volume import SPATIAL, Volume, scalars

if TYPE_CHECKING:
    from zarr.core.buffer import Buffer

VERSION = "0.5"
CHUNK = {"Z": 16, "Y": 256, "X": 256}  # flat: planes and slabs of a large image are read fast
LEVEL, META = "0", "zarr.json"  # names of the array, and of the description of array and group
EFFORT = 1  # of the compression: it has most of the gain for little of the time
KINDS = {"T": "time", "C": "channel"}  # of axes; the others are of space
ZIP_COMMENT = {"ome": {"version": VERSION, "zipFile": {"centralDirectory": {"jsonFirst": True}}}}

Put = Callable[[str, bytes], None]


def write_omezarr(path: Path, volume: Volume, compress: bool) -> None:
    """Write an OME-Zarr 0.5 with our metadata as the attribute ``cytosuite``.

    Parameters
    ----------
    path : Path
        A folder to make, or a file with the suffix ``.ozx``: a zip file with stored entries.
    volume : Volume
        One on disk is read piece by piece.
    compress : bool
        Whether to pack the chunks, by blosc with zstd.

    Notes
    -----
    See `cytosuite.formats.write`, which also makes it atomic. The same volume gives the same
    bytes. Chunks in which all is zero are stored too: without them the image would be refused
    as one that claims more than it holds (`cytosuite.memory.check_claim`).
    """
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
            chunks=_chunks(volume),
            compressors=BloscCodec(cname="zstd", clevel=EFFORT) if compress else None,
            dimension_names=list(volume.axes.lower()),
            fill_value=0,
            zarr_format=3,
            config={"write_empty_chunks": True},
        )
        put(f"{LEVEL}/{META}", held.pop(META).to_bytes())
        for piece in _pieces(array, target.chunks):
            target[piece] = array[piece]
            release(array)
            for name in sorted(held):  # threads pack the chunks of a piece in any order
                put(f"{LEVEL}/{name}", held.pop(name).to_bytes())


def _group(volume: Volume) -> dict[str, Any]:
    """Return the description of the image."""
    steps = dict(zip((a for a in volume.axes if a in SPATIAL), volume.spacing, strict=True))
    known = not volume.spacing_is_assumed
    axes: list[dict[str, str]] = []
    for axis in volume.axes:
        entry = {"name": axis.lower(), "type": KINDS.get(axis, "space")}
        axes.append(entry | ({"unit": "micrometer"} if axis in steps and known else {}))
    scale = {"type": "scale", "scale": [steps.get(axis, 1.0) for axis in volume.axes]}
    image = {"axes": axes, "datasets": [{"path": LEVEL, "coordinateTransformations": [scale]}]}
    own = scalars(volume.metadata)[0]
    ome: dict[str, Any] = {"version": VERSION, "multiscales": [image]}
    if "C" not in volume.axes and "channel" in own:
        ome["omero"] = {"channels": [_channel(volume, str(own["channel"]))]}
    attributes = {"ome": ome} | ({NAMESPACE: own} if own else {})
    return {"zarr_format": 3, "node_type": "group", "attributes": attributes}


def _channel(volume: Volume, name: str) -> dict[str, Any]:
    """Return how viewers show the channel: the greys of the plane in the middle."""
    plane = volume.array[tuple(size // 2 for size in volume.shape[:-2])]
    finite = plane[np.isfinite(plane)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    release(volume.array)
    window = {"min": low, "start": low, "end": high, "max": high}
    return {"label": name, "color": "FFFFFF", "active": True, "window": window}


def _chunks(volume: Volume) -> tuple[int, ...]:
    """Return the shape of the chunks."""
    sizes = zip(volume.axes, volume.shape, strict=True)
    return tuple(max(1, min(CHUNK.get(axis, 1), size)) for axis, size in sizes)


def _pieces(array: NDArray[Any], chunks: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    """Yield regions of whole chunks along the first two axes, of at most 64 MiB where they can."""
    row = chunks[0] * max(1, array.nbytes // max(1, array.shape[0] * array.shape[1]))
    step = max(1, SLAB // row // chunks[1]) * chunks[1]
    for start in range(0, array.shape[0], chunks[0]):
        for first in range(0, array.shape[1], step):
            yield slice(start, start + chunks[0]), slice(first, first + step)


@contextmanager
def _sink(path: Path) -> Iterator[Put]:
    """Yield the writer of entries of a folder or a zip file."""
    if path.suffix.lower() != ".ozx":
        path.mkdir()
        yield partial(written, path)
        return
    with ZipFile(path, "w") as file:
        file.comment = json.dumps(ZIP_COMMENT).encode()
        yield partial(stored, file)
