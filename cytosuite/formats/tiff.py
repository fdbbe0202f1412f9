"""TIFF files with axes, voxel size and metadata, by tifffile alone.

Other readers are avoided on purpose: SimpleITK reads a tiled
multi-page TIFF through an 8-bit colour fallback with only a warning, and never a z step.
"""

import logging
import re
import struct
import sys
import threading
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from math import isclose, prod
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from cytosuite import large
from cytosuite.errors import InputError, last_line, plain
from cytosuite.files import open_regular
from cytosuite.formats.pieces import gathered
from cytosuite.formats.tiffcheck import (
    check_descriptions,
    check_directories,
    check_pixels,
)
from cytosuite.formats.tiffdescription import channel_names, description
from cytosuite.formats.tiffpixels import TiffImage, mapped_pixels, pixels, slabs_of
from cytosuite.formats.tiffspacing import Stated, kind, origin, statements
from cytosuite.volume import AXES, SPATIAL, Header, Scalar, Volume, scalars

COLOURS = ("red", "green", "blue")  # as channels
# Keys that describe the array itself; they are not metadata of the scene.
GEOMETRY = {"shape", "axes", "spacing", "voxel_size_um", "unit", "resolution", "imagej", "images"}
GEOMETRY |= {"slices", "frames", "channels", "hyperstack", "mode", "loop", "min", "max"}
GEOMETRY |= {f"physical{sep}size{sep}{axis}" for sep in ("", "_") for axis in "xyz"}
GEOMETRY |= {"imagejmetadata", "info", "ranges", "zunit", "yunit", "xunit"}
NATIVE = {"little": "<", "big": ">"}[sys.byteorder]
# Formats of several files, of which tifffile would open the others.
ALONE = {"is_mmstack": False, "is_ndtiff": False}
# The errors of tifffile and the codecs for a cut or altered file depend on where it was altered.
BROKEN: tuple[type[Exception], ...] = (tifffile.TiffFileError, struct.error, zlib.error)
BROKEN += (ValueError, OSError, EOFError, RuntimeError, LookupError, TypeError)
SPEAKING = (tifffile.TiffFileError, zlib.error, OSError, RuntimeError)  # of the file, not of code


def read_tiff(
    path: Path,
    pick: Mapping[str, int] | None = None,
    scene: int | None = None,
    *,
    stack: bool = False,
) -> Volume:
    """Return an image series of a TIFF file, whole or one frame and channel of it.

    Parameters
    ----------
    path : Path
        Plain, ImageJ or OME TIFF. Axes come from its metadata; one unnamed axis is taken as z.
        Axes T and C of length one are dropped.
    pick : mapping of str to int, optional
        Index along T or C: only its pages are decoded, and the axis is dropped. With C a colour
        is a channel.
    scene : int, optional
        Number of the series; without it the first, and a remark where there are several.
    stack : bool
        Whether three axes are z, y, x as they are stored, whatever the file calls them.

    Returns
    -------
    Volume
        Voxel size from the JSON description, OME-XML, ImageJ's text or the resolution tags, in
        this order; 1 µm and ``spacing_source = "assumed"`` where there is none.

    Raises
    ------
    InputError
        If the file is cut or broken, holds a colour image and no channel is picked, or has no such
        scene.
    """
    with _open(path) as file:
        found = _describe(path, file, pick or {}, scene, stack)
        head, series = found.header, file.series[scene or 0]
        if large.fits(prod(head.shape) * head.dtype.itemsize):
            array = pixels(path, series, found).transpose(found.order).reshape(head.shape)
        elif series.dataoffset is not None and file.byteorder == NATIVE:
            array = mapped_pixels(series, found)
        else:
            parts = slabs_of(path, series, found)
            array = gathered(head.shape, head.dtype.newbyteorder("="), parts)
    axes = head.axes
    if pick and "C" in pick and "C" in axes:  # a colour: each page holds all of them
        array, axes = array.take(pick["C"], axes.index("C")), axes.replace("C", "")
    return Volume(array, head.spacing, axes, found.metadata, found.origin)


def tiff_slabs(
    path: Path, planes: int | None = None, *, stack: bool = False
) -> Iterator[NDArray[Any]]:
    """Yield the pixels in slabs along the first axis; see `cytosuite.formats.slabs`."""
    with ExitStack() as held:
        with _watched(path):
            file = held.enter_context(_file(path))
            parts = slabs_of(path, file.series[0], _describe(path, file, {}, None, stack), planes)
        while True:
            with _watched(path):  # not while the caller works, who may read another file
                part = next(parts, None)
            if part is None:
                return
            yield part


def tiff_header(
    path: Path, scene: int | None = None, *, stack: bool = False, colours: bool = False
) -> Header:
    """Return the geometry of a series without decoding a pixel; see `read_tiff`.

    Raises
    ------
    InputError
        If the file is cut or broken, or holds a colour image though `colours` are no channels.
    """
    with _open(path) as file:
        return _describe(path, file, {}, scene, stack, colours).header


