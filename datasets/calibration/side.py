"""Stacks side by side: a way to do the same work on many pieces, in this process or in several."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count as counter
from typing import Any

Work = Callable[[Any], Any]
# Work and its pieces: yields number and result of each as it is done; both may have to pickle.
Each = Callable[[Work, Sequence[Any]], Iterable[tuple[int, Any]]]
Step = Callable[[float, int, str], None]  # done, total, note


def in_turn(work: Callable[[Any], Any], pieces: Sequence[Any]) -> Iterator[tuple[int, Any]]:
    """Do one piece after the other, in this process."""
    for number, piece in enumerate(pieces):
        yield number, work(piece)


def in_order(each: Each, work: Callable[[Any], Any], pieces: Sequence[Any]) -> list[Any]:
    """Return the results of all pieces in their order, however they are done."""
    results = dict(each(work, pieces))
    return [results[number] for number in range(len(pieces))]


def counted(each: Each, step: Step, total: int, note: str, turns: int = 1) -> Each:
    """Return `each` that shows how many of `total` stacks are there after their `turns` of work."""
    done = counter(1)

    def one_by_one(work: Callable[[Any], Any], pieces: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """Yield as `each` does, and count."""
        for pair in each(work, pieces):
            step(min(next(done) / turns, total), total, note)
            yield pair

    return one_by_one
