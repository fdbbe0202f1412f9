"""MetaImage files (.mha), pixels inside; no SimpleITK, which opens any file that a header names."""

import os
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from math import isclose, isfinite, prod
from pathlib import Path
from typing import BinaryIO, Literal, TypeVar

import numpy as np

from cytosuite.errors import InputError, last_line, plain
from cytosuite.files import NUMBER, TextMap, TextPair, frozen, open_regular
from cytosuite.formats.stored import Stored
from cytosuite.volume import Header, Origin, Volume, is_size, scalars
from cytosuite.volume.arrays import Array, DType, Lengths
from cytosuite.volume.pieces import copies, planes_of

UM_PER_MM = 1000.0
UNITS = (UM_PER_MM, 1.0)  # of numbers as they are meant, and of µm that a program wrote as mm
HEADER_BYTES = 65536  # a header is far shorter
CHUNK = 2**20  # bytes that are decompressed at once
SIZE = "#" * 19  # place of a number that is known at the end
AXES = {2: "YX", 3: "ZYX", 4: "TZYX"}
# ITK's numbers have these sizes on every system.
TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG": "i4",
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
NAMES = {code: name for name, code in reversed(TYPES.items())}  # the first name of a type
ORDERS = ("BinaryDataByteOrderMSB", "ElementByteOrderMSB")
MATRIX, OFFSET = "TransformMatrix", "Offset"
SIDES, SPACING = "DimSize", "ElementSpacing"
PLACE_NAMES = {  # by any of its names
    **dict.fromkeys((MATRIX, "Rotation", "Orientation"), MATRIX),
    **dict.fromkeys((OFFSET, "Position", "Origin"), OFFSET),
}
COPIED = {**PLACE_NAMES, SIDES: SIDES, "ElementSize": SPACING, SPACING: SPACING}
GEOMETRY = {
    *("ObjectType", "NDims", "DimSize", "ElementType", "ElementSpacing", "ElementSize"),
    *("ElementNumberOfChannels", "HeaderSize", "BinaryData", "CompressedData"),
    *("CompressedDataSize", "ElementDataFile", "CenterOfRotation", *ORDERS, *PLACE_NAMES),
}
# Keys of the format that are neither geometry nor metadata of ours.
OTHERS = {
    *("ObjectSubType", "TransformType", "Comment", "Name", "ID", "ParentID", "Color"),
    *("AcquisitionDate", "DistanceUnits", "AnatomicalOrientation", "Modality", "SequenceID"),
    *("ElementMin", "ElementMax", "ElementNBits", "CompressedDataLevel", "ElementOrigin"),
}
SPELLING = {key.lower(): key for key in GEOMETRY - PLACE_NAMES.keys()}
WORDS = {"True": True, "true": True, "1": True, "False": False, "false": False, "0": False}
LOCAL = "expected a MetaImage with ElementDataFile = LOCAL"  # its pixels follow the header
INTEGER = re.compile(r"[+-]?\d{1,19}", re.ASCII)
INTEGERS = "positive integers"
POSITIVE = re.compile(r"\+?(?=\d*[1-9])\d{1,19}", re.ASCII)
_Choice = TypeVar("_Choice")
_Number = TypeVar("_Number", int, float)


@frozen
class _Fields:
    """Keys and texts of a header, and the byte at which the pixels begin."""

    stream: BinaryIO
    texts: TextMap
    start: int

    def broken(self, reason: str) -> InputError:
        """Return the error for a header or pixels that contradict the format."""
        return InputError(f"cannot be read as MetaImage ({reason})")

    def numbers(
        self, key: str, count: int, kind: type[_Number], default: str = ""
    ) -> tuple[_Number, ...]:
        """Return the positive integers, or finite numbers, of a key; InputError if not `count`."""
        pattern, noun = (NUMBER, "finite numbers") if kind is float else (POSITIVE, INTEGERS)
        words = self.texts.get(key, default).split()
        values = tuple(kind(word) for word in words if pattern.fullmatch(word))
        if not len(words) == len(values) == count or not all(map(isfinite, values)):
            raise self.broken(f"expected {count} {noun} as {key}, {self._found(key)}")
        return values

    def choice(self, key: str, choices: Mapping[str, _Choice], default: str = "") -> _Choice:
        """Return the value of a key's word; InputError for a word without one."""
        if (word := self.texts.get(key, default)) in choices:
            return choices[word]
        raise self.broken(f"expected one of {', '.join(choices)} as {key}, {self._found(key)}")

    def _found(self, key: str) -> str:
        return f"found {self.texts[key][:60]!r}" if key in self.texts else "found none"


