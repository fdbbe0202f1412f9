"""Volumes of a case for the slice viewer: read once, coarser, as JPEG or deflated labels."""

import base64
import io
import logging
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from cytosuite.benchmark.runs.data.circles import circles
from cytosuite.benchmark.runs.data.planes import frames, grey, limits, spatial
from cytosuite.benchmark.scores.matches import read_links
from cytosuite.benchmark.scores.results import CaseFiles, Matches, Results
from cytosuite.contract.points import read_points
from cytosuite.contract.tasks import TRACKS, Kind, Socket
from cytosuite.contract.tracks import read_tracks
from cytosuite.errors import CytosuiteError, InputError
from cytosuite.files import TextSeq, frozen
from cytosuite.formats import read
from cytosuite.metrics.tracks.tracking import LinkError
from cytosuite.volume.arrays import Array, Bytes, Floats, Interval, Lengths, Longs, Shape, Words
from cytosuite.volume.memory import release
from cytosuite.volume.pieces import distinct, slabs, slabs_of

BLOCK = 8  # px: slices of a sprite start at multiples, so that no block of the JPEG has two
LONGEST = 8192  # voxels along an axis at most: browsers draw no longer pictures
LONG = 2**16 - 1  # voxels of a run at most
LOGGER = logging.getLogger(__name__)
VOXELS = 2**22  # of one volume, at most


def coarser(shape: Shape, spacing: Lengths, voxels: int) -> Shape:
    """Return the largest shape of a volume with at most so many voxels."""
    extents = np.multiply(shape, spacing).tolist()

    def at(edge: float) -> Shape:
        """Return the shape with voxels of a length."""
        return tuple(
            max(1, min(size, LONGEST, math.floor(extent / edge + 1e-9)))
            for size, extent in zip(shape, extents, strict=True)
        )

    low = min(spacing)
    high = max(extents)
    if math.prod(at(low)) <= voxels:
        return at(low)
    for _ in range(40):  # bisection in the logarithm, to 1e-9 of any range there is
        middle = math.sqrt(low * high)
        low, high = (middle, high) if math.prod(at(middle)) > voxels else (low, middle)
    return at(high)


def averaged(array: Array, shape: Shape, ends: Interval = (0.0, 0.0)) -> Floats:
    """Return the means (Z, Y, X) float32 of grey values on a coarser grid."""
    starts = np.arange(shape[0] + 1) * len(array) // shape[0]
    means = np.empty(shape, np.float32)
    for z, (first, last) in enumerate(pairwise(starts.tolist())):
        part = np.asarray(array[first:last])
        if part.dtype.kind == "f":
            part = np.nan_to_num(part, nan=ends[0], posinf=ends[1], neginf=ends[0])
        for axis, (size, count) in enumerate(zip(part.shape, (1, *shape[1:]), strict=True)):
            if count < size:
                places = np.arange(count) * size // count
                numbers = np.diff(places, append=size).astype(np.float32)
                sums = np.add.reduceat(part, places, axis=axis, dtype=np.float32)
                part = sums / numbers.reshape([-1 if n == axis else 1 for n in range(3)])
        means[z] = part[0]
        release(array)
    return means


def renumbered(labels: Array, ids: Array) -> Words:
    """Return labels by their numbers from 1 among the given ones, ascending; 0 stays."""
    return np.where(labels == 0, 0, np.searchsorted(ids, labels) + 1).astype(np.uint32)


