"""The specimen of an image, and coarse maps of it that networks take beside the image."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import ceil, prod
from typing import Literal, NamedTuple

import numpy as np
from scipy import ndimage

from cytosuite.contract.progress import state
from cytosuite.contract.spacing import text
from cytosuite.networks.grid import interpolate, stencil
from cytosuite.segmentation.foreground import li_threshold, white_noise
from cytosuite.volume import Volume
from cytosuite.volume.arrays import Array, Bools, Box, Floats, Shape, Sizes, Spacing
from cytosuite.volume.memory import put, release, room
from cytosuite.volume.objects import box_of, wider
from cytosuite.volume.pieces import from_lowest

Channel = Literal["distance", "depth", "light"]
Grid = Floats

LOW, HIGH = 2.0, 99.8  # percentiles of the background, and above which light is an outlier
MOST = 10**6  # voxels of a coarse grid
DEPTH_UM = 50.0  # distances are in tanh(distance / this)
TISSUE_UM = 5.0  # standard deviation over which cells are one specimen
AROUND_UM = 20.0  # standard deviation of the surroundings of a voxel
OCTAVES = 3.0  # of brightness up or down that count
LARGE = 2**21  # voxels of an image that may be mostly empty
MARGIN_UM = 20.0  # of emptiness around a specimen, as embryos are cut out for annotation
SHARE = 0.4  # of an image that a specimen with its margin fills: a larger one is no part
_CONTRAST = 5.0  # standard deviations of the noise by which a specimen is brighter
_LEAST_WEIGHT = 0.02  # share of specimen in the surroundings that is worth a brightness


class CoarseMap(NamedTuple):
    """A smooth map of an image, on a coarse grid."""

    values: Grid  # (z, y, x), means of blocks
    stride: Shape  # voxels of a block
    shape: Shape  # of the image

    def read(self, box: Box) -> Grid:
        """Return a part of the map, interpolated linearly to the voxels of the image."""
        axes = []
        for part, n, size, count in zip(
            box, self.stride, self.shape, self.values.shape, strict=True
        ):
            place = np.clip((np.arange(*part.indices(size)) + 0.5) / n - 0.5, 0, count - 1)
            axes.append(stencil(place, count))
        return interpolate(self.values, axes)


def maps_of(image: Array, spacing: Spacing, inputs: Sequence[Channel]) -> list[CoarseMap]:
    """Return the maps of a whole image, -1..1; all 0 where no border of a specimen is found."""
    if not inputs:
        return []
    coarse, stride, step = coarse_image(from_lowest(image), spacing)
    specimen = specimen_of(coarse, step)
    makers = {
        "distance": lambda: _distance(specimen, step),
        "depth": lambda: _depth(specimen, step),
        "light": lambda: _light(coarse, specimen, step),
    }
    bordered = specimen.any() and not specimen.all()
    nothing = np.zeros(specimen.shape, np.float32)
    return [
        CoarseMap(makers[name]() if bordered else nothing, stride, image.shape) for name in inputs
    ]


def coarse_image(image: Array, spacing: Spacing) -> tuple[Grid, Shape, list[float]]:
    """Return means of blocks up to the percentile 99.8, voxels per block, and edges in µm."""
    stride = coarse_stride(image.shape, spacing)
    coarse = block_means(image, stride)
    step = [edge * n for edge, n in zip(spacing, stride, strict=True)]
    return np.minimum(coarse, np.percentile(coarse, HIGH)), stride, step


def coarse_stride(shape: Sizes, spacing: Spacing) -> Shape:
    """Return voxels per block, with which blocks are about cubes in µm, and at most 1e6."""
    edge = max(spacing)
    while True:
        stride = tuple(
            max(1, min(size, round(edge / step))) for size, step in zip(shape, spacing, strict=True)
        )
        if prod(ceil(size / n) for size, n in zip(shape, stride, strict=True)) <= MOST:
            return stride
        edge *= 1.1


def block_means(image: Array, stride: Sizes) -> Grid:
    """Return the means of blocks of an image, smaller ones at its ends; plane by plane."""
    deep, *sides = stride
    starts = [np.arange(0, size, n) for size, n in zip(image.shape[1:], sides, strict=True)]
    counts = [np.diff(np.append(s, n)) for s, n in zip(starts, image.shape[1:], strict=True)]
    area = np.outer(*counts)
    means = np.empty((ceil(len(image) / deep), *area.shape), np.float32)
    for place, first in enumerate(range(0, len(image), deep)):
        planes = image[first : first + deep]
        sums = sum(
            np.add.reduceat(np.add.reduceat(plane, starts[0], 0, dtype=np.float64), starts[1], 1)
            for plane in planes
        )
        means[place] = sums / (area * len(planes))
        release(image)
    return means


def specimen_of(coarse: Grid, step: Spacing) -> Bools:
    """Return the blocks that are specimen, holes filled; none where all is as the background."""
    sigma = widths(coarse.shape, step, TISSUE_UM)
    smooth = ndimage.gaussian_filter(coarse, sigma, mode="nearest")
    low = float(np.percentile(smooth, LOW))
    found = smooth > low + li_threshold(smooth - low)
    if found.any() and not found.all():
        contrast = float(smooth[found].mean() - smooth[~found].mean())
        if contrast > _CONTRAST * white_noise(coarse - smooth, ~found, sigma):
            return np.asarray(ndimage.binary_fill_holes(found))
    return np.zeros(coarse.shape, np.bool_)


def in_field(volume: Volume, work: Callable[[Volume, Sizes], Volume]) -> Volume:
    """Return the labels that `work` finds in a volume, of a large one in the part with a specimen.

    Thresholds depend on how much of an image is empty. `work` gets the part and its first voxel.
    """
    image, box, near = volume.array, None, None
    if volume.axes == "ZYX" and image.size >= LARGE:
        coarse, stride, step = coarse_image(from_lowest(image), volume.spacing)
        near = box_of(specimen_of(coarse, step))
    if near is not None:
        blocks = (slice(s.start * n, s.stop * n) for s, n in zip(near, stride, strict=True))
        box = wider([*blocks], [ceil(MARGIN_UM / edge) for edge in volume.spacing])
    if box is None or image[box].size > SHARE * image.size:  # it is no small part of the image
        return work(volume, (0, 0, 0))
    part = replace(volume, array=image[box])
    state(field=f"{text(part.shape)} voxels around the specimen")
    result = work(part, [side.start for side in box])
    labels = room(image.shape, result.array.dtype)
    put(labels, box, result.array)
    return replace(result, array=labels)


def _distance(specimen: Bools, step: Spacing) -> Grid:
    """Return the signed distance of each block to the specimen's surface, in tanh(d / 50 µm)."""
    half = min(step) / 2  # from the centre of a block at the surface to the surface
    inside = ndimage.distance_transform_edt(specimen, sampling=step)
    outside = ndimage.distance_transform_edt(~specimen, sampling=step)
    signed = np.where(specimen, inside - half, half - outside)
    return np.asarray(np.tanh(signed / DEPTH_UM), np.float32)


