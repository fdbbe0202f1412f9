"""Progress within one case: an algorithm writes lines to stdout, of which the last one counts."""

import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from cytosuite.contract.call import look, within

EVERY_S = 2.0  # least time between two lines
LINE = re.compile(r"progress ([0-9]{1,3}) %")

Show = Callable[[float], None]  # gets the share that is done, in [0, 1]
_span: ContextVar[tuple[float, float, Show] | None] = ContextVar("span", default=None)


def write(share: float) -> None:
    """Write a line, at most every two seconds."""
    if time.monotonic() - _Written.last >= EVERY_S:
        _Written.last = time.monotonic()
        sys.stdout.write(f"progress {int(100 * share)} %\n")
        sys.stdout.flush()


@contextmanager
def shown(show: Show = write) -> Iterator[None]:
    """Show the progress of the work within; without this nothing is."""
    with within(_span, (0.0, 1.0, show)):
        yield


@contextmanager
def part(number: int, total: int) -> Iterator[None]:
    """Count the progress within as part `number` of `total`."""
    if (span := _span.get()) is not None:
        low, high, show = span
        width = (high - low) / total
        begin = low + number * width
        span = begin, begin + width, show
    with within(_span, span):
        yield


def report(done: int, total: int) -> None:
    """Show how much of the work is done; end it if nobody waits for it, see `look`."""
    look()
    if (span := _span.get()) is not None:
        low, high, show = span
        show(low + (high - low) * done / total)


def latest(text: str) -> float | None:
    """Return the share of the last progress in a log, in [0, 1]; None where there is none."""
    matches = [LINE.fullmatch(line.strip()) for line in text.splitlines()]
    shares = [int(match[1]) / 100 for match in matches if match]
    return shares[-1] if shares and shares[-1] <= 1 else None


class _Written:
    """Time of the last line, of `time.monotonic` [s]."""

    last = -EVERY_S
