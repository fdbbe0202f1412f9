"""TIFF files with axes, voxel size and metadata, by tifffile alone.

Other readers are avoided on purpose: SimpleITK reads a tiled multi-page TIFF through an 8-bit
colour fallback with only a warning.
"""

import json
import logging
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from logging.handlers import BufferingHandler
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from cytosuite.errors import InputError
from cytosuite.volume import AXES, SPATIAL, Header, Scalar, Volume

UM_PER = {"nm": 1e-3, "mm": 1e3, "cm": 1e4, "centimeter": 1e4, "m": 1e6, "inch": 25400.0}
UM_PER |= dict.fromkeys(("um", "µm", "μm", "\\u00b5m", "micron", "microns", "micrometer"), 1.0)
# Keys that describe the array itself; they are not metadata of the scene.
GEOMETRY = {"shape", "axes", "spacing", "voxel_size_um", "unit", "resolution", "imagej", "images"}
GEOMETRY |= {"slices", "frames", "channels", "hyperstack", "mode", "loop", "min", "max"}
GEOMETRY |= {f"physical{sep}size{sep}{axis}" for sep in ("", "_") for axis in "xyz"}
# The error of tifffile for a cut or altered file depends on where it was cut.
BROKEN: tuple[type[Exception], ...] = (tifffile.TiffFileError, struct.error, zlib.error)
BROKEN += (ValueError, OSError, EOFError, RuntimeError, LookupError, TypeError)


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
        found, order, metadata = _describe(path, file)
        array = file.series[0].asarray().transpose(order).reshape(found.shape)
    return Volume(array, found.spacing, found.axes, metadata)


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


def _describe(path: Path, file: tifffile.TiffFile) -> tuple[Header, list[int], dict[str, Scalar]]:
    """Return the header, the stored axes in the order of the header, and the metadata.

    T and C of length one are dropped: they come last in the order of the stored axes.
    """
    series, stored = file.series[0], _axes(path, file)
    dropped = [i for i, axis in enumerate(stored) if axis in "TC" and series.shape[i] == 1]
    keep = sorted(set(range(len(stored))) - set(dropped), key=lambda i: AXES.index(stored[i]))
    axes = "".join(stored[i] for i in keep)
    found = _description(file)
    sizes = _physical_sizes(file, found)
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
    return Header(shape, np.dtype(series.dtype), spacing, axes), [*keep, *dropped], metadata


def _description(file: tifffile.TiffFile) -> dict[str, Any]:
    """Return the key-value metadata of the first page: JSON, else the text of ImageJ."""
    try:
        described = json.loads(file.pages[0].description)
    except (ValueError, TypeError):
        described = None
    return described if isinstance(described, dict) else dict(file.imagej_metadata or {})


def _physical_sizes(file: tifffile.TiffFile, found: Mapping[str, Any]) -> dict[str, float]:
    """Return µm per voxel of the axes for which the file gives one."""
    sizes = _from_resolution(file, found) | _from_ome(file)
    lower = {key.lower().replace("_", ""): value for key, value in found.items()}
    unit = UM_PER.get(str(lower.get("unit", "um")).lower(), 1.0)
    for axis in SPATIAL:
        if (size := _number(lower.get(f"physicalsize{axis.lower()}"))) is not None:
            sizes[axis] = size * unit
    spacing = lower.get("voxelsizeum", lower.get("spacing"))
    if isinstance(spacing, list | tuple):
        values = [_number(value) for value in spacing]
        sizes |= {
            axis: value
            for axis, value in zip(reversed("ZYX"), reversed(values), strict=False)
            if value is not None
        }
    elif (step := _number(spacing)) is not None:
        sizes["Z"] = step * unit
    return sizes


def _from_resolution(file: tifffile.TiffFile, found: Mapping[str, Any]) -> dict[str, float]:
    """Return the plane's pixel size by the resolution tags, if these carry a unit."""
    tags = file.pages[0].tags
    unit = int(getattr(tags.get("ResolutionUnit"), "value", 1))
    um = {2: UM_PER["inch"], 3: UM_PER["cm"]}.get(unit)
    if file.imagej_metadata and "unit" in found:
        um = UM_PER.get(str(found["unit"]).lower())
    elif unit == 2 and not file.imagej_metadata:
        um = None  # programs write 72 or 96 dots per inch for "not known"
    both = {axis: getattr(tags.get(f"{axis}Resolution"), "value", (0, 0)) for axis in "XY"}
    return {axis: um * n[1] / n[0] for axis, n in both.items() if um is not None and min(n) > 0}


def _from_ome(file: tifffile.TiffFile) -> dict[str, float]:
    """Return the voxel size in an OME-XML description."""
    if not file.is_ome or not file.ome_metadata:
        return {}
    image = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]
    pixels = (image[0] if isinstance(image, list) else image)["Pixels"]
    sizes = {}
    for axis in SPATIAL:
        size = _number(pixels.get(f"PhysicalSize{axis}"))
        unit = UM_PER.get(str(pixels.get(f"PhysicalSize{axis}Unit", "µm")).lower())
        if size is not None and unit is not None:
            sizes[axis] = size * unit
    return sizes


def _number(value: object) -> float | None:
    """Return a positive finite number, or None for anything else."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) and number > 0 else None
