"""Reading and writing volumes: TIFF, MetaImage (.mha), HDF5, OME-Zarr; PNG and JPEG are read."""

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from cytosuite.errors import InputError, RoomError, at, last_line
from cytosuite.files import IntMap, atomic, open_regular, settled
from cytosuite.formats.imagefiles import OMEZARR, READABLE, Format, format_of
from cytosuite.formats.stored import each_within, picked
from cytosuite.volume import Header, Volume, listed_channels, with_channel
from cytosuite.volume.arrays import Array
from cytosuite.volume.pieces import planes_in

MOST = 2**16  # headers that are kept
_HEADERS: dict[tuple[object, ...], Header] = {}  # of files by place, size and times


def read(
    path: str | Path,
    pick: IntMap | None = None,
    scene: int | None = None,
    *,
    axes: str = "",
    group: str = "",
) -> Volume:
    """Return the image in a file with its axes, voxel size and metadata.

    Parameters
    ----------
    path : str or Path
        ``.tif``/``.tiff``, ``.mha``, ``.h5``/``.hdf5``, an OME-Zarr (a folder ``.zarr`` or a file
        ``.ozx``), or a grey ``.png``/``.jpg``.
    pick : mapping of str to int, optional
        Index from 0 along T or C, which are dropped, where the file has them; of TIFF and OME-Zarr
        nothing else is decoded. With C the colours of a TIFF or picture are channels.
    scene : int, optional
        Number of the image in a TIFF or OME-Zarr that holds several.
    axes : str
        Of files of TIFF and HDF5 with as many, as they are stored, whatever the file calls them.
    group : str
        Dataset of HDF5 files like ``data/raw_image``, or, after commas, others of which a file has
        one.

    Returns
    -------
    Volume
        With 1 µm voxels and ``spacing_source = "assumed"`` where the file gives no size. Pixels
        that do not fit into memory (`cytosuite.volume.memory.fits`) are mapped: those of TIFF and
        MetaImage without compression in the file itself, read only, others in a copy on disk.

    Raises
    ------
    InputError
        If the file is missing, empty, cut, broken, of another kind, or a colour image of which no
        channel is picked, an index is beyond its axis, or neither memory nor disk has room for it.
    """
    path = Path(path)
    with (
        _gate(path) as form,
        form.opened(path, pick=pick or {}, scene=scene, axes=axes, group=group) as image,
    ):
        volume = image.volume()
        metadata = volume.metadata
        left = picked(pick or {}, volume.axes, volume.shape)
        array = volume.array[tuple(left.get(axis, slice(None)) for axis in volume.axes)]
        axes = "".join(axis for axis in volume.axes if axis not in left)
        if "C" in left:
            metadata, _ = with_channel(metadata, listed_channels(metadata), axes, left)
        return replace(
            volume,
            array=array.astype(array.dtype.newbyteorder("="), copy=bool(left)),
            axes=axes,
            metadata=metadata,
        )


def slabs(path: str | Path, planes: int | None = None, *, axes: str = "") -> Iterator[Array]:
    """Yield the pixels that `read` returns in consecutive slabs along the first axis.

    Parameters
    ----------
    path : str or Path
        As of `read`.
    planes : int, optional
        Size of a slab along the first axis, the rest in the last; as many as 64 MiB hold without.
    axes : str
        As of `read`.

    Yields
    ------
    ndarray
        In memory, of the image's dtype. Each part of the file is decoded once; of a picture, and
        a TIFF whose planes cannot be decoded alone, all at first.

    Raises
    ------
    InputError
        As of `read`.
    """
    with opened(Path(path), planes, axes=axes) as (_, parts):
        yield from parts


@contextmanager
def opened(
    path: Path, planes: int | None = None, *, axes: str = ""
) -> Iterator[tuple[Header, Iterator[Array]]]:
    """Yield the `header` of an image and its `slabs`, of a file that is opened once."""
    with ExitStack() as held:
        with _gate(path) as form:
            image = held.enter_context(form.opened(path, axes=axes))
            parts = iter(image.slabs(planes_in(image.header, planes)))
        parts = each_within(partial(guarded, path, form.name), parts)
        yield image.header, parts


