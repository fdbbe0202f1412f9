"""Console of the commands, and parsers of options with several values."""

import re
import sys
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console

from cytosuite.errors import InputError, plain

LEAST_UM, MOST_UM = 1e-6, 1e6  # of a length that can be meant
WORD = 200  # letters of a name that is written into records
PIPE = 10_000  # characters of a line in a file or pipe: no sentence is folded there


def console(*, stderr: bool = False) -> Console:
    """Return the console: as wide as the terminal, without a limit in a file or pipe.

    Parameters
    ----------
    stderr : bool
        Whether it writes to stderr, since stdout holds data.
    """
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, width=None if stream.isatty() else PIPE)


def numbers(text: str | None) -> tuple[float, ...] | None:
    """Return the voxel size of a comma-separated option, None without any.

    Raises
    ------
    InputError
        If it holds anything but lengths that can be meant.
    """
    if not text:
        return None
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        found = ()
    if not found or not all(LEAST_UM <= length <= MOST_UM for length in found):
        raise InputError(
            f"spacing must be numbers in µm like 2,0.5,0.5, found {text!r}; from {LEAST_UM:g} to "
            f"{MOST_UM:g}"
        )
    return found


def printable(text: str | None) -> str | None:
    """Return a word that goes into files and onto pages, None without one.

    Raises
    ------
    InputError
        If it is long, or holds what cannot be shown: line breaks, bytes that are no UTF-8.
    """
    if text is not None and plain(text, WORD) != text:
        raise InputError(f"expected a name of at most {WORD} letters, found {text!r}")
    return text


def names(text: str | None) -> list[str]:
    """Return the names of a comma-separated option."""
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def several(texts: Iterable[str] | None) -> list[str]:
    """Return the names of a comma-separated option that may also be given several times.

    Examples
    --------
    >>> several(["role=a,b", "c"])
    ['role=a', 'b', 'c']
    """
    return [name for text in texts or [] for name in names(text)]


def pairs(texts: Iterable[str] | None) -> list[str]:
    """Return settings of parameters, with commas or spaces between several in one text.

    Examples
    --------
    >>> pairs(["image.shape=[9, 50, 50], camera.bits=8", "scale=0.1,studies=[1, 2]"])
    ['image.shape=[9, 50, 50]', 'camera.bits=8', 'scale=0.1', 'studies=[1, 2]']
    """
    found = []
    for text in texts or []:
        start = 0
        for gap in re.finditer(r"[\s,]+(?=[a-z_]+(?:\.[a-z_]+)*\s*=)", text):
            before = text[: gap.start()]
            if all(before.count(a) == before.count(b) for a, b in ("[]", "{}")):
                found.append(text[start : gap.start()])
                start = gap.end()
        found.append(text[start:])
    return [part.strip() for part in found if part.strip()]


def plain_name(text: str | None) -> str | None:
    """Return the name of a run's folder, None without one.

    Raises
    ------
    InputError
        If it would lead out of the folder for runs, or is not `printable`.
    """
    if not text:
        return None
    if Path(text).name != text or text.startswith(".") or text == "datasets":
        raise InputError(f"RUN must be a plain folder name, found {text!r}")
    return printable(text)
