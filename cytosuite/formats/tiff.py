"""TIFF files with axes, voxel size and metadata, by tifffile: SimpleITK reads no z step."""

import json
import logging
import re
import struct
import sys
import threading
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from math import isclose, prod
from os import SEEK_END
from pathlib import Path
from uuid import NAMESPACE_OID, uuid5

import numpy as np
import tifffile

from cytosuite.errors import InputError, last_line
from cytosuite.files import Entries, IntMap, Json, Scalars, frozen, open_regular
from cytosuite.formats.picture import COLOURS
from cytosuite.formats.stored import Stored, each_within, picked
from cytosuite.formats.tiffcheck import (
    check_descriptions,
    check_directories,
    check_pictures,
    check_pixels,
)
from cytosuite.formats.tiffmetadata import (
    NAMESPACE,
    Stated,
    channel_names,
    description,
    kind,
    microscope,
    ome_of,
    ome_xml,
    origin,
    sizes_of,
    spelt,
    statements,
)
from cytosuite.volume import (
    AXES,
    SPATIAL,
    Header,
    Origin,
    Volume,
    guessed_spacing,
    memory,
    scalars,
    with_channel,
)
from cytosuite.volume.arrays import Array, Box, Shape, Sizes
from cytosuite.volume.memory import check_room, is_mapped, room
from cytosuite.volume.pieces import copies, planes_of

PLATFORM = ("channel", "study")  # keys that containers look for in ImageJ's text
IMAGEJ_TYPES = "BHhf"
IMAGEJ_BYTES = 2**32 - 2**25  # of the whole file; the rest is room for its directories
BIG = 2**31  # bytes of pixels from which offsets have 64 bits
HELD = (1e-5, 1e9)  # µm of a pixel: its inverse is a fraction of two numbers of 32 bits
DESCRIPTION, ASCII = 270, 2  # a tag of TIFF and its type
OME_TYPES = {"int8", "int16", "int32", "uint8", "uint16", "uint32", "float32", "float64"}
# Keys that describe the array itself; they are not metadata of the scene.
GEOMETRY = {
    *("shape", "axes", "spacing", "voxelsizeum", "unit", "resolution", "imagej", "images"),
    *("slices", "frames", "channels", "hyperstack", "mode", "loop", "min", "max"),
    *(f"physicalsize{axis}{unit}" for axis in "xyz" for unit in ("", "unit")),
    *("imagejmetadata", "info", "ranges", "zunit", "yunit", "xunit"),
}
NATIVE = {"little": "<", "big": ">"}[sys.byteorder]
# Formats of several files; tifffile would open the others.
ALONE = {"is_mmstack": False, "is_ndtiff": False}
_COMPLAINTS: dict[int | None, list[str]] = {}  # of tifffile, by the thread that watches
SPEAKING = (tifffile.TiffFileError, zlib.error, OSError, RuntimeError)  # of the file, not of code


def write(path: Path, volume: Volume, compress: bool, as_json: bool = False) -> None:
    """Write a volume as ImageJ TIFF; as OME, or with JSON, where ImageJ's cannot hold it.

    All lengths of an ImageJ file are in cm: grand-challenge.org needs this unit in the tags, and
    refuses files without a voxel size, so that an assumed one is written too.
    """
    y, x = volume.spacing[-2:]
    if not all(HELD[0] <= size <= HELD[1] for size in (y, x)):
        raise InputError(
            f"TIFF holds pixels of {HELD[0]:g} to {HELD[1]:g} µm, found {y:g} x {x:g} µm"
        )
    array = volume.array
    options = _json(volume) if as_json else _flavour(volume)
    if "imagej" in options and volume.axes == "CZYX":
        array = array.swapaxes(0, 1)  # the order of ImageJ's hyperstacks
    if is_mapped(array):
        options |= {"shape": array.shape, "dtype": array.dtype}
    if compress:
        options |= {"compression": "zlib", "compressionargs": {"level": 1}}  # most of the gain
    before = options.pop("before", b"")
    tifffile.imwrite(
        path,
        planes_of(array) if is_mapped(array) else array,
        photometric="minisblack",
        resolution=(1e4 / x, 1e4 / y),
        resolutionunit="CENTIMETER",
        **options,
    )
    if before:
        _describe_first(path, before)


