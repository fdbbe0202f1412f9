"""Progress within one case: an algorithm writes lines to stdout, the runner reads the last one."""

import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

EVERY_S = 2.0  # least time between two lines
LINE = re.compile(r"progress ([0-9]{1,3}) %")

_span: ContextVar[tuple[float, float] | None] = ContextVar("span", default=None)


@contextmanager
def shown() -> Iterator[None]:
    """Let the work within write its progress; without this nothing is written."""
    with _spanning((0.0, 1.0)):
        yield


@contextmanager
def part(number: int, total: int) -> Iterator[None]:
    """Count the progress within as part `number` of `total`."""
    span = _span.get()
    low, high = span or (0.0, 0.0)
    width = (high - low) / total
    begin = low + number * width
    with _spanning(span and (begin, begin + width)):
        yield


def report(done: int, total: int) -> None:
    """Write how much of the work is done, at most every two seconds."""
    span = _span.get()
    if span is None or time.monotonic() - _Written.last < EVERY_S:
        return
    _Written.last = time.monotonic()
    low, high = span
    sys.stdout.write(f"progress {int(100 * (low + (high - low) * done / total))} %\n")
    sys.stdout.flush()


def latest(text: str) -> float | None:
    """Return the share of the last progress in a log, in [0, 1]; None where there is none."""
    found = [LINE.fullmatch(line.strip()) for line in text.splitlines()]
    shares = [int(match[1]) / 100 for match in found if match]
    return shares[-1] if shares and shares[-1] <= 1 else None


class _Written:
    """Time of the last line, of `time.monotonic` [s]."""

    last = -EVERY_S


@contextmanager
def _spanning(span: tuple[float, float] | None) -> Iterator[None]:
    token = _span.set(span)
    try:
        yield
    finally:
        _span.reset(token)
