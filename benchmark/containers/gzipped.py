"""Gzip by all cores: one stream, of the same bytes for any number of threads.

200 MB take 5.6 CPU seconds, those of `gzip`, 96 % of them in the threads.
"""

import io
import struct
import zlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from cytosuite.files import atomic
from cytosuite.volume.cores import cores

LEVEL = 6  # 9 is 0.5 % smaller and takes twice as long
BLOCK = 2**20  # bytes that a thread deflates at a time
WINDOW = 2**15  # bytes before a block that it refers to, so that blocks cost no room
HEAD = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"  # neither name nor time (RFC 1952)


@contextmanager
def gzipped(path: Path, threads: int | None = None) -> Iterator[IO[bytes]]:
    """Yield a stream that becomes a ``.gz``, complete or absent; it can only be written."""
    number = threads or cores()
    with (
        atomic(path) as temporary,
        temporary.open("wb") as sink,
        ThreadPoolExecutor(number) as pool,
    ):
        stream = _Gzip(sink, pool, 2 * number)
        yield stream
        stream.finish()


class _Gzip(io.BytesIO):
    """A stream in blocks that are deflated side by side, each with the end of the one before."""

    def __init__(self, sink: IO[bytes], pool: ThreadPoolExecutor, most: int) -> None:
        super().__init__()
        self.sink, self.pool, self.most = sink, pool, most  # blocks in memory
        self.rest, self.before = bytearray(), b""
        self.waiting: deque[Future[bytes]] = deque()
        self.crc = self.size = 0
        sink.write(HEAD)

    def write(self, data: bytes, /) -> int:  # type: ignore[override]
        """Take bytes; deflate whole blocks, but for the last one."""
        self.crc, self.size = zlib.crc32(data, self.crc), self.size + len(data)
        self.rest += data
        while len(self.rest) > BLOCK:
            self._deflate(bytes(self.rest[:BLOCK]), zlib.Z_SYNC_FLUSH)
            del self.rest[:BLOCK]
        return len(data)

    def finish(self) -> None:
        """Write the last block, then checksum and size."""
        self._deflate(bytes(self.rest), zlib.Z_FINISH)
        self._put(0)
        self.sink.write(struct.pack("<LL", self.crc, self.size % 2**32))

    def _deflate(self, block: bytes, end: int) -> None:
        """Begin with a block, and write those that are ready."""
        self.waiting.append(self.pool.submit(_deflated, block, self.before, end))
        self.before = block[-WINDOW:]
        self._put(self.most)

    def _put(self, left: int) -> None:
        """Write finished blocks in their order, until so many are left."""
        while len(self.waiting) > left:
            self.sink.write(self.waiting.popleft().result())


def _deflated(block: bytes, before: bytes, end: int) -> bytes:
    """Return a block as a part of a stream of deflate, which ends with a whole byte."""
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS, zdict=before)
    return packer.compress(block) + packer.flush(end)
