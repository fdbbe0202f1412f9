"""Reading and writing volumes: TIFF, MetaImage (.mha), HDF5; PNG and JPEG are read."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from cytosuite.errors import InputError, last_line, plain
from cytosuite.files import atomic, open_regular
from cytosuite.formats.hdf5 import read_hdf5, write_hdf5
from cytosuite.formats.metaimage import metaimage_header, read_metaimage, write_metaimage
from cytosuite.formats.picture import read_picture
from cytosuite.formats.tiff import read_tiff, tiff_channels, tiff_header
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
        ``.tif``/``.tiff``, ``.mha``, ``.h5``/``.hdf5``, or a grey ``.png``/``.jpg``.
    pick : mapping of str to int, optional
        Index along T or C, which are dropped; of a TIFF no other pages are decoded.
    scene : int, optional
        Number of the image in a TIFF that holds several.
    stack : bool
        Whether three axes of a TIFF are z, y, x as they are stored, whatever it calls them.

    Returns
    -------
    Volume
        With 1 µm voxels and ``spacing_source = "assumed"`` where the file gives no size.

    Raises
    ------
    InputError
        If the file is missing, empty, cut, broken, of another kind, or a colour image.
    """
    with _gate(path) as reader:
        if reader is read_tiff:
            volume = read_tiff(path, pick, scene, stack=stack)
        else:
            volume = reader(path)
            index = tuple((pick or {}).get(axis, slice(None)) for axis in volume.axes)
            axes = "".join(axis for axis in volume.axes if axis not in (pick or {}))
            volume = replace(volume, array=volume.array[index], axes=axes)
        native = volume.array.dtype.newbyteorder("=")
        return replace(volume, array=volume.array.astype(native, copy=False))


def write(path: Path, volume: Volume, *, compress: bool = True, as_json: bool = False) -> None:
    """Write a volume under its final name only once it is whole.

    Parameters
    ----------
    path : Path
        ``.tif``/``.tiff``, ``.mha`` or ``.h5``/``.hdf5``; parents are made.
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
            raise InputError(f"{path}: {reason}") from None


def header(path: Path, scene: int | None = None, *, stack: bool = False) -> Header:
    """Return the geometry of a TIFF or MetaImage file without decoding its pixels; see `read`.

    Raises
    ------
    InputError
        If the file is cut or broken, of another kind, or a colour image.
    """
    with _gate(path) as reader:
        if reader not in HEADERS:
            raise InputError(f"{path}: expected .tif, .tiff or .mha, found {path.suffix!r}")
        if reader is read_tiff:
            found = tiff_header(path, scene, stack=stack)
        else:
            found = HEADERS[reader](path)
        return replace(found, dtype=found.dtype.newbyteorder("="))


def channels(path: Path, scene: int | None = None) -> list[str]:
    """Return the names of an image's channels, empty where one has none.

    Parameters
    ----------
    path, scene : Path, int
        As of `read`. Only OME-TIFF names channels: the list of another file is empty.

    Raises
    ------
    InputError
        As of `read`.
    """
    with _gate(path) as reader:
        return tiff_channels(path, scene) if reader is read_tiff else []


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
        raise InputError(f"{path}: {str(error).removeprefix(plain(f'{path}:'))}") from None
    except MemoryError as error:
        reason = f"needs more memory than is free ({last_line(error)})"
        raise InputError(f"{path}: {reason}; crop it") from error
    except Exception as error:
        raise InputError(f"{path}: cannot be read as {form} ({_reason(error)})") from error


@contextmanager
def _gate(path: Path) -> Iterator[Callable[[Path], Volume]]:
    """Yield the reader of a regular file that is not empty, see `guarded`."""
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path}: expected one of {', '.join(READERS)}, found {path.suffix!r}")
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
}
FORMS: dict[Callable[[Path], Volume], str] = {
    read_tiff: "TIFF",
    read_metaimage: "MetaImage",
    read_hdf5: "HDF5",
    read_picture: "a picture",
}
HEADERS: dict[Callable[[Path], Volume], Callable[[Path], Header]] = {
    read_tiff: tiff_header,
    read_metaimage: metaimage_header,
}
WRITERS: dict[str, Callable[[Path, Volume, bool], None]] = {
    ".tif": write_tiff,
    ".tiff": write_tiff,
    ".mha": write_metaimage,
    ".h5": write_hdf5,
    ".hdf5": write_hdf5,
}
