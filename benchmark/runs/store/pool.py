"""Pools, where pieces of work are done side by side: this process, or processes of this machine."""

import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cache
from math import prod
from multiprocessing import Semaphore, active_children, parent_process
from pathlib import Path
from threading import Thread
from typing import NamedTuple, Protocol, TypeVar

from cytosuite.benchmark.engines.outcome import say
from cytosuite.errors import CytosuiteError, InputError
from cytosuite.formats import header
from cytosuite.volume.memory import GIB, free_gib

Piece = TypeVar("Piece")
Result = TypeVar("Result")
FEWEST = 4  # images of a process: it loads compiled loops, for a second
SCORED_BYTES = 64  # of memory per voxel of a pair


class Lost(NamedTuple):
    """A piece of work without a result: the workers that had it ended too often."""

    reason: str  # one line


class Pool(Protocol):
    """Places for pieces of work."""

    def each(
        self, work: Callable[[Piece], Result], pieces: Iterable[Piece]
    ) -> Iterator[tuple[int, Result | Lost]]:
        """Yield number and result of each piece as it is done; an error ends the others."""


def travelling(work: Callable[[Piece], Result], piece: Piece) -> Result:
    """Do a piece in another process; its error comes without causes, which may not pickle."""
    try:
        return work(piece)
    except CytosuiteError as error:
        found = error
    found.__cause__ = found.__context__ = None
    raise found


def beside(images: Sequence[Path]) -> Pool:
    """Return processes that score images: as many as cores, while `FEWEST` each and memory last."""
    voxels = max(map(_voxels, images), default=0)
    room = int(min(free_gib() * GIB / max(voxels * SCORED_BYTES, 1), len(images)))
    return Processes(min(os.cpu_count() or 1, len(images) // FEWEST, room))


def _voxels(path: Path) -> int:
    """Return the number of voxels in a file; 0 where the work will say that it cannot be read."""
    try:
        return prod(header(path).shape)
    except CytosuiteError:
        return 0


@dataclass
class Processes:
    """Processes of this program, which end with it; this one alone where one is enough."""

    slots: int = 1

    def each(
        self, work: Callable[[Piece], Result], pieces: Iterable[Piece]
    ) -> Iterator[tuple[int, Result | Lost]]:
        """Do the pieces side by side; see `Pool`."""
        every = list(pieces)
        workers = min(self.slots, len(every))
        if workers <= 1 or not _has_semaphores():
            for number, piece in enumerate(every):
                yield number, work(piece)
            return
        with ProcessPoolExecutor(workers, initializer=_end_with_parent) as pool:
            futures = {
                pool.submit(travelling, work, piece): place for place, piece in enumerate(every)
            }
            try:
                for future in as_completed(futures):
                    yield futures[future], future.result()
            except BrokenProcessPool:
                raise InputError(
                    "a process of this program was killed, as if memory was short: give fewer "
                    "--workers, or more memory"
                ) from None
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                ended = active_children()
                for worker in ended:  # the piece that it is at is not waited for
                    worker.terminate()
                for worker in ended:
                    worker.join()
                raise


@cache
def _has_semaphores() -> bool:
    """Return whether processes can wait for each other here; say once why they cannot."""
    try:
        Semaphore()
    except OSError as error:  # /dev/shm is absent or read-only
        say(f"note: work is done by one process: no semaphore can be made ({error.strerror})")
        return False
    return True


def _end_with_parent() -> None:
    """Make this worker end when the program that started it ends or wants it, and not before."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the program tidies up
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent = parent_process()
    assert parent is not None

    def wait() -> None:
        """Wait for the end of the parent."""
        parent.join()
        os._exit(1)

    Thread(target=wait, daemon=True).start()
