"""The entries of a folder: images by their names, and the rest with the reason to leave it out."""

import re
import unicodedata
from collections.abc import Collection as Names
from dataclasses import dataclass
from pathlib import Path

from cytosuite.datasets.folder.microscopes import EXTRA, MODULES, needs_extra
from cytosuite.errors import InputError
from cytosuite.formats import READERS

# Kinds of images that nobody reads here, so that a line can say more than "no image".
FOREIGN = {".ims", ".lsm", ".oib", ".oif", ".vsi", ".dv", ".stk", ".nrrd", ".nii", ".svs", ".zvi"}
UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029/\\:*?"<>|]+')
LONGEST = 180  # bytes of a case's name: files are called by it, with endings
SHOWN = 3  # entries named for each reason


@dataclass(frozen=True, slots=True)
class Entries:
    """The images below a folder by their key, and reasons for the other entries by their name.

    Parameters
    ----------
    images : dict of str to Path
        By the path relative to the folder without suffix: labels and images of a key belong
        together.
    skipped : dict of str to str
        Reason by relative path.
    """

    images: dict[str, Path]
    skipped: dict[str, str]


def entries(folder: Path, known: Names[str] = (), *, recursive: bool = False) -> Entries:
    """Return what is in a folder; hidden entries are passed over.

    Parameters
    ----------
    folder : Path
        Files, and folders of OME-Zarr images.
    known : collection of str
        Names of entries that serve another purpose.
    recursive : bool
        Whether to look into its sub-folders.

    Raises
    ------
    InputError
        If two images have one key: ``a.tif`` and ``a.tiff``.
    """
    images: dict[str, Path] = {}
    skipped: dict[str, str] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name in known:
            continue
        if recursive and is_folder(path):
            below = entries(path, recursive=True)
            images |= {f"{path.name}/{key}": image for key, image in below.images.items()}
            skipped |= {f"{path.name}/{name}": reason for name, reason in below.skipped.items()}
        elif (reason := _reason(path)) is not None:
            skipped[f"{path.name}/" if path.is_dir() else path.name] = reason
        else:
            first = images.setdefault(key_of(path), path)
            if first != path:
                raise InputError(
                    f"{folder}: images need different names, found {first.name} and {path.name}"
                )
    return Entries(images, skipped)


def is_folder(path: Path) -> bool:
    """Return whether a path is a folder and no image that is stored as one."""
    return path.is_dir() and path.suffix.lower() not in MODULES


def key_of(path: Path) -> str:
    """Return the name of an image without suffix, by which labels find it."""
    stem = unicodedata.normalize("NFC", path.stem)
    return stem.removesuffix(".ome") if path.suffix.lower() == ".zarr" else stem


def case_name(key: str) -> str:
    """Return the name of a case: as the user wrote it, but for what a file name cannot hold.

    Parameters
    ----------
    key : str
        Name of an image without suffix, or its path relative to a folder.

    Returns
    -------
    str
        Separators of paths, control characters and ``:*?"<>|`` are ``_``; no dot at either end;
        at most 180 bytes.

    Examples
    --------
    >>> case_name("größe µ"), case_name("day 1/a:b")
    ('größe µ', 'day 1_a_b')
    """
    name = UNSAFE.sub("_", unicodedata.normalize("NFC", key)).strip(". ")
    return name.encode()[:LONGEST].decode(errors="ignore").strip(". ") or "image"


def summary(skipped: dict[str, str]) -> str:
    """Return entries and reasons as the end of a sentence: ``skipped 2: a.txt (no image), ...``."""
    reasons: dict[str, list[str]] = {}
    for name, reason in skipped.items():
        reasons.setdefault(reason, []).append(name)
    parts = []
    for reason, names in reasons.items():
        more = [f"{len(names) - SHOWN} more"] if len(names) > SHOWN else []
        parts.append(f"{', '.join([*names[:SHOWN], *more])} ({reason})")
    return f"skipped {len(skipped)}: {', '.join(parts)}" if skipped else ""


def _reason(path: Path) -> str | None:
    """Return why an entry is no image that can be read; None if it can."""
    suffix = path.suffix.lower()
    if is_folder(path):
        return "a folder: --recursive"
    if needs_extra(path):
        return f"needs {EXTRA}"
    if suffix in MODULES or (suffix in READERS and path.is_file()):
        return None
    return f"no reader for {suffix}: save as OME-TIFF" if suffix in FOREIGN else "no image"
