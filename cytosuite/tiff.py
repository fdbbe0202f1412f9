"""TIFF files with axes, voxel size and metadata, by tifffile alone.

Other readers are avoided on purpose: SimpleITK reads a tiled multi-page TIFF through an 8-bit
colour fallback with only a warning.
"""

import json
import logging
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from logging.handlers import BufferingHandler
from math import log
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tifffile

from cytosuite.errors import InputError
from cytosuite.volume import AXES, SPATIAL, Header, Origin, Scalar, Volume

UM_PER = {"nm": 1e-3, "mm": 1e3, "cm": 1e4, "centimeter": 1e4, "m": 1e6, "inch": 25400.0}
UM_PER |= dict.fromkeys(("um", "µm", "μm", "\\u00b5m", "micron", "microns", "micrometer"), 1.0)
# Keys that describe the array itself; they are not metadata of the scene.
GEOMETRY = {"shape", "axes", "spacing", "voxel_size_um", "unit", "resolution", "imagej", "images"}
GEOMETRY |= {"slices", "frames", "channels", "hyperstack", "mode", "loop", "min", "max"}
GEOMETRY |= {f"physical{sep}size{sep}{axis}" for sep in ("", "_") for axis in "xyz"}
# The error of tifffile for a cut or altered file depends on where it was cut.
BROKEN: tuple[type[Exception], ...] = (tifffile.TiffFileError, struct.error, zlib.error)
BROKEN += (ValueError, OSError, EOFError, RuntimeError, LookupError, TypeError)
UNITS = {1e-3: "nm", 1.0: "um", 1e3: "mm", 1e4: "cm", 25400.0: "inch", 1e6: "m"}
AGREEMENT = 0.02  # largest relative difference of two statements of one voxel size


class _Stated(NamedTuple):
    """The voxel size that one part of a file states."""

    source: str
    sizes: dict[str, float]  # µm, by axis
    um: float = 1.0  # µm per unit of the statement
    unusable: tuple[object, ...] = ()  # values that are no positive numbers


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
        found, order, metadata, origin = _describe(path, file)
        array = file.series[0].asarray().transpose(order).reshape(found.shape)
    return Volume(array, found.spacing, found.axes, metadata, origin)


def tiff_header(path: Path) -> Header:
    """Return the geometry of the first series without decoding a pixel.

    Raises
    ------
    InputError
        If the file is cut or broken, or holds a colour image.
    """
    size = path.stat().st_size
    with _open(path) as file:
        for page in file.series[0].pages:
            for start, count in zip(page.dataoffsets, page.databytecounts, strict=True):
                if start + count > size:
                    raise ValueError(f"pixels end at byte {start + count} of {size}")
        return _describe(path, file)[0]


def write_tiff(path: Path, volume: Volume, compress: bool) -> None:
    """Write a volume as TIFF with resolution in pixels per centimetre and JSON metadata.

    See `cytosuite.formats.write`, which also makes it atomic. Level 1 of the compression has most
    of the gain for little of the time.
    """
    y, x = volume.spacing[-2:]
    geometry = {"axes": volume.axes, "spacing": list(volume.spacing), "unit": "um"}
    tifffile.imwrite(
        path,
        volume.array,
        photometric="minisblack",
        bigtiff=volume.array.nbytes > 2**31,
        compression="zlib" if compress else None,
        compressionargs={"level": 1} if compress else None,
        resolution=(1e4 / x, 1e4 / y),
        resolutionunit="CENTIMETER",
        metadata={**volume.metadata, **geometry},
    )


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


def _describe(
    path: Path, file: tifffile.TiffFile
) -> tuple[Header, list[int], dict[str, Scalar], Origin]:
    """Return the header, the stored axes in the order of the header, metadata and their origin.

    T and C of length one are dropped: they come last in the order of the stored axes.
    """
    series, stored = file.series[0], _axes(path, file)
    dropped = [i for i, axis in enumerate(stored) if axis in "TC" and series.shape[i] == 1]
    keep = sorted(set(range(len(stored))) - set(dropped), key=lambda i: AXES.index(stored[i]))
    axes = "".join(stored[i] for i in keep)
    found = _description(file)
    stated = [_from_resolution(file, found), _from_ome(file), _from_description(file, found)]
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
    shape = tuple(int(series.shape[i]) for i in keep)
    header = Header(shape, np.dtype(series.dtype), spacing, axes)
    sources = dict.fromkeys(metadata, _source(file))
    return header, [*keep, *dropped], metadata, _origin(stated, sources, metadata)


def _source(file: tifffile.TiffFile) -> str:
    """Return the kind of the description that holds a file's metadata."""
    return "imagej" if file.is_imagej else "ome" if file.is_ome else "json"


