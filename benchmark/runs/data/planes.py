"""Planes of a volume for every picture: one cutter, one rule of contrast, one outline."""

import numpy as np

from cytosuite.files import IntPair
from cytosuite.volume import Volume
from cytosuite.volume.arrays import (
    Array,
    Bools,
    Bytes,
    Doubles,
    Integers,
    Interval,
    Lengths,
    Longs,
    Shape,
)
from cytosuite.volume.memory import release
from cytosuite.volume.objects import borders
from cytosuite.volume.pieces import slabs, thinned

CONTRAST = (5.0, 99.8)  # percentiles shown as black and white
SAMPLE = 1_000_000  # values at most from which percentiles are taken
PLANES = ("XY", "XZ", "YZ")


def spatial(volume: Volume) -> tuple[Array, Lengths]:
    """Return the (Z, Y, X) pixels and voxel size [µm]: middle time point, first channel."""
    array = volume.array
    if "T" in volume.axes:
        array = array[array.shape[0] // 2]
    if "C" in volume.axes:
        array = array[0]
    if "Z" in volume.axes:
        return array, volume.spacing
    return array[None], (volume.spacing[0], *volume.spacing)


def frames(volume: Volume) -> tuple[Array, Lengths]:
    """Return the (T, Y, X) pixels of a movie, of volumes the brightest or last label along z.

    With the voxel size (µm); a frame counts as long as the longest side, so that none is averaged.
    """
    array = volume.array
    if "C" in volume.axes:
        array = array[:, 0]
    flat = array.max(axis=1) if "Z" in volume.axes else array
    step = volume.spacing[-2:]
    return flat, (max(n * um for n, um in zip(flat.shape[1:], step, strict=True)), *step)


def cut_at(shape: Shape, labels: Array | None = None) -> Shape:
    """Return the plane to show along z, y, x: the middle one, or the fullest if it is empty."""
    cut = [size // 2 for size in shape]
    if labels is None:
        return tuple(cut)
    return tuple(
        int(full.argmax()) if full.any() and not full[at] else at
        for full, at in zip(_filled(labels), cut, strict=True)
    )


def _filled(labels: Array) -> list[Longs]:
    """Return the number of voxels of objects in each plane along z, y and x."""
    counts = [np.zeros(size, np.int64) for size in labels.shape]
    for part in slabs(labels):
        there = labels[part] != 0
        counts[0][part] = np.count_nonzero(there, axis=(1, 2))
        counts[1] += np.count_nonzero(there, axis=(0, 2))
        counts[2] += np.count_nonzero(there, axis=(0, 1))
    return counts


def planes(array: Array, cut: Shape) -> list[Array]:
    """Return the planes (Y, X), (Z, X), (Y, Z) of a (Z, Y, X) array, of a flat one (Y, X) alone."""
    z, y, x = cut
    parts = [(array[part, y].copy(), array[part, :, x].copy()) for part in slabs(array)]
    across, along = (np.concatenate(strips) for strips in zip(*parts, strict=True))
    cuts = [array[z].copy(), across, along.T]
    release(array)
    return cuts[:1] if array.shape[0] == 1 else cuts


def sizes(shape: Shape, spacing: Lengths, side: int) -> list[IntPair]:
    """Return height and width [px] of each of the `planes`, with square µm, at most `side` px."""
    extents = np.multiply(shape, spacing).tolist()
    scale = side / max(extents[1:] if shape[0] == 1 else extents)
    depth, height, width = (max(8, round(extent * scale)) for extent in extents)
    sides = [(height, width), (depth, width), (height, depth)]
    return sides[:1] if shape[0] == 1 else sides


def limits(array: Array) -> Interval:
    """Return the values shown as black and white: the `CONTRAST` percentiles of the finite ones."""
    sample = thinned(np.asarray(array), max(1, array.size // SAMPLE))
    if sample.dtype.kind != "u":  # differences of others overflow, or are none
        sample = sample.astype(np.float64)
        sample = sample[np.isfinite(sample)]
    if not sample.size:
        return 0.0, 1.0
    low, high = np.percentile(sample, CONTRAST)
    return float(low), float(high)


def shown(plane: Array, limits: Interval) -> Doubles:
    """Return a plane in units of its contrast, 0 black and 1 white; not clipped, NaN is black."""
    low, high = limits
    values = np.nan_to_num(np.asarray(plane, dtype=np.float64), nan=low)
    return np.asarray((values - low) / (high - low if high > low else 1.0))


def grey(plane: Array, limits: Interval) -> Bytes:
    """Return a plane as grey values between the limits; NaN is black."""
    return (shown(plane, limits).clip(0, 1) * 255).round().astype(np.uint8)


def stretch(array: Array, height: int, width: int) -> Array:
    """Return a 2D array at another size by its nearest pixels."""
    rows = (np.arange(height) * array.shape[0]) // height
    return np.asarray(array[np.ix_(rows, np.arange(width) * array.shape[1] // width)])


def boundary(labels: Integers, thickness: int = 1) -> Bools:
    """Return the pixels of labels with another one among 4 neighbours, faster than scikit-image."""
    inside = labels
    for _ in range(thickness):
        inside = np.where(borders(inside), 0, inside)
    return np.asarray(inside != labels)
