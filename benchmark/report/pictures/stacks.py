"""Volumes for the slice viewer: on a coarser grid, as JPEG of all slices or deflated labels."""

import base64
import io
import math
import zlib
from itertools import pairwise

import numpy as np
from PIL import Image

from cytosuite.volume.arrays import Array, Bytes, Floats, Interval, Lengths, Longs, Shape, Words
from cytosuite.volume.memory import is_mapped, release
from cytosuite.volume.pieces import distinct, slabs, slabs_of

BLOCK = 8  # px: slices of a sprite start at multiples, so that no block of the JPEG has two
LONGEST = 8192  # voxels along an axis at most: browsers draw no longer pictures
LONG = 2**16 - 1  # voxels of a run at most


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
    if not is_mapped(array):
        return _averaged(array, shape, ends)
    starts = np.arange(shape[0] + 1) * len(array) // shape[0]
    means = np.empty(shape, np.float32)
    for z, (first, last) in enumerate(pairwise(starts.tolist())):
        means[z] = _averaged(array[first:last], (1, *shape[1:]), ends)[0]
        release(array)
    return means


def _averaged(array: Array, shape: Shape, ends: Interval) -> Floats:
    """Return the mean values of an image in memory."""
    means = np.asarray(array)
    if means.dtype.kind == "f":
        means = np.nan_to_num(means, nan=ends[0], posinf=ends[1], neginf=ends[0])
    for axis, (size, count) in enumerate(zip(means.shape, shape, strict=True)):
        if count < size:
            starts = np.arange(count) * size // count
            numbers = np.diff(starts, append=size).astype(np.float32)
            sums = np.add.reduceat(means, starts, axis=axis, dtype=np.float32)
            means = sums / numbers.reshape([-1 if n == axis else 1 for n in range(3)])
    return means.astype(np.float32, copy=False)


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
