"""Progress of a training: batches drawn ahead, a log, its curves, lines for the user, Ctrl-C."""

import csv
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from threading import Event, current_thread, main_thread
from types import FrameType
from typing import TypeVar

import numpy as np
from PIL import Image

from cytosuite.figures.curves import Curve
from cytosuite.files import FloatDict, FloatMap, TextSeq, atomic, read_table
from cytosuite.volume.arrays import Bytes

Batch = TypeVar("Batch")
POINTS = 8  # of a curve in a card
_COSTS = ("rate", "seconds")  # columns of the log that are no loss


def ahead(
    draw: Callable[[int], Batch], first: int, stop: int, workers: int
) -> Iterator[tuple[int, Batch]]:
    """Yield steps from `first` to `stop - 1` with their batches, drawn by 0 or more threads."""
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
    """A CSV file with a line per report; `after` is the last step of an earlier run to keep."""

    def __init__(self, path: Path, after: int = 0) -> None:
        self.path = path
        rows = list(read_table(path)) if after > 0 and path.is_file() else []
        self._rows = [row for row in rows if row == rows[0] or int(row[0]) <= after]
        if not self._rows:
            path.unlink(missing_ok=True)

    def add(self, step: int, values: FloatMap) -> None:
        """Append a line of named values; the first line names the columns."""
        self._rows = self._rows or [["step", *values]]
        self._rows.append([str(step), *(f"{value:.6g}" for value in values.values())])
        write_rows(self.path, self._rows)

    @property
    def curves(self) -> dict[str, Curve]:
        """The finite values by column, and within it by step; costs are no curves."""
        head, *lines = self._rows or [[]]
        rows = [dict(zip(head, map(float, line), strict=False)) for line in lines]
        return {
            name: {int(row["step"]): row[name] for row in rows if isfinite(row[name])}
            for name in head
            if name not in ("step", *_COSTS)
        }


def write_rows(path: Path, rows: Iterable[TextSeq]) -> None:
    """Write a CSV file, complete or absent."""
    with atomic(path) as temporary, temporary.open("w", encoding="utf-8") as stream:
        csv.writer(stream, lineterminator="\n").writerows(rows)


def listed(values: FloatMap) -> str:
    """Return losses or scores with their names, for a line."""
    return ", ".join(f"{name} {value:.4g}" for name, value in values.items())


def line(step: int, steps: int, losses: FloatMap, pace: float) -> str:
    """Return the line that a user sees after a step, with seconds per step as the pace."""
    return (
        f"step {step}/{steps}  {listed(losses)}  {pace:.2f} s/step  {left(pace * (steps - step))}"
    )


def left(seconds: float) -> str:
    """Return the words for the time that is left."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s left"


@contextmanager
def polite_interrupt() -> Iterator[Event]:
    """Let the first Ctrl-C of the main thread only set an event; the second ends the program."""
    asked = Event()
    if current_thread() is not main_thread():
        yield asked
        return

    def ask(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - as signals call it
        """Set the event, and let the next signal end the program."""
        asked.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)


def thinned(curve: Curve) -> FloatDict:
    """Return a few points of a curve, evenly over its steps, the last among them.

    >>> thinned({step: step / 10 for step in range(1, 25)})
    {'3': 0.3, '6': 0.6, '9': 0.9, '12': 1.2, '15': 1.5, '18': 1.8, '21': 2.1, '24': 2.4}
    """
    points = list(curve.items())
    every = -(-len(points) // POINTS) or 1
    return {str(step): value for step, value in points[::-1][::every][::-1]}


def draw_picture(picture: Bytes, path: Path) -> None:
    """Write a (H, W) or (H, W, 3) picture as PNG."""
    with atomic(path) as temporary:
        Image.fromarray(np.ascontiguousarray(picture)).save(temporary, format="PNG")
