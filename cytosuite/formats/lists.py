"""Lists of images and their masks, in the CSV files of published training programs."""

from pathlib import Path, PurePosixPath

from cytosuite.errors import InputError, at, last_line
from cytosuite.files import read_table
from cytosuite.formats.imagefiles import HDF5, IMAGE_SUFFIXES

SUFFIX = ".csv"
SUFFIXES = (*IMAGE_SUFFIXES, *HDF5.suffixes)
PARTS = ("train", "val", "test")  # last word of a list's name
_SHOWN = 100  # letters of a name in a message
Pair = tuple[Path, Path | None]


def is_list(path: Path) -> bool:
    """Return whether a path is a file that can be a list."""
    return path.suffix.lower() == SUFFIX and path.is_file()


def list_of(source: Path, part: str) -> Path | None:
    """Return the list of a part in a folder, if there is one: ``*_train.csv``, else of no part.

    Of a list itself its validation list lies beside it: ``a_val.csv`` of ``a_train.csv``.
    """
    if is_list(source):
        twin = source.with_name(f"{source.stem.removesuffix('train')}val{source.suffix}")
        return source if part != "val" else twin if twin != source and twin.is_file() else None
    lists = sorted(source.glob(f"*{SUFFIX}"))
    named = {path: path.stem.lower().rpartition("_")[2] for path in lists}
    chosen = [path for path, word in named.items() if word == part]
    if part == "test":  # results, too, are named *_test
        chosen = [path for path in chosen if first_of(path)] or [p for p in lists if first_of(p)]
    elif part == "train" and not chosen:
        chosen = [path for path, word in named.items() if word not in PARTS and first_of(path)]
    if len(chosen) > 1:
        raise InputError(
            f"{source}: expected one list *_{part}{SUFFIX}, found {len(chosen)}: "
            f"{', '.join(path.name for path in chosen[:3])}; name one of them"
        )
    return chosen[0] if chosen else None


def first_of(path: Path) -> PurePosixPath | None:
    """Return the first image that a CSV file names; None where it is no list of images."""
    try:
        row = next(filter(any, read_table(path, _delimiter)), [])
    except InputError:
        return None
    names = [PurePosixPath(name.strip().replace("\\", "/")) for name in row if name]
    fits = 0 < len(names) <= 2 and all(name.suffix.lower() in SUFFIXES for name in names)
    return names[0] if fits else None


def read_list(path: Path, root: Path | None = None) -> list[Pair]:
    """Return images and masks, in `root` or the list's folder; doi:10.1371/journal.pcbi.1011890."""
    pairs = {}
    for number, row in enumerate(read_table(path, _delimiter), start=1):
        if any(row):
            with at(f"{path}: row {number}"):
                image, mask = _pair(root or path.parent, row)
                if image in pairs:
                    raise InputError(f"{row[0]} stands in it twice")
            pairs[image] = mask
    if not pairs:
        raise InputError(f"{path}: expected rows like images/a.h5;masks/a.h5, found none")
    return sorted(pairs.items())


def _delimiter(text: str) -> str:
    """Return a semicolon, or a comma where it alone stands between names of images."""
    names = next(filter(str.strip, text.splitlines()), "").split(",")
    ends = (name.strip(' "').lower().endswith(SUFFIXES) for name in names)
    return "," if ";" not in text and len(names) > 1 and all(ends) else ";"


def _pair(root: Path, row: list[str]) -> Pair:
    if len(row) > 2 or not row[0]:
        raise InputError(
            f"expected image;mask or the image alone, found {len(row)} columns: {';'.join(row)}"
        )
    image, *masks = (_file(root, name) for name in row if name)
    if image in masks:
        raise InputError(f"expected a mask in a file of its own, found the image {row[0]}")
    return image, masks[0] if masks else None


def _file(root: Path, name: str) -> Path:
    """Return a file by its name in a list, which may have been written on Windows."""
    file = root / name.strip().replace("\\", "/")
    name = name[:_SHOWN]
    if file.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"expected the path of an image ({', '.join(SUFFIXES)}), found {name!r}; a "
            "list has no header, and its columns are separated by semicolons"
        )
    try:
        inside = file.resolve().is_relative_to(root.resolve())
        there = file.is_file()
    except (OSError, RuntimeError, ValueError) as error:  # of names that no file can have
        raise InputError(f"{name!r} cannot be opened ({last_line(error)})") from None
    if not inside:
        raise InputError(f"expected a path in {root} and relative to it, found {name!r}")
    if not there:
        raise InputError(
            f"no such file: {name!r}; paths are relative to the folder of the list, or to "
            "--data-root"
        )
    return file
