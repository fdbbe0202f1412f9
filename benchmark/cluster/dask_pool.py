"""A pool of the workers of a Dask scheduler."""

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass
from functools import partial
from itertools import islice
from queue import Empty, SimpleQueue
from typing import Any

from distributed import Client, KilledWorker

from cytosuite.benchmark.store.pool import Lost, Piece, Result, travelling
from cytosuite.errors import InputError

RETRIES = 2  # of a piece that a worker refuses, as without an image: another one may take it
LOOK_S = 1.0  # between two looks at the workers that have come


@dataclass(frozen=True)
class DaskPool:
    """The workers of a scheduler that have a resource; each does one piece at a time."""

    client: Client
    resource: str

    @property
    def slots(self) -> int:
        """Number of workers that are there now."""
        workers = self.client.scheduler_info(n_workers=-1)["workers"].values()
        return sum(self.resource in worker["resources"] for worker in workers)

    def each(
        self, work: Callable[[Piece], Result], pieces: Iterable[Piece]
    ) -> Iterator[tuple[int, Result | Lost]]:
        """Yield number and result of each finished piece; see `cytosuite.benchmark.store.pool`."""
        # Dask blames all pieces that a worker holds for its end: no worker gets a second one.
        source, numbers = enumerate(pieces), dict[Any, int]()
        done = SimpleQueue[Any]()
        slots, looked = self.slots, time.monotonic()
        try:
            while True:
                batch = [*islice(source, max(0, max(1, slots) - len(numbers)))]
                sent = self.client.map(
                    partial(travelling, work),
                    [piece for _, piece in batch],
                    pure=False,
                    retries=RETRIES,
                    resources={self.resource: 1},
                )
                for (number, _), future in zip(batch, sent, strict=True):
                    numbers[future] = number
                    future.add_done_callback(done.put)
                if not numbers:
                    return
                if time.monotonic() > looked + LOOK_S:
                    slots, looked = self.slots, time.monotonic()
                try:
                    future = done.get(timeout=LOOK_S)
                except Empty:
                    continue
                yield numbers.pop(future), _result_of(future)
        finally:
            self.client.cancel([*numbers], force=True)


def _result_of(future: Any) -> Any:  # noqa: ANN401 - of any piece
    """Return the result of a piece that is done."""
    try:
        return future.result()
    except KilledWorker as error:
        number, host = error.allowed_failures + 1, error.last_worker.host
        return Lost(f"{number} workers ended with it, the last on {host}")
    except CancelledError:
        raise InputError(
            "the scheduler of the cluster ended; what is finished is kept: give the same command "
            "again"
        ) from None