def write(
    path: str | Path, volume: Volume, *, compress: bool = True, as_json: bool = False
) -> None:
    """Write a volume under its final name only once it is whole.

    Parameters
    ----------
    path : str or Path
        ``.tif``/``.tiff``, ``.mha``, ``.h5``/``.hdf5``, or OME-Zarr: ``.ome.zarr`` (a folder) or
        ``.ozx``; parents are made.
    volume : Volume
        The image; axes, spacing and metadata are kept.
    compress : bool
        Whether to deflate the pixels.
    as_json : bool
        Whether a TIFF is described in JSON, for programs that look for their keys there, and not
        as ImageJ or OME.

    Raises
    ------
    InputError
        If the suffix is unknown, or the format cannot hold the dtype or axes.
    """
    path = Path(path)
    form = format_of(path)
    if form is None or not form.is_written:
        suffixes = [suffix for suffix, form in READABLE.items() if form.is_written]
        raise InputError(f"{path}: can write {', '.join(suffixes)}, found {path.suffix!r}")
    with atomic(path) as temporary, at(path):
        form.call("write", temporary, volume, compress, as_json=as_json)


def header(
    path: str | Path, scene: int | None = None, *, axes: str = "", colours: bool = False
) -> Header:
    """Return the geometry of a TIFF, MetaImage or OME-Zarr without decoding its pixels; see `read`.

    A file that has not changed is not opened again.

    Raises
    ------
    InputError
        If the file is cut or broken, of another kind, or a colour image though `colours` are no
        channels.
    """
    path = Path(path)
    state = settled(path)
    key = (path.suffix, scene, axes, colours, *state)
    if state and key in _HEADERS:
        return _HEADERS[key]
    with _gate(path) as form:
        if not form.has_header:
            suffixes = [suffix for suffix, form in READABLE.items() if form.has_header]
            raise InputError(
                f"{path}: expected one of {', '.join(suffixes)}, found {path.suffix!r}"
            )
        with form.opened(path, scene=scene, axes=axes, colours=colours) as image:
            head = image.header
    if state:
        if len(_HEADERS) >= MOST:
            _HEADERS.clear()
        _HEADERS[key] = head
    return head


def without_pixels(path: Path) -> Volume:
    """Return an image without reading its pixels: they are 0, and take no memory."""
    with _gate(path) as form, form.opened(path, pick={"C": 0}) as image:
        head = image.header
        array = np.broadcast_to(head.dtype.type(0), head.shape)
        return Volume(array, head.spacing, head.axes, image.metadata, image.origin)


def channels(path: str | Path, scene: int | None = None) -> list[str]:
    """Return the names of an image's channels, empty where one has none.

    Parameters
    ----------
    path, scene : str or Path, int
        As of `read`. Only OME-TIFF and OME-Zarr name channels: the list of others is empty, but
        for images in colours (`COLOURS`).

    Raises
    ------
    InputError
        As of `read`.
    """
    path = Path(path)
    with _gate(path) as form:
        if not hasattr(form.code, "channels"):
            return []
        names: list[str] = form.call("channels", path, scene=scene)
        return names


@contextmanager
def guarded(path: Path, form: str) -> Iterator[None]:
    """Turn any library error on a broken file into one `InputError`; drop warnings."""
    try:
        with at(path), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except InputError:
        raise
    except MemoryError as error:
        raise RoomError(
            f"{path}: needs more memory than is free ({last_line(error)}); crop it"
        ) from error
    except Exception as error:
        raise InputError(f"{path}: cannot be read as {form} ({_reason(error)})") from error


@contextmanager
def _gate(path: Path) -> Iterator[Format]:
    """Yield the format of a file that is not empty, or of a folder of zarr; see `guarded`."""
    form = format_of(path)
    if form is None:
        raise InputError(
            f"{path}: expected one of {', '.join(READABLE)}, found {path.suffix!r}; save it as TIFF"
        )
    if not (form is OMEZARR and path.is_dir()):
        with open_regular(path) as stream:
            if not stream.read(1):
                raise InputError(f"{path}: the file is empty")
    with guarded(path, form.name):
        yield form


def _reason(error: Exception) -> str:
    """Return the message of a library's error if it is meant for people."""
    speaks = isinstance(error, OSError | SyntaxError | RuntimeError | ImportError)
    if speaks and not isinstance(error, RecursionError) and error.__cause__ is None:
        return last_line(error)
    return f"cut or broken: its parts contradict each other, {type(error).__name__}"
