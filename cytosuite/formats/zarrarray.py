"""Entries and arrays of an OME-Zarr, v2 and v3: https://zarr-specs.readthedocs.io."""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from math import prod
from pathlib import Path
from typing import BinaryIO
from zipfile import ZIP_STORED, ZipFile, ZipInfo

import numpy as np

from cytosuite.errors import InputError, plain, reason_of
from cytosuite.files import Json, frozen, open_regular, parse_json
from cytosuite.files.archive import zip_of
from cytosuite.volume.arrays import DType, Shape
from cytosuite.volume.memory import check_room

ENTRIES = 2**21  # chunks of an image
DESCRIPTION = 2**24  # bytes of JSON, which take thirty times the memory; colours of 70,000 labels
CODECS = 16  # one after the other
CODEC = "cytosuite.bounded"  # the name of our decoder, see `cytosuite.formats.zarrstore`
BOUNDED = {"zstd", "blosc", "gzip", "zlib", "lz4", "bz2"}
INDEX = {"bytes", "crc32c"}  # codecs of the index of a shard
TYPES = re.compile(r"bool|u?int(8|16|32|64)|float(16|32|64)")
V2_TYPES = re.compile(r"[<>|]([buif])([1248])")
AT_ONCE = 10  # chunks that zarr decodes side by side
OVERHEAD = 2**16  # bytes by which packed noise may exceed the pixels
FLOATS = {"NaN", "Infinity", "-Infinity"}

Opened = tuple[BinaryIO, int] | None  # stream of an entry, its bytes; None where there is none
ZarrEntries = Callable[[str], Opened]  # by its name


def _in_folder(folder: Path, name: str) -> Opened:
    """Open a file below a folder; a link that leads out of it is refused."""
    real = (folder / name).resolve()
    if not real.is_relative_to(folder):
        raise InputError(f"{plain(name)}: a link that leads out of the image's folder")
    try:
        stream = open_regular(real)
    except InputError as error:
        if real.exists():
            raise InputError(f"{plain(name)}: {reason_of(error, real)}") from None
        return None
    return stream, os.fstat(stream.fileno()).st_size


def _in_zip(file: ZipFile, name: str) -> Opened:
    """Open an entry of a zip file that is stored as it is."""
    try:
        info = file.getinfo(name)
    except KeyError:
        return None
    if info.compress_type != ZIP_STORED or info.flag_bits & 1:
        raise InputError(
            f"{plain(name)}: expected entries that are stored as they are (RFC-9 of OME-Zarr), "
            "found a packed or encrypted one; pack the folder with zip -0"
        )
    return file.open(info), info.file_size  # type: ignore[return-value]


@contextmanager
def entries(path: Path) -> Iterator[ZarrEntries]:
    """Yield the entries of an OME-Zarr."""
    if path.is_dir():
        yield partial(_in_folder, path.resolve())
        return
    with open_regular(path) as stream, zip_of(path, stream) as file:
        yield partial(_in_zip, file)


def sizes_of(path: Path) -> Iterator[int]:
    """Yield the bytes of each file of an OME-Zarr."""
    files: Iterable[Path] = [path]
    if path.is_dir():
        files = (Path(here, name) for here, _, names in os.walk(path) for name in names)
    for file in files:
        with suppress(OSError):  # it is of no use to its image
            yield file.stat().st_size


