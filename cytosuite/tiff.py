"""TIFF files with axes, voxel size and metadata, by tifffile alone.

Other readers are avoided on purpose: SimpleITK reads a tiled
multi-page TIFF through an 8-bit colour fallback with only a warning, and never a z step.
"""

import json
import logging
import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from logging.handlers import BufferingHandler
from math import isclose, prod
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from cytosuite.errors import InputError
from cytosuite.tiffspacing import Stated, kind, origin, statements
from cytosuite.volume import AXES, SPATIAL, Header, Origin, Scalar, Volume

# Keys that describe the array itself; they are not metadata of the scene.
GEOMETRY = {"shape", "axes", "spacing", "voxel_size_um", "unit", "resolution", "imagej", "images"}
GEOMETRY |= {"slices", "frames", "channels", "hyperstack", "mode", "loop", "min", "max"}
GEOMETRY |= {f"physical{sep}size{sep}{axis}" for sep in ("", "_") for axis in "xyz"}
GEOMETRY |= {"imagejmetadata", "info", "ranges", "zunit", "yunit", "xunit"}
UNNAMED = re.compile(r"channel[:_ \d]*", re.IGNORECASE)  # names that programs make up
# The error of tifffile for a cut or altered file depends on where it was cut.
BROKEN: tuple[type[Exception], ...] = (tifffile.TiffFileError, struct.error, zlib.error)
BROKEN += (ValueError, OSError, EOFError, RuntimeError, LookupError, TypeError)


@dataclass(frozen=True, slots=True)
class _Described:
    """Geometry and metadata of a series, its shape as stored, the part to read, order of axes."""

    header: Header
    stored: tuple[int, ...]
    index: tuple[slice, ...]
    order: tuple[int, ...]
    metadata: dict[str, Scalar]
    origin: Origin


def read_tiff(
    path: Path, pick: Mapping[str, int] | None = None, scene: int | None = None
) -> Volume:
    """Return an image series of a TIFF file, whole or one frame and channel of it.

    Parameters
    ----------
    path : Path
        Plain, ImageJ or OME TIFF. Axes come from its metadata; one unnamed axis is taken as z.
        Axes T and C of length one are dropped.
    pick : mapping of str to int, optional
        Index along T or C: only its pages are decoded, and the axis is dropped.
    scene : int, optional
        Number of the series; without it the first, and a remark where there are several.

    Returns
    -------
    Volume
        Voxel size from the JSON description, OME-XML, ImageJ's text or the resolution tags, in
        this order; 1 µm and ``spacing_source = "assumed"`` where there is none.

    Raises
    ------
    InputError
        If the file is cut or broken, holds a colour image, or has no such scene.
    """
    with _open(path) as file:
        found = _describe(path, file, pick or {}, scene)
        array = _pixels(file.series[scene or 0], found)
    head = found.header
    array = array.transpose(found.order).reshape(head.shape)
    return Volume(array, head.spacing, head.axes, found.metadata, found.origin)


def tiff_header(path: Path, scene: int | None = None) -> Header:
    """Return the geometry of a series without decoding a pixel; see `read_tiff`.

    Raises
    ------
    InputError
        If the file is cut or broken, or holds a colour image.
    """
    size = path.stat().st_size
    with _open(path) as file:
        found = _describe(path, file, {}, scene)
        for page in filter(None, file.series[scene or 0].pages):
            for start, count in zip(page.dataoffsets, page.databytecounts, strict=True):
                if start + count > size:
                    raise ValueError(f"pixels end at byte {start + count} of {size}")
        return found.header


def tiff_channels(path: Path, scene: int | None = None) -> list[str]:
    """Return the names of the channels in OME-XML, empty where a channel has none.

    Parameters
    ----------
    path : Path
        Any TIFF; without OME-XML there is no channel in the list.
    scene : int, optional
        As of `read_tiff`.
    """
    with _open(path) as file:
        return _channels(file, scene or 0)


@contextmanager
def _open(path: Path) -> Iterator[tifffile.TiffFile]:
    """Open a TIFF file; raise an `InputError` for every defect that tifffile raises or logs."""
    logger, complaints = logging.getLogger("tifffile"), BufferingHandler(2**20)
    complaints.setLevel(logging.ERROR)  # a missing page is no more than a line of the log
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(complaints)
    try:
        # One file is one image: a series must not pull in other files which it names.
        with tifffile.TiffFile(path, _multifile=False) as file:
            yield file
        reason = complaints.buffer[0].getMessage() if complaints.buffer else ""
    except BROKEN as error:
        reason = str(error) or repr(error)
    finally:
        logger.removeHandler(complaints)
        logger.propagate = propagate
    if reason:
        raise InputError(f"{path}: cannot be read as TIFF, cut or broken ({reason})")


def _axes(path: Path, series: tifffile.TiffPageSeries) -> str:
    """Return the axes of a series with one unnamed axis read as z."""
    axes = str(series.axes).upper()
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


def _pixels(series: tifffile.TiffPageSeries, found: _Described) -> NDArray[Any]:
    """Return the wanted part of a series, in the order of the stored axes.

    Only its pages are decoded where each page is a plane, and only its bytes are read where the
    pixels lie in one piece.
    """
    planes = found.stored[:-2]
    if all(step == slice(None) for step in found.index):
        array: NDArray[Any] = series.asarray()
        return array.reshape(found.stored)
    if len(series.pages) == prod(planes):
        keys = np.arange(prod(planes)).reshape(planes)[found.index[:-2]]
        chosen = series.parent.asarray(key=keys.ravel().tolist(), series=series)
        return np.asarray(chosen).reshape(*keys.shape, *found.stored[-2:])
    out = None if series.dataoffset is None else "memmap"
    return np.array(series.asarray(out=out).reshape(found.stored)[found.index])


