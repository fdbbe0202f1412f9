"""Progress of long work: a bar on a terminal, plain lines in a log."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

LINE_EVERY_S = 5.0


class Step(Protocol):
    """Tells how far a piece of work is."""

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Show that `done` of `total` pieces are there, the last one being `note`."""


def counted(step: Step, total: int) -> Callable[[str, str, str], None]:
    """Return a report of finished cases (algorithm, case, status) that moves a progress on."""
    done = count(1)
    return lambda algorithm, case, status: step(next(done), total, f"{algorithm}, {case}: {status}")


@contextmanager
def progress(console: Console, title: str) -> Iterator[Step]:
    """Show the progress of one piece of work.

    Parameters
    ----------
    console : Console
        Where to write. A terminal gets a bar; a file or pipe gets a line at most every few
        seconds, and one at the end.
    title : str
        Name of the work.
    """
    if not console.is_terminal:
        yield _Lines(console, title)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", style="dim"),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(title, total=None, note="")

        def step(done: int, total: int, note: str = "") -> None:
            """Move the bar."""
            bar.update(task, completed=done, total=total, note=note)

        yield step


class _Lines:
    """Progress as lines of a log."""

    def __init__(self, console: Console, title: str) -> None:
        self.console = console
        self.title = title
        self.last = -LINE_EVERY_S

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Write a line if the last one is long ago, or this is the end."""
        now = time.monotonic()
        if done < total and now - self.last < LINE_EVERY_S:
            return
        self.last = now
        tail = f" ({note})" if note else ""
        self.console.print(f"{self.title}: {done} of {total}{tail}", highlight=False)