def json_of(home: ZarrEntries, name: str) -> Json | None:
    """Return the JSON object in an entry, None without the entry."""
    stored = content(home, name, DESCRIPTION)
    if stored is None:
        return None
    try:
        value = parse_json(stored.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{plain(name)}: expected JSON, found {error}") from None
    if not isinstance(value, dict):
        raise InputError(f"{plain(name)}: expected a JSON object, found {type(value).__name__}")
    return value


def content(
    home: ZarrEntries, name: str, limit: int, start: int = 0, stop: int | None = None
) -> bytes | None:
    """Return bytes of an entry, None where there is none of this name."""
    if (entry := home(name)) is None:
        return None
    stream, size = entry
    with stream:
        first = max(0, size + start) if start < 0 else start
        count = (size if stop is None else min(stop, size)) - first
        if count > limit:
            raise InputError(f"{plain(name)}: expected at most {limit} bytes, found {count}")
        stream.seek(first)
        return stream.read(max(0, count))


def written(path: Path, name: str, data: bytes) -> None:
    """Write an entry into a folder."""
    (path / name).parent.mkdir(parents=True, exist_ok=True)
    (path / name).write_bytes(data)


def stored(file: ZipFile, name: str, data: bytes) -> None:
    """Write an entry into a zip file, as it is and without the time: bytes repeat."""
    info = ZipInfo(name)
    info.external_attr = 0o644 << 16
    file.writestr(info, data)


@frozen
class ZarrArray:
    """Description of an array."""

    shape: Shape  # as stored
    chunks: Shape  # of the pieces that can be decoded alone
    dtype: DType  # in the order of bytes of this machine
    limit: int  # bytes that a chunk, or a shard of chunks, may have in the file
    metadata: Json  # content of ``zarr.json``


def array_of(home: ZarrEntries, folder: str) -> ZarrArray:
    """Return the description of an array of an image."""
    if (fields := json_of(home, f"{folder}/zarr.json")) is not None:
        array = _v3(fields)
    elif (fields := json_of(home, f"{folder}/.zarray")) is not None:
        array = _v3(_v2(fields))
    else:
        raise InputError(f"{plain(folder)}: expected the array of the image, found none")
    count = prod(-(-size // chunk) for size, chunk in zip(array.shape, array.chunks, strict=True))
    if count > ENTRIES:
        raise InputError(f"{count} chunks, more than {ENTRIES}; write larger ones")
    check_room(2 * min(count, AT_ONCE) * prod(array.chunks) * array.dtype.itemsize)
    return array


def _v3(fields: Json) -> ZarrArray:
    shape = _sizes(fields.get("shape"), "shape")
    grid = fields.get("chunk_grid")
    keys = fields.get("chunk_key_encoding", {"name": "default"})
    if _name(grid) != "regular" or _name(keys) not in {"default", "v2"}:
        raise InputError(f"expected a regular grid of chunks, found {short(grid)}, {short(keys)}")
    outer = _sizes(_configuration(grid).get("chunk_shape"), "chunk_shape", len(shape))
    kind = fields.get("data_type")
    if not isinstance(kind, str) or not TYPES.fullmatch(kind):
        raise InputError(f"expected real numbers of at most 64 bits, found {short(kind)}")
    if fields.get("storage_transformers"):
        raise InputError("expected no storage transformers, found some")
    separator = _configuration(keys).get("separator", "/" if _name(keys) == "default" else ".")
    if separator not in {"/", "."}:
        raise InputError(f"expected / or . between the numbers of a chunk, found {separator!r}")
    codecs, inner = _codecs(fields.get("codecs"), len(shape))
    chunks = outer if inner is None else inner
    whole = all(size % part == 0 for size, part in zip(outer, chunks, strict=True))
    if not whole or prod(outer) // prod(chunks) > ENTRIES:
        raise InputError(f"shards of {outer} voxels do not hold chunks of {chunks}")
    dtype = np.dtype(kind)
    metadata = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(shape),
        "data_type": kind,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(outer)}},
        "chunk_key_encoding": {"name": _name(keys), "configuration": {"separator": separator}},
        "fill_value": _fill(fields.get("fill_value"), dtype),
        "codecs": codecs,
        "attributes": {},
    }
    # Each chunk in a shard has 16 bytes in its index.
    limit = 2 * prod(outer) * dtype.itemsize + 16 * (prod(outer) // prod(chunks)) + OVERHEAD
    return ZarrArray(shape, chunks, dtype, limit, metadata)


def _v2(fields: Json) -> Json:
    """Return the content of ``zarr.json`` of an array of zarr v2."""
    kind = fields.get("dtype")
    match = V2_TYPES.fullmatch(kind) if isinstance(kind, str) else None
    if match is None:
        raise InputError(f"expected real numbers of at most 64 bits, found {short(kind)}")
    if fields.get("filters"):
        raise InputError(f"filters are not read, found {short(fields['filters'])}")
    if (order := fields.get("order", "C")) not in {"C", "F"}:
        raise InputError(f"expected the order C or F, found {short(order)}")
    codecs: list[Json] = []
    if order == "F":
        turned = list(reversed(range(len(_sizes(fields.get("shape"), "shape")))))
        codecs.append({"name": "transpose", "configuration": {"order": turned}})
    endian = "big" if str(kind).startswith(">") else "little"
    codecs.append({"name": "bytes", "configuration": {"endian": endian}})
    if (packed := fields.get("compressor")) is not None:
        codecs.append({"name": packed.get("id") if isinstance(packed, dict) else packed})
    separator = {"separator": fields.get("dimension_separator", ".")}
    return {
        **fields,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": fields.get("chunks")}},
        "data_type": str(np.dtype(f"{match[1]}{match[2]}")),
        "chunk_key_encoding": {"name": "v2", "configuration": separator},
        "codecs": codecs,
    }


def _codecs(listed: object, count: int) -> tuple[list[Json], Shape | None]:
    """Return the codecs of an array, and the shape of the chunks in its shards."""
    codecs = []
    inner = None
    listed = listed if isinstance(listed, list) else [listed]
    if len(listed) > CODECS:
        raise InputError(f"expected at most {CODECS} codecs, found {len(listed)}; save it anew")
    for codec in listed:
        name = _name(codec)
        options = _configuration(codec)
        if name == "transpose":
            order = options.get("order")
            axes = [str(axis) for axis in range(count)]  # as texts: True is none of them
            if not isinstance(order, list) or sorted(map(repr, order)) != axes:
                raise InputError(f"expected an order of {count} axes, found {short(order)}")
            codecs.append({"name": name, "configuration": {"order": order}})
        elif name == "bytes" and options.get("endian", "little") in {"little", "big"}:
            codecs.append(
                {"name": name, "configuration": {"endian": options.get("endian", "little")}}
            )
        elif name == "crc32c":
            codecs.append({"name": name})
        elif name == "sharding_indexed" and inner is None:
            inner = _sizes(options.get("chunk_shape"), "chunk_shape", count)
            codecs.append({"name": name, "configuration": _shard(options, inner)})
        else:
            codecs.append(_bounded(name))
    return codecs, inner


def _shard(options: Json, inner: Shape) -> Json:
    codecs, nested = _codecs(options.get("codecs"), len(inner))
    index, _ = _codecs(options.get("index_codecs"), 0)
    place = options.get("index_location", "end")
    if nested is not None or {codec["name"] for codec in index} - INDEX:
        raise InputError("expected shards of plain chunks with a plain index, found others")
    if place not in {"start", "end"}:
        raise InputError(f"expected an index at start or end of a shard, found {short(place)}")
    return {
        "chunk_shape": list(inner),
        "codecs": codecs,
        "index_codecs": index,
        "index_location": place,
    }


def _bounded(name: object) -> Json:
    """Return our decoder of a codec, or refuse one that is not known."""
    codec = str(name).removeprefix("numcodecs.")
    if codec not in BOUNDED:
        raise InputError(
            f"pixels packed by {short(name)} are not read; expected one of "
            f"{', '.join(sorted(BOUNDED))}"
        )
    return {"name": CODEC, "configuration": {"codec": codec}}


def _fill(value: object, dtype: DType) -> int | float | str | bool:
    if dtype.kind == "b":
        return bool(value)
    if value is None:
        return 0
    if dtype.kind == "f" and isinstance(value, str) and value in FLOATS:
        return value
    if dtype.kind == "f" and isinstance(value, int | float):
        return float(value)
    if type(value) is int and np.iinfo(dtype).min <= value <= np.iinfo(dtype).max:
        return value
    raise InputError(f"expected a fill value of {dtype}, found {short(value)}")


def _sizes(sizes: object, name: str, count: int | None = None) -> Shape:
    good = isinstance(sizes, list) and all(type(size) is int and 0 < size < 2**48 for size in sizes)
    if not good or len(sizes) not in ({count} if count is not None else range(2, 6)):  # type: ignore[arg-type]
        expected = "2 to 5" if count is None else count
        raise InputError(f"expected {expected} positive integers as {name}, found {short(sizes)}")
    return tuple(sizes)  # type: ignore[arg-type]


def _name(entry: object) -> object:
    return entry.get("name") if isinstance(entry, dict) else entry


def _configuration(entry: object) -> Json:
    configuration = entry.get("configuration", {}) if isinstance(entry, dict) else {}
    return configuration if isinstance(configuration, dict) else {}


def short(value: object) -> str:
    """Return a value for a message."""
    return plain(repr(value), 80)
