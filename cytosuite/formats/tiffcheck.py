"""Properties of a TIFF that must hold before tifffile follows its numbers, or `TiffFileError`."""

import json
import os
import struct
from collections.abc import Iterable, Mapping
from io import BytesIO
from math import prod
from typing import BinaryIO
from xml.etree import ElementTree

import tifffile
from PIL import Image
from tifffile import TiffFileError

from cytosuite.formats.picture import check_scans
from cytosuite.volume import KINDS
from cytosuite.volume.memory import check_declared

# Larger numbers than in any image of a microscope; each costs memory before a pixel is read.
PAGES = 2**17
PLANES = 2**20  # of all images in OME-XML
IMAGES = 2**14  # in OME-XML: wells and fields of a plate
XML_BYTES = 2**25
ELEMENTS = 2**19  # in OME-XML, with four attributes each
SHARED = 2**26  # bytes of values that directories may have in common
TYPE_BYTES = (0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8)  # by the type of a tag
SUB_DIRECTORIES = 330  # the tag
# Codecs with an output of the requested size, not of one that the data name.
BOUNDED = {1, 2, 3, 4, 5, 8, 32773, 32946, 34925, 34926, 50000, 50013}
JPEG = {6, 7, 33007, 34892}
PICTURES = {33003, 33004, 33005, 34712, 34927, 34933, 50001}  # JPEG 2000, WebP, PNG
COUNTS = ("SizeX", "SizeY", "SizeZ", "SizeC", "SizeT")
STARTS = ("FirstZ", "FirstC", "FirstT", "IFD", "PlaneCount", "NumPlanes")


def check_directories(stream: BinaryIO) -> None:
    """Refuse directories that form a loop, overlap, or point outside of the file."""
    size = os.fstat(stream.fileno()).st_size
    stream.seek(0)
    mark = stream.read(16).ljust(16, b"\0")
    order = {b"II": "<", b"EP": "<", b"MM": ">"}.get(mark[:2], "<")
    big = struct.unpack(f"{order}H", mark[2:4]) == (43,)
    forms = ("Q", "HHQ8s", "Q") if big else ("H", "HHI4s", "I")
    count, entry, pointer = (struct.Struct(order + form) for form in forms)
    if size < (16 if big else 8):
        raise TiffFileError(f"it ends after {size} bytes")
    pending = [(*pointer.unpack_from(mark, 8 if big else 4), True)]
    seen = set()
    budget = size + SHARED
    while pending:
        start, chained = pending.pop()
        if start == 0 or start >= size:
            continue
        if start in seen:
            raise TiffFileError(f"two directories at byte {start}: they form a loop")
        seen.add(start)
        if len(seen) > PAGES:
            raise TiffFileError(f"more than {PAGES} directories")
        stream.seek(start)
        data = stream.read(count.size)
        if len(data) < count.size:
            raise TiffFileError(f"a directory that ends after {len(data)} bytes")
        (entries,) = count.unpack(data)
        if entries > 4096:
            raise TiffFileError(f"a directory of {entries} entries at byte {start}")
        body = stream.read(entries * entry.size)
        if len(body) < entries * entry.size:
            raise TiffFileError(
                f"a directory of {entries} entries that ends after {len(body)} bytes"
            )
        following = stream.read(pointer.size)
        budget -= len(body)
        for code, kind, length, value in entry.iter_unpack(body):
            width = TYPE_BYTES[kind] if kind < len(TYPE_BYTES) else 0
            if width == 0:
                raise TiffFileError(f"tag {code} has values of the type {kind}, which is none")
            place = pointer.unpack(value)[0] if length * width > len(value) else 8
            if place < 8 or place + length * width > size:
                raise TiffFileError(f"tag {code} has {length} values at byte {place} of {size}")
            budget -= length * width
            if code == SUB_DIRECTORIES and width in (4, 8):
                stream.seek(place)
                data = value if length * width <= len(value) else stream.read(length * width)
                below = struct.unpack_from(f"{order}{length}{'I' if width == 4 else 'Q'}", data)
                pending += [(sub, False) for sub in below]
        if chained:
            pending.append((int.from_bytes(following, "big" if order == ">" else "little"), True))
        if budget < 0:
            raise TiffFileError("directories that are larger than the file: they overlap")


def check_descriptions(file: tifffile.TiffFile) -> None:
    """Refuse descriptions with shapes that are none, or that would fill the memory."""
    if len(file.pages) == 0:
        raise TiffFileError("no image in it")
    page = file.pages.first
    _check_numbers(page)
    if file.is_ome:
        _check_ome(file.ome_metadata or "", len(file.pages))
    if page.shaped_description and page.shaped_description.startswith("{"):
        try:
            shaped = json.loads(page.shaped_description)
        except (ValueError, RecursionError):
            raise TiffFileError("the description that gives its shape is no JSON") from None
        shape = shaped.get("shape")
        axes = shaped.get("axes", "")
        if not isinstance(shape, list) or not all(map(_is_count, shape)):
            raise TiffFileError(f"the description has the shape {_short(shape)}")
        if not isinstance(axes, str):
            raise TiffFileError(f"the description has the axes {_short(axes)}")
    for key in ("images", "frames", "slices", "channels"):
        value = (file.imagej_metadata or {}).get(key, 1)
        if not _is_count(value):
            raise TiffFileError(f"the text of ImageJ has {_short(value)} {key}")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**48


def _short(value: object) -> str:
    return repr(value)[:60]