@contextmanager
def opened(path: Path) -> Iterator[Stored]:
    """Open the image in a MetaImage file."""
    with open_regular(path) as stream:
        fields = _fields(stream)
        head, measured = _geometry(fields)
        entries = {}
        for key, text in fields.texts.items():
            if _is_own(key):
                number = float if NUMBER.fullmatch(text) else str
                entries[key] = int(text) if INTEGER.fullmatch(text) else number(text)
        metadata, warnings = scalars(entries)
        metadata.pop("spacing_source", None)
        sources = dict.fromkeys([*metadata, "spacing"], "metaimage")
        if not measured:
            metadata["spacing_source"] = sources["spacing"] = "assumed"
        geometry = {name: fields.texts[key] for key, name in COPIED.items() if key in fields.texts}
        origin = Origin(sources, "mm", warnings, geometry)
        compressed = _is_compressed(fields, head)
        dtype = head.dtype.newbyteorder(_order(fields))
        if compressed:
            yield Stored(head, metadata, origin, partial(_parts, fields, head, dtype))
            return

        def mapped() -> Array:
            """Return the pixels where they lie in the file, read as they are used."""
            return np.memmap(stream, dtype, "r", fields.start, head.shape)

        native = mapped if dtype.isnative else None
        yield Stored(head, metadata, origin, lambda n: copies(mapped(), n), native)


def _fields(stream: BinaryIO) -> _Fields:
    """Return the keys and texts of a header; the key of the pixels' place ends it."""
    head = stream.read(HEADER_BYTES)
    start = 0
    texts = {}
    while "ElementDataFile" not in texts:
        end = head.find(b"\n", start)
        if end < 0:
            raise InputError(f"{LOCAL}, found none in the first {len(head)} bytes")
        key, text = _line(head[start:end])
        if key in texts:
            raise InputError(f"cannot be read as MetaImage (two lines of {key})")
        start = end + 1
        if key:
            texts[key] = text
    if texts["ElementDataFile"].upper() != "LOCAL":
        raise InputError(f"{LOCAL}, found {texts['ElementDataFile'][:60]!r}")
    return _Fields(stream, texts, start)


def _line(line: bytes) -> TextPair:
    text = line.decode("utf-8", "replace").strip().replace("\t", " ")
    if not text:
        return "", ""
    key, mark, value = text.partition("=" if "=" in text else ":")
    if not mark or not text.isprintable() or "\ufffd" in text:
        raise InputError(f"cannot be read as MetaImage (no line of its text: {plain(text, 40)})")
    key = key.strip()
    # A key in other letters would be an entry of its own, and the true one be missing.
    return SPELLING.get(key.lower(), key), value.strip()


def _geometry(fields: _Fields) -> tuple[Header, bool]:
    """Return the geometry of a grey image, and whether its voxel size is known."""
    (count,) = fields.numbers("NDims", 1, int)
    if (axes := AXES.get(count)) is None:
        raise InputError(f"expected 2, 3 or 4 dimensions, found {count}")
    if fields.numbers("ElementNumberOfChannels", 1, int, "1") != (1,):
        raise InputError("expected a grey image, found a colour image; give one channel")
    fields.choice("ObjectType", {"Image": True}, "Image")
    if not fields.choice("BinaryData", WORDS, "True"):
        raise fields.broken("its pixels are text, BinaryData = False; only binary ones are read")
    if fields.texts.get("HeaderSize", "0") not in {"0", "-1"}:
        raise fields.broken(f"expected HeaderSize = 0, found {fields.texts['HeaderSize'][:60]!r}")
    for key in PLACE_NAMES.keys() & fields.texts.keys():
        fields.numbers(key, len(fields.texts[key].split()), float)
    dtype = np.dtype(fields.choice("ElementType", TYPES))
    shape = tuple(reversed(fields.numbers("DimSize", count, int)))
    name = "ElementSpacing" if "ElementSpacing" in fields.texts else "ElementSize"
    numbers = fields.numbers(name, count, float, " ".join(["1"] * count))
    sizes = tuple(reversed(numbers))[-len(axes.replace("T", "")) :]
    measured = any(size != 1.0 for size in sizes)
    if measured:
        sizes = tuple(float(f"{size * UM_PER_MM:.12g}") for size in sizes)
    if not all(map(is_size, sizes)):
        raise fields.broken(f"expected positive lengths in mm as {name}, found {numbers}")
    return Header(shape, dtype, sizes, axes), measured


def _bytes(head: Header) -> int:
    return prod(head.shape) * head.dtype.itemsize


def _is_compressed(fields: _Fields, head: Header) -> bool:
    """Return whether the pixels are deflated, after a check that none is missing."""
    compressed = fields.choice("CompressedData", WORDS, "False")
    there = os.fstat(fields.stream.fileno()).st_size - fields.start
    expected = _bytes(head)
    if compressed:
        (expected,) = fields.numbers("CompressedDataSize", 1, int, str(there))
    if there != expected:
        raise fields.broken(f"expected {expected} bytes of pixels, found {there}")
    return compressed


