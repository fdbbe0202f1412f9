"""Grids over the same box: images brought to a network's voxel size, and labels back."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from cytosuite.contract.spacing import text
from cytosuite.errors import InputError
from cytosuite.volume import Volume
from cytosuite.volume.arrays import (
    Array,
    Bools,
    Box,
    Doubles,
    Floats,
    Indices,
    Integers,
    Ints,
    Shape,
    Sizes,
    Spacing,
)
from cytosuite.volume.memory import taken
from cytosuite.volume.objects import objects_in

PIXELS = (1.0, 1.0, 1.0)  # lengths in planes are pixels of any size
_TRUNCATE = 3.0  # standard deviations of the Gaussian against aliasing


def in_pixels(volume: Volume) -> Volume:
    """Return a plane with pixels of 1 µm, and the user's diameter in pixels."""
    if volume.array.ndim != 2:
        raise InputError(
            f"the model is for planes, found a volume of {text(volume.shape)} voxels; take a model "
            "or an algorithm of volumes, or one of its planes"
        )
    facts = {**volume.metadata, "spacing_source": "assumed"}
    diameter = facts.get("diameter_um")
    if isinstance(diameter, int | float) and not volume.spacing_is_assumed:
        facts["diameter_um"] = diameter / volume.spacing[-1]
    return replace(volume, spacing=(1.0, 1.0), metadata=facts)


class Stencil(NamedTuple):
    """Places of the voxels of one grid on another over the same box, along one axis."""

    low: Indices  # (N,) the two voxels of the other grid on either side of each centre
    high: Indices
    weight: Floats  # (N,) of the second, in [0, 1]

    def of(self, part: slice, start: int = 0) -> "Stencil":
        """Return the stencil of a part of the voxels, on a grid that begins at `start`."""
        return Stencil(self.low[part] - start, self.high[part] - start, self.weight[part])


def working_shape(shape: Sizes, factor: Spacing) -> Shape:
    """Return the size of the working grid; `factor`: working voxels per voxel of the image."""
    return tuple(max(1, round(n * f)) for n, f in zip(shape, factor, strict=True))


def to_working(image: Array, factor: Spacing, box: Box | None = None) -> Floats:
    """Return an image, or a box of it, on the working grid, linear between voxels, float32."""
    shape = working_shape(image.shape, factor)
    box = box or tuple(slice(0, size) for size in shape)
    if shape == image.shape:
        return np.asarray(taken(image, box), np.float32)
    sigma = _widths(image.shape, shape)
    spans = []
    parts = []
    grid = stencils(image.shape, shape)
    reaches = reach_of(image.shape, shape)
    for stencil, part, old, reach in zip(grid, box, image.shape, reaches, strict=True):
        start = max(0, int(stencil.low[part][0]) - reach)
        spans.append(slice(start, min(old, int(stencil.high[part][-1]) + 1 + reach)))
        parts.append(stencil.of(part, start))
    values = np.asarray(taken(image, tuple(spans)), np.float32)
    if any(sigma):
        values = ndimage.gaussian_filter(values, sigma, mode="nearest", truncate=_TRUNCATE)
    return interpolate(values, parts)


def reach_of(shape: Sizes, working: Sizes) -> list[int]:
    """Return the reach of a working voxel beyond its neighbours, in voxels of the image."""
    return [int(_TRUNCATE * width + 0.5) for width in _widths(shape, working)]


def _widths(shape: Sizes, working: Sizes) -> list[float]:
    """Return the standard deviation of the Gaussian against aliasing along each axis, in voxels."""
    return [max(0.0, (old / new - 1) / 2) for old, new in zip(shape, working, strict=True)]


def interpolate(image: Floats, grid: Sequence[Stencil]) -> Floats:
    """Return an image interpolated linearly at places: one stencil per axis."""
    for axis, place in enumerate(grid):
        if place.weight.any() or place.low.size != image.shape[axis]:
            image = _between(image, place, axis)
    return image


def _between(values: Floats, place: Stencil, axis: int) -> Floats:
    lower = np.take(values, place.low, axis)
    upper = np.take(values, place.high, axis)
    weight = place.weight.reshape(-1, *[1] * (values.ndim - 1 - axis))
    return np.asarray(lower + weight * (upper - lower), np.float32)


def stencils(old: Sizes, new: Sizes) -> list[Stencil]:
    """Return the places of the voxels of a new grid on an old one over the same box."""
    axes = []
    for before, after in zip(old, new, strict=True):
        if before == after:
            same = np.arange(after)
            axes.append(Stencil(same, same, np.zeros(after, np.float32)))
            continue
        place = np.clip((np.arange(after) + 0.5) * (before / after) - 0.5, 0, before - 1)
        axes.append(stencil(place, before))
    return axes


def stencil(places: Doubles, count: int) -> Stencil:
    """Return the stencil of places 0..`count` - 1 among so many voxels along an axis."""
    low = np.minimum(places.astype(np.intp), max(count - 2, 0))
    return Stencil(low, np.minimum(low + 1, count - 1), (places - low).astype(np.float32))


def touched(grid: Sequence[Stencil], part: Box) -> tuple[Box, list[Stencil]]:
    """Return the box of an old grid under a part of a new one, and the stencils in it."""
    box = tuple(
        slice(int(place.low[span][0]), int(place.high[span][-1]) + 1)
        for place, span in zip(grid, part, strict=True)
    )
    return box, [p.of(span, b.start) for p, span, b in zip(grid, part, box, strict=True)]


def labels_to_image(labels: Integers, foreground: Bools, grid: Sequence[Stencil]) -> Ints:
    """Return int32 labels on the image's grid: the largest linear indicator, the first of ties."""
    result = np.zeros(foreground.shape, np.int32)
    best = np.zeros(foreground.shape, np.float32)
    for label, box, mask in objects_in(labels):
        part = []
        inside = mask.astype(np.float32)
        for axis, place in enumerate(grid):
            start = box[axis].start
            reached = np.flatnonzero((place.high >= start) & (place.low < box[axis].stop))
            part.append(slice(int(reached[0]), int(reached[-1]) + 1) if reached.size else slice(0))
            inside = _indicator(inside, place.of(part[axis], start), axis)
        here = tuple(part)
        wins = (inside > best[here] + 1e-6) & foreground[here]
        best[here][wins] = inside[wins]
        result[here][wins] = label
    return result


def _indicator(values: Floats, place: Stencil, axis: int) -> Floats:
    """Return values interpolated along an axis; outside of the array they are 0."""
    padded = np.pad(values, [(1, 1) if i == axis else (0, 0) for i in range(values.ndim)])
    low, high = (np.clip(n + 1, 0, padded.shape[axis] - 1) for n in (place.low, place.high))
    return _between(padded, Stencil(low, high, place.weight), axis)