def _check_ome(xml: str, pages: int) -> None:
    """Refuse OME-XML that is none, describes no image, or more planes than files have."""
    if len(xml) > XML_BYTES:
        raise TiffFileError(f"OME-XML of {len(xml)} characters, more than {XML_BYTES}")
    if xml.count("<") > ELEMENTS or xml.count("=") > 4 * ELEMENTS:
        raise TiffFileError(
            f"OME-XML of more than {ELEMENTS} elements or {4 * ELEMENTS} attributes"
        )
    if "<!DOCTYPE" in xml or "<!ENTITY" in xml:
        raise TiffFileError("OME-XML with a document type, of which it has none")
    try:
        tree = ElementTree.fromstring(xml)
    except ElementTree.ParseError as error:
        raise TiffFileError(f"OME-XML is altered: {error}") from None
    elements = [(element.tag.rpartition("}")[2], element.attrib) for element in tree.iter()]
    planes = 0
    for name, values in elements:
        if name == "Pixels":
            planes += prod([_count(values, size, 1) for size in COUNTS][2:])
            if sorted(order := values.get("DimensionOrder", "")) != sorted("XYZCT"):
                raise TiffFileError(f"OME-XML has the DimensionOrder {_short(order)}")
        elif name == "TiffData":
            counts = {key: _count(values, key, 0) for key in STARTS if key in values}
            whole = 1 if "IFD" in counts else pages
            planes += counts.get("PlaneCount", counts.get("NumPlanes", whole))
        elif name[:-1].endswith("Along"):
            raise TiffFileError(f"OME-XML divides an axis ({name}); only the axes TCZYX are read")
        if planes > PLANES:
            raise TiffFileError(f"OME-XML of more than {PLANES} planes")
    images = sum(name == "Pixels" for name, _ in elements)
    if not 0 < images <= IMAGES:
        raise TiffFileError(f"OME-XML describes {images} images, not 1 to {IMAGES}")


def _count(values: Mapping[str, str], key: str, smallest: int) -> int:
    text = values.get(key, "none")
    if not (text.isascii() and text.isdecimal() and len(text) < 16 and int(text) >= smallest):
        raise TiffFileError(f"OME-XML has the {key} {_short(text)}")
    return int(text)


def check_pixels(series: tifffile.TiffPageSeries) -> None:
    """Refuse a series with missing, overlong or unknown parts, or of numbers that are none."""
    page = series.keyframe
    size = series.parent.filehandle.size
    _check_numbers(page)
    if prod(series.shape) == 0 or prod(page.shape) == 0:
        raise TiffFileError(f"no pixel in the shape {tuple(series.shape)}")
    if page.compression not in BOUNDED | JPEG | PICTURES or page.jpegheader is not None:
        raise TiffFileError(
            f"pixels packed as {_name(page.compression)} are not read; save them with zlib or LZW"
        )
    if series.dataoffset is not None:
        end = series.dataoffset + prod(series.shape) * series.dtype.itemsize
        if end > size:
            raise TiffFileError(f"pixels end at byte {end} of {size}")
        return
    missing = sum(part is None for part in series.pages)
    if missing:
        raise TiffFileError(f"{missing} of {len(series.pages)} planes are missing")
    if len(series.pages) * prod(page.shape) != prod(series.shape):
        raise TiffFileError(
            f"{len(series.pages)} pages of shape {page.shape} for the shape {tuple(series.shape)}"
        )
    parts = prod(page.chunked)
    for number, part in enumerate(series.pages):
        if not len(part.dataoffsets) == len(part.databytecounts) == parts:
            raise TiffFileError(f"page {number} has {len(part.dataoffsets)} parts, not {parts}")
        for start, count in zip(part.dataoffsets, part.databytecounts, strict=True):
            if start + count > size:
                raise TiffFileError(f"pixels end at byte {start + count} of {size}")
    check_declared(prod(series.shape) * series.dtype.itemsize, [size])


def _check_numbers(page: tifffile.TiffPage) -> None:
    if page.dtype is None or page.dtype.kind not in KINDS:
        form = page.sampleformat
        bits = page.bitspersample
        raise TiffFileError(f"numbers of SampleFormat {form} with {_short(bits)} bits are not read")


def check_pictures(pages: Iterable[tifffile.TiffPage | tifffile.TiffFrame]) -> None:
    """Refuse strips and tiles that are pictures of their own and larger than they should be."""
    for page in pages:
        key = page.keyframe
        stream = page.parent.filehandle
        if key.compression in BOUNDED:
            return
        for start, count in zip(page.dataoffsets, page.databytecounts, strict=True):
            stream.seek(start)
            data = stream.read(count)
            try:
                if key.compression in JPEG:
                    check_scans(data)
                    _, height, width, _ = tifffile.tifffile.jpeg_shape(data)
                else:
                    with Image.open(BytesIO(data)) as picture:
                        width, height = picture.size
            except (ValueError, struct.error, OSError, SyntaxError, Image.DecompressionBombError):
                raise TiffFileError(
                    f"a strip or tile that is no {_name(key.compression)} of its size"
                ) from None
            if height * width > prod(key.chunks):
                raise TiffFileError(
                    f"a strip or tile of {prod(key.chunks)} pixels that holds {height} x {width}"
                )


def _name(compression: int) -> str:
    try:
        return str(tifffile.COMPRESSION(compression).name)
    except ValueError:
        return f"codec {compression}"
