"""Writing of TIFF files in which other programs find the voxel size: ImageJ, else OME.

Our own metadata are JSON in ImageJ's info, or in an annotation of OME; on request the whole
description is JSON.
"""

import json
import zlib
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import tifffile
from numpy.typing import NDArray

from cytosuite.errors import InputError
from cytosuite.formats.pieces import in_planes
from cytosuite.large import is_mapped
from cytosuite.volume import SPATIAL, Volume, scalars

NAMESPACE = "cytosuite"
PLATFORM = ("channel", "study")  # keys that containers look for in ImageJ's text
IMAGEJ_TYPES = "BHhf"
IMAGEJ_BYTES = 2**32 - 2**25  # of the whole file; the rest is room for its directories
BIG = 2**31  # bytes of pixels from which offsets have 64 bits
HELD = (1e-5, 1e9)  # µm of a pixel: its inverse is a fraction of two numbers of 32 bits
OME_TYPES = {"int8", "int16", "int32", "uint8", "uint16", "uint32", "float32", "float64"}


def write_tiff(path: Path, volume: Volume, compress: bool, as_json: bool = False) -> None:
    """Write a volume as ImageJ or OME TIFF with the resolution in pixels per centimetre.

    Parameters
    ----------
    path : Path
    volume : Volume
    compress : bool
        Whether to deflate the pixels.
    as_json : bool
        Whether to describe it in JSON instead: the file has no limit of size, its lengths are in
        µm, and the programs of challenges that read it by tifffile find all keys as they name
        them, ``spacing`` as the step in z.

    Raises
    ------
    InputError
        If a pixel is smaller than 1e-5 µm or larger than 1e9 µm, which the resolution cannot hold.

    Notes
    -----
    See `cytosuite.formats.write`, which also makes it atomic. ImageJ holds 8 and 16 bits and
    float32 along z, y, x up to 4 GB; what it cannot hold is OME, and numbers that OME has no name
    for (64-bit integers) are a plain TIFF with a JSON description. All lengths of an ImageJ file
    are in cm: grand-challenge.org needs this unit in the tags, and other programs read tags and
    text in one unit. Its text also has the keys of the platform's templates. An assumed voxel
    size is written too, as the platform refuses files without. Level 1 of the compression has
    most of the gain for little of the time.
    """
    y, x = volume.spacing[-2:]
    if not all(HELD[0] <= size <= HELD[1] for size in (y, x)):
        raise InputError(
            f"{path}: TIFF holds pixels of {HELD[0]:g} to {HELD[1]:g} µm, found {y:g} x {x:g} µm"
        )
    array = volume.array
    large: dict[str, Any] = {"shape": array.shape, "dtype": array.dtype}
    tifffile.imwrite(
        path,
        in_planes(array) if is_mapped(array) else array,
        **(large if is_mapped(array) else {}),
        photometric="minisblack",
        compression="zlib" if compress else None,
        compressionargs={"level": 1} if compress else None,
        resolution=(1e4 / x, 1e4 / y),
        resolutionunit="CENTIMETER",
        **(_json(volume) if as_json else _flavour(volume)),
    )


def _flavour(volume: Volume) -> dict[str, Any]:
    """Return the arguments of `tifffile.imwrite` that depend on the kind of TIFF."""
    array, axes = volume.array, volume.axes
    geometry = {"axes": axes, "spacing": list(volume.spacing), "unit": "um"}
    ours = {**scalars(volume.metadata)[0], **geometry}
    text = json.dumps({**ours, "shape": array.shape})
    if axes in {"YX", "ZYX"} and array.dtype.char in IMAGEJ_TYPES and array.nbytes < IMAGEJ_BYTES:
        words = {key: ours[key] for key in PLATFORM if str(ours.get(key, "")).isalnum()}
        sizes = zip(axes, volume.spacing, strict=True)
        words |= {f"PhysicalSize{axis}": f"{size / 1e4:.12g}" for axis, size in sizes}
        words |= {"unit": "cm"} | ({"spacing": words["PhysicalSizeZ"]} if "Z" in axes else {})
        return {"imagej": True, "metadata": {"axes": axes, "Info": text, **words}}
    big = array.nbytes > BIG
    if array.dtype.name not in OME_TYPES:
        return _json(volume)
    physical: dict[str, Any] = {}
    if not volume.spacing_is_assumed:
        for axis, size in zip((a for a in axes if a in SPATIAL), volume.spacing, strict=True):
            physical |= {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": "µm"}
    comment = {"Namespace": NAMESPACE, "Value": text}
    # OME wants a name of its own for each file; drawn from the content, so that bytes repeat.
    own = uuid5(NAMESPACE_OID, f"{text} {_checksum(array)}")
    metadata = {"axes": axes, "UUID": str(own), "CommentAnnotation": comment, **physical}
    return {"ome": True, "bigtiff": big, "metadata": metadata}


def _json(volume: Volume) -> dict[str, Any]:
    """Return the arguments of `tifffile.imwrite` for a description in JSON."""
    axes = [axis for axis in volume.axes if axis in SPATIAL]
    sizes = {f"PhysicalSize{a}": size for a, size in zip(axes, volume.spacing, strict=True)}
    step = {"spacing": sizes["PhysicalSizeZ"]} if "Z" in axes else {}
    own = {**step, **sizes, "unit": "um", "axes": volume.axes, "shape": list(volume.shape)}
    words = {**scalars(volume.metadata)[0], **own}
    return {"bigtiff": volume.array.nbytes > BIG, "metadata": words}


def _checksum(array: NDArray[Any]) -> int:
    """Return the CRC-32 of the pixels, plane by plane: the array may be as large as the memory."""
    state = 0
    for plane in in_planes(array):
        state = zlib.crc32(plane.data, state)
    return state
