"""Progress and facts of one case: lines on stdout, the last counts; entries of its record."""

import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace

from cytosuite.contract.call import look, within
from cytosuite.files import ScalarMap, TextDict
from cytosuite.volume import Volume

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


@dataclass
class Gathered:
    """Facts of one case."""

    words: TextDict = field(default_factory=dict)
    network_seconds: float | None = None  # None of an algorithm without a network
    _depth: int = 0


_facts: ContextVar[Gathered | None] = ContextVar("facts", default=None)


@contextmanager
def gathered() -> Iterator[Gathered]:
    """Keep the facts that the work within states; without this they are dropped."""
    facts = Gathered()
    with within(_facts, facts):
        yield facts


def state(**words: str) -> None:
    """State facts for the record: ``tool`` with its version, ``size`` given or estimated."""
    if (facts := _facts.get()) is not None:
        facts.words |= words


def noted(image: Volume, algorithm: str, facts: ScalarMap) -> Volume:
    """Return an image with facts of an algorithm in its metadata, ``<algorithm>_<name>``."""
    named = {f"{algorithm}_{name}": value for name, value in facts.items()}
    return replace(image, metadata={**image.metadata, **named})


@contextmanager
def network() -> Iterator[None]:
    """Count the seconds of the work within as the network's; one within another counts once."""
    facts = _facts.get()
    if not facts:
        yield
        return
    start, facts._depth = time.perf_counter(), facts._depth + 1
    try:
        yield
    finally:
        facts._depth -= 1
        if not facts._depth:
            facts.network_seconds = (facts.network_seconds or 0.0) + time.perf_counter() - start