def _origin(
    stated: Sequence[_Stated], sources: dict[str, str], metadata: Mapping[str, Scalar]
) -> Origin:
    """Return the origin of voxel size and metadata, with remarks on what does not fit."""
    sources.pop("spacing_source", None)
    used = next((part.source for part in reversed(stated) if "X" in part.sizes), "assumed")
    warnings = [
        f"a voxel size of {value} ({part.source}) is no positive number and does not count"
        for part in stated
        for value in part.unusable
    ]
    sizes = {axis: size for part in stated for axis, size in part.sizes.items()}
    warnings += [
        f"the file contradicts itself: it gives voxels of {_text(sizes)} ({used}), which is used, "
        f"and of {_text(part.sizes)} ({part.source})"
        for part in stated
        if any(abs(log(size / sizes[axis])) > AGREEMENT for axis, size in part.sizes.items())
    ]
    if metadata.get("spacing_source") == "assumed":
        return Origin(sources | {"spacing": "assumed"}, warnings=tuple(warnings))
    um = next(part.um for part in reversed(stated) if "X" in part.sizes)
    return Origin(sources | {"spacing": used}, UNITS.get(um, "um"), tuple(warnings))


def _text(sizes: Mapping[str, float]) -> str:
    """Return voxel sizes in µm for a message."""
    given = [f"{axis.lower()} {sizes[axis]:.4g}" for axis in SPATIAL if axis in sizes]
    return f"{', '.join(given)} µm"


def _description(file: tifffile.TiffFile) -> dict[str, Any]:
    """Return the key-value metadata of the first page: JSON, else the text of ImageJ."""
    try:
        described = json.loads(file.pages[0].description)
    except (ValueError, TypeError):
        described = None
    return described if isinstance(described, dict) else dict(file.imagej_metadata or {})


def _from_description(file: tifffile.TiffFile, found: Mapping[str, Any]) -> _Stated:
    """Return the voxel size among the key-value metadata."""
    lower = {key.lower().replace("_", ""): value for key, value in found.items()}
    unit = UM_PER.get(str(lower.get("unit", "um")).lower(), 1.0)
    values = {axis: lower.get(f"physicalsize{axis.lower()}") for axis in SPATIAL}
    spacing = lower.get("voxelsizeum", lower.get("spacing"))
    if isinstance(spacing, list | tuple):
        values |= dict(zip(reversed("ZYX"), reversed(spacing), strict=False))
        unit = 1.0
    elif spacing is not None:
        values["Z"] = spacing
    numbers = {axis: _number(value) for axis, value in values.items()}
    sizes = {axis: size * unit for axis, size in numbers.items() if size is not None}
    unusable = {str(v): v for v in values.values() if v is not None and _number(v) is None}
    return _Stated(_source(file), sizes, unit, tuple(unusable))


def _from_resolution(file: tifffile.TiffFile, found: Mapping[str, Any]) -> _Stated:
    """Return the plane's pixel size by the resolution tags, if these carry a unit."""
    tags = file.pages[0].tags
    unit = int(getattr(tags.get("ResolutionUnit"), "value", 1))
    um = {2: UM_PER["inch"], 3: UM_PER["cm"]}.get(unit)
    if file.imagej_metadata and "unit" in found:
        um = UM_PER.get(str(found["unit"]).lower())
    elif unit == 2 and not file.imagej_metadata:
        um = None  # programs write 72 or 96 dots per inch for "not known"
    source = "imagej" if file.imagej_metadata else "tiff"
    if um is None:
        return _Stated(source, {})
    both = {axis: getattr(tags.get(f"{axis}Resolution"), "value", (0, 0)) for axis in "XY"}
    return _Stated(source, {axis: um * n[1] / n[0] for axis, n in both.items() if min(n) > 0}, um)


def _from_ome(file: tifffile.TiffFile) -> _Stated:
    """Return the voxel size in an OME-XML description."""
    if not file.is_ome or not file.ome_metadata:
        return _Stated("ome", {})
    image = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]
    pixels = (image[0] if isinstance(image, list) else image)["Pixels"]
    sizes, um, unusable = {}, 1.0, {}
    for axis in SPATIAL:
        value = pixels.get(f"PhysicalSize{axis}")
        size = _number(value)
        unit = UM_PER.get(str(pixels.get(f"PhysicalSize{axis}Unit", "µm")).lower())
        if size is not None and unit is not None:
            sizes[axis], um = size * unit, unit
        elif value is not None and size is None:
            unusable[str(value)] = value
    return _Stated("ome", sizes, um, tuple(unusable))


def _number(value: object) -> float | None:
    """Return a positive finite number, or None for anything else."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) and number > 0 else None
