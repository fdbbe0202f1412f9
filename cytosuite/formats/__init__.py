"""Reading and writing volumes: TIFF, MetaImage (.mha), HDF5, OME-Zarr; PNG and JPEG are read."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from cytosuite.errors import InputError, RoomError, last_line, plain
from cytosuite.files import atomic, open_regular
from cytosuite.formats.hdf5 import hdf5_slabs, read_hdf5, write_hdf5
from cytosuite.formats.metaimage import (
    metaimage_header,
    metaimage_slabs,
    read_metaimage,
    write_metaimage,
)
from cytosuite.formats.omezarr import (
    omezarr_channels,
    omezarr_header,
    omezarr_slabs,
    read_omezarr,
)
from cytosuite.formats.omezarrwriter import write_omezarr
from cytosuite.formats.picture import has_colours, picture_slabs, read_picture
from cytosuite.formats.tiff import COLOURS, read_tiff, tiff_channels, tiff_header, tiff_slabs
from cytosuite.formats.tiffwriter import write_tiff
from cytosuite.volume import Header, Volume


def read(
    path: Path,
    pick: Mapping[str, int] | None = None,
    scene: int | None = None,
    *,
    stack: bool = False,
) -> Volume:
    """Return the image in a file with its axes, voxel size and metadata.

    Parameters
    ----------
    path : Path
        ``.tif``/``.tiff``, ``.mha``, ``.h5``/``.hdf5``, an OME-Zarr (a folder ``.zarr`` or a file
        ``.ozx``), or a grey ``.png``/``.jpg``.
    pick : mapping of str to int, optional
        Index along T or C, which are dropped; of TIFF and OME-Zarr nothing else is decoded. With
        C the colours of a TIFF or picture are channels.
    scene : int, optional
        Number of the image in a TIFF or OME-Zarr that holds several.
    stack : bool
        Whether three axes of a TIFF are z, y, x as they are stored, whatever it calls them.

    Returns
    -------
    Volume
        With 1 µm voxels and ``spacing_source = "assumed"`` where the file gives no size. Pixels
        that do not fit into memory (`cytosuite.large.fits`) are mapped: those of TIFF and
        MetaImage without compression in the file itself, read only, others in a copy on disk.

    Raises
    ------
    InputError
        If the file is missing, empty, cut, broken, of another kind, or a colour image of which no
        channel is picked, or neither memory nor disk has room for it.
    """
    with _gate(path) as reader:
        if reader is read_tiff:
            volume = read_tiff(path, pick, scene, stack=stack)
        elif reader is read_omezarr:
            volume = read_omezarr(path, pick, scene)
        else:
            coloured = reader is read_picture and "C" in (pick or {})
            volume = read_picture(path, colours=True) if coloured else reader(path)
            index = tuple((pick or {}).get(axis, slice(None)) for axis in volume.axes)
            axes = "".join(axis for axis in volume.axes if axis not in (pick or {}))
            volume = replace(volume, array=volume.array[index], axes=axes)
        native = volume.array.dtype.newbyteorder("=")
        return replace(volume, array=volume.array.astype(native, copy=False))


def slabs(path: Path, planes: int | None = None, *, stack: bool = False) -> Iterator[NDArray[Any]]:
    """Yield the pixels that `read` returns in consecutive slabs along the first axis.

    Parameters
    ----------
    path : Path
        As of `read`.
    planes : int, optional
        Size of a slab along the first axis, the rest in the last; as many as 64 MiB hold without.
    stack : bool
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
    with _gate(path) as reader:
        parts = SLABS[reader](path, planes, **({"stack": stack} if reader is read_tiff else {}))
    while True:
        with guarded(path, FORMS[reader]):
            part = next(parts, None)
        if part is None:
            return
        yield part


