"""A pool of processes on this machine."""

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, parent_process
from threading import Thread

from cytosuite.benchmark.store.pool import Here, Lost, Piece, Pool, Result, travelling
from cytosuite.errors import InputError


def processes(number: int, before: Callable[[], object] = bool) -> Pool:
    """Return a pool of processes, or this one; `before` loads here what all of them need."""
    return Processes(number, before) if number > 1 else Here()


class Processes:
    """Processes of this program; they end with it."""

    def __init__(self, slots: int, before: Callable[[], object] = bool) -> None:
        self.slots, self.before = slots, before

    def each(
        self, work: Callable[[Piece], Result], pieces: Iterable[Piece]
    ) -> Iterator[tuple[int, Result | Lost]]:
        """Do the pieces side by side; see `cytosuite.benchmark.store.pool.Pool`."""
        all_of_them = list(pieces)
        if len(all_of_them) <= 1:
            yield from Here().each(work, all_of_them)
            return
        self.before()
        number = min(self.slots, len(all_of_them))
        with ProcessPoolExecutor(number, initializer=_end_with_parent) as pool:
            futures = {
                pool.submit(travelling, work, piece): place
                for place, piece in enumerate(all_of_them)
            }
            try:
                for future in as_completed(futures):
                    yield futures[future], future.result()
            except BrokenProcessPool:
                raise InputError(
                    "a process making cases was killed, as if memory was short: give fewer "
                    "--workers"
                ) from None
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                ended = active_children()
                for worker in ended:  # the piece that it is at is not waited for
                    worker.terminate()
                for worker in ended:
                    worker.join()
                raise


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