def tiff_channels(path: Path, scene: int | None = None) -> list[str]:
    """Return the names of colours, or of the channels in OME-XML, empty where one has none.

    Parameters
    ----------
    path : Path
        Any TIFF; without OME-XML there is no channel in the list.
    scene : int, optional
        As of `read_tiff`.
    """
    with _open(path) as file:
        series = file.series[min(scene or 0, len(file.series) - 1)]
        photometric = getattr(series.keyframe.photometric, "name", "")
        if "S" in series.axes and photometric in {"RGB", "YCBCR"}:
            return [*COLOURS, "alpha"][: series.keyframe.samplesperpixel]
        return channel_names(file, scene or 0)


class _Complaints(logging.Handler):
    """Raise the errors that tifffile only logs, like a missing page."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.thread = threading.get_ident()
        self.first = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Raise an error of this thread, and keep the first: tifffile may catch it."""
        if record.thread == self.thread:
            self.first = self.first or record.getMessage()
            raise tifffile.TiffFileError(self.first)


@contextmanager
def _open(path: Path) -> Iterator[tifffile.TiffFile]:
    """Open a TIFF file; raise an `InputError` for every defect that tifffile raises or logs."""
    with _watched(path), _file(path) as file:
        yield file


@contextmanager
def _file(path: Path) -> Iterator[tifffile.TiffFile]:
    """Open a TIFF file after checks of its directories and descriptions."""
    with open_regular(path) as stream:
        check_directories(stream)
        stream.seek(0)
        # One file is one image: a series must not pull in other files which it names.
        with tifffile.TiffFile(stream, name=path.name, _multifile=False, **ALONE) as file:
            check_descriptions(file)
            yield file


@contextmanager
def _watched(path: Path) -> Iterator[None]:
    """Raise an `InputError` for every defect that tifffile raises or logs in the block."""
    logger, complaints = logging.getLogger("tifffile"), _Complaints()
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(complaints)
    reason = ""
    try:
        yield
    except InputError as error:
        raise type(error)(f"{path}: {str(error).removeprefix(plain(f'{path}:')).strip()}") from None
    except MemoryError:
        reason = "it needs more memory than is free"
    except Exception as error:  # nobody knows all that a codec raises
        speaks = isinstance(error, SPEAKING) and not isinstance(error, RecursionError)
        reason = last_line(error) if speaks else "its parts contradict each other"
    finally:
        logger.removeHandler(complaints)
        logger.propagate = propagate
    if reason := _plain_words(complaints.first) or reason:
        raise InputError(f"{path}: cannot be read as TIFF, cut or broken ({reason})")


def _plain_words(complaint: str) -> str:
    """Return a line of tifffile's log without the names of its objects and of Python's errors."""
    cause = re.search(r"""[ ,]*raised "?(\w+)\((['"])(.*)\2""", complaint)
    if cause:
        complaint = cause[3] if cause[1] == "TiffFileError" else complaint[: cause.start()]
    return re.sub(r"<[^<>]*> ?", "", complaint)


def _axes(path: Path, series: tifffile.TiffPageSeries, colours: bool) -> str:
    """Return the axes of a series with one unnamed axis read as z, and colours as channels."""
    axes = str(series.axes).upper()
    if colours and "C" not in axes:
        axes = axes.replace("S", "C")
    if "S" in axes:
        raise InputError(
            f"{path}: expected a grey image, found a colour image of shape "
            f"{tuple(series.shape)}; give one channel"
        )
    unnamed = [axis for axis in axes if axis not in AXES]
    if len(unnamed) == 1 and "Z" not in axes:
        return axes.replace(unnamed[0], "Z")
    if unnamed:
        raise InputError(
            f"{path}: cannot tell the axes of shape {tuple(series.shape)}; "
            f"name them in the file's metadata (a subset of {AXES})"
        )
    return axes


