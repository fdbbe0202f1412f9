"""TIFF files in which others find the voxel size: ImageJ, else OME; our metadata as JSON."""

import json
import struct
import zlib
from os import SEEK_END
from pathlib import Path
from uuid import NAMESPACE_OID, uuid5

import tifffile

from cytosuite.errors import InputError
from cytosuite.files import Json
from cytosuite.formats.instrument import NAMESPACE, ome_xml
from cytosuite.volume import Volume, scalars
from cytosuite.volume.large import is_mapped
from cytosuite.volume.pieces import planes_of

PLATFORM = ("channel", "study")  # keys that containers look for in ImageJ's text
IMAGEJ_TYPES = "BHhf"
IMAGEJ_BYTES = 2**32 - 2**25  # of the whole file; the rest is room for its directories
BIG = 2**31  # bytes of pixels from which offsets have 64 bits
HELD = (1e-5, 1e9)  # µm of a pixel: its inverse is a fraction of two numbers of 32 bits
DESCRIPTION, ASCII = 270, 2  # a tag of TIFF and its type
OME_TYPES = {"int8", "int16", "int32", "uint8", "uint16", "uint32", "float32", "float64"}


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
    physical: Json = {}
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