def sampled(labels: Array, shape: Shape) -> tuple[Array, Array]:
    """Return labels on a coarser grid, none lost, and all labels of objects, ascending."""
    every = zip(labels.shape, shape, strict=True)
    at_z, *plane = ((2 * np.arange(count) + 1) * size // (2 * count) for size, count in every)
    small = np.empty(shape, labels.dtype)
    for z, source in enumerate(at_z):
        small[z] = labels[source][np.ix_(*plane)]
        release(labels)
    ids = distinct(labels)
    ids = ids[ids != 0]
    lost = np.setdiff1d(ids, small)
    if lost.size:
        at = np.unravel_index(_middles(labels, lost), labels.shape)
        to = (n * count // size for n, count, size in zip(at, shape, labels.shape, strict=True))
        small[tuple(to)] = lost
    return small, ids


def _middles(labels: Array, lost: Array) -> Longs:
    """Return the flat position of the middle voxel of some objects, in the order of voxels."""
    sizes = np.zeros(lost.size, np.int64)
    seen = np.zeros(lost.size, np.int64)
    for slab in slabs_of(labels):
        _, owners = _voxels_of(slab, lost)
        sizes += np.bincount(owners, minlength=lost.size)
    middles = np.zeros(lost.size, np.int64)
    for part in slabs(labels):
        places, owners = _voxels_of(labels[part], lost)
        here = np.bincount(owners, minlength=lost.size)
        first = np.cumsum(here) - here
        ahead = sizes // 2 - seen  # voxels before the middle one in this slab
        inside = np.flatnonzero((ahead >= 0) & (ahead < here))
        order = np.argsort(owners, kind="stable")
        offset = part.start * labels[0].size
        middles[inside] = places[order[first[inside] + ahead[inside]]] + offset
        seen += here
    return middles


def _voxels_of(labels: Array, chosen: Array) -> tuple[Longs, Longs]:
    """Return the flat positions of the voxels of some objects, and the place of each among them."""
    flat = labels.reshape(-1)
    places = np.flatnonzero(np.isin(flat, chosen))
    return places, np.searchsorted(chosen, flat[places])


def sprite(volume: Bytes, quality: int) -> str:
    """Return the slices of a grey (Z, Y, X) volume, each padded to `BLOCK` px, as one JPEG."""
    depth, height, width = volume.shape
    rows_of, columns_of = (-size % BLOCK for size in (height, width))
    count = columns(volume.shape)
    rows = -(-depth // count)
    padded = np.pad(volume, ((0, 0), (0, rows_of), (0, columns_of)), mode="edge")
    padded = np.pad(padded, ((0, rows * count - depth), (0, 0), (0, 0)))
    tiles = padded.reshape(rows, count, *padded.shape[1:]).transpose(0, 2, 1, 3)
    sheet = tiles.reshape(rows * padded.shape[1], count * padded.shape[2])
    return jpeg(Image.fromarray(np.ascontiguousarray(sheet)), quality)


def columns(shape: Shape) -> int:
    """Return the number of slices side by side in a sprite, which is about square."""
    depth, height, width = (max(1, size) for size in shape)
    return min(depth, max(1, round(math.sqrt(depth * height / width))))


def jpeg(image: Image.Image, quality: int) -> str:
    """Return an image as ``data:image/jpeg;base64,...``, colours at full resolution."""
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=quality, optimize=True, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def deflated(indices: Words) -> tuple[int, str]:
    """Return the number of runs of labels, x fastest, and their bytes, deflated, in base64."""
    flat = indices.ravel()
    starts = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1])
    lengths = np.diff(starts, append=flat.size)
    pieces = -(-lengths // LONG)
    labels = np.repeat(flat[starts], pieces)
    parts = np.full(len(labels), LONG)
    parts[np.cumsum(pieces) - 1] = lengths - (pieces - 1) * LONG
    top = max(1, (int(flat.max()).bit_length() + 7) // 8)
    every = [(parts, 0), (parts, 8), *((labels, 8 * n) for n in range(top))]
    content = b"".join((values >> shift).astype(np.uint8).tobytes() for values, shift in every)
    return len(labels), packed(content)


def packed(content: bytes) -> str:
    """Return bytes as `slices.inflate` of the page takes them."""
    return base64.b64encode(zlib.compress(content, 9)).decode("ascii")


@frozen
class ShownVolume:
    """One volume of a case on the grid that is shown."""

    title: str  # its name for readers
    kind: Kind  # whether it is shown as grey values or as outlines
    array: Floats | Words  # grey values, or numbers of objects from 1
    full: Shape  # voxels of the file, z y x
    spacing: Lengths  # extent of a voxel of the file, z y x, in `unit`
    unit: Literal["µm", "px"]  # ``"px"`` where the voxel size is not known
    limits: Interval  # values shown as black and white; an output has the truth's
    ids: list[int]  # label of each object by its number, less 1
    movie: bool = False  # whether z counts frames
    parents: list[int] = field(default_factory=list)  # of tracks: number of each parent, 0 for none


@frozen
class CaseVolumes:
    """All volumes of a case."""

    name: str  # name of the case
    inputs: list[ShownVolume]  # the main one first
    channels: list[ShownVolume]  # other images of it, under the outlines of objects
    truth: ShownVolume | None
    real: ShownVolume | None  # to compare with where there is no truth
    outputs: Mapping[str, ShownVolume | None]  # None without a valid one
    matches: Mapping[str, Matches | None]  # by algorithm, where they are known
    links: Mapping[str, Sequence[LinkError]]  # wrong ones of tracks


def read_scene(
    results: Results,
    output: Socket,
    case: CaseFiles,
    algorithms: TextSeq,
    neighbour: Path | None = None,
) -> CaseVolumes:
    """Read the volumes of a case on grids of at most `VOXELS`; InputError if broken."""
    sockets = {socket.slug: socket for socket in results.task.inputs}
    kinds: dict[str, Kind] = {
        slug: "labels" if socket.kind == "labels" else "image" for slug, socket in sockets.items()
    }
    inputs = [
        shown_volume(file, "Input" if len(case.inputs) == 1 else sockets[slug].title, kinds[slug])
        for slug, file in case.inputs.items()
    ]
    shape = inputs[0].full
    shown = partial(_shown, kind=output.kind, main=inputs[0])
    true = case.truth.get(output.slug)
    table = case.truth.get(TRACKS.slug)
    truth = None if true is None else _tracked(shown(true, "Truth"), table)
    if truth is not None and truth.full != shape:
        raise InputError(f"{true}: expected the shape {shape} of the image, found {truth.full}")
    outputs: dict[str, ShownVolume | None] = {}
    for name in algorithms:
        outputs[name] = None
        files = results.outputs.get((name, case.name), {})
        path = files.get(output.slug)
        table = files.get(TRACKS.slug)
        try:
            answer = None if path is None else _tracked(shown(path, "Output"), table)
        except (CytosuiteError, OSError) as error:
            LOGGER.warning("%s: not drawn: %s", path, error)
            continue
        if answer is not None and answer.full == shape:
            outputs[name] = answer if truth is None else replace(answer, limits=truth.limits)
    real = None
    if output.kind == "image" and truth is None and neighbour is not None:
        real = shown_volume(neighbour, f"Real image {neighbour.stem}", "image")
    others = case.channels.items() if output.kind in ("labels", "points") else ()
    read_in = [shown_volume(path, name, "image") for name, path in others]
    channels = [volume for volume in read_in if volume.full == shape]
    matches = {name: results.matches.get((name, case.name)) for name in algorithms}
    links = {
        name: read_links(results.links[name, case.name])
        for name in algorithms
        if (name, case.name) in results.links
    }
    return CaseVolumes(case.name, inputs, channels, truth, real, outputs, matches, links)


def _shown(path: Path, title: str, kind: Kind, main: ShownVolume) -> ShownVolume:
    """Read a truth or an output; points are shown as circles on the grid of the main input."""
    if kind != "points":
        return shown_volume(path, title, kind)
    points = read_points(path, main.spacing[1:] if main.full[0] == 1 else main.spacing)
    discs = circles(points, main.full, main.array.shape)
    ids = list(range(1, len(points) + 1))
    return ShownVolume(title, "labels", discs, main.full, main.spacing, main.unit, (0.0, 1.0), ids)


def _tracked(volume: ShownVolume, table: Path | None) -> ShownVolume:
    """Return labels with the parents of their tracks, where there is a table of these."""
    if table is None:
        return volume
    parents = {track.label: track.parent for track in read_tracks(table)}
    number = {label: n for n, label in enumerate(volume.ids, 1)}
    return replace(volume, parents=[number.get(parents.get(n, 0), 0) for n in volume.ids])


def shown_volume(path: Path, title: str, kind: Kind) -> ShownVolume:
    """Read a volume on a grid of at most `VOXELS` voxels."""
    volume = read(path)
    movie = "T" in volume.axes
    array, spacing = frames(volume) if movie else spatial(volume)
    shape = coarser(array.shape, spacing, VOXELS)
    unit: Literal["µm", "px"] = "px" if volume.spacing_is_assumed else "µm"
    values: Floats | Words
    if kind == "labels":
        small, ids = sampled(array, shape)
        values, ends, labels = renumbered(small, ids), (0.0, 1.0), ids.tolist()
    else:
        ends = limits(array)
        labels = []
        values = averaged(array, shape, ends)
    return ShownVolume(title, kind, values, array.shape, spacing, unit, ends, labels, movie)


def shrunk(volume: ShownVolume, voxels: int) -> Array:
    """Return a volume with at most so many voxels: grey values, or numbers of objects."""
    shape = coarser(volume.full, volume.spacing, min(voxels, VOXELS))
    if volume.kind == "labels":
        return sampled(np.asarray(volume.array, dtype=np.uint32), shape)[0]
    return grey(averaged(volume.array, shape), volume.limits)