def _depth(specimen: Bools, step: Spacing) -> Grid:
    """Return how far each block lies along z from the specimen's first one, in tanh(d / 50 µm)."""
    first = specimen.any(axis=(1, 2)).argmax()
    depth = np.tanh((np.arange(len(specimen)) - first) * step[0] / DEPTH_UM)
    return np.broadcast_to(depth.astype(np.float32)[:, None, None], specimen.shape).copy()


def _light(coarse: Grid, specimen: Bools, step: Spacing) -> Grid:
    """Return the brightness of the specimen around each block, in octaves, -1..1 for -3..3."""
    level = coarse - np.float32(np.median(coarse[~specimen]))
    mean = float(level[specimen].mean())
    weight = smoothed(specimen.astype(np.float32), step, AROUND_UM)
    around = smoothed(np.where(specimen, level, np.float32(0)), step, AROUND_UM)
    relative = around / np.maximum(weight, _LEAST_WEIGHT) / mean
    octaves = np.log2(np.maximum(relative, 2**-OCTAVES)) / OCTAVES
    seen = np.minimum(weight / _LEAST_WEIGHT, 1)  # far from the specimen nothing is known
    return np.asarray(np.clip(seen * octaves, -1, 1), np.float32)


def smoothed(values: Grid, step: Spacing, sigma_um: float) -> Grid:
    """Return values on a coarse grid after a Gaussian of a width in µm, see `widths`."""
    return np.asarray(
        ndimage.gaussian_filter(values, widths(values.shape, step, sigma_um), mode="nearest")
    )


def widths(shape: Sizes, step: Spacing, sigma_um: float) -> list[float]:
    """Return a standard deviation in blocks: at least 1, at most a quarter of the side."""
    return [
        min(max(1.0, sigma_um / edge), size / 4) if size > 1 else 0.0
        for edge, size in zip(step, shape, strict=True)
    ]
