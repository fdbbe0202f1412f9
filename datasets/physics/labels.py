"""Labels as annotators draw them: the visible part of each nucleus, in one piece, numbered.

People do not draw the true shapes (`bodies.label`): they follow the image, which is longer along
the axis of the microscope by the reach of its point spread function, and they leave out nuclei that
the noise hides. Labels widened by the point spread function were published by Bruch et al. (2023).

References
----------
Bruch et al., PLOS ONE 18 (2023), doi:10.1371/journal.pone.0283828.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cytosuite import large
from cytosuite.datasets.physics.bodies import Bodies, extents_um
from cytosuite.datasets.physics.grid import Array, Grid, Image, Labels, Lengths, slabs, some_planes
from cytosuite.errors import InputError
from cytosuite.tiling import Box

Numbers = NDArray[np.int64]
Blur = Callable[[Image, Lengths, float], Image]  # of an image, its spacing, and the depth, in µm
Object = tuple[int, Box, Image, float, float]  # number, box, share of its voxels, depth, strength

T = TypeVar("T", np.uint16, np.uint8)

PEAK = 8  # brightest voxels whose mean is the peak of a nucleus
SOME = 50  # objects that are looked at before the memory of arrays on disk is given back
SHELL = 3  # voxels around a nucleus in which its local background is measured


def largest_piece(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the largest piece of a mask (z, y, x) that is connected through faces."""
    pieces, count = ndimage.label(mask)
    if count < 2:
        return mask
    return np.asarray(pieces == 1 + np.bincount(pieces.ravel())[1:].argmax())


def tidy(labels: Labels, min_voxels: int) -> tuple[Labels, Numbers]:
    """Return labels in one piece each, large enough and numbered without gaps.

    Parameters
    ----------
    labels : (Z, Y, X) uint16 array
        0 is background. Of an object in several pieces (faces touch) the largest is kept.
    min_voxels : int
        Smaller objects are dropped.

    Returns
    -------
    (Z, Y, X) uint16 and (M,) int64 arrays
        Labels in the same order; the old number of each object, ``kept[new - 1]``. Labels on disk
        (`cytosuite.large`) are changed in place, object by object.
    """
    from cytosuite.datasets.physics import _pieces_kernel  # compiled on first use

    if large.is_mapped(labels):
        return labels, _tidy_in_place(labels, min_voxels)
    result = np.zeros(labels.shape, labels.dtype)
    if not labels.size:
        return result, np.zeros(0, np.int64)
    ordered, count = np.ascontiguousarray(labels), int(labels.max())
    return result, _pieces_kernel.keep_largest(ordered, count, min_voxels, result)


def _tidy_in_place(labels: Labels, min_voxels: int) -> Numbers:
    """Tidy labels on disk, see `tidy`, and return the old number of each object."""
    from cytosuite.datasets.physics import _pieces_kernel

    alive, last = [], 0
    boxes = _boxes(labels)
    for number in np.argsort(boxes[:, 0, 0], kind="stable").tolist():
        start, stop = boxes[number].tolist()
        if number == 0 or start[0] >= stop[0]:
            continue
        if start[0] > last:  # all before has been seen
            large.release(labels)
            last = stop[0]
        place = labels[tuple(map(slice, start, stop))]
        own = (place == number).astype(np.uint16)
        whole = np.zeros_like(own)
        alive += [number] * len(_pieces_kernel.keep_largest(own, 1, min_voxels, whole))
        place[own > whole] = 0
    large.release(labels)
    kept = np.sort(np.array(alive, np.int64))
    new = np.zeros(len(boxes), np.uint16)
    new[kept] = np.arange(1, len(kept) + 1)
    for start, stop in slabs(labels.shape):
        if len(kept) and kept[-1] > len(kept):
            labels[start:stop] = new[labels[start:stop]]
            large.release(labels)
    return kept


def _boxes(labels: Labels) -> Numbers:
    """Return first voxel and end (N + 1, 2, 3) of the box around each object; end 0: no object."""
    from cytosuite.datasets.physics import _pieces_kernel

    boxes = np.zeros((np.iinfo(np.uint16).max + 1, 2, 3), np.int64)
    boxes[:, 0] = labels.shape
    for start, stop in slabs(labels.shape):
        _pieces_kernel.widen_boxes(labels[start:stop], start, boxes)
        large.release(labels)
    return boxes


def _find(labels: Labels) -> list[Box | None]:
    """Return the box around each object, None for numbers without one, as scipy's find_objects."""
    if not large.is_mapped(labels):
        return list(ndimage.find_objects(labels))
    boxes = _boxes(labels)
    count = int(np.flatnonzero(boxes[:, 1, 0]).max(initial=0))
    return [
        tuple(map(slice, start, stop)) if stop[0] else None
        for start, stop in boxes[1 : count + 1].tolist()
    ]


