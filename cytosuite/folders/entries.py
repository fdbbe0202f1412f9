"""The entries of a folder: images by their names, and the rest with the reason to leave it out."""

import unicodedata
from collections.abc import Collection
from pathlib import Path

from cytosuite.errors import listed, plain
from cytosuite.files import Lists, PathDict, TextDict, frozen
from cytosuite.folders.names import is_picture, key_of, one_per_name
from cytosuite.folders.part import MODULES, missing
from cytosuite.formats.imagefiles import FOLDER_SUFFIX, READABLE

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