def _describe_first(path: Path, text: bytes) -> None:
    """Add a description before the one of a TIFF of ours, by a directory at its end.

    Readers of OME look at the first description alone, those of ImageJ's text at all.
    """
    with path.open("r+b") as file:
        file.seek(4)
        file.seek(*struct.unpack("=I", file.read(4)))
        (count,) = struct.unpack("=H", file.read(2))
        tags = [file.read(12) for _ in range(count)]
        following = file.read(4)
        place = file.seek(0, SEEK_END)
        file.write(text + bytes(2 - (place + len(text)) % 2))
        start = file.tell()
        tags.insert(0, struct.pack("=HHII", DESCRIPTION, ASCII, len(text) + 1, place))
        tags.sort(key=lambda tag: struct.unpack("=H", tag[:2]))
        file.write(struct.pack("=H", len(tags)) + b"".join(tags) + following)
        file.seek(4)
        file.write(struct.pack("=I", start))


def _flavour(volume: Volume) -> Json:
    """Return the arguments of `tifffile.imwrite` that depend on the kind of TIFF."""
    array = volume.array
    axes = volume.axes
    held = array.dtype.char in IMAGEJ_TYPES and array.nbytes < IMAGEJ_BYTES
    channels = axes in {"CYX", "CZYX"} and not is_mapped(array)
    shape = array.shape
    # Of ImageJ's, tifffile takes a last axis of length one for samples.
    imagej = held and shape[-1] > 1 and (axes in {"YX", "ZYX"} or channels)
    if imagej and axes == "CZYX":
        axes = "ZCYX"
        shape = (shape[1], shape[0], *shape[2:])
    ours = {
        **scalars(volume.metadata)[0],
        "axes": axes,
        "spacing": list(volume.spacing),
        "unit": "um",
    }
    text = json.dumps({**ours, "shape": shape})
    physical: Json = {"Creator": "cytosuite"}  # else tifffile with its version: bytes repeat
    for axis, size in () if volume.spacing_is_assumed else volume.steps.items():
        physical |= {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": "µm"}

    def name() -> str:
        """Return a name of its own for each file, as OME wants; of the content: bytes repeat."""
        checksum = 0
        for plane in planes_of(array):  # the array may be as large as the memory
            checksum = zlib.crc32(plane.data, checksum)
        return str(uuid5(NAMESPACE_OID, f"{text} {checksum}"))

    if imagej:
        words = {key: ours[key] for key in PLATFORM if str(ours.get(key, "")).isalnum()}
        words |= {f"PhysicalSize{a}": f"{size / 1e4:.12g}" for a, size in volume.steps.items()}
        words |= {"unit": "cm"} | ({"spacing": words["PhysicalSizeZ"]} if "Z" in axes else {})
        words |= {"mode": "composite"} if channels else {}
        xml = ome_xml(ours, array.dtype.name, shape, axes, name, **physical)
        return {"imagej": True, "before": xml, "metadata": {"axes": axes, "Info": text, **words}}
    if array.dtype.name not in OME_TYPES:
        return _json(volume)
    physical["CommentAnnotation"] = {"Namespace": NAMESPACE, "Value": text}
    options: Json = {"bigtiff": array.nbytes > BIG}
    if xml := ome_xml(ours, array.dtype.name, shape, axes, name, **physical):
        return options | {"description": xml, "metadata": None}
    return options | {"ome": True, "metadata": {"axes": axes, "UUID": name(), **physical}}


def _json(volume: Volume) -> Json:
    sizes = {f"PhysicalSize{axis}": size for axis, size in volume.steps.items()}
    step = {"spacing": volume.spacing[0]} if "Z" in volume.axes else {}
    geometry = {"unit": "um", "axes": volume.axes, "shape": list(volume.shape)}
    words = {**scalars(volume.metadata)[0], **step, **sizes, **geometry}
    return {"bigtiff": volume.array.nbytes > BIG, "metadata": words}


@contextmanager
def opened(
    path: Path,
    pick: IntMap | None = None,
    scene: int | None = None,
    *,
    axes: str = "",
    colours: bool = False,
) -> Iterator[Stored]:
    """Open an image series of a TIFF file, whole or one frame and channel of it."""
    with ExitStack() as held:
        with _watched():
            file = held.enter_context(_file(path))
            plan = _describe(file, pick or {}, scene, axes, colours)
        series = file.series[scene or 0]
        in_place = series.dataoffset is not None and file.byteorder == NATIVE
        yield Stored(
            plan.header,
            plan.metadata,
            plan.origin,
            lambda planes: each_within(_watched, _slabs(series, plan, planes)),
            partial(_mapped, series, plan) if in_place else None,
        )


def channels(path: Path, scene: int | None = None) -> list[str]:
    """Return the names of colours, or of the channels in OME-XML, empty where one has none."""
    with _watched(), _file(path) as file:
        series = file.series[min(scene or 0, len(file.series) - 1)]
        if "S" in series.axes and _photometric(series) in {"RGB", "YCBCR"}:
            return [*COLOURS, "alpha"][: series.keyframe.samplesperpixel]
        return channel_names(file, scene or 0)


@frozen
class _Series:
    """Geometry and metadata of a series, its shape as stored, the part to read, order of axes."""

    header: Header
    stored: Shape
    index: Box
    order: Shape
    metadata: Scalars
    origin: Origin


def _heard(record: logging.LogRecord) -> bool:
    """Raise an error that tifffile only logs, like a missing page, and keep the first.

    A filter of its log: false, so that nothing is shown, while a file is read.
    """
    complaints = _COMPLAINTS.get(record.thread)
    if complaints is not None and record.levelno >= logging.ERROR:
        complaints.append(record.getMessage())  # tifffile may catch it
        raise tifffile.TiffFileError(complaints[0])
    return not _COMPLAINTS


logging.getLogger("tifffile").addFilter(_heard)


@contextmanager
def _file(path: Path) -> Iterator[tifffile.TiffFile]:
    with open_regular(path) as stream:
        check_directories(stream)
        stream.seek(0)
        # One file is one image: a series must not pull in other files which it names.
        with tifffile.TiffFile(stream, name=path.name, _multifile=False, **ALONE) as file:
            check_descriptions(file)
            yield file


@contextmanager
def _watched() -> Iterator[None]:
    """Raise an `InputError` for every defect that tifffile raises or logs in the block."""
    complaints = _COMPLAINTS[threading.get_ident()] = []
    reason = ""
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:  # nobody knows all that a codec raises
        speaks = isinstance(error, SPEAKING) and not isinstance(error, RecursionError)
        reason = last_line(error) if speaks else "its parts contradict each other"
    finally:
        _COMPLAINTS.pop(threading.get_ident(), None)
    if complaints:
        reason = _plain_words(complaints[0]) or reason
    if reason:
        raise InputError(f"cannot be read as TIFF, cut or broken ({reason})")


def _plain_words(complaint: str) -> str:
    """Return a line of tifffile's log without the names of its objects and of Python's errors."""
    cause = re.search(r"""[ ,]*raised "?(\w+)\((['"])(.*)\2""", complaint)
    if cause:
        complaint = cause[3] if cause[1] == "TiffFileError" else complaint[: cause.start()]
    return re.sub(r"<[^<>]*> ?", "", complaint)


def _photometric(series: tifffile.TiffPageSeries) -> str:
    return getattr(series.keyframe.photometric, "name", "")


def _axes(series: tifffile.TiffPageSeries, colours: bool) -> str:
    """Return the axes of a series; colours are channels, an unnamed axis z, or t of one plane."""
    axes = str(series.axes).upper()
    if "C" not in axes and (colours or _photometric(series).startswith("MINIS")):
        axes = axes.replace("S", "C")  # of grey values and their opacity, too
    if "S" in axes:
        raise InputError(
            f"expected a grey image, found a colour image of shape "
            f"{tuple(series.shape)}; give one channel"
        )
    unnamed = [axis for axis in axes if axis not in AXES]
    if len(unnamed) == 1 and "Z" not in axes:
        return axes.replace(unnamed[0], "T" if series.shape[:-2] == (1,) else "Z")
    if unnamed:
        raise InputError(
            f"cannot tell the axes of shape {tuple(series.shape)}; "
            f"name them in the file's metadata (a subset of {AXES}), or by --axes to benchmark, "
            "segment and apply"
        )
    return axes


def _describe(
    file: tifffile.TiffFile,
    pick: IntMap,
    scene: int | None,
    named: str,
    colours: bool = False,
) -> _Series:
    """Return geometry and metadata of a series; T and C of length one are dropped."""
    many = len(file.series)
    if scene is not None and not 0 <= scene < many:
        raise InputError(f"expected a scene from 0 to {many - 1}, found {scene}")
    series = file.series[scene or 0]
    entries, ours, warnings = description(file)
    stored, whole = _layout(series, ours, named, colours or "C" in pick)
    if "S" in series.axes:
        pick = {axis: number for axis, number in pick.items() if axis != "C"}
    pick = picked(pick, stored, whole)
    check_pixels(series)
    if stored == named == SPATIAL and (others := _misnamed(series)):
        warnings.append(f"axes odd: the file calls them {others}; a stack is z, y, x as it lies")
    if len(series.shape) < len(named):
        warnings.append(f"axes {named} not used: the file has the shape {tuple(series.shape)}")
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
    stated = statements(file, entries, scene or 0)
    if ours:
        entries, stated = _reconciled(ours, stated)
    entries = {key: value for key, value in entries.items() if spelt(key) not in GEOMETRY}
    if "C" not in axes and file.is_ome:
        entries = {**microscope(ome_of(file), scene or 0, pick.get("C", 0)), **entries}
    metadata, more = with_channel(entries, channel_names(file, scene or 0), axes, pick)
    spacing = guessed_spacing(axes, sizes_of(stated), metadata)
    sources = dict.fromkeys(metadata, "json" if ours else kind(file))
    if scene is None and many > 1:
        warnings.append(f"the file holds {many} images, and only the first is read")
    return _Series(
        Header(tuple(shape[i] for i in keep), np.dtype(series.dtype), spacing, axes),
        whole,
        index,
        (*keep, *dropped),
        metadata,
        origin(stated, sources, metadata, [*warnings, *more]),
    )


def _layout(
    series: tifffile.TiffPageSeries, ours: Entries, named: str, colours: bool
) -> tuple[str, Shape]:
    """Return axes and shape as stored; ImageJ and OME leave axes of length one out."""
    shape = tuple(int(size) for size in series.shape)
    if len(shape) == len(named) and "S" not in series.axes:
        return named, shape
    axes = str(ours.get("axes", ""))
    sizes = tuple(ours.get("shape", ()))
    letters = str(series.axes).upper()
    same = len(sizes) > 1 and sizes[-2:] == shape[-2:] and prod(sizes) == prod(shape)
    # Axes of length one have no place in ImageJ and OME; others must have the same names in both.
    if same and (set(letters) - set(AXES) or _longer(axes, sizes) == _longer(letters, shape)):
        return axes, sizes
    return _axes(series, colours), shape


def _misnamed(series: tifffile.TiffPageSeries) -> str:
    """Return the names of the axes of a stack, also a plane, where one names another axis."""
    names = str(series.axes).upper()
    ends = zip(reversed(names), reversed(SPATIAL), strict=False)
    wrong = any(name != axis and name in AXES for name, axis in ends)
    return ", ".join(names.lower()) if wrong else ""


def _longer(axes: str, shape: Sizes) -> str:
    return "".join(axis for axis, size in zip(axes, shape, strict=True) if size > 1)


def _reconciled(ours: Entries, stated: list[Stated]) -> tuple[Json, list[Stated]]:
    """Return metadata and voxel sizes: our JSON's, unless another program changed them."""
    steps = dict(
        zip((axis for axis in ours["axes"] if axis in SPATIAL), ours["spacing"], strict=True)
    )
    sizes = sizes_of(stated).items()
    if all(isclose(steps.get(axis, size), size, rel_tol=1e-5) for axis, size in sizes):
        return dict(ours), [Stated("json", steps)]
    return {key: value for key, value in ours.items() if key != "spacing_source"}, stated


def _mapped(series: tifffile.TiffPageSeries, plan: _Series) -> Array:
    """Return pixels that lie in one piece as an array on disk, in the file's own bytes."""
    array = series.asarray(out="memmap").reshape(plan.stored)[plan.index]
    return np.asarray(array.transpose(plan.order).reshape(plan.header.shape))


def _slabs(series: tifffile.TiffPageSeries, plan: _Series, count: int) -> Iterator[Array]:
    """Yield the wanted pixels in slabs; decoded as a whole where a page is not a plane."""
    head = plan.header
    last = len(plan.stored) - 2
    numbers = np.arange(prod(plan.stored[:last])).reshape(plan.stored[:last])[plan.index[:last]]
    if series.dataoffset is None:
        page = series.keyframe  # each thread that decodes holds a strip or tile in two forms
        check_room(2 * page.maxworkers * prod(page.chunks) * page.dtype.itemsize)
    paged = len(series.pages) == prod(plan.stored[:last])
    in_order = plan.order[: len(head.shape)][-2:] == (last, last + 1)
    if series.dataoffset is None and paged and in_order and head.shape[:-2]:
        leading = [axis for axis in plan.order if axis < last]
        numbers = numbers.transpose(leading).reshape(head.shape[:-2])
        check_pictures([series.pages[n] for n in numbers.flat])
        for start in range(0, head.shape[0], count):
            chosen = numbers[start : start + count]
            part = series.parent.asarray(key=chosen.ravel().tolist(), series=series)
            yield np.asarray(part, head.dtype).reshape(*chosen.shape, *head.shape[-2:])
        return
    if series.dataoffset is None:
        check_pictures(series.pages)
        whole = series.asarray(out=room(tuple(series.shape), head.dtype)).reshape(plan.stored)
        whole = whole[plan.index].transpose(plan.order).reshape(head.shape)
    else:
        whole = _mapped(series, plan)
    alone = series.dataoffset is None and count >= len(whole) and not memory.is_mapped(whole)
    yield from [whole] if alone else copies(whole, count)