def visible(
    bodies: Bodies,
    centres_um: Array,
    grid: Grid,
    blur: Blur,
    *,
    level: float,
    plane_level: float = 0.0,
    margin_um: Lengths,
) -> tuple[Labels, Image]:
    """Return labels of the visible part of each nucleus, painted alone and evenly, then blurred.

    Parameters
    ----------
    bodies : Bodies
        At most 65535.
    centres_um : (N, 3) float array
    grid : Grid
        The detector's.
    blur : callable
        Blurs an image as at a depth (z of the nucleus' centre in µm).
    level : float
        A voxel belongs to a nucleus above this share of its own peak (mean of the brightest 8
        voxels), in (0, 1); people who see a dark background draw at 0.1 to 0.5.
    plane_level : float
        Above 0, the level is the share of the peak in each plane, and planes with a peak below
        this share of the nucleus' are left out: people draw plane by plane.
    margin_um : tuple of float
        How far the blur reaches along z, y, x.

    Returns
    -------
    (Z, Y, X) uint16 array
        Number in the population + 1, 0 is background; not yet tidy. Of several nuclei the one with
        the largest share of the peak times the root of its brightness takes a voxel.
    (Z, Y, X) float32 array
        That share of the peak in labelled voxels, 0 elsewhere.

    Raises
    ------
    InputError
        If the level is not in (0, 1).
    """
    largest = 2 * float(extents_um(bodies).max(initial=0)) + np.asarray(margin_um)
    more = np.ceil(largest / grid.spacing).astype(int)
    radii = bodies.semi_axes_um.prod(axis=1) ** (1 / 3) / grid.voxel_um
    brightness = np.sqrt(bodies.brightness)

    def drawn() -> Iterator[Object]:
        """Yield the nuclei that come near the image."""
        for patch in bodies.patches(centres_um, grid.wider(more.tolist()), grid.voxel_um / 2):
            i = patch.index
            soft = (1 - patch.distance) * np.float32(radii[i]) + np.float32(0.5)
            yield i + 1, patch.box, patch.on_box(soft.clip(0, 1)), centres_um[i, 0], brightness[i]

    labels, levels = _cut(drawn(), grid, blur, (level, plane_level), margin_um, more)
    factors = np.append(0, 1 / np.maximum(brightness, 1e-9)).astype(np.float32)
    _weigh(levels, labels, factors)
    return labels, levels


def _weigh(levels: Image, labels: Labels, factors: Image) -> None:
    """Multiply levels by the factor of each voxel's object, to 1 at most, in place."""
    for start, stop in slabs(labels.shape):
        slab = levels[start:stop]
        slab *= factors[labels[start:stop]]
        np.minimum(slab, 1, out=slab)
        large.release(labels, levels)


def widen(
    labels: Labels,
    spacing: Lengths,
    blur: Blur,
    *,
    level: float = 0.25,
    plane_level: float = 0.0,
    margin_um: Lengths,
) -> Labels:
    """Return labels widened by the point spread function.

    Parameters
    ----------
    labels : (Z, Y, X) uint16 array
        0 is background.
    spacing : tuple of float
        µm per voxel.
    blur, level, plane_level, margin_um : callable, float, float, tuple of float
        See `visible`; all voxels of an object are equally bright, at the depth of its box' middle.

    Returns
    -------
    (Z, Y, X) uint16 array
        The same numbers; a voxel above the level of several objects goes to the one with the
        larger share.

    Raises
    ------
    InputError
        If the level is not in (0, 1).

    References
    ----------
    Bruch et al., PLOS ONE 18 (2023), doi:10.1371/journal.pone.0283828. There the blurred object is
    cut at an absolute value, so that objects thinner than the blur vanish; objects wider than it
    are cut alike.
    """
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
    return _cut(drawn, Grid(labels.shape, spacing), blur, (level, plane_level), margin_um)[0]


