"""Names of images in a folder, and of their cases: the same wherever the folder is read."""

import re
import unicodedata
from collections.abc import Iterable
from hashlib import sha256
from itertools import pairwise
from math import prod
from pathlib import Path

from cytosuite.errors import InputError
from cytosuite.files import PathDict
from cytosuite.formats.imagefiles import PICTURE, format_of, image_name, is_readable

UNSAFE = re.compile(r'[\0/\\:*?"<>|]+')
DIGITS = re.compile("[0-9]+")
OBJECTS = "-objects.csv"  # end of the name of the table of objects of an image
LONGEST = 180  # bytes of a case's name: files are called by it, with endings


def home_of(source: Path) -> Path:
    """Return a folder as it is, of a list its folder."""
    return source if source.is_dir() else source.parent


def key_of(path: Path, home: Path | None = None) -> str:
    """Return an image's name without suffix, or its path in a folder, by which labels pair."""
    place = path.parent.relative_to(home) if home else Path()
    return unicodedata.normalize("NFC", (place / image_name(path)).as_posix())


def one_per_name(place: object, files: Iterable[tuple[str, Path]]) -> PathDict:
    """Return files by the names by which they pair; InputError for a second one of a name."""
    firsts: PathDict = {}
    for name, path in files:
        if (first := firsts.setdefault(name, path)) != path:
            raise InputError(
                f"{place}: expected one file named {name}, found {first.name} and {path.name}; "
                "remove one"
            )
    return firsts


def readable(folder: Path) -> list[Path]:
    """Return the images of all formats in a folder, sorted, but pictures of an image or result."""
    paths = sorted(folder.iterdir()) if folder.is_dir() else ()
    files = [path for path in paths if is_readable(path) and path.name[0] != "."]
    images = {path.name.removesuffix(OBJECTS) for path in folder.glob(f"*{OBJECTS}")}
    images |= {image_name(path) for path in files if not is_picture(path)}
    return [path for path in files if not is_picture(path) or image_name(path) not in images]


def is_picture(path: Path) -> bool:
    """Return whether an image is a PNG or JPEG, which yields its name to an image of others."""
    return format_of(path) is PICTURE


def natural(text: str) -> tuple[list[str | tuple[int, str]], str]:
    """Return a key that sorts numbers in names by their value.

    >>> sorted(["a10", "a9", "A2"], key=natural)
    ['A2', 'a9', 'a10']
    """
    parts = re.split(r"0*([0-9]+)", text.casefold())  # of any length: never numbers of Python
    return [(len(part), part) if n % 2 else part for n, part in enumerate(parts)], text


def in_time(place: object, names: Iterable[str]) -> list[str]:
    """Return the names of frames by their numbers; InputError for a gap, or a name of others.

    Several numbers that change, but not each with each as those of planes do, tell the time.

    >>> in_time("film", ["t10", "t9", "t8"])
    ['t8', 't9', 't10']
    """
    ordered = sorted(names, key=natural)
    totals = [sum(map(int, DIGITS.findall(name))) for name in ordered]
    steps = [after - before for before, after in pairwise(totals)]
    numbers = map(set, zip(*map(DIGITS.findall, ordered), strict=False))
    # Without a 1 they are times, or no numbers.
    if prod(map(len, numbers)) <= len(ordered) and 1 in steps and {*steps} != {1}:
        last = [step == 1 for step in steps].index(False)
        raise InputError(
            f"{place}: expected frames numbered without a gap, found {ordered[last]}, then "
            f"{ordered[last + 1]}; add what is missing, take away what is no frame, or number anew"
        )
    return ordered


def case_name(key: str) -> str:
    r"""Return the name of a case, without characters that file names forbid, at most 180 bytes.

    >>> case_name("größe µ"), case_name("day 1/a:b"), case_name("\udcba\udccb")
    ('größe µ', 'day 1_a_b', '%BA%CB')
    """
    name = UNSAFE.sub("_", "".join(map(_letter, unicodedata.normalize("NFC", key)))).strip(". ")
    if len(content := name.encode()) > LONGEST:
        mark = "~" + sha256(key.encode(errors="surrogatepass")).hexdigest()[:8]
        name = content[: LONGEST - len(mark)].decode(errors="ignore") + mark
    return name or "image"


def _letter(letter: str) -> str:
    """Return the replacement of a letter in the name of a case."""
    if "\udc80" <= letter <= "\udcff":  # Python's sign for a byte that is no UTF-8
        return f"%{ord(letter) & 0xFF:02X}"
    if letter.isprintable():
        return letter
    return " " if unicodedata.category(letter) == "Zs" else "\0"
