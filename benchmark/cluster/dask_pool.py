"""A pool of the workers of a Dask scheduler."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from cytosuite.benchmark.store.pool import Lost, Piece, Result, travelling
from cytosuite.errors import InputError

if TYPE_CHECKING:
    from distributed import Client

LOOK_S = 1.0
FETCH_S = 10.0  # longest time without a look, while a result is fetched
UNREADABLE = "deserialization"  # in the message of Dask for pieces of another program
ROUNDS = 2  # attempts for a lost piece: a scheduler also blames its neighbours


@dataclass
class DaskPool:
    """The workers of a scheduler, each with one piece at a time."""

    client: "Client"  # of the scheduler
    slots: int  # number of workers
    resources: Mapping[str, float] = field(default_factory=dict)
    look: Callable[[], None] = lambda: None
    leave_out: Callable[[str], bool] = lambda _: False
    present: Callable[[], int | None] = lambda: None

    def each(
        self, work: Callable[[Piece], Result], pieces: Iterable[Piece]
    ) -> Iterator[tuple[int, Result | Lost]]:
        """Yield number and result of each finished piece; a lost worker holds one alone."""
        source = enumerate(pieces)
        sent: dict[Any, tuple[int, Piece, int]] = {}  # number, piece and round by future
        done: SimpleQueue[Any] = SimpleQueue()

        def send(number: int, piece: Piece, turn: int = 1) -> None:
            """Send a piece."""
            future = self.client.submit(
                travelling, work, piece, pure=False, resources=self.resources
            )
            sent[future] = number, piece, turn
            future.add_done_callback(done.put)

        try:
            while True:
                there = self.present()
                places = self.slots if there is None else min(self.slots, max(1, there))
                for number, piece in islice(source, max(0, places - len(sent))):
                    send(number, piece)
                if not sent:
                    return
                self.look()
                try:
                    future = done.get(timeout=LOOK_S)
                    result = _result_of(future)
                except Empty:
                    continue
                except TimeoutError:  # the worker that holds it has ended: it is made again
                    future.add_done_callback(done.put)
                    continue
                number, piece, turn = sent.pop(future)
                del future  # or the scheduler would keep the result
                if isinstance(result, Lost) and turn < ROUNDS:
                    send(number, piece, turn + 1)
                else:
                    yield number, result
        finally:
            if sent:
                self.client.cancel(list(sent), force=True)

    @contextmanager
    def hearing(self, topic: str, hear: Callable[[Any], None]) -> Iterator[None]:
        """Give the words that workers `say` on a topic to a function, in a thread of the client."""
        self.client.subscribe_topic(topic, lambda event: hear(event[1]))
        try:
            yield
        finally:
            self.client.unsubscribe_topic(topic)


def say(topic: str, word: object) -> None:
    """Say a word to the runner, if this is a worker of a cluster."""
    from distributed import get_worker

    try:
        worker = get_worker()
    except ValueError:  # a pool in the runner itself
        return
    worker.log_event(topic, word)


def _result_of(future: Any) -> Any:  # noqa: ANN401 - of any piece
    """Return the result of a piece that is done."""
    from distributed import KilledWorker

    try:
        return future.result(timeout=FETCH_S)
    except KilledWorker as error:
        host = str(getattr(error.last_worker, "host", "")) or "a node"
        tries = (error.allowed_failures + 1) * ROUNDS
        return Lost(f"{tries} workers ended while they ran it, the last on {host}")
    except CancelledError:
        raise InputError(
            "the scheduler of the cluster ended; what is finished is kept: give the same command "
            "again"
        ) from None
    except RuntimeError as error:
        if UNREADABLE not in str(error):
            raise
        raise InputError(
            "the workers of the cluster cannot read what they are to do; install this version of "
            "cytosuite there, and for their scheduler"
        ) from None