def _order(fields: _Fields) -> Literal["<", ">"]:
    words = {fields.choice(key, WORDS, "False") for key in ORDERS if key in fields.texts}
    if len(words) > 1:
        raise fields.broken(f"{' and '.join(ORDERS)} contradict each other")
    return ">" if words == {True} else "<"


def _parts(fields: _Fields, head: Header, dtype: DType, planes: int) -> Iterator[Array]:
    """Yield slabs of deflated pixels; no more bytes than expected are inflated."""
    stream, state, done = fields.stream, zlib.decompressobj(), 0
    stream.seek(fields.start)

    def inflated(most: int) -> bytes:
        """Return the next bytes, none where the stream ends."""
        part, size = b"", max(most, 4096)  # a long rest is copied anew by each call
        while not (part or state.eof) and (chunk := state.unconsumed_tail or stream.read(size)):
            part = state.decompress(chunk, most)
        return part

    try:
        for start in range(0, head.shape[0], planes):
            slab = np.empty((min(planes, head.shape[0] - start), *head.shape[1:]), dtype)
            raw = slab.reshape(-1).view(np.uint8)
            while raw.size and (part := inflated(min(raw.size, CHUNK))):
                raw[: len(part)] = np.frombuffer(part, np.uint8)
                raw = raw[len(part) :]
                done = done + len(part)
            if raw.size:
                break
            yield slab.astype(head.dtype, copy=False)
        size = "more" if inflated(1) else done
    except zlib.error as error:
        raise fields.broken(f"compressed pixels are altered: {last_line(error)}") from None
    if size != _bytes(head) or not state.eof:
        raise fields.broken(f"expected {_bytes(head)} bytes of pixels, found {size}")


def write(path: Path, volume: Volume, compress: bool) -> None:
    """Write a MetaImage: µm as mm, metadata as keys of the header."""
    if volume.axes not in {"YX", "ZYX"}:
        raise InputError(f"MetaImage holds the axes YX or ZYX, found {volume.axes}")
    little = volume.array.dtype.newbyteorder("<")
    array = volume.array
    if (kind := NAMES.get(little.str[1:])) is None:
        raise InputError(f"MetaImage cannot hold dtype {volume.array.dtype}")
    scale = 1.0 if volume.spacing_is_assumed else UM_PER_MM
    spacing = " ".join(f"{size / scale:.17g}" for size in reversed(volume.spacing))
    texts = {}
    for key, value in volume.metadata.items():
        if not _is_own(key) or "=" in key or not key.isprintable():
            raise InputError(f"MetaImage cannot hold metadata of the name {key[:60]!r}")
        if key != "spacing_source" and (text := plain(str(value))):
            texts[key] = text
    count = array.ndim
    zeros = " ".join("0" * count)
    sides = [*map(str, reversed(array.shape))]
    geometry = dict(volume.origin.geometry)
    if geometry.pop(SIDES, "").split() != sides:  # a part of the image is elsewhere
        geometry.clear()
    if not _agrees(geometry.get(SPACING, spacing), volume.spacing):
        del geometry[SPACING]
    head = {
        **{"ObjectType": "Image", "NDims": count, "BinaryData": True, ORDERS[0]: False},
        "CompressedData": compress,
        **({"CompressedDataSize": SIZE} if compress else {}),
        MATRIX: " ".join(map(str, np.eye(count, dtype=int).flat)),
        **{OFFSET: zeros, "CenterOfRotation": zeros},
        **({"AnatomicalOrientation": "RAI"} if count == 3 else {}),
        SPACING: spacing,
        **geometry,
        **dict(sorted(texts.items())),
        SIDES: " ".join(sides),
        **{"ElementType": kind, "ElementDataFile": "LOCAL"},
    }
    text = "".join(f"{key} = {value}\n" for key, value in head.items())
    with path.open("wb") as stream:
        stream.write(text.encode())
        start = stream.tell()
        state = zlib.compressobj(1)
        for plane in planes_of(array):
            pixels = np.ascontiguousarray(plane, little).data
            stream.write(state.compress(pixels) if compress else pixels)
        if compress:  # the number of packed bytes is known at the end
            stream.write(state.flush())
            size = stream.tell() - start
            stream.seek(text.encode().index(SIZE.encode()))
            stream.write(f"{size:0{len(SIZE)}d}".encode())


def _agrees(text: str, spacing: Lengths) -> bool:
    """Return whether the numbers of a header, read as mm or as µm, equal a voxel size."""
    pairs = zip(map(float, text.split()), reversed(spacing), strict=True)
    return all(any(isclose(size, n * unit, rel_tol=1e-5) for unit in UNITS) for n, size in pairs)


def _is_own(key: str) -> bool:
    """Return whether a key is metadata: none of the format's own, and none of ITK's own."""
    return key not in GEOMETRY | OTHERS and not key.startswith("ITK_")
