"""Labels as annotators draw them: the visible part of each nucleus, in one piece, numbered.

Bruch et al., PLOS ONE 18 (2023), doi:10.1371/journal.pone.0283828 widen them by the PSF as well.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import cache

import numpy as np
from numpy.typing import DTypeLike
from scipy import ndimage

from cytosuite.bodies.grid import Grid, Labels, in_slabs, slabs
from cytosuite.bodies.stars import Bodies, no_labels
from cytosuite.datasets.physics.bodies import extents_um
from cytosuite.datasets.physics.grid import some_planes
from cytosuite.errors import InputError
from cytosuite.segmentation.objects import largest_pieces
from cytosuite.volume import memory
from cytosuite.volume.arrays import (
    Array,
    Bools,
    Box,
    Bytes,
    Doubles,
    Image,
    Integers,
    Interval,
    Lengths,
    Longs,
)
from cytosuite.volume.objects import wider
from cytosuite.volume.pieces import gathered

Blur = Callable[[Image, float], Image]  # of an image at a depth in µm
Object = tuple[int, Box, Image, float, float]  # number, box, share of its voxels, depth, strength

PEAK = 8  # brightest voxels; their mean is the peak of a nucleus
SOME = 50  # objects between two releases of memory-mapped arrays
SHELL = 3  # voxels around a nucleus in which its local background is measured


def largest_piece(mask: Bools) -> Bools:
    """Return the largest piece of a mask (z, y, x) that is connected through faces."""
    return largest_pieces(mask.astype(np.uint32)) > 0


def tidy(labels: Labels, min_voxels: int) -> tuple[Labels, Longs]:
    """Return the largest piece of each label, without gaps, and old numbers; disk in place."""
    result = labels if memory.is_mapped(labels) else labels.copy()
    boxes = {number: box for number, box in enumerate(_find(result), start=1) if box is not None}
    numbers = [0]
    last = 0
    for number in sorted(boxes, key=lambda number: boxes[number][0].start):
        if boxes[number][0].start > last:  # all before has been seen
            memory.release(result)
            last = boxes[number][0].stop
        place = result[boxes[number]]
        mask = place == number
        whole = largest_piece(mask)
        enough = np.count_nonzero(whole) >= min_voxels
        numbers += [number] if enough else []
        place[mask & ~whole if enough else mask] = 0
    memory.release(result)
    numbers.sort()
    new = np.zeros(numbers[-1] + 1, result.dtype)
    new[numbers] = np.arange(len(numbers))
    for (part,) in in_slabs(result) if numbers[-1] >= len(numbers) else ():
        part[:] = new[part]
    return result, np.array(numbers[1:], np.int64)


def _find(labels: Labels) -> list[Box | None]:
    """Return the box around each object, None for numbers without one, as scipy's find_objects."""
    boxes: list[Box | None] = []
    for start, stop in slabs(labels.shape) if labels.size else ():
        part = ndimage.find_objects(labels[start:stop])
        boxes += [None] * (len(part) - len(boxes))
        for index, box in enumerate(part):
            if box is not None:
                shifted = (slice(box[0].start + start, box[0].stop + start), *box[1:])
                both = zip(shifted, boxes[index] or shifted, strict=True)
                boxes[index] = tuple(
                    slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in both
                )
        memory.release(labels)
    return boxes


def moments(labels: Labels, grid: Grid) -> tuple[Doubles, Doubles, Doubles]:
    """Return volumes (N,) in µm³, centres (N, 3) in µm, covariances (N, 3, 3) in µm² of 1 to N.

    Voxels are boxes: a single one has a covariance as well. Planes are summed one by one.
    """
    count = int(labels.max(initial=0)) + 1
    ticks = grid.place_of(np.arange(max(grid.shape))[:, None]).T
    sums = np.zeros((10, count))  # 1, z, y, x, zz, yy, xx, zy, zx, yx
    for z, plane in zip(ticks[0], labels, strict=False):
        rows, columns = np.nonzero(plane)
        owner, y, x = plane[rows, columns], ticks[1][rows], ticks[2][columns]
        n = np.bincount(owner, minlength=count)
        ys, xs, yy, xx, yx = (np.bincount(owner, w, count) for w in (y, x, y * y, x * x, y * x))
        sums += n, z * n, ys, xs, z * z * n, yy, xx, z * ys, z * xs, yx
    mean = sums[1:, 1:] / sums[0, 1:]
    centres = mean[:3].T
    index = np.array([[3, 6, 7], [6, 4, 8], [7, 8, 5]])
    covariances = mean[index].transpose(2, 0, 1) - centres[:, :, None] * centres[:, None, :]
    covariances += np.diag(np.square(grid.spacing) / 12)
    return sums[0, 1:] * np.prod(grid.spacing), centres, covariances