def _describe(
    path: Path, file: tifffile.TiffFile, pick: Mapping[str, int], scene: int | None
) -> _Described:
    """Return geometry and metadata of a series; T and C of length one are dropped."""
    many = len(file.series)
    if scene is not None and not 0 <= scene < many:
        raise InputError(f"{path}: expected a scene from 0 to {many - 1}, found {scene}")
    series = file.series[scene or 0]
    found, ours = _description(file)
    stored, whole = _layout(path, series, ours)
    index = tuple(slice(pick[a], pick[a] + 1) if a in pick else slice(None) for a in stored)
    shape = tuple(1 if axis in pick else whole[i] for i, axis in enumerate(stored))
    dropped = [i for i, axis in enumerate(stored) if axis in "TC" and shape[i] == 1]
    keep = sorted(set(range(len(stored))) - set(dropped), key=lambda i: AXES.index(stored[i]))
    axes = "".join(stored[i] for i in keep)
    stated = statements(file, found, scene or 0)
    if ours:
        found, stated = _reconciled(ours, stated)
    sizes = {axis: size for part in stated for axis, size in part.sizes.items()}
    metadata: dict[str, Scalar] = {
        key: value
        for key, value in found.items()
        if key.lower() not in GEOMETRY and isinstance(value, str | int | float)
    }
    names = dict(enumerate(_channels(file, scene or 0)))
    if "C" not in axes and (name := names.get(pick.get("C", 0))):
        metadata.setdefault("channel", name)
    spatial = [axis for axis in axes if axis in SPATIAL]
    if not all(axis in sizes for axis in "YX"):
        sizes, metadata["spacing_source"] = {}, "assumed"
    elif not all(axis in sizes for axis in spatial):
        # The plane's size is known, the step is not: cubic voxels are the plain guess.
        metadata["spacing_source"] = "assumed"
    spacing = tuple(sizes.get(axis, sizes.get("Y", 1.0)) for axis in spatial)
    sources = dict.fromkeys(metadata, "json" if ours else kind(file))
    known = origin(stated, sources, metadata)
    if scene is None and many > 1:
        lines = (*known.warnings, f"the file holds {many} images, and only the first is read")
        known = replace(known, warnings=lines)
    return _Described(
        Header(tuple(shape[i] for i in keep), np.dtype(series.dtype), spacing, axes),
        whole,
        index,
        (*keep, *dropped),
        metadata,
        known,
    )


def _layout(
    path: Path, series: tifffile.TiffPageSeries, ours: Mapping[str, Any]
) -> tuple[str, tuple[int, ...]]:
    """Return axes and shape as stored; ImageJ and OME leave axes of length one out."""
    shape = tuple(int(size) for size in series.shape)
    axes, own = str(ours.get("axes", "")), tuple(ours.get("shape", ()))
    if len(own) > 1 and own[-2:] == shape[-2:] and prod(own) == prod(shape):
        return axes, own
    return _axes(path, series), shape


def _description(file: tifffile.TiffFile) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the keys and values of the first page's description, and our own JSON."""
    imagej = dict(file.imagej_metadata or {})
    texts = [imagej.get("Info"), *(_comments(file) if file.is_ome else ())]
    ours = next((own for own in map(_json, texts) if _is_ours(own)), {})
    return _json(file.pages[0].description) or imagej, ours


def _channels(file: tifffile.TiffFile, scene: int) -> list[str]:
    """Return the names of an image's channels in OME-XML; programs number those without one."""
    if not file.is_ome:
        return []
    images = tifffile.xml2dict(file.ome_metadata or "")["OME"]["Image"]
    image = images[scene] if isinstance(images, list) else images
    found = image["Pixels"].get("Channel", [])
    channels = found if isinstance(found, list) else [found]
    names = [str(channel.get("Name", "")) for channel in channels]
    return ["" if UNNAMED.fullmatch(name) else name for name in names]


def _comments(file: tifffile.TiffFile) -> list[Any]:
    """Return the texts of the comment annotations in OME-XML."""
    notes = tifffile.xml2dict(file.ome_metadata or "")["OME"].get("StructuredAnnotations", {})
    found = notes.get("CommentAnnotation", []) if isinstance(notes, dict) else []
    return [note.get("Value") for note in (found if isinstance(found, list) else [found])]


def _json(text: object) -> dict[str, Any]:
    """Return the JSON object that a text begins with; empty where there is none."""
    try:
        found, _ = json.JSONDecoder().raw_decode(str(text))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_ours(found: Mapping[str, Any]) -> bool:
    """Return whether a JSON object has the axes, shape and spacing of `cytosuite.tiffwriter`."""
    axes, shape, spacing = (found.get(key) for key in ("axes", "shape", "spacing"))
    if not (isinstance(axes, str) and isinstance(shape, list) and isinstance(spacing, list)):
        return False
    spatial = sum(axis in SPATIAL for axis in axes)
    return (
        len(set(axes) & set(AXES)) == len(axes) == len(shape)
        and len(spacing) == spatial
        and all(isinstance(size, int) for size in shape)
        and all(isinstance(s, int | float) and 0 < s < float("inf") for s in spacing)
    )


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
