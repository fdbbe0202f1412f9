"""Acceptance of outputs: what a platform refuses, or alters, of what an algorithm wrote."""

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from cytosuite.benchmark.submission.checks.importer import import_image
from cytosuite.benchmark.submission.checks.rules import Finding, finding
from cytosuite.errors import CytosuiteError, InputError
from cytosuite.files import parse_json, read_text
from cytosuite.tasks import Task

FILES = 1000  # that the platform lists
DEPTH = 16  # folders in each other


def accept_outputs(folder: Path, task: Task | None) -> list[Finding]:
    """Return the findings of a platform about the output of one case.

    Parameters
    ----------
    folder : Path
        What the algorithm saw as ``/output``. Links in it are not followed.
    task : Task or None
        Whose outputs are expected; without one, every folder in ``images`` is one, and every JSON
        file.

    Raises
    ------
    InputError
        If it is no folder.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: expected the folder of an algorithm's output")
    return [*_accept(folder, task)]


def _accept(folder: Path, task: Task | None) -> Iterator[Finding]:
    """Yield findings about all outputs."""
    there = [path.relative_to(folder).as_posix() for path in _outputs(folder)]
    declared = there if task is None else [socket.relative_path for socket in task.outputs]
    optional = {socket.relative_path for socket in task.outputs if socket.optional} if task else ()
    if not declared:
        yield finding("output.missing", folder.name, "neither images/<slug> nor a JSON file")
    for place in declared:
        if place in there and (folder / place).is_symlink():
            yield finding("output.link", place, "a link: the platform takes what it leads to")
        elif place in there and place.endswith(".json"):
            yield from _json(folder / place, place)
        elif place in there and (folder / place).is_dir():
            yield from _images(folder, folder / place)
        elif place not in optional:
            yield finding("output.missing", place, "expected an output, found none")
    for place in sorted({*there} - {*declared}):
        yield finding("output.undeclared", place, "no output of the task has this place")


def _outputs(folder: Path) -> list[Path]:
    """Return the entries at the places of outputs: in the folder, and in ``images``."""
    top = [Path(entry.path) for entry in os.scandir(folder) if entry.name != "images"]
    images = folder / "images"
    if not images.is_dir() or images.is_symlink():
        return sorted(top)
    return sorted([*top, *(Path(entry.path) for entry in os.scandir(images))])


def _json(path: Path, place: str) -> Iterator[Finding]:
    """Yield findings about a JSON file, which the platform reads with NaN as null."""
    try:
        text = read_text(path)
        parse_json(text)
    except InputError as error:
        yield finding("output.json", place, str(error).removeprefix(f"{path}: "))
    except UnicodeDecodeError as error:
        yield finding("output.json", place, f"no UTF-8: {error.reason}")
    except (ValueError, RecursionError) as strict:
        try:
            json.loads(text, parse_constant=lambda _: None)
        except (ValueError, RecursionError) as error:
            yield finding("output.json", place, f"expected JSON, found {error}")
        else:
            yield finding("output.json-number", place, f"found {strict}")


def _images(folder: Path, place: Path) -> Iterator[Finding]:
    """Yield findings about the files of an image output."""
    where, files = place.relative_to(folder).as_posix(), list[Path]()
    for path in _files(place, 0):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            yield finding("output.link", name, "a link: the platform takes what it leads to")
        elif not stat.S_ISREG(path.lstat().st_mode):
            yield finding("output.extra", name, "a pipe, a socket or a device")
        else:
            files.append(path)
        if len(files) > FILES:
            yield finding("output.too-many", where, f"more than {FILES} files")
            return
    if not files:
        yield finding("output.missing", where, "expected one image, found none")
        return
    yield from _imported(folder, where, files)


def _imported(folder: Path, where: str, files: list[Path]) -> Iterator[Finding]:
    """Yield findings about regular files, of which one must be an image."""
    accepted, refused, used = list[Path](), dict[Path, list[Finding]](), set[Path]()
    for path in files:
        name = path.relative_to(folder).as_posix()
        try:
            found, companion = import_image(path, name)
        except CytosuiteError as error:
            reason = str(error).removeprefix(f"{path}: ")
            found, companion = [finding("output.broken", name, reason)], None
        if any(each.severity == "error" for each in found):
            refused[path] = found
        else:
            accepted.append(path)
            used |= {companion} if companion else set()
            yield from found
    if len(accepted) > 1:
        names = ", ".join(path.name for path in accepted[:3])
        yield finding("output.several", where, f"{len(accepted)} images: {names}")
    for path, found in refused.items():
        if not accepted:
            yield from found
        elif path not in used:
            name = path.relative_to(folder).as_posix()
            yield finding("output.extra", name, "no image, beside one")


def _files(folder: Path, depth: int) -> Iterator[Path]:
    """Yield all that is no folder below a folder, without following links."""
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.is_dir(follow_symlinks=False):
            if depth < DEPTH:
                yield from _files(Path(entry.path), depth + 1)
        else:
            yield Path(entry.path)