def _cut(
    drawn: Iterable[Object],
    grid: Grid,
    blur: Blur,
    limits: tuple[float, float],
    margin_um: Lengths,
    beyond: Numbers | int = 0,
) -> tuple[Labels, Image]:
    """Return labels of objects above a share of their blurred peaks, and the claim to each voxel.

    Limits are the level and that of planes, see `visible`.
    A claim is the share of the peak times the strength of the object; the strongest takes a voxel.
    Boxes are counted from `beyond` voxels before the first one of the grid.
    """
    level, plane_level = limits
    if not 0 < level < 1:
        raise InputError(f"level must be between 0 and 1, the share of the peak, found {level!r}")
    labels, claims = large.room(grid.shape, np.uint16), large.room(grid.shape, np.float32)
    pad = np.ceil(np.divide(margin_um, grid.spacing)).astype(int)
    for number, box, share, depth_um, strength in drawn:
        low = np.array([span.start for span in box]) - pad - beyond
        start, stop = low.clip(0), np.minimum(low + share.shape + 2 * pad, grid.shape)
        if (start >= stop).any():
            continue
        seen = blur(np.pad(share, [(n, n) for n in pad]), grid.spacing, float(depth_um))
        seen = _to_peak(seen)[tuple(map(slice, start - low, stop - low))]
        place = tuple(map(slice, start, stop))
        claim = seen * np.float32(strength)
        limit = _drawn_down_to(seen, level, plane_level)
        wins = (seen >= limit) & (claim > claims[place])
        labels[place][wins] = number
        claims[place][wins] = claim[wins]
        if number % SOME == 0:
            large.release(labels, claims)
    return labels, claims


def _drawn_down_to(seen: Image, level: float, plane_level: float) -> Image | float:
    """Return the share of its peak down to which an object is drawn, by plane if so wanted."""
    if plane_level <= 0:
        return level
    peaks = seen.max(axis=(1, 2), keepdims=True, initial=0)
    return np.where(peaks >= plane_level, np.float32(level) * peaks, np.float32(np.inf))


def _to_peak(image: Image) -> Image:
    """Return a blurred object relative to the mean of its brightest voxels, at most 1."""
    count = min(PEAK, image.size)
    peak = float(np.partition(image, image.size - count, axis=None)[-count:].mean())
    return np.minimum(image / np.float32(peak), np.float32(1)) if peak > 0 else image


def visibility(
    labels: Labels, photons: Image, *, read_noise: float, level: float
) -> NDArray[np.bool_]:
    """Return a mask (M,) of the objects that stand out of the noise.

    Their mean signal exceeds the background by
    ``level * (read noise + 0.5 + 0.3 sqrt(background))`` photons, where the background is the
    median of the unlabelled voxels of the box around the object, 3 voxels wider on every side; of
    the whole image where there is none.

    Parameters
    ----------
    labels : (Z, Y, X) uint16 array
        Numbered without gaps.
    photons : (Z, Y, X) float32 array
        Expected photons per voxel.
    read_noise : float
        Standard deviation in photons.
    level : float
        0 keeps all, 1 is the usual limit of visibility for people.
    """

    @cache
    def general() -> float:
        """Return the background of the whole image, or of some of its planes."""
        some = some_planes(labels.shape)
        free = labels[some] == 0
        return float(np.median(photons[some][free])) if free.any() else 0.0

    boxes = _find(labels)
    seen = np.zeros(len(boxes), np.bool_)
    for index, box in enumerate(boxes):
        if box is None:
            continue
        around = tuple(slice(max(span.start - SHELL, 0), span.stop + SHELL) for span in box)
        nearby = photons[around][labels[around] == 0]
        background = float(np.median(nearby)) if nearby.size else general()
        signal = float(photons[box][labels[box] == index + 1].mean()) - background
        limit = level * (read_noise + 0.5 + 0.3 * np.sqrt(max(background, 0.0)))
        seen[index] = signal >= limit if level > 0 else True
        if index % SOME == 0:
            large.release(labels, photons)
    return seen


def drop(labels: Labels, keep: NDArray[np.bool_]) -> Labels:
    """Return labels (Z, Y, X) with the objects 1 to M of a mask (M,), numbered without gaps.

    Raises `InputError` if there are more objects than M.
    """
    return _lookup(labels, np.where(keep, np.cumsum(keep), 0), np.uint16)


def type_map(labels: Labels, kinds: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Return kind + 1 of the object in every voxel (Z, Y, X), 0 in the background.

    Kinds (M,) are 0 to 254. Raises `InputError` for others, and if there are more objects than M.
    """
    if len(kinds) and not 0 <= kinds.min() <= kinds.max() <= 254:
        raise InputError(f"kinds must be 0 to 254, found {kinds.min()} to {kinds.max()}")
    return _lookup(labels, kinds + 1, np.uint8)


def _lookup(labels: Labels, values: NDArray[np.integer], dtype: type[T]) -> NDArray[T]:
    """Return the value of every voxel's object, 0 in the background."""
    spans = slabs(labels.shape)
    largest = max((int(labels[start:stop].max(initial=0)) for start, stop in spans), default=0)
    if largest > len(values):
        raise InputError(
            f"labels go up to {largest}, but values are given for {len(values)} objects"
        )
    lookup, found = np.append(0, values).astype(dtype), large.room(labels.shape, dtype)
    for start, stop in spans:
        found[start:stop] = lookup[labels[start:stop]]
        large.release(labels, found)
    return found
