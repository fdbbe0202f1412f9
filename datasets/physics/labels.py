"""Labels as annotators draw them: the visible part of each nucleus, in one piece, numbered.

People do not draw the true shapes (`bodies.label`): they follow the image, which is longer along
the axis of the microscope by the reach of its point spread function, and they leave out nuclei that
the noise hides. Labels widened by the point spread function were published by Bruch et al. (2023).

References
----------
Bruch et al., PLOS ONE 18 (2023), doi:10.1371/journal.pone.0283828.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cytosuite.errors import InputError
from datasets.physics.bodies import Bodies, Patch, extents_um
from datasets.physics.grid import Array, Grid, Image, Triple

Labels = NDArray[np.uint16]
Numbers = NDArray[np.int64]
Box = tuple[slice, slice, slice]
Blur = Callable[[Image, Triple, float], Image]  # of an image, its spacing, and the depth, in µm

T = TypeVar("T", np.uint16, np.uint8)

PEAK = 8  # brightest voxels whose mean is the peak of a nucleus
SHELL = 3  # voxels around a nucleus in which its local background is measured


def tidy(labels: Labels, min_voxels: int) -> tuple[Labels, Numbers]:
    """Return labels in one piece each, large enough and numbered without gaps.

    Parameters
    ----------
    labels : (Z, Y, X) uint16 array
        0 is background.
    min_voxels : int
        Smaller objects are dropped.

    Returns
    -------
    (Z, Y, X) uint16 array
        In the same order. Of an object in several pieces (faces touch) the largest is kept.
    (M,) int64 array
        The old number of each object: ``kept[new - 1]``.
    """
    result = np.zeros_like(labels)
    kept: list[int] = []
    for index, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        piece = labels[box] == index
        if np.count_nonzero(piece) < min_voxels:
            continue
        numbers, count = ndimage.label(piece)
        if count > 1:
            sizes = np.bincount(numbers.ravel())
            sizes[0] = 0
            if sizes.max() < min_voxels:
                continue
            piece = numbers == sizes.argmax()
        kept.append(index)
        result[box][piece] = len(kept)
    return result, np.array(kept, np.int64)


@dataclass(frozen=True, slots=True)
class _Canvas:
    """A label image, and the strength of the claim to each voxel so far."""

    labels: Labels
    claim: Image

    def enter(self, number: int, box: Box, relative: Image, level: float, strength: float) -> None:
        """Label the voxels of a box above a level, unless another object claims them more."""
        claim = relative * np.float32(strength)
        wins = (relative >= level) & (claim > self.claim[box])
        self.labels[box][wins] = number
        self.claim[box][wins] = claim[wins]


def _check_level(level: float) -> None:
    """Refuse a level that is no share of the peak."""
    if not 0 < level < 1:
        raise InputError(f"level must be between 0 and 1, the share of the peak, found {level!r}")


def _to_peak(image: Image) -> Image:
    """Return a blurred object relative to the mean of its brightest voxels, at most 1."""
    count = min(PEAK, image.size)
    peak = float(np.partition(image, image.size - count, axis=None)[-count:].mean())
    return np.minimum(image / np.float32(peak), np.float32(1)) if peak > 0 else image


def _voxels(length_um: Triple, spacing: Triple) -> tuple[int, int, int]:
    """Return lengths in voxels, rounded up."""
    z, y, x = (int(np.ceil(a / step)) for a, step in zip(length_um, spacing, strict=True))
    return z, y, x


def visible(
    bodies: Bodies,
    centres_um: Array,
    grid: Grid,
    blur: Blur,
    *,
    level: float,
    margin_um: Triple,
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
    _check_level(level)
    pad = _voxels(margin_um, grid.spacing)
    largest = 2 * float(extents_um(bodies).max(initial=0)) + np.asarray(margin_um)
    more = _voxels((largest[0], largest[1], largest[2]), grid.spacing)
    inner = tuple(slice(n, n + size) for n, size in zip(more, grid.shape, strict=True))
    canvas = _Canvas(np.zeros(grid.shape, np.uint16), np.zeros(grid.shape, np.float32))
    radii = bodies.semi_axes_um.prod(axis=1) ** (1 / 3) / grid.voxel_um
    brightness = np.sqrt(bodies.brightness)
    for patch in bodies.patches(centres_um, _grown(grid, more), grid.voxel_um / 2):
        place = _common(patch.box, pad, inner)
        if place is None:
            continue
        share = np.pad(_share(patch, radii[patch.index]), [(n, n) for n in pad])
        seen = _to_peak(blur(share, grid.spacing, float(centres_um[patch.index, 0])))
        box, cut = place
        canvas.enter(patch.index + 1, box, seen[cut], level, float(brightness[patch.index]))
    inverse = np.concatenate([[0], 1 / np.maximum(brightness, 1e-9)]).astype(np.float32)
    levels = canvas.claim
    levels *= inverse[canvas.labels]
    return canvas.labels, np.minimum(levels, 1, out=levels)


def _share(patch: Patch, radius: float) -> Image:
    """Return the approximate share of each voxel that a body fills; its radius is in voxels."""
    share = np.zeros(patch.shape, np.float32)
    soft = (1 - patch.distance) * np.float32(radius) + np.float32(0.5)
    share.reshape(-1)[patch.inside] = np.clip(soft, 0, 1)
    return share


def _grown(grid: Grid, pad: tuple[int, int, int]) -> Grid:
    """Return a grid with more voxels on all sides."""
    z, y, x = (n + 2 * more for n, more in zip(grid.shape, pad, strict=True))
    corner = [o - n * step for o, n, step in zip(grid.origin, pad, grid.spacing, strict=True)]
    return Grid((z, y, x), grid.spacing, (corner[0], corner[1], corner[2]))


def _common(
    box: Box, pad: tuple[int, int, int], inner: tuple[slice, ...]
) -> tuple[Box, Box] | None:
    """Return the voxels that a padded box and the image share: of the image, and of the box."""
    whole, part = [], []
    for span, more, image in zip(box, pad, inner, strict=True):
        start, stop = max(span.start - more, image.start), min(span.stop + more, image.stop)
        if start >= stop:
            return None
        whole.append(slice(start - image.start, stop - image.start))
        part.append(slice(start - span.start + more, stop - span.start + more))
    return (whole[0], whole[1], whole[2]), (part[0], part[1], part[2])


def widen(
    labels: Labels, spacing: Triple, blur: Blur, *, level: float = 0.25, margin_um: Triple
) -> Labels:
    """Return labels widened by the point spread function.

    Parameters
    ----------
    labels : (Z, Y, X) uint16 array
        0 is background.
    spacing : tuple of float
        µm per voxel.
    blur : callable
        Blurs an image by the point spread function at a depth (middle of the object's box).
    level : float
        Share of the blurred object's peak at which it is cut, in (0, 1).
    margin_um : tuple of float
        How far the blur reaches along z, y, x.

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
    _check_level(level)
    pad = _voxels(margin_um, spacing)
    inner = tuple(slice(0, size) for size in labels.shape)
    canvas = _Canvas(np.zeros_like(labels), np.zeros(labels.shape, np.float32))
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        share = np.pad((labels[box] == number).astype(np.float32), [(n, n) for n in pad])
        depth = (box[0].start + box[0].stop) / 2 * spacing[0]
        seen = _to_peak(blur(share, spacing, depth))
        place = _common(box, pad, inner)
        if place is not None:
            canvas.enter(number, place[0], seen[place[1]], level, 1.0)
    return canvas.labels


def visibility(
    labels: Labels, photons: Image, *, read_noise: float, level: float
) -> NDArray[np.bool_]:
    """Return a mask of the objects that stand out of the noise.

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

    Returns
    -------
    (M,) bool array
        Whether the mean signal exceeds the background by
        ``level * (read noise + 0.5 + 0.3 sqrt(background))`` photons, where the background is the
        median of the unlabelled voxels of the box around the object, 3 voxels wider on every side;
        of the whole image where there is none.
    """
    free = labels == 0
    general: float | None = None  # slow, and seldom needed
    boxes = ndimage.find_objects(labels)
    seen = np.zeros(len(boxes), np.bool_)
    for index, box in enumerate(boxes):
        if box is None:
            continue
        around = tuple(slice(max(span.start - SHELL, 0), span.stop + SHELL) for span in box)
        nearby = photons[around][free[around]]
        if not nearby.size and general is None:
            general = float(np.median(photons[free])) if free.any() else 0.0
        background = float(np.median(nearby)) if nearby.size else general or 0.0
        signal = float(photons[box][labels[box] == index + 1].mean()) - background
        limit = level * (read_noise + 0.5 + 0.3 * np.sqrt(max(background, 0.0)))
        seen[index] = signal >= limit if level > 0 else True
    return seen


def drop(labels: Labels, keep: NDArray[np.bool_]) -> Labels:
    """Return labels without some of the objects, numbered without gaps.

    Parameters
    ----------
    labels : (Z, Y, X) uint16 array
    keep : (M,) bool array
        For the objects 1 to M, which are all there are.

    Raises
    ------
    InputError
        If there are more objects than M.
    """
    return _lookup(labels, np.where(keep, np.cumsum(keep), 0), np.uint16)


def type_map(labels: Labels, kinds: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Return the kind of every voxel.

    Parameters
    ----------
    labels : (Z, Y, X) uint16 array
    kinds : (M,) int array
        0 to 254, of the objects 1 to M, which are all there are.

    Returns
    -------
    (Z, Y, X) uint8 array
        Kind + 1, 0 is background.

    Raises
    ------
    InputError
        If there are more objects than M, or a kind is out of range.
    """
    if len(kinds) and not 0 <= kinds.min() <= kinds.max() <= 254:
        raise InputError(f"kinds must be 0 to 254, found {kinds.min()} to {kinds.max()}")
    return _lookup(labels, kinds + 1, np.uint8)


def _lookup(labels: Labels, values: NDArray[np.integer], dtype: type[T]) -> NDArray[T]:
    """Return the value of every voxel's object, 0 in the background."""
    largest = int(labels.max(initial=0))
    if largest > len(values):
        raise InputError(
            f"labels go up to {largest}, but values are given for {len(values)} objects"
        )
    table = np.zeros(len(values) + 1, dtype)
    table[1:] = values
    return table[labels]
