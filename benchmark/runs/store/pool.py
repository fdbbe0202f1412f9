"""Pools: places where pieces of work are done side by side."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Protocol, TypeVar

from cytosuite.errors import CytosuiteError

Piece = TypeVar("Piece")
Result = TypeVar("Result")


class Lost(NamedTuple):
    """A piece of work without a result: the workers that had it ended too often."""

    reason: str  # one line


class Pool(Protocol):
    """Places for pieces of work."""

    def each(
        self, work: Callable[[Piece], Result], pieces: Iterable[Piece]
    ) -> Iterator[tuple[int, Result | Lost]]:
        """Yield number and result of each piece as it is done; an error ends the others."""


class Here:
    """A pool of one place: this process."""

    def each(
        self, work: Callable[[Piece], Result], pieces: Iterable[Piece]
    ) -> Iterator[tuple[int, Result | Lost]]:
        """Do one piece after the other; see `Pool`."""
        for number, piece in enumerate(pieces):
            yield number, work(piece)


def travelling(work: Callable[[Piece], Result], piece: Piece) -> Result:
    """Do a piece in another process; its error comes without causes, which may not pickle."""
    try:
        return work(piece)
    except CytosuiteError as error:
        found = error
    found.__cause__ = found.__context__ = None
    raise found
