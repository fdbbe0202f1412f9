"""Facts of one case for its record: the tool behind an algorithm, sizes, time of its network."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace

from cytosuite.contract.call import within
from cytosuite.files import ScalarMap, TextDict
from cytosuite.volume import Volume


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