def write(path: Path, volume: Volume, *, compress: bool = True, as_json: bool = False) -> None:
    """Write a volume under its final name only once it is whole.

    Parameters
    ----------
    path : Path
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
    writer = WRITERS.get(path.suffix.lower())
    if writer is write_tiff:
        writer = partial(write_tiff, as_json=as_json)
    if writer is None:
        raise InputError(f"{path}: can write {', '.join(WRITERS)}, found {path.suffix!r}")
    with atomic(path) as temporary:
        try:
            writer(temporary, volume, compress)
        except InputError as error:  # names the file that it was given
            reason = str(error).removeprefix(plain(f"{temporary}:"))
            raise type(error)(f"{path}: {reason}") from None


def header(
    path: Path, scene: int | None = None, *, stack: bool = False, colours: bool = False
) -> Header:
    """Return the geometry of a TIFF, MetaImage or OME-Zarr without decoding its pixels; see `read`.

    Raises
    ------
    InputError
        If the file is cut or broken, of another kind, or a colour image though `colours` are no
        channels.
    """
    with _gate(path) as reader:
        if reader not in HEADERS:
            known = [suffix for suffix, own in READERS.items() if own in HEADERS]
            raise InputError(f"{path}: expected one of {', '.join(known)}, found {path.suffix!r}")
        if reader is read_tiff:
            found = tiff_header(path, scene, stack=stack, colours=colours)
        elif reader is read_omezarr:
            found = omezarr_header(path, scene)
        else:
            found = HEADERS[reader](path)
        return replace(found, dtype=found.dtype.newbyteorder("="))


def channels(path: Path, scene: int | None = None) -> list[str]:
    """Return the names of an image's channels, empty where one has none.

    Parameters
    ----------
    path, scene : Path, int
        As of `read`. Only OME-TIFF and OME-Zarr name channels: the list of others is empty, but
        for images in colours (`COLOURS`).

    Raises
    ------
    InputError
        As of `read`.
    """
    with _gate(path) as reader:
        if reader is read_tiff:
            return tiff_channels(path, scene)
        if reader is read_picture:
            return list(COLOURS) if has_colours(path) else []
        return omezarr_channels(path, scene) if reader is read_omezarr else []


@contextmanager
def guarded(path: Path, form: str) -> Iterator[None]:
    """Let one line through for whatever another library raises, or warns of, for a broken file.

    Parameters
    ----------
    path : Path
        The file that is read in the block.
    form : str
        Its kind, for the message.

    Raises
    ------
    InputError
        For every error in the block; it names the file.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except InputError as error:
        raise type(error)(f"{path}: {str(error).removeprefix(plain(f'{path}:'))}") from None
    except MemoryError as error:
        reason = f"needs more memory than is free ({last_line(error)})"
        raise RoomError(f"{path}: {reason}; crop it") from error
    except Exception as error:
        raise InputError(f"{path}: cannot be read as {form} ({_reason(error)})") from error


@contextmanager
def _gate(path: Path) -> Iterator[Callable[[Path], Volume]]:
    """Yield the reader of a file that is not empty, or of a folder of zarr; see `guarded`."""
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path}: expected one of {', '.join(READERS)}, found {path.suffix!r}")
    if not (reader is read_omezarr and path.is_dir()):
        with open_regular(path) as stream:
            if not stream.read(1):
                raise InputError(f"{path}: the file is empty")
    with guarded(path, FORMS[reader]):
        yield reader


def _reason(error: Exception) -> str:
    """Return the message of a library's error if it is meant for people."""
    speaks = isinstance(error, OSError | SyntaxError | RuntimeError | ImportError)
    if speaks and not isinstance(error, RecursionError) and error.__cause__ is None:
        return last_line(error)
    return f"cut or broken: its parts contradict each other, {type(error).__name__}"


READERS: dict[str, Callable[[Path], Volume]] = {
    ".tif": read_tiff,
    ".tiff": read_tiff,
    ".mha": read_metaimage,
    ".h5": read_hdf5,
    ".hdf5": read_hdf5,
    ".png": read_picture,
    ".jpg": read_picture,
    ".jpeg": read_picture,
    ".zarr": read_omezarr,
    ".ozx": read_omezarr,
}
FORMS: dict[Callable[[Path], Volume], str] = {
    read_tiff: "TIFF",
    read_metaimage: "MetaImage",
    read_hdf5: "HDF5",
    read_picture: "a picture",
    read_omezarr: "OME-Zarr",
}
HEADERS: dict[Callable[[Path], Volume], Callable[[Path], Header]] = {
    read_tiff: tiff_header,
    read_metaimage: metaimage_header,
    read_omezarr: omezarr_header,
}
SLABS: dict[Callable[[Path], Volume], Callable[..., Iterator[NDArray[Any]]]] = {
    read_tiff: tiff_slabs,
    read_metaimage: metaimage_slabs,
    read_hdf5: hdf5_slabs,
    read_omezarr: omezarr_slabs,
    read_picture: picture_slabs,
}
WRITERS: dict[str, Callable[[Path, Volume, bool], None]] = {
    ".tif": write_tiff,
    ".tiff": write_tiff,
    ".mha": write_metaimage,
    ".h5": write_hdf5,
    ".hdf5": write_hdf5,
    ".zarr": write_omezarr,
    ".ozx": write_omezarr,
}
