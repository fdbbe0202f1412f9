"""Check the files of a container as a stranger's: nothing is trusted, all is bounded."""

import sys
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
from cytosuite.errors import InputError, plain
from cytosuite.files import parse_json, write_json
from cytosuite.folders.points import read_annotated
from cytosuite.formats import header, read, slabs
from cytosuite.formats.imagefiles import IMAGE_SUFFIXES, READABLE
from cytosuite.metrics.tracks.lineage import refuse, row_problems
from cytosuite.volume import Header, Volume

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
    if socket.kind == "tracks":
        return _check_tracks(place, socket, geometry)
    if socket.is_file:
        spacing = (1.0,) * 3 if geometry is None else geometry.spacing
        if files:
            _write_points(place, spacing)
        return _check_json(place, folder, socket, spacing)
    entries = sorted(place.iterdir()) if place.is_dir() else []
    if not entries and socket.optional:
        return None
    if not entries:
        raise BadOutput("missing output", f"{socket.relative_path}: expected one image, found none")
    if len(entries) > 1:
        raise BadOutput(
            "bad output", f"{socket.relative_path}: expected one image, found {len(entries)}"
        )
    path = entries[0]
    where = path.relative_to(folder)
    suffixes = tuple(READABLE) if files else IMAGE_SUFFIXES
    if path.suffix.lower() not in suffixes or not (path.is_file() or files):
        raise BadOutput("bad output", f"{where}: expected a file, {', '.join(suffixes)}")
    try:
        head = _header(path)
        same = geometry is not None and head.axes == geometry.axes
        if geometry is not None and (
            (files and same) or (lenient and lost_spacing(head, geometry, socket))
        ):
            head = replace(head, spacing=geometry.spacing)
        _check_header(head, geometry, socket, str(where))
        _check_values(path, head, socket, str(where))
    except InputError as error:
        raise BadOutput("bad output", str(error).replace(str(path), str(where))) from None
    return path


def _header(path: Path) -> Header:
    """Return the geometry of an image, of some formats by decoding it."""
    if READABLE[path.suffix.lower()].has_header:
        return header(path)
    volume = read(path)
    return Header(volume.shape, volume.array.dtype, volume.spacing, volume.axes)


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
    defaults = {1000.0} if socket.kind == "image" else {1000.0, 1.0, plane[0]}
    return depth in defaults


def same_spacing(first: Header | Volume, second: Header | Volume) -> bool:
    """Return whether two voxel sizes are alike, up to 0.1 %."""
    ratio = np.array(first.spacing) / np.array(second.spacing)
    return bool(np.abs(ratio - 1).max() <= SPACING_TOLERANCE)


def _write_points(path: Path, spacing: tuple[float, ...]) -> None:
    """Write the points in the only file of a folder, JSON or a table, as the platform's JSON."""
    (source,) = path.with_suffix("").iterdir()
    try:
        points = read_annotated(source, spacing)
    except InputError as error:
        raise BadOutput("bad output", str(error).replace(str(source), source.name)) from None
    write_json(path, points.document())


def _check_json(
    path: Path, folder: Path, socket: Socket, spacing: tuple[float, ...]
) -> Path | None:
    """Return a file with a JSON object of bounded size; points must be of an image."""
    if not path.is_file():
        if socket.optional:
            return None
        raise BadOutput("missing output", f"{socket.relative_path}: expected a JSON object")
    if path.stat().st_size > JSON_BYTES:
        raise BadOutput("bad output", f"{socket.relative_path}: more than {JSON_BYTES} bytes")
    try:
        value = parse_json(path.read_text("utf-8"))
    except ValueError as error:  # also of the encoding
        reason = f"{socket.relative_path}: expected JSON, found {error}"
        raise BadOutput("bad output", reason.replace(str(folder), "")) from None
    if not isinstance(value, dict):
        raise BadOutput("bad output", f"{socket.relative_path}: expected a JSON object")
    if socket.kind == "points":
        try:
            points_of(value, spacing)
        except InputError as error:
            raise BadOutput("bad output", f"{socket.relative_path}: {error}") from None
    return path


def _check_tracks(path: Path, socket: Socket, geometry: Header | None) -> Path:
    """Return a table of tracks, or BadOutput where rows contradict each other."""
    if not path.is_file():
        raise BadOutput("missing output", f"{socket.relative_path}: expected a table of tracks")
    if path.stat().st_size > JSON_BYTES:
        raise BadOutput("bad output", f"{socket.relative_path}: more than {JSON_BYTES} bytes")
    try:
        frames = geometry.shape[0] if geometry else sys.maxsize
        refuse([*row_problems(read_tracks(path), frames)], "a bad table")
    except InputError as error:
        raise BadOutput("bad output", str(error).replace(str(path), path.name)) from None
    return path


def _check_header(head: Header, geometry: Header | None, socket: Socket, where: str) -> None:
    """Refuse other axes, another shape, voxel size or kind of numbers."""
    if geometry is not None and socket.course:
        geometry = replace(
            geometry, shape=(head.shape[0], *geometry.shape), axes=f"T{geometry.axes}"
        )
    if geometry is not None and head.shape != geometry.shape:
        raise BadOutput(
            "bad output", f"{where}: expected shape {geometry.shape}, found {head.shape}"
        )
    if geometry is not None and head.axes != geometry.axes:
        raise BadOutput("bad output", f"{where}: expected axes {geometry.axes}, found {head.axes}")
    if head.dtype.kind not in ("ui" if socket.kind == "labels" else "uif"):
        expected = "integers" if socket.kind == "labels" else "numbers"
        raise BadOutput("bad output", f"{where}: expected {expected}, found dtype {head.dtype}")
    if geometry is None:
        if prod(head.shape) > VOXELS:
            raise BadOutput("bad output", f"{where}: more than {VOXELS} voxels")
        return
    if not same_spacing(head, geometry):
        raise BadOutput(
            "bad output", f"{where}: expected spacing {geometry.spacing}, found {head.spacing}"
        )


def _check_values(path: Path, head: Header, socket: Socket, where: str) -> None:
    """Refuse pixels that are not as the header says, not finite or, as labels, negative."""
    planes = 0
    for part in slabs(path):
        planes += len(part)
        shape = (planes, *part.shape[1:])
        if shape[1:] != head.shape[1:] or part.dtype.kind != head.dtype.kind:
            _contradicted(head, part.dtype, shape, where)
        if socket.kind == "labels" and part.size and part.min() < 0:
            raise BadOutput("bad output", f"{where}: expected labels >= 0, found {part.min()}")
        if socket.kind != "labels" and not is_finite(part):
            values = "NaN or infinity" if not np.isfinite(part).all() else "larger ones"
            raise BadOutput(
                "bad output", f"{where}: expected finite values up to {LARGEST:g}, found {values}"
            )
    if planes != head.shape[0]:
        _contradicted(head, head.dtype, (planes, *head.shape[1:]), where)


def _contradicted(
    head: Header, dtype: np.dtype[Any], shape: tuple[int, ...], where: str
) -> NoReturn:
    """Refuse pixels that contradict the header."""
    pixels, said = f"{dtype} {shape}", f"{head.dtype} {head.shape}"
    raise BadOutput("bad output", f"{where}: the header says {said}, the pixels are {pixels}")
