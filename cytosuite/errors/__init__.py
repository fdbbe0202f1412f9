"""Errors that a user can correct: one line each, and the exit code of the program."""

import difflib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

LINE = 1000  # characters of a message


class CytosuiteError(Exception):
    """Base of all errors that are one line: place, expected and found value, remedy."""

    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(plain(message))


class InputError(CytosuiteError):
    """A file, folder, key or value given by the user is wrong (exit code 2)."""


class RoomError(InputError):
    """The memory is too small for an image (exit code 2, 4 of a container)."""


class ModelError(CytosuiteError):
    """No model fits, or its files are missing or altered (exit code 3)."""

    exit_code = 3


@contextmanager
def at(place: object) -> Iterator[None]:
    """Name a place in the errors of the block, unless they begin with it."""
    try:
        yield
    except InputError as error:
        raise type(error)(f"{place}: {reason_of(error, place)}") from None


def reason_of(error: Exception, place: object) -> str:
    """Return the message of an error without the place that it may begin with."""
    return str(error).removeprefix(plain(f"{place}:") + " ")


def plain(text: str, limit: int = LINE) -> str:
    r"""Return a text as one line that every terminal, file and page can show."""
    shown = printable(" ".join(text[: 2 * limit].split()))
    return shown if len(shown) <= limit else f"{shown[: limit - 3]}..."


def printable(line: str) -> str:
    """Return a line with escapes in place of all that a terminal would not show as it is."""
    if line.isprintable():
        return line
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


def listed(names: Sequence[str], most: int, mark: str = ", ") -> str:
    """Return the first names, at most so many, and the number of the others."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{mark.join(names[:most])}{more}"


def count(amount: int, noun: str) -> str:
    """Return a number with its noun in singular or plural."""
    return f"{amount} {noun}" if amount == 1 else f"{amount} {noun}s"


def last_line(error: Exception) -> str:
    """Return the last line of another library's message: it holds the reason."""
    lines = str(error).strip().splitlines()
    return plain(lines[-1]) if lines else type(error).__name__


def pick(kind: str, names: Iterable[str], choices: Iterable[str]) -> list[str]:
    """Return the names, or all choices without; InputError with the closest if one is unknown."""
    choices = sorted(choices)
    chosen = list(dict.fromkeys(names))
    for name in chosen:
        if name not in choices:
            near = difflib.get_close_matches(name, choices, n=1)
            hint = (
                f"did you mean {near[0]!r}?"
                if near
                else f"there are: {', '.join(choices) or 'none'}"
            )
            raise InputError(f"no {kind} called {name!r}; {hint}")
    return chosen or choices
