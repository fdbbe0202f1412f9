"""Chunks of an OME-Zarr for zarr, which loads slowly: none may be larger than its array says."""

import asyncio
import json
from dataclasses import dataclass
from math import prod
from typing import Any, Self

import imagecodecs
import numpy as np
import zarr
from zarr.abc.codec import BytesBytesCodec
from zarr.abc.store import ByteRequest, OffsetByteRequest, RangeByteRequest
from zarr.core.array_spec import ArraySpec
from zarr.core.buffer import Buffer, BufferPrototype, default_buffer_prototype
from zarr.core.common import JSON
from zarr.registry import register_codec
from zarr.storage import MemoryStore

from cytosuite.errors import InputError
from cytosuite.files import Json
from cytosuite.formats.zarrarray import CODEC, ZarrEntries, content
from cytosuite.volume.arrays import Bytes

BLOSC_HEADER = 16  # bytes
MARGIN = 64  # bytes of checksums besides the pixels of a chunk


@dataclass(frozen=True)
class _BoundedCodec(BytesBytesCodec):
    """Decoder of a codec that gives no more bytes than a chunk has."""

    codec: str  # ``zstd``, ``blosc``, ``gzip``, ``zlib``, ``lz4`` or ``bz2``
    is_fixed_size = False

    @classmethod
    def from_dict(cls, data: dict[str, JSON]) -> Self:
        """Return the codec of its entry in ``zarr.json``."""
        configuration = data["configuration"]
        assert isinstance(configuration, dict)
        return cls(str(configuration["codec"]))

    def to_dict(self) -> dict[str, JSON]:
        """Return the entry in ``zarr.json``."""
        return {"name": CODEC, "configuration": {"codec": self.codec}}

    def compute_encoded_size(self, _input_byte_length: int, _chunk_spec: ArraySpec) -> int:
        """Raise NotImplementedError."""
        raise NotImplementedError  # it depends on the pixels

    async def _decode_single(self, chunk_data: Buffer, chunk_spec: ArraySpec) -> Buffer:
        size = prod(chunk_spec.shape) * chunk_spec.dtype.to_native_dtype().itemsize + MARGIN
        data = np.asarray(chunk_data.as_numpy_array())
        decoded = await asyncio.to_thread(_decoded, self.codec, data, size)
        return chunk_spec.prototype.buffer.from_array_like(decoded)


def _decoded(codec: str, data: Bytes, size: int) -> Bytes:
    """Return at most `size` decoded bytes, or raise an error if there are more."""
    if codec == "blosc":  # of a chunk that is cut its decoder would read beyond the end
        has_header = len(data) >= BLOSC_HEADER
        named = int.from_bytes(data[12:16].tobytes(), "little") if has_header else BLOSC_HEADER
        if named > len(data):
            raise ValueError("a chunk that is cut")
    more = {"header": True} if codec == "lz4" else {}
    out = np.empty(size, np.uint8)
    return np.frombuffer(getattr(imagecodecs, f"{codec}_decode")(data, out=out, **more), np.uint8)


register_codec(CODEC, _BoundedCodec)


class _ChunkStore(MemoryStore):
    """One array of an image, read only, under a description that was checked."""

    def __init__(self, home: ZarrEntries, path: str, metadata: Json, limit: int) -> None:
        super().__init__(read_only=True)
        self.home, self.path, self.limit = home, path, limit
        self.metadata = json.dumps(metadata).encode()

    def get_sync(
        self,
        key: str,
        *,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """Return bytes of an entry, None without; InputError for a chunk that is cut."""
        buffer = (prototype or default_buffer_prototype()).buffer
        if key == "zarr.json":
            return buffer.from_bytes(self.metadata)
        start, stop = _range(byte_range)
        name = f"{self.path}/{key}" if self.path else key
        data = content(self.home, name, self.limit, start, stop)
        if data == b"" or (stop is not None and data is not None and len(data) < stop - start):
            raise InputError(f"{name}: a chunk that is cut")
        return None if data is None else buffer.from_bytes(data)

    async def get(
        self,
        key: str,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """Return bytes of an entry, see `get_sync`; threads read side by side."""
        return await asyncio.to_thread(
            self.get_sync, key, prototype=prototype, byte_range=byte_range
        )


def _range(request: ByteRequest | None) -> tuple[int, int | None]:
    """Return first byte and the one behind the last; a negative first byte counts from the end."""
    if isinstance(request, RangeByteRequest):
        return request.start, request.end
    if isinstance(request, OffsetByteRequest):
        return request.offset, None
    return (0 if request is None else -request.suffix), None


def opened(home: ZarrEntries, path: str, metadata: Json, limit: int) -> zarr.Array[Any]:
    """Return an array of an image; its chunks are read on access."""
    return zarr.open_array(store=_ChunkStore(home, path, metadata, limit), mode="r", zarr_format=3)