def visible(
    bodies: Bodies,
    centres_um: Doubles,
    grid: Grid,
    blur: Blur,
    *,
    level: float,
    plane_level: float = 0.0,
    margin_um: Lengths,
) -> tuple[Labels, Image]:
    """Return labels above `level` of each blurred peak (mean of 8 voxels), and peaks' shares."""
    largest = 2 * float(extents_um(bodies).max(initial=0)) + np.asarray(margin_um)
    more = np.ceil(largest / grid.spacing).astype(int)
    radii = bodies.semi_axes_um.prod(axis=1) ** (1 / 3) / grid.voxel_um
    brightness = np.sqrt(bodies.brightness)

    def _drawn() -> Iterator[Object]:
        for patch in bodies.patches(centres_um, grid.wider(more.tolist()), grid.voxel_um / 2):
            i = patch.index
            soft = (1 - patch.distance) * np.float32(radii[i]) + np.float32(0.5)
            yield i + 1, patch.box, patch.on_box(soft.clip(0, 1)), centres_um[i, 0], brightness[i]

    labels = no_labels(bodies, grid)
    levels = _cut(_drawn(), labels, grid, blur, (level, plane_level), margin_um, more)
    factors = np.append(0, 1 / np.maximum(brightness, 1e-9)).astype(np.float32)
    for slab, numbers in in_slabs(levels, labels):
        slab *= factors[numbers]
        np.minimum(slab, 1, out=slab)
    return labels, levels


def widen(
    labels: Labels,
    spacing: Lengths,
    blur: Blur,
    *,
    level: float = 0.25,
    plane_level: float = 0.0,
    margin_um: Lengths,
) -> Labels:
    """Return labels (Z, Y, X) widened by the point spread function, see `visible`."""
    drawn = (
        (
            number,
            box,
            (labels[box] == number).astype(np.float32),
            (box[0].start + box[0].stop) / 2 * spacing[0],
            1.0,
        )
        for number, box in enumerate(_find(labels), start=1)
        if box is not None
    )
    wide = memory.room(labels.shape, labels.dtype)
    _cut(drawn, wide, Grid(labels.shape, spacing), blur, (level, plane_level), margin_um)
    return wide


def _cut(
    drawn: Iterable[Object],
    labels: Labels,
    grid: Grid,
    blur: Blur,
    limits: Interval,
    margin_um: Lengths,
    beyond: Longs | int = 0,
) -> Image:
    """Write labels above a share of blurred peaks; return claims (share x strength) of voxels."""
    level, plane_level = limits
    claims = memory.room(grid.shape, np.float32)
    pad = np.ceil(np.divide(margin_um, grid.spacing)).astype(int)
    for number, box, share, depth_um, strength in drawn:
        low = np.array([span.start for span in box]) - pad - beyond
        start = low.clip(0)
        stop = np.minimum(low + share.shape + 2 * pad, grid.shape)
        if (start >= stop).any():
            continue
        seen = blur(np.pad(share, [(n, n) for n in pad]), float(depth_um))
        seen = _to_peak(seen)[tuple(map(slice, start - low, stop - low))]
        place = tuple(map(slice, start, stop))
        claim = seen * np.float32(strength)
        limit: Image | float = level
        if plane_level > 0:  # people draw plane by plane
            peaks = seen.max(axis=(1, 2), keepdims=True, initial=0)
            limit = np.where(peaks >= plane_level, np.float32(level) * peaks, np.float32(np.inf))
        wins = (seen >= limit) & (claim > claims[place])
        labels[place][wins] = number
        claims[place][wins] = claim[wins]
        if number % SOME == 0:
            memory.release(labels, claims)
    return claims


def _to_peak(image: Image) -> Image:
    """Return a blurred object relative to the mean of its brightest voxels, at most 1."""
    count = min(PEAK, image.size)
    peak = float(np.partition(image, image.size - count, axis=None)[-count:].mean())
    return np.minimum(image / np.float32(peak), np.float32(1)) if peak > 0 else image


def visibility(labels: Labels, photons: Image, *, read_noise: float, level: float) -> Bools:
    """Return a mask (M,) of objects above ``level * (read noise + 0.5 + 0.3 sqrt(background))``."""

    @cache
    def _general() -> float:
        some = some_planes(labels.shape)
        free = labels[some] == 0
        return float(np.median(photons[some][free])) if free.any() else 0.0

    boxes = _find(labels)
    seen = np.zeros(len(boxes), np.bool_)
    for index, box in enumerate(boxes):
        if box is None:
            continue
        around = wider(box, (SHELL,) * labels.ndim)
        nearby = photons[around][labels[around] == 0]
        background = float(np.median(nearby)) if nearby.size else _general()
        signal = float(photons[box][labels[box] == index + 1].mean()) - background
        limit = level * (read_noise + 0.5 + 0.3 * np.sqrt(max(background, 0.0)))
        seen[index] = signal >= limit
        if index % SOME == 0:
            memory.release(labels, photons)
    return seen


def drop(labels: Labels, keep: Bools) -> Labels:
    """Return labels with the objects 1 to M of a mask (M,), without gaps."""
    return voxel_values(labels, np.where(keep, np.cumsum(keep), 0), labels.dtype)


def type_map(labels: Labels, kinds: Integers) -> Bytes:
    """Return kind (0 to 254) + 1 of the object in every voxel, 0 in the background."""
    if len(kinds) and not 0 <= kinds.min() <= kinds.max() <= 254:
        raise InputError(f"kinds must be 0 to 254, found {kinds.min()} to {kinds.max()}")
    return voxel_values(labels, kinds + 1, np.uint8)


def voxel_values(labels: Labels, values: Array, dtype: DTypeLike) -> Array:
    """Return the value of every voxel's object, 0 in the background."""
    lookup = np.append(0, values).astype(dtype)
    return gathered(labels.shape, dtype, (lookup[numbers] for (numbers,) in in_slabs(labels)))
