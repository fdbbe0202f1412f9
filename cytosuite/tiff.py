"""TIFF files with axes, voxel size and metadata, by tifffile alone.

Written as ImageJ or OME, so that other programs know the z step; the metadata are JSON in ImageJ's
info or in an annotation of OME. Other readers are avoided on purpose: SimpleITK reads a tiled
multi-page TIFF through an 8-bit colour fallback with only a warning, and never a z step.
"""

import json
import logging
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from logging.handlers import BufferingHandler
from math import isclose, prod
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import numpy as np
import tifffile
from numpy.typing import NDArray

from cytosuite.errors import InputError
from cytosuite.volume import AXES, SPATIAL, Header, Origin, Scalar, Volume
from cytosuite.voxelsize import Stated, kind, origin, statements

# Keys that describe the array itself; they are not metadata of the scene.
GEOMETRY = {"shape", "axes", "spacing", "voxel_size_um", "unit", "resolution", "imagej", "images"}
GEOMETRY |= {"slices", "frames", "channels", "hyperstack", "mode", "loop", "min", "max"}
GEOMETRY |= {f"physical{sep}size{sep}{axis}" for sep in ("", "_") for axis in "xyz"}
GEOMETRY |= {"imagejmetadata", "info", "ranges", "zunit", "yunit", "xunit"}
OURS = {"axes", "shape", "spacing"}  # keys of the JSON that `write_tiff` leaves
NAMESPACE = "cytosuite"
IMAGEJ_TYPES = "BHhf"
IMAGEJ_BYTES = 2**32 - 2**25  # of the whole file; the rest is room for its directories
OME_TYPES = {"int8", "int16", "int32", "uint8", "uint16", "uint32", "float32", "float64"}
# The error of tifffile for a cut or altered file depends on where it was cut.
BROKEN: tuple[type[Exception], ...] = (tifffile.TiffFileError, struct.error, zlib.error)
BROKEN += (ValueError, OSError, EOFError, RuntimeError, LookupError, TypeError)


@dataclass(frozen=True, slots=True)
class _Described:
    """Geometry and metadata of a file, with the shape and the order of the axes as stored."""

    header: Header
    stored: tuple[int, ...]
    order: tuple[int, ...]
    metadata: dict[str, Scalar]
    origin: Origin


def read_tiff(path: Path) -> Volume:
    """Return the first image series of a TIFF file.

    Parameters
    ----------
    path : Path
        Plain, ImageJ or OME TIFF. Axes come from its metadata; one unnamed axis is taken as z.
        Axes T and C of length one are dropped.

    Returns
    -------
    Volume
        Voxel size from the JSON description, OME-XML, ImageJ's text or the resolution tags, in
        this order; 1 µm and ``spacing_source = "assumed"`` where there is none.

    Raises
    ------
    InputError
        If the file is cut or broken, or holds a colour image.
    """
    with _open(path) as file:
        found = _describe(path, file)
        array = file.series[0].asarray().reshape(found.stored)
    head = found.header
    array = array.transpose(found.order).reshape(head.shape)
    return Volume(array, head.spacing, head.axes, found.metadata, found.origin)


def tiff_header(path: Path) -> Header:
    """Return the geometry of the first series without decoding a pixel.

    Raises
    ------
    InputError
        If the file is cut or broken, or holds a colour image.
    """
    size = path.stat().st_size
    with _open(path) as file:
        for page in filter(None, file.series[0].pages):
            for start, count in zip(page.dataoffsets, page.databytecounts, strict=True):
                if start + count > size:
                    raise ValueError(f"pixels end at byte {start + count} of {size}")
        return _describe(path, file).header


def write_tiff(path: Path, volume: Volume, compress: bool) -> None:
    """Write a volume as ImageJ or OME TIFF with the resolution in pixels per centimetre.

    See `cytosuite.formats.write`, which also makes it atomic. ImageJ holds 8 and 16 bits and
    float32 along z, y, x up to 4 GB; what it cannot hold is OME, and numbers that OME has no name
    for (64-bit integers) are a plain TIFF with a JSON description. All lengths of an ImageJ file
    are in cm: grand-challenge.org needs this unit in the tags, and other programs read tags and
    text in one unit. An assumed voxel size is written too, as the platform refuses files without.
    Level 1 of the compression has most of the gain for little of the time.
    """
    y, x = volume.spacing[-2:]
    tifffile.imwrite(
        path,
        volume.array,
        photometric="minisblack",
        compression="zlib" if compress else None,
        compressionargs={"level": 1} if compress else None,
        resolution=(1e4 / x, 1e4 / y),
        resolutionunit="CENTIMETER",
        **_flavour(volume),
    )


