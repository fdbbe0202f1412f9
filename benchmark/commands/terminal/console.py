"""The console of the commands: lines, progress, and parsers of options with several values."""

import re
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rich.console import Console

from cytosuite.contract.words import ASSUME, Size
from cytosuite.errors import InputError, plain
from cytosuite.files import FloatTuple, atomic

LEAST_UM = 1e-6  # of a length that can be meant
MOST_UM = 1e6
WORD = 200  # letters of a name that is written into records
PIPE = 10_000  # characters of a line in a file or pipe: no sentence is folded there
LINE_EVERY_S = 10.0
WORK_S = 1e6  # of steps that tell the pace of a bar: cases may take hours
ESTIMATE_S = 5.0  # of work before the rest is estimated; shorter ends are not worth a word
UNITS = (("s", 1, 60), ("min", 60, 100), ("h", 3600, 48), ("d", 86400, 10**9))  # up to so many


def console(*, stderr: bool = False) -> Console:
    """Return the console: as wide as the terminal, without a limit in a file or pipe; no emoji."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, width=None if stream.isatty() else PIPE, emoji=False)


def say(console: Console, *lines: str, style: str = "") -> None:
    """Print lines as they are: no colours but a style, no markup, no folding."""
    for line in lines:
        console.print(line, style=style, highlight=False, markup=False, soft_wrap=True)


@contextmanager
def new_folder(place: Path) -> Iterator[Path]:
    """Yield a folder that becomes `place`, which is absent or still empty at the end."""
    with atomic(place) as temporary:
        yield temporary
        if place.exists():
            place.rmdir()  # atomic would remove a full one too


def floats(text: str) -> FloatTuple:
    """Return comma-separated numbers, none where one of them is something else."""
    try:
        return tuple(map(float, text.split(",")))
    except ValueError:
        return ()


def numbers(text: str) -> FloatTuple:
    """Return the voxel size of a comma-separated option."""
    lengths = floats(text)
    if not lengths or not all(LEAST_UM <= length <= MOST_UM for length in lengths):
        raise InputError(
            f"spacing must be numbers in µm like 2,0.5,0.5, found {text!r}; from {LEAST_UM:g} to "
            f"{MOST_UM:g}"
        )
    return lengths


def voxel_size(text: str) -> Size:
    """Return a voxel size, or the word that assumes one."""
    return ASSUME if text == ASSUME else numbers(text)


def axes_of(text: str) -> str:
    """Return the axes of an image in capitals, as it stores them."""
    letters = text.upper()
    if sorted({*letters, *"YX"} & {*"TCZYX"}) != sorted(letters):
        raise InputError(f"axes must be Y, X and some of T, C, Z, found {text!r}")
    return letters


def box(text: str) -> tuple[slice, ...]:
    """Return the part of an image, ``begin:end`` along each axis."""
    parts = [re.fullmatch(r"(\d*):(\d*)", part) for part in text.split(",")]
    slices = [
        slice(*(int(end) if end else None for end in match.groups())) for match in parts if match
    ]
    if len(slices) < len(parts):
        raise InputError(f"crop must be like 0:32,243:499,366:622 (z,y,x), found {text!r}")
    return tuple(slices)


def printable(text: str) -> str:
    """Return a word that goes into files and onto pages."""
    if plain(text, WORD) != text:
        raise InputError(
            f"expected a printable name of at most {WORD} letters without spaces at its ends, "
            f"found {text!r}"
        )
    return text


def names(text: str) -> list[str]:
    """Return the names of a comma-separated option."""
    return [name.strip() for name in text.split(",") if name.strip()]


def several(texts: Iterable[str]) -> list[str]:
    """Return the names of a comma-separated option that may also be given several times."""
    return [name for text in texts for name in names(text)]


def pairs(texts: Iterable[str]) -> list[str]:
    """Return settings of parameters, with commas or spaces between several in one text."""
    settings = []
    for text in texts:
        start = 0
        for gap in re.finditer(r"[\s,]+(?=[a-z_]+(?:\.[a-z_]+)*\s*=)", text):
            before = text[: gap.start()]
            if all(before.count(a) == before.count(b) for a, b in ("[]", "{}")):
                settings.append(text[start : gap.start()])
                start = gap.end()
        settings.append(text[start:])
    return [part.strip() for part in settings if part.strip()]


def plain_name(text: str) -> str:
    """Return the name of a run's folder."""
    if Path(text).name != text or text.startswith(".") or text == "datasets":
        raise InputError(f"RUN must be a plain folder name, found {text!r}")
    return printable(text)


class Step(Protocol):
    """Tells how far a piece of work is."""

    def __call__(self, done: float, total: int, note: str = "") -> None:
        """Show that `done` of `total` pieces are there, and the present one."""


@dataclass
class Cases:
    """Progress over the cases of a run, and within each."""

    step: Step
    total: int
    done: int = 0

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
    """Show the progress of one piece of work up to its end, unless all is done from the start."""
    if not console.is_terminal:
        lines = LogLines(console, title, minor)
        yield lines
        lines(lines.total, lines.total)
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.table import Column

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
    bar = Progress(*columns, console=console, expand=True, speed_estimate_period=WORK_S)
    task = bar.add_task(title, total=None, note="")

    def step(done: float, total: int, note: str = "") -> None:
        """Move the bar; the first step shows it."""
        bar.update(task, completed=done, total=total, note="" if done >= total else note)
        if done < total:
            bar.start()

    try:
        yield step
        bar.update(task, completed=bar.tasks[task].total, note="")
    finally:
        bar.live.transient = minor or not bar.finished
        bar.stop()


class LogLines:
    """Progress as lines of a log, with the time that the work will still take."""

    def __init__(self, console: Console, title: str, minor: bool) -> None:
        self.console, self.title, self.minor = console, title, minor
        self.begun = False
        self.total = 0
        self.last = time.monotonic()
        self.first = self.latest = (0.0, 0.0)  # pieces that were done, and when [s]

    def __call__(self, done: float, total: int, note: str = "") -> None:
        """Write a line if the last one is long ago, or this is the end of work that was begun."""
        now = time.monotonic()
        if not self.total:
            self.first = self.latest = (done, now)
        elif done != self.latest[0]:
            self.latest = (done, now)
        self.total = total
        self.begun |= done < total
        end = self.begun and done >= total and not self.minor
        if not end and (done >= total or now - self.last < LINE_EVERY_S):
            return
        self.last, self.begun, self.minor = now, not end, False
        left = "" if end else self.left(now)
        tail = f" ({note})" if note and not end else ""
        self.console.print(
            f"{self.title}: {int(done)} of {total}{left}{tail}", highlight=False, markup=False
        )

    def left(self, now: float) -> str:
        """Return the time left in words; empty if short, or not known before the second step."""
        (first, begin), (done, latest) = self.first, self.latest
        if done <= first:
            return ""
        left = (latest - begin) * (self.total - done) / (done - first) - (now - latest)
        if min(left, now - begin) < ESTIMATE_S:
            return ""
        for unit, length, most in UNITS:
            if (number := round(left / length)) <= most:
                return f", about {max(1, number)} {unit} left"
        return ""


def copied(source: Path, target: Path) -> None:
    """Copy a file, or a folder of OME-Zarr, into a folder that is made if it is missing."""
    target.parent.mkdir(parents=True, exist_ok=True)
    (shutil.copytree if source.is_dir() else shutil.copyfile)(source, target)
