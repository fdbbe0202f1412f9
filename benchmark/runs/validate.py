"""Check the files of a container as a stranger's: nothing is trusted, all is bounded."""

import sys
from collections.abc import Iterable
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from cytosuite.benchmark.engines.outcome import Status
from cytosuite.contract.interface import LARGEST, is_finite
from cytosuite.contract.points import points_of
from cytosuite.contract.tasks import Socket
from cytosuite.contract.tracks import read_tracks
from cytosuite.errors import InputError, at, plain
from cytosuite.files import read_json, write_json
from cytosuite.folders.points import read_annotated
from cytosuite.formats import opened
from cytosuite.formats.imagefiles import IMAGE_SUFFIXES, READABLE
from cytosuite.metrics.tracks.lineage import refuse, row_problems
from cytosuite.volume import Header, Volume
from cytosuite.volume.arrays import Array, Lengths, Shape

JSON_BYTES = 32 * 2**20
SPACING_TOLERANCE = 1e-3
VOXELS = 2**31  # of an output without an input that bounds its size


class BadOutput(Exception):  # noqa: N818 - it is a finding, not an error of ours
    """An output that breaks the contract: ``bad output`` or ``missing output``, and the reason."""

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(plain(reason))
        self.status = status


def check(
    folder: Path,
    socket: Socket,
    geometry: Header | None,
    *,
    lenient: bool = False,
    files: bool = False,
) -> Path | None:
    """Return the path of a valid output, else BadOutput; `lenient` lets `lost_spacing` pass.

    Of `files` that people have any format is read, points in a folder named like their JSON, which
    is written, and the voxel size does not count.
    """
    place = folder / socket.relative_path
    if geometry is not None and socket.kind == "labels":
        geometry = geometry.labels
    try:
        if not socket.is_file:
            return _check_image(place, socket, geometry, lenient, files)
        spacing = (1.0,) * 3 if geometry is None else geometry.spacing
        if files and socket.kind == "points":
            (source,) = place.with_suffix("").iterdir()
            write_json(place, read_annotated(source, spacing).document())
        return _check_file(place, socket, spacing, geometry.shape[0] if geometry else sys.maxsize)
    except InputError as error:
        raise BadOutput("bad output", str(error).replace(f"{folder}/", "")) from None


def _check_image(
    place: Path, socket: Socket, geometry: Header | None, lenient: bool, files: bool
) -> Path | None:
    """Return the valid image in a folder; None where there needs to be none."""
    entries = sorted(place.iterdir()) if place.is_dir() else []
    if not entries:
        if socket.optional:
            return None
        raise BadOutput("missing output", f"{socket.relative_path}: expected one image, found none")
    if len(entries) > 1:
        raise InputError(f"{place}: expected one image, found {len(entries)}")
    path = entries[0]
    suffixes = READABLE if files else IMAGE_SUFFIXES
    if path.suffix.lower() not in suffixes or not (path.is_file() or files):
        raise InputError(f"{path}: expected a file, {', '.join(suffixes)}")
    with opened(path) as (head, parts):  # once: the checked pixels are the decoded ones
        if geometry is not None:
            same = files and head.axes == geometry.axes
            if same or (lenient and lost_spacing(head, geometry, socket)):
                head = replace(head, spacing=geometry.spacing)
        _check_header(head, geometry, socket, path)
        _check_values(path, head, parts, socket)
    return path


def lost_spacing(head: Header, geometry: Header, socket: Socket) -> bool:
    """Return whether a voxel size is the default of a program that lost it."""
    # 1 on every axis or 1 mm between slices; of labels also 1 or the edge of a pixel between.
    if len(head.spacing) != len(geometry.spacing) or same_spacing(head, geometry):
        return False
    if all(step == 1.0 for step in head.spacing):
        return True
    depth, *plane = head.spacing
    if len(plane) < 2 or not same_spacing(
        replace(head, spacing=(geometry.spacing[0], *plane)), geometry
    ):
        return False
    return depth in ({1000.0} if socket.kind == "image" else {1000.0, 1.0, plane[0]})


def same_spacing(first: Header | Volume, second: Header | Volume) -> bool:
    """Return whether two voxel sizes are alike, up to 0.1 %."""
    return np.allclose(first.spacing, second.spacing, rtol=SPACING_TOLERANCE, atol=0)


def _check_file(path: Path, socket: Socket, spacing: Lengths, frames: int) -> Path | None:
    """Return a valid file of bounded size: a table of tracks, a JSON object, points of an image."""
    table = socket.kind == "tracks"
    if not path.is_file():
        if socket.optional:
            return None
        kind = "a table of tracks" if table else "a JSON object"
        raise BadOutput("missing output", f"{socket.relative_path}: expected {kind}")
    if path.stat().st_size > JSON_BYTES:
        raise InputError(f"{path}: more than {JSON_BYTES} bytes")
    if table:
        refuse([*row_problems(read_tracks(path), frames)], "a bad table")
        return path
    value = read_json(path)
    with at(path):
        if not isinstance(value, dict):
            raise InputError("expected a JSON object")
        if socket.kind == "points":
            points_of(value, spacing)
    return path


def _check_header(head: Header, geometry: Header | None, socket: Socket, path: Path) -> None:
    """Refuse other axes, another shape, voxel size or kind of numbers."""
    if head.dtype.kind not in ("ui" if socket.kind == "labels" else "uif"):
        expected = "integers" if socket.kind == "labels" else "numbers"
        raise InputError(f"{path}: expected {expected}, found dtype {head.dtype}")
    if geometry is None:
        if prod(head.shape) > VOXELS:
            raise InputError(f"{path}: more than {VOXELS} voxels")
        return
    if socket.course:
        geometry = replace(
            geometry, shape=head.shape[:1] + geometry.shape, axes=f"T{geometry.axes}"
        )
    if head.shape != geometry.shape:
        raise InputError(f"{path}: expected shape {geometry.shape}, found {head.shape}")
    if head.axes != geometry.axes:
        raise InputError(f"{path}: expected axes {geometry.axes}, found {head.axes}")
    if not same_spacing(head, geometry):
        raise InputError(f"{path}: expected spacing {geometry.spacing}, found {head.spacing}")


def _check_values(path: Path, head: Header, parts: Iterable[Array], socket: Socket) -> None:
    """Refuse pixels that are not as the header says, not finite or, as labels, negative."""
    planes = 0
    for part in parts:
        planes += len(part)
        shape = (planes, *part.shape[1:])
        if shape[1:] != head.shape[1:] or part.dtype.kind != head.dtype.kind:
            _contradicted(head, part.dtype, shape, path)
        if socket.kind == "labels" and part.size and part.min() < 0:
            raise InputError(f"{path}: expected labels >= 0, found {part.min()}")
        if socket.kind != "labels" and not is_finite(part):
            values = "larger ones" if np.isfinite(part).all() else "NaN or infinity"
            raise InputError(f"{path}: expected finite values up to {LARGEST:g}, found {values}")
    if planes != head.shape[0]:
        _contradicted(head, head.dtype, (planes, *head.shape[1:]), path)


def _contradicted(head: Header, dtype: np.dtype[Any], shape: Shape, path: Path) -> NoReturn:
    """Refuse pixels that contradict the header."""
    raise InputError(
        f"{path}: the header says {head.dtype} {head.shape}, the pixels are {dtype} {shape}"
    )
