"""Look at what a container wrote as at a stranger's files: nothing is trusted, all is bounded."""

import os
import stat
from pathlib import Path

import numpy as np

from benchmark.engines.outcome import Status
from cytosuite.errors import InputError
from cytosuite.formats import header, read
from cytosuite.interface import IMAGE_SUFFIXES
from cytosuite.tasks import Socket
from cytosuite.volume import Volume

ENTRIES = 1000
SPACING_TOLERANCE = 1e-3


class BadOutput(Exception):  # noqa: N818 - it is a finding, not an error of ours
    """What is wrong with an output, in one line.

    Parameters
    ----------
    status : str
        ``bad output`` or ``missing output``.
    reason : str
        What was expected and found.
    """

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def survey(folder: Path, limit_bytes: int) -> None:
    """Refuse links, devices, too many entries or too many bytes below a folder.

    Parameters
    ----------
    folder : Path
        What the container wrote. Only names and sizes are looked at; no link is followed.
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


def check(folder: Path, socket: Socket, image: Volume) -> tuple[Path, Volume]:
    """Return the one valid image of an output socket.

    Parameters
    ----------
    folder : Path
        The output folder, already surveyed.
    socket : Socket
        What it must hold.
    image : Volume
        The input whose geometry it must have.

    Returns
    -------
    path : Path
        The file.
    volume : Volume
        Its content: labels as unsigned integers.

    Raises
    ------
    BadOutput
        If there is not exactly one file, it cannot be read, its shape, spacing or dtype is
        wrong, or a value is not finite, integral and non-negative where it must be.
    """
    place = folder / socket.relative_path
    files = sorted(place.iterdir()) if place.is_dir() else []
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
        # Shape and dtype first: a small file can claim any number of voxels.
        shape, dtype = header(path)
        if shape != image.shape:
            raise BadOutput("bad output", f"{where}: expected shape {image.shape}, found {shape}")
        if dtype.kind not in ("ui" if socket.kind == "labels" else "uif"):
            expected = "integers" if socket.kind == "labels" else "numbers"
            raise BadOutput("bad output", f"{where}: expected {expected}, found dtype {dtype}")
        volume = read(path)
    except InputError as error:
        reason = str(error).replace(str(path), str(where))
        raise BadOutput("bad output", reason) from None
    _check_values(volume, image, socket, str(where))
    return path, volume


def _check_values(volume: Volume, image: Volume, socket: Socket, where: str) -> None:
    """Refuse another geometry, and values that are not finite or, as labels, negative."""
    array = volume.array
    if volume.shape != image.shape:
        raise BadOutput(
            "bad output", f"{where}: expected shape {image.shape}, found {volume.shape}"
        )
    ratio = np.array(volume.spacing) / np.array(image.spacing)
    if np.abs(ratio - 1).max() > SPACING_TOLERANCE:
        raise BadOutput(
            "bad output", f"{where}: expected spacing {image.spacing}, found {volume.spacing}"
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise BadOutput("bad output", f"{where}: expected finite values, found NaN or infinity")
    if socket.kind == "labels" and array.dtype.kind == "i" and array.size and array.min() < 0:
        raise BadOutput("bad output", f"{where}: expected labels >= 0, found {array.min()}")
