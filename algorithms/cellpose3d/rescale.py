"""Images and labels between the grid of an image and its working grid, whole or in parts."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cytosuite.large import taken
from cytosuite.tiling import Box

_TRUNCATE = 3.0  # standard deviations of the Gaussian against aliasing


class Stencil(NamedTuple):
    """Places of the voxels of one grid on another over the same box, along one axis."""

    low: NDArray[np.intp]  # (N,) the two voxels of the other grid on either side of each centre
    high: NDArray[np.intp]
    weight: NDArray[np.float32]  # (N,) of the second, in [0, 1]

    def of(self, part: slice, start: int = 0) -> "Stencil":
        """Return the stencil of a part of the voxels, on a grid that begins at `start`."""
        return Stencil(self.low[part] - start, self.high[part] - start, self.weight[part])


def working_shape(shape: Sequence[int], factor: Sequence[float]) -> tuple[int, ...]:
    """Return the size of the working grid.

    Parameters
    ----------
    shape : sequence of int
        Of the image.
    factor : sequence of float
        Working voxels per voxel of the image, per axis; sizes are rounded, to at least 1.
    """
    return tuple(max(1, round(n * f)) for n, f in zip(shape, factor, strict=True))


def to_working(
    image: NDArray[Any], factor: Sequence[float], box: Box | None = None
) -> NDArray[np.float32]:
    """Return an image, or a part of it, on another grid over the same box.

    Parameters
    ----------
    image : (Z, Y, X) array of numbers
        Intensities; of a part no more is read than it needs.
    factor : sequence of float
        As of `working_shape`.
    box : tuple of slice, optional
        Voxels of the new grid; the same values as when all are computed.

    Returns
    -------
    (Z', Y', X') float32 array
        Linear interpolation between voxel centres. An axis that shrinks is smoothed before with
        a Gaussian of ``(1 / factor - 1) / 2`` voxels against aliasing.
    """
    shape = working_shape(image.shape, factor)
    box = box or tuple(slice(0, size) for size in shape)
    if shape == image.shape:
        return np.asarray(taken(image, box), np.float32)
    sigma = _widths(image.shape, shape)
    spans, found = [], []
    for stencil, part, old, reach in zip(
        stencils(image.shape, shape), box, image.shape, reach_of(image.shape, shape), strict=True
    ):
        start = max(0, int(stencil.low[part][0]) - reach)
        spans.append(slice(start, min(old, int(stencil.high[part][-1]) + 1 + reach)))
        found.append(stencil.of(part, start))
    values = np.asarray(taken(image, tuple(spans)), np.float32)
    if any(sigma):
        values = ndimage.gaussian_filter(values, sigma, mode="nearest", truncate=_TRUNCATE)
    return interpolate(values, found)


def reach_of(shape: Sequence[int], working: Sequence[int]) -> list[int]:
    """Return how many voxels of an image beyond its neighbours a working voxel depends on.

    Parameters
    ----------
    shape, working : sequence of int
        Sizes of the image and of its working grid, per axis.
    """
    return [int(_TRUNCATE * width + 0.5) for width in _widths(shape, working)]


def _widths(shape: Sequence[int], working: Sequence[int]) -> list[float]:
    """Return the standard deviation of the Gaussian against aliasing along each axis, in voxels."""
    return [max(0.0, (old / new - 1) / 2) for old, new in zip(shape, working, strict=True)]


def interpolate(image: NDArray[np.float32], grid: Sequence[Stencil]) -> NDArray[np.float32]:
    """Return an image interpolated linearly at given places.

    Parameters
    ----------
    image : float32 array
        Any number of axes.
    grid : sequence of Stencil
        The places, one stencil per axis.
    """
    for axis, place in enumerate(grid):
        if place.weight.any() or place.low.size != image.shape[axis]:
            image = _between(image, place, axis)
    return image


def _between(values: NDArray[np.float32], place: Stencil, axis: int) -> NDArray[np.float32]:
    """Return values interpolated along one axis."""
    lower, upper = np.take(values, place.low, axis), np.take(values, place.high, axis)
    weight = place.weight.reshape([-1 if i == axis else 1 for i in range(values.ndim)])
    return np.asarray(lower + weight * (upper - lower), np.float32)


def stencils(old: Sequence[int], new: Sequence[int]) -> list[Stencil]:
    """Return the places of the voxels of a new grid on an old one over the same box.

    Parameters
    ----------
    old, new : sequence of int
        Sizes of the grids, per axis.

    Examples
    --------
    >>> stencils((2,), (4,))[0].weight.tolist()
    [0.0, 0.25, 0.75, 1.0]
    """
    return [_stencil(before, after) for before, after in zip(old, new, strict=True)]


def touched(grid: Sequence[Stencil], part: Box) -> tuple[Box, list[Stencil]]:
    """Return the voxels of an old grid that a part of a new one is made of.

    Parameters
    ----------
    grid : sequence of Stencil
        Of the whole grids, per axis.
    part : tuple of slice
        Of the new grid.

    Returns
    -------
    box : tuple of slice
        Of the old grid.
    places : list of Stencil
        Of the voxels of the part on the box.
    """
    box = tuple(
        slice(int(place.low[span][0]), int(place.high[span][-1]) + 1)
        for place, span in zip(grid, part, strict=True)
    )
    return box, [p.of(span, b.start) for p, span, b in zip(grid, part, box, strict=True)]


def _stencil(old: int, new: int) -> Stencil:
    """Return the two neighbours of each new voxel centre among the old, and the second's weight."""
    if old == new:
        return Stencil(np.arange(new), np.arange(new), np.zeros(new, np.float32))
    place = np.clip((np.arange(new) + 0.5) * (old / new) - 0.5, 0, old - 1)
    low = np.minimum(np.floor(place).astype(np.intp), max(old - 2, 0))
    high = np.minimum(low + 1, old - 1)
    return Stencil(low, high, (place - low).astype(np.float32))


def labels_to_image(
    labels: NDArray[np.integer],
    foreground: NDArray[np.bool_],
    grid: Sequence[Stencil],
) -> NDArray[np.int32]:
    """Return labels on the image's grid with smooth borders.

    Parameters
    ----------
    labels : (Z', Y', X') integer array
        On the working grid, 0 = background.
    foreground : (Z, Y, X) bool array
        On the image's grid: the level, interpolated, above its threshold.
    grid : sequence of Stencil
        Places of the voxels of `foreground` on the working grid, per axis.

    Returns
    -------
    (Z, Y, X) int32 array
        0 outside the foreground.

    Notes
    -----
    The indicator of every object is interpolated linearly within its box, and the largest wins;
    ties go to the smaller label. So borders towards the background follow the level at the
    image's resolution, and borders between objects run straight through the working voxels
    instead of around them.
    """
    result = np.zeros(foreground.shape, np.int32)
    best = np.zeros(foreground.shape, np.float32)
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        part, inside = [], (labels[box] == label).astype(np.float32)
        for axis, place in enumerate(grid):
            start, stop = box[axis].start, box[axis].stop
            reached = np.flatnonzero((place.high >= start) & (place.low < stop))
            part.append(slice(int(reached[0]), int(reached[-1]) + 1) if reached.size else slice(0))
            inside = _indicator(inside, place.of(part[axis], start), axis)
        here = tuple(part)
        wins = (inside > best[here] + 1e-6) & foreground[here]
        best[here][wins] = inside[wins]
        result[here][wins] = label
    return result


def _indicator(values: NDArray[np.float32], place: Stencil, axis: int) -> NDArray[np.float32]:
    """Return values interpolated along an axis; outside of the array they are 0."""
    padded = np.pad(values, [(1, 1) if i == axis else (0, 0) for i in range(values.ndim)])
    low, high = (np.clip(n + 1, 0, padded.shape[axis] - 1) for n in (place.low, place.high))
    return _between(padded, Stencil(low, high, place.weight), axis)
