"""Pools: places where pieces of work are done side by side."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

from cytosuite.errors import CytosuiteError

Piece = TypeVar("Piece")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Lost:
    """A piece of work without a result: the workers that had it ended too often.

    Parameters
    ----------
    reason : str
        One line.
    """

    reason: str


class Pool(Protocol):
    """Places for pieces of work.

    Attributes
    ----------
    slots : int
        How many pieces are done at a time.
    """

    slots: int

    def each(
        self, work: Callable[[Piece], Result], pieces: Iterable[Piece]
    ) -> Iterator[tuple[int, Result | Lost]]:
        """Yield number and result of each piece as it is done.

        Parameters
        ----------
        work : callable
            Of a module, so that another process finds it.
        pieces : iterable
            Values that can be pickled; each is taken when a place for it is near.

        Notes
        -----
        An error of a piece is raised here and ends the others. So does the end of the iteration
        (Ctrl-C): those that are done stay done.
        """


class Here:
    """A pool of one place: this process."""

    slots = 1

    def each(
        self, work: Callable[[Piece], Result], pieces: Iterable[Piece]
    ) -> Iterator[tuple[int, Result | Lost]]:
        """Do one piece after the other; see `Pool`."""
        for number, piece in enumerate(pieces):
            yield number, work(piece)


def travelling(work: Callable[[Piece], Result], piece: Piece) -> Result:
    """Do a piece in another process; an error of ours goes home without the errors behind it.

    Those of other libraries cannot always be pickled.
    """
    try:
        return work(piece)
    except CytosuiteError as error:
        found = error
    found.__cause__ = found.__context__ = None
    raise found
