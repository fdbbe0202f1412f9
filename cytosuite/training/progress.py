"""Progress of a training: batches drawn ahead, a log, lines for the user, and Ctrl-C."""

import csv
import signal
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event, current_thread, main_thread
from types import FrameType
from typing import TypeVar

from cytosuite.files import atomic

Batch = TypeVar("Batch")


def ahead(
    draw: Callable[[int], Batch], first: int, stop: int, workers: int
) -> Iterator[tuple[int, Batch]]:
    """Yield the steps from `first` to `stop - 1` with their batches, drawn in the background.

    Parameters
    ----------
    draw : callable
        Returns the batch of a step; must not depend on the time of the call.
    first, stop : int
    workers : int
        Threads that draw; 0: each batch is drawn when it is wanted.
    """
    if workers < 1:
        for step in range(first, stop):
            yield step, draw(step)
        return
    with ThreadPoolExecutor(workers, "batches") as pool:
        waiting: list[Future[Batch]] = []
        try:
            for step in range(first, stop):
                while len(waiting) < 2 * workers and step + len(waiting) < stop:
                    waiting.append(pool.submit(draw, step + len(waiting)))
                yield step, waiting.pop(0).result()
        finally:
            pool.shutdown(cancel_futures=True)


class Log:
    """A CSV file that grows by a line per report.

    Parameters
    ----------
    path : Path
        Its parent is made if it is missing.
    after : int
        Lines of an interrupted run up to this step are kept, later ones dropped; a file of which
        none is kept is removed.

    Attributes
    ----------
    path : Path
    """

    def __init__(self, path: Path, after: int = 0) -> None:
        self.path = path
        rows: list[list[str]] = []
        if after > 0 and path.is_file():
            with path.open(encoding="utf-8", newline="") as stream:
                rows = list(csv.reader(stream))
        self._rows = [row for row in rows if row == rows[0] or int(row[0]) <= after]
        if not self._rows:
            path.unlink(missing_ok=True)

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Append a line of named values; those of the first line name the columns."""
        self._rows = self._rows or [["step", *values]]
        self._rows.append([str(step), *(f"{value:.6g}" for value in values.values())])
        with atomic(self.path) as temporary, temporary.open("w", encoding="utf-8") as stream:
            csv.writer(stream, lineterminator="\n").writerows(self._rows)


def line(step: int, steps: int, losses: Mapping[str, float], pace: float) -> str:
    """Return the line that a user sees after a step, with seconds per step as the pace.

    Examples
    --------
    >>> line(50, 200, {"total": 1.5, "flow": 0.25}, 0.5)
    'step 50/200  total 1.5, flow 0.25  0.50 s/step  1 min 15 s left'
    """
    parts = ", ".join(f"{name} {value:.4g}" for name, value in losses.items())
    minutes, seconds = divmod(round(pace * (steps - step)), 60)
    return f"step {step}/{steps}  {parts}  {pace:.2f} s/step  {minutes} min {seconds:02d} s left"


@contextmanager
def polite_interrupt() -> Iterator[Event]:
    """Let the first Ctrl-C only set an event, so that the current step can be finished.

    Yields
    ------
    Event
        Set once the user has asked to stop; a second Ctrl-C ends the program at once. Outside of
        the main thread, where signals cannot be caught, it is never set.
    """
    asked = Event()
    if current_thread() is not main_thread():
        yield asked
        return

    def ask(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - as signals call it
        """Set the event, and leave the next signal to Python."""
        asked.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)