def _describe(
    path: Path,
    file: tifffile.TiffFile,
    pick: Mapping[str, int],
    scene: int | None,
    stack: bool,
    colours: bool = False,
) -> TiffImage:
    """Return geometry and metadata of a series; T and C of length one are dropped."""
    many = len(file.series)
    if scene is not None and not 0 <= scene < many:
        raise InputError(f"{path}: expected a scene from 0 to {many - 1}, found {scene}")
    series = file.series[scene or 0]
    found, ours, warnings = description(file)
    stored, whole = _layout(path, series, ours, stack, colours or "C" in pick)
    if "S" in series.axes:
        pick = {axis: number for axis, number in pick.items() if axis != "C"}
    check_pixels(series)
    if stack and stored == SPATIAL and (named := _misnamed(series)):
        warnings.append(f"axes odd: the file calls them {named}; a stack is z, y, x as it lies")
    if ours and stored != ours["axes"] and list(whole) == ours["shape"]:
        ours = {}
        warnings.append("the description names other axes than the pages and does not count")
    if file.is_ome and series.kind != "ome":
        warnings.append("OME-XML describes other pages or files; the axes are those of the pages")
    index = tuple(slice(pick[a], pick[a] + 1) if a in pick else slice(None) for a in stored)
    shape = tuple(1 if axis in pick else whole[i] for i, axis in enumerate(stored))
    dropped = [i for i, axis in enumerate(stored) if axis in "TC" and shape[i] == 1]
    keep = sorted(set(range(len(stored))) - set(dropped), key=lambda i: AXES.index(stored[i]))
    axes = "".join(stored[i] for i in keep)
    stated = statements(file, found, scene or 0)
    if ours:
        found, stated = _reconciled(ours, stated)
    metadata, remarks = _metadata(file, found, axes, pick, scene or 0)
    spacing = _spacing(axes, stated, metadata)
    sources = dict.fromkeys(metadata, "json" if ours else kind(file))
    if scene is None and many > 1:
        warnings.append(f"the file holds {many} images, and only the first is read")
    return TiffImage(
        Header(tuple(shape[i] for i in keep), np.dtype(series.dtype), spacing, axes),
        whole,
        index,
        (*keep, *dropped),
        metadata,
        origin(stated, sources, metadata, [*warnings, *remarks]),
    )


def _metadata(
    file: tifffile.TiffFile,
    found: Mapping[str, Any],
    axes: str,
    pick: Mapping[str, int],
    scene: int,
) -> tuple[dict[str, Scalar], tuple[str, ...]]:
    """Return metadata with the name of the channel that is read, and remarks on them."""
    metadata, remarks = scalars({k: v for k, v in found.items() if k.lower() not in GEOMETRY})
    names = dict(enumerate(channel_names(file, scene)))
    if "C" not in axes and (name := names.get(pick.get("C", 0))):
        metadata.setdefault("channel", name)
    return metadata, remarks


def _spacing(axes: str, stated: Sequence[Stated], metadata: dict[str, Scalar]) -> tuple[float, ...]:
    """Return the voxel size, and note in the metadata where a part of it is a guess."""
    sizes = {axis: size for part in stated for axis, size in part.sizes.items()}
    spatial = [axis for axis in axes if axis in SPATIAL]
    if not all(axis in sizes for axis in "YX"):
        sizes, metadata["spacing_source"] = {}, "assumed"
    elif not all(axis in sizes for axis in spatial):
        # The plane's size is known, the step is not: cubic voxels are the plain guess.
        metadata["spacing_source"] = "assumed"
    return tuple(sizes.get(axis, sizes.get("Y", 1.0)) for axis in spatial)


def _layout(
    path: Path,
    series: tifffile.TiffPageSeries,
    ours: Mapping[str, Any],
    stack: bool,
    colours: bool,
) -> tuple[str, tuple[int, ...]]:
    """Return axes and shape as stored; ImageJ and OME leave axes of length one out."""
    shape = tuple(int(size) for size in series.shape)
    if stack and len(shape) == len(SPATIAL) and "S" not in series.axes:
        return SPATIAL, shape
    axes, own = str(ours.get("axes", "")), tuple(ours.get("shape", ()))
    found = str(series.axes).upper()
    same = len(own) > 1 and own[-2:] == shape[-2:] and prod(own) == prod(shape)
    # Axes of length one have no place in ImageJ and OME; others must have the same names in both.
    if same and (set(found) - set(AXES) or _longer(axes, own) == _longer(found, shape)):
        return axes, own
    return _axes(path, series, colours), shape


def _misnamed(series: tifffile.TiffPageSeries) -> str:
    """Return the names of the axes of a stack where one is that of another axis.

    A stack of one slice may lie in the file as a plane.
    """
    names = str(series.axes).upper()
    ends = zip(reversed(names), reversed(SPATIAL), strict=False)
    wrong = any(name != axis and name in AXES for name, axis in ends)
    return ", ".join(names.lower()) if wrong else ""


def _longer(axes: str, shape: Sequence[int]) -> str:
    """Return the axes of more than one plane."""
    return "".join(axis for axis, size in zip(axes, shape, strict=True) if size > 1)


def _reconciled(
    ours: Mapping[str, Any], stated: list[Stated]
) -> tuple[dict[str, Any], list[Stated]]:
    """Return metadata and voxel sizes: the digits of our JSON, unless the file has changed.

    Another program may have scaled the image, or learnt its voxel size: then its fields hold.
    """
    spatial = [axis for axis in ours["axes"] if axis in SPATIAL]
    own = dict(zip(spatial, ours["spacing"], strict=True))
    sizes = {axis: size for part in stated for axis, size in part.sizes.items()}
    if all(isclose(own.get(axis, size), size, rel_tol=1e-5) for axis, size in sizes.items()):
        return dict(ours), [Stated("json", own)]
    return {key: value for key, value in ours.items() if key != "spacing_source"}, stated
