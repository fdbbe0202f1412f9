"""Check the files of a container as a stranger's: nothing is trusted, all is bounded."""

import json
import os
import stat
from math import prod
from pathlib import Path

import numpy as np

from cytosuite.benchmark.engines.outcome import Status
from cytosuite.benchmark.record import refuse_constant
from cytosuite.errors import InputError
from cytosuite.formats import header, read
from cytosuite.interface import IMAGE_SUFFIXES
from cytosuite.tasks import Socket
from cytosuite.volume import Header, Volume

ENTRIES = 1000
JSON_BYTES = 16 * 2**20
SPACING_TOLERANCE = 1e-3
VOXELS = 2**31  # of an output without an input that bounds its size


class BadOutput(Exception):  # noqa: N818 - it is a finding, not an error of ours
    """A defect of an output, in one line.

    Parameters
    ----------
    status : str
        ``bad output`` or ``missing output``.
    reason : str
        Expectation and finding.
    """

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def survey(folder: Path, limit_bytes: int) -> None:
    """Refuse links, devices, too many entries or too many bytes below a folder.

    Parameters
    ----------
    folder : Path
        Output of the container. Only names and sizes are read; no link is followed.
    limit_bytes : int
        Bound for the sum of the sizes.

    Raises
    ------
    BadOutput
        With the first finding.
    """
    total = entries = 0
    pending = [folder]
    while pending:
        with os.scandir(pending.pop()) as found:
            for entry in found:
                entries += 1
                info = entry.stat(follow_symlinks=False)
                name = Path(entry.path).relative_to(folder)
                if stat.S_ISDIR(info.st_mode):
                    pending.append(Path(entry.path))
                elif not stat.S_ISREG(info.st_mode):
                    raise BadOutput("bad output", f"{name}: neither a file nor a folder")
                elif info.st_nlink > 1:
                    raise BadOutput("bad output", f"{name}: a file with more than one name")
                else:
                    total += info.st_size
                if total > limit_bytes:
                    raise BadOutput("bad output", f"more than {limit_bytes} bytes of output")
                if entries > ENTRIES:
                    raise BadOutput("bad output", f"more than {ENTRIES} files of output")


def check(folder: Path, socket: Socket, geometry: Header | None) -> Path | None:
    """Return the one valid file of an output socket, None where an optional one has none.

    Parameters
    ----------
    folder : Path
        The output folder, already surveyed.
    socket : Socket
        The output.
    geometry : Header or None
        Of the main input: images and labels must have its shape and voxel size.

    Raises
    ------
    BadOutput
        If there is not exactly one file, it cannot be read, its shape, spacing or dtype is
        wrong, or a value is not finite or negative where that is not allowed.

    Notes
    -----
    Only signed labels and floats are decoded, since a header cannot tell their values.
    """
    place = folder / socket.relative_path
    if socket.kind == "json":
        return _check_json(place, folder, socket)
    files = sorted(place.iterdir()) if place.is_dir() else []
    if not files and socket.optional:
        return None
    if not files:
        raise BadOutput("missing output", f"{socket.relative_path}: expected one image, found none")
    if len(files) > 1:
        raise BadOutput(
            "bad output", f"{socket.relative_path}: expected one image, found {len(files)}"
        )
    path = files[0]
    where = path.relative_to(folder)
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        raise BadOutput("bad output", f"{where}: expected {', '.join(IMAGE_SUFFIXES)}")
    try:
        found = header(path)
        _check_header(found, geometry, socket, str(where))
        if found.dtype.kind in ("i" if socket.kind == "labels" else "f"):
            _check_values(read(path), socket, str(where))
    except InputError as error:
        reason = str(error).replace(str(path), str(where))
        raise BadOutput("bad output", reason) from None
    return path


def _check_json(path: Path, folder: Path, socket: Socket) -> Path | None:
    """Return a file with a JSON object of bounded size."""
    if not path.is_file():
        if socket.optional:
            return None
        raise BadOutput("missing output", f"{socket.relative_path}: expected a JSON object")
    if path.stat().st_size > JSON_BYTES:
        raise BadOutput("bad output", f"{socket.relative_path}: more than {JSON_BYTES} bytes")
    try:
        value = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse_constant)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        reason = f"{socket.relative_path}: expected JSON, found {error}"
        raise BadOutput("bad output", reason.replace(str(folder), "")) from None
    if not isinstance(value, dict):
        raise BadOutput("bad output", f"{socket.relative_path}: expected a JSON object")
    return path


def _check_header(found: Header, wanted: Header | None, socket: Socket, where: str) -> None:
    """Refuse another shape, voxel size or kind of numbers."""
    if wanted is not None and found.shape != wanted.shape:
        raise BadOutput(
            "bad output", f"{where}: expected shape {wanted.shape}, found {found.shape}"
        )
    if found.dtype.kind not in ("ui" if socket.kind == "labels" else "uif"):
        expected = "integers" if socket.kind == "labels" else "numbers"
        raise BadOutput("bad output", f"{where}: expected {expected}, found dtype {found.dtype}")
    if wanted is None:
        if prod(found.shape) > VOXELS:
            raise BadOutput("bad output", f"{where}: more than {VOXELS} voxels")
        return
    ratio = np.array(found.spacing) / np.array(wanted.spacing)
    if np.abs(ratio - 1).max() > SPACING_TOLERANCE:
        raise BadOutput(
            "bad output", f"{where}: expected spacing {wanted.spacing}, found {found.spacing}"
        )


def _check_values(volume: Volume, socket: Socket, where: str) -> None:
    """Refuse values that are not finite or, as labels, negative."""
    array = volume.array
    if socket.kind == "labels" and array.size and array.min() < 0:
        raise BadOutput("bad output", f"{where}: expected labels >= 0, found {array.min()}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise BadOutput("bad output", f"{where}: expected finite values, found NaN or infinity")