def _flavour(volume: Volume) -> dict[str, Any]:
    """Return the arguments of `tifffile.imwrite` that depend on the kind of TIFF."""
    array, axes = volume.array, volume.axes
    geometry = {"axes": axes, "spacing": list(volume.spacing), "unit": "um"}
    ours = {**volume.metadata, **geometry}
    text = json.dumps({**ours, "shape": array.shape})
    step = volume.spacing[0]
    if axes in {"YX", "ZYX"} and array.dtype.char in IMAGEJ_TYPES and array.nbytes < IMAGEJ_BYTES:
        scale = {"unit": "cm"} | ({"spacing": f"{step / 1e4:.12g}"} if "Z" in axes else {})
        return {"imagej": True, "metadata": {"axes": axes, "Info": text, **scale}}
    big = array.nbytes > 2**31
    if array.dtype.name not in OME_TYPES:
        return {"bigtiff": big, "metadata": ours}
    sizes: dict[str, Any] = {}
    if not volume.spacing_is_assumed:
        for axis, size in zip((a for a in axes if a in SPATIAL), volume.spacing, strict=True):
            sizes |= {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": "µm"}
    comment = {"Namespace": NAMESPACE, "Value": text}
    # OME wants a name of its own for each file; drawn from the content, so that bytes repeat.
    own = uuid5(NAMESPACE_OID, f"{text} {_checksum(array)}")
    metadata = {"axes": axes, "UUID": str(own), "CommentAnnotation": comment, **sizes}
    return {"ome": True, "bigtiff": big, "metadata": metadata}


def _checksum(array: NDArray[Any]) -> int:
    """Return the CRC-32 of the pixels, plane by plane: the array may be as large as the memory."""
    state = 0
    for plane in array.reshape(-1, *array.shape[-2:]) if array.ndim > 2 else [array]:
        state = zlib.crc32(np.ascontiguousarray(plane).data, state)
    return state


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


def _axes(path: Path, file: tifffile.TiffFile) -> str:
    """Return the axes of the first series with one unnamed axis read as z."""
    axes = str(file.series[0].axes).upper()
    if "S" in axes:
        raise InputError(
            f"{path}: expected a grey image, found a colour image of shape "
            f"{tuple(file.series[0].shape)}; give one channel"
        )
    unnamed = [axis for axis in axes if axis not in AXES]
    if len(unnamed) == 1 and "Z" not in axes:
        return axes.replace(unnamed[0], "Z")
    if unnamed:
        raise InputError(
            f"{path}: cannot tell the axes of shape {tuple(file.series[0].shape)}; "
            f"name them in the file's metadata (a subset of {AXES})"
        )
    return axes


def _describe(path: Path, file: tifffile.TiffFile) -> _Described:
    """Return geometry and metadata of the first series; T and C of length one are dropped."""
    found, ours = _description(file)
    stored, shape = _layout(path, file, ours)
    dropped = [i for i, axis in enumerate(stored) if axis in "TC" and shape[i] == 1]
    keep = sorted(set(range(len(stored))) - set(dropped), key=lambda i: AXES.index(stored[i]))
    axes = "".join(stored[i] for i in keep)
    stated = statements(file, found)
    if ours:
        found, stated = _reconciled(ours, stated)
    sizes = {axis: size for part in stated for axis, size in part.sizes.items()}
    metadata: dict[str, Scalar] = {
        key: value
        for key, value in found.items()
        if key.lower() not in GEOMETRY and isinstance(value, str | int | float)
    }
    spatial = [axis for axis in axes if axis in SPATIAL]
    if not all(axis in sizes for axis in "YX"):
        sizes, metadata["spacing_source"] = {}, "assumed"
    elif not all(axis in sizes for axis in spatial):
        # The plane's size is known, the step is not: cubic voxels are the plain guess.
        metadata["spacing_source"] = "assumed"
    spacing = tuple(sizes.get(axis, sizes.get("Y", 1.0)) for axis in spatial)
    kept = tuple(shape[i] for i in keep)
    return _Described(
        Header(kept, np.dtype(file.series[0].dtype), spacing, axes),
        shape,
        (*keep, *dropped),
        metadata,
        origin(stated, dict.fromkeys(metadata, "json" if ours else kind(file)), metadata),
    )


def _layout(
    path: Path, file: tifffile.TiffFile, ours: Mapping[str, Any]
) -> tuple[str, tuple[int, ...]]:
    """Return axes and shape as stored; ImageJ and OME leave axes of length one out."""
    series = file.series[0]
    shape = tuple(int(size) for size in series.shape)
    axes, own = str(ours.get("axes", "")), tuple(ours.get("shape", ()))
    if len(own) > 1 and own[-2:] == shape[-2:] and prod(own) == prod(shape):
        return axes, own
    return _axes(path, file), shape


def _description(file: tifffile.TiffFile) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the keys and values of the first page's description, and the JSON of `write_tiff`."""
    imagej = dict(file.imagej_metadata or {})
    texts = [imagej.get("Info"), *(_comments(file) if file.is_ome else ())]
    ours = next((own for own in map(_json, texts) if own.keys() >= OURS), {})
    return _json(file.pages[0].description) or imagej, ours


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
