"""Progress of long work: a bar on a terminal, plain lines in a log."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column

LINE_EVERY_S = 10.0
ESTIMATE_S = 30.0  # of work before the rest is estimated; shorter ends are not worth a word


class Step(Protocol):
    """Tells how far a piece of work is."""

    def __call__(self, done: float, total: int, note: str = "") -> None:
        """Show that `done` of `total` pieces are there, and the present one."""


class Cases:
    """Progress over the cases of a run, and within each.

    Parameters
    ----------
    step : callable
        Shows it.
    total : int
        Number of cases of all algorithms.
    """

    def __init__(self, step: Step, total: int) -> None:
        self.step, self.total, self.done = step, total, 0

    def __call__(self, algorithm: str, case: str, status: str) -> None:
        """Count a finished case."""
        self.done += 1
        self.step(self.done, self.total, f"{algorithm}, {case}: {status}")

    def inside(self, algorithm: str, case: str, share: float | None) -> None:
        """Show a case that runs, and the share of it that is done where it is known."""
        head = "" if share is None else f"{share:.0%} of "
        self.step(self.done + min(share or 0.0, 0.99), self.total, f"{head}{algorithm}, {case}")


@contextmanager
def progress(console: Console, title: str, *, minor: bool = False) -> Iterator[Step]:
    """Show the progress of one piece of work; nothing where all is done from the start.

    Parameters
    ----------
    console : Console
        Where to write. A terminal gets a bar, which goes away if the work ends early; a file or
        pipe gets a line every ten seconds at most, and one at the end.
    title : str
        Name of the work.
    minor : bool
        Whether it leaves no trace: a bar goes away, a log gets a line only if it takes long.
    """
    if not console.is_terminal:
        yield _Lines(console, title, minor)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn(
            "{task.fields[note]}",
            style="dim",
            markup=False,
            table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"),
        ),
    )
    bar = Progress(*columns, console=console, expand=True)
    task = bar.add_task(title, total=None, note="")

    def step(done: float, total: int, note: str = "") -> None:
        """Move the bar; the first step shows it."""
        bar.update(task, completed=done, total=total, note="" if done >= total else note)
        if done < total:
            bar.start()

    try:
        yield step
    finally:
        bar.live.transient = minor or not bar.finished
        bar.stop()


class _Lines:
    """Progress as lines of a log."""

    def __init__(self, console: Console, title: str, minor: bool) -> None:
        self.console = console
        self.title = title
        self.last = time.monotonic()
        self.minor, self.begun = minor, False
        self.first: tuple[float, float] | None = None  # number and time of the first step

    def __call__(self, done: float, total: int, note: str = "") -> None:
        """Write a line if the last one is long ago, or this is the end of work that was begun."""
        now = time.monotonic()
        self.first = self.first or (done, now)
        self.begun |= done < total
        end = self.begun and done >= total and not self.minor
        if not end and (done >= total or now - self.last < LINE_EVERY_S):
            return
        self.last, self.begun, self.minor = now, not end, False
        left = "" if end or self.first is None else remaining(*self.first, done, total, now)
        tail = f" ({note})" if note and not end else ""
        self.console.print(
            f"{self.title}: {int(done)} of {total}{left}{tail}", highlight=False, markup=False
        )


def remaining(first: float, begin: float, done: float, total: int, now: float) -> str:
    """Return an estimate of the rest as text, empty where it is short or not known.

    Parameters
    ----------
    first, begin : float
        Pieces that were there when the work began, and the time then [s].
    done, total : float, int
        Pieces that are there, and all.
    now : float
        Time [s].

    Examples
    --------
    >>> [remaining(20, 0.0, done, 100, 60.0) for done in (20, 30, 60, 90, 99)]
    ['', ', about 7 min left', ', about 1 min left', '', '']
    >>> remaining(0, 0.0, 10, 1000, 3600.0)
    ', about 4 d left'
    """
    seconds = now - begin
    if done <= first or seconds < ESTIMATE_S:
        return ""
    left = seconds * (total - done) / (done - first)
    if left < ESTIMATE_S:
        return ""
    for unit, length, most in (("min", 60, 100), ("h", 3600, 48), ("d", 86400, 10**9)):
        if (number := round(left / length)) <= most:
            return f", about {max(1, number)} {unit} left"
    return ""
