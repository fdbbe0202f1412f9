"""The entries of a folder: images and their cases by name, and the rest with the reason."""

import re
import unicodedata
from collections.abc import Collection, Iterable
from hashlib import sha256
from itertools import pairwise
from math import prod
from pathlib import Path

from cytosuite.errors import InputError, listed, plain
from cytosuite.files import Lists, PathDict, Paths, TextDict, frozen
from cytosuite.folders.part import MODULES, missing
from cytosuite.formats.imagefiles import (
    FOLDER_SUFFIX,
    PICTURE,
    READABLE,
    format_of,
    image_name,
    is_readable,
)

UNSAFE = re.compile(r'[\0/\\:*?"<>|]+')
DIGITS = re.compile("[0-9]+")
OBJECTS = "-objects.csv"  # end of the name of the table of objects of an image
LONGEST = 180  # bytes of a case's name: files are called by it, with endings
# Kinds of images that nobody reads here, so that a line can say more than "no image".
DEEPER = ": name it, or --recursive"  # remedy for a folder that is not looked into
FOREIGN = {
    ".ims",
    ".lsm",
    ".oib",
    ".oif",
    ".vsi",
    ".dv",
    ".stk",
    ".nrrd",
    ".nii",
    ".nii.gz",
    ".svs",
    ".zvi",
}
DEEPEST = 64  # folders in each other
SHOWN = 3  # entries named for each reason


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


@frozen
class Entries:
    """The images below a folder by their key, and reasons for the other entries by their name."""

    images: PathDict  # key: relative path without suffix, the same for image and labels
    skipped: TextDict  # reason by relative path

    def skipped_in(self, folder: str) -> TextDict:
        """Return the reasons by the path from the folder that the folder lies in."""
        return {f"{folder}/{name}": reason for name, reason in self.skipped.items()}


def entries(
    folder: Path,
    excluded: Collection[str] = (),
    *,
    recursive: bool = False,
    above: tuple[Path, ...] = (),
) -> Entries:
    """Return entries neither hidden nor excluded; InputError for two images of a name.

    A picture beside an image of its name is skipped. `above` are real folders.
    """
    above = (*above, folder.resolve())
    images: PathDict = {}
    skipped = {}
    for path in sorted(sorted(folder.iterdir()), key=is_picture):
        if path.name.startswith(".") or path.name in excluded:
            continue
        reason = _reason(path, recursive, above)
        if reason is not None:
            skipped[f"{path.name}/" if path.is_dir() else path.name] = reason
        elif is_folder(path):
            start = unicodedata.normalize("NFC", path.name)
            below = entries(path, recursive=recursive, above=above)
            images |= {f"{start}/{key}": image for key, image in below.images.items()}
            skipped |= below.skipped_in(path.name)
        else:
            first = images.setdefault(key := key_of(path), path)
            if first != path:
                if is_picture(path):
                    skipped[path.name] = f"a picture of {first.name}"
                else:
                    one_per_name(folder, [(key, first), (key, path)])
    return Entries(images, skipped)


def is_folder(path: Path) -> bool:
    """Return whether a path is a folder and no image that is stored as one."""
    return path.is_dir() and path.suffix.lower() != FOLDER_SUFFIX


def summary(skipped: TextDict) -> str:
    """Return entries and reasons as the end of a sentence: ``skipped 2: a.txt (no image), ...``."""
    reasons: Lists = {}
    for name, reason in skipped.items():
        reasons.setdefault(reason, []).append(plain(name))
    parts = [f"{listed(names, SHOWN)} ({reason})" for reason, names in reasons.items()]
    return f"skipped {len(skipped)}: {', '.join(parts)}" if skipped else ""


def _reason(path: Path, recursive: bool, above: tuple[Path, ...]) -> str | None:
    """Return why an entry is neither an image nor a folder to look into; None if it is one."""
    suffix = path.suffix.lower()
    if is_folder(path):
        if not recursive:
            return f"a folder{DEEPER}"
        real = path.resolve()
        top = above[0]
        around = real in above or real.is_relative_to(top) or top.is_relative_to(real)
        if path.is_symlink() and around:
            return "a link to a folder that is listed anyway"
        return f"more than {DEEPEST} folders in each other" if len(above) > DEEPEST else None
    if lack := missing(path):
        return lack
    there = path.is_dir() if suffix == FOLDER_SUFFIX else path.is_file()
    if there and (suffix in MODULES or suffix in READABLE):
        return None
    kind = next((end for end in FOREIGN if path.name.lower().endswith(end)), "")
    return f"no reader for {kind}: save as OME-TIFF" if kind else "no image"


def first_channels(listing: Entries) -> Entries:
    """Return the images of nnU-Net, ``<case>_0000``, by case; their further channels are none."""
    images = dict[str, Path]()
    skipped = dict(listing.skipped)
    for key, path in listing.images.items():
        case, sign, number = key.rpartition("_")
        if not sign or number == "0000":
            images[case or key] = path
        else:
            skipped[path.name] = "a further channel"
    return Entries(images, skipped)


def folders_by_name(folder: Path) -> Paths:
    """Return the folders in a folder by their names, also in lower case where that is free."""
    exact = {path.name: path for path in sorted(folder.iterdir()) if path.is_dir()}
    lower = {name.lower(): path for name, path in reversed(exact.items())}
    return exact | {name: path for name, path in lower.items() if name not in exact}
