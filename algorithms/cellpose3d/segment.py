"""Objects from level and flow: foreground, following the flow, quality control."""

from collections.abc import Iterator
from math import inf, pi
from typing import NamedTuple

import numpy as np
import torch
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from cytosuite.algorithms.cellpose3d.dynamics import Labels, follow, instances, smooth_flow
from cytosuite.algorithms.cellpose3d.network import FIELDS
from cytosuite.algorithms.cellpose3d.parameters import Parameters
from cytosuite.algorithms.cellpose3d.quality import LIMITS, Removal, control
from cytosuite.networks.network import Forward, predict_tiles
from cytosuite.segmentation.assembly import renumber
from cytosuite.segmentation.foreground import (
    background_and_noise,
    gaussian,
    li_threshold,
    reduced,
    sigmas,
    threshold_map,
)
from cytosuite.segmentation.objects import fill_holes, largest_pieces, own_level
from cytosuite.volume.arrays import Bools, Box, Floats, Sizes, Spacing
from cytosuite.volume.objects import grown
from cytosuite.volume.pieces import parts_of

EMPTY_BLOCK = (4, 8, 8)  # voxels, about a small nucleus
EMPTY_BELOW = 0.04  # normalised, a quarter of the background's standard deviation
_SAMPLE = 2_000_000  # voxels for the statistics of an image; larger ones are thinned evenly
_SLAB = 16_000_000  # of these, voxels smoothed at a time
_REACH = 4.0  # standard deviations after which a Gaussian ends


class Fields(NamedTuple):
    """Level and flow of an image."""

    level: Floats  # (Z, Y, X), in [0, 1]: brightness relative to the peak of the own nucleus
    flow: Floats  # (3, Z, Y, X), in [-1, 1]: motion along z, y, x towards its centre
    tiles: int
    skipped: int  # tiles that were empty


def predict_fields(
    image: Floats, network: Forward, parameters: Parameters, device: str = "cpu"
) -> Fields:
    """Return level and flow of a normalised image (C, Z, Y, X); both are 0 in an empty tile."""
    prediction = predict_tiles(
        image,
        network,
        channels=FIELDS,
        multiple=parameters.network.multiple,
        tile=parameters.tile,
        halo=parameters.halo,
        activate=_activate,
        skip=lambda part: is_empty(part[0]),
        device=device,
        half=parameters.half,
    )
    return Fields(prediction.values[0], prediction.values[1:], prediction.tiles, prediction.skipped)


def is_empty(part: Floats) -> bool:
    """Return whether no block of 4 x 8 x 8 voxels has a mean above a quarter of the noise."""
    means, _ = reduced(part, EMPTY_BLOCK)
    return bool(means.max() <= EMPTY_BELOW)


def _activate(fields: Tensor) -> Tensor:
    """Return fields with the level in place of its logit."""
    fields[0] = torch.sigmoid(fields[0])
    return fields


class Whole(NamedTuple):
    """Statistics of the smoothed intensities of a whole image, in its unit."""

    background: float
    threshold: float  # minimum cross entropy, above the background; 0 in a constant image


class Found(NamedTuple):
    """Objects on the working grid."""

    labels: Labels  # (Z, Y, X), 1..n without gaps, 0 = background
    margin: Floats  # (Z, Y, X), height above the thresholds, relative; > 0 in objects
    removed: list[Removal]  # objects that quality control removed


def segment(
    fields: Fields,
    image: Floats,
    spacing: Spacing,
    parameters: Parameters,
    whole: Whole | None = None,
) -> Found:
    """Return objects of level, flow and raw image; `whole` is by `measure` if `image` is a part."""
    margin = fields.level / np.float32(parameters.tau) - 1
    signal = contrast = None
    if parameters.li and bool((margin > 0).any()):
        whole = whole or measure(image, spacing, parameters)
        signal = smoothed(image, spacing, parameters) - np.float32(whole.background)
        level = threshold_map(
            signal,
            spacing,
            threshold=parameters.li_factor * whole.threshold,
            local_um=parameters.local_um,
            local_weight=parameters.local_weight,
            elongation=parameters.axial_elongation,
        )
        np.minimum(margin, above(signal, level), out=margin)
    raw = _parted(fields, image, margin > 0, spacing, parameters)
    if whole and signal is not None:
        if parameters.own_weight > 0:
            # A bright object is cut higher, a dim one lower than the rest.
            weight = parameters.own_weight
            excess = above(
                signal, own_level(raw, signal, level, factor=parameters.own_factor, weight=weight)
            )
            raw = fill_holes(largest_pieces(np.where(excess > 0, raw, 0).astype(np.uint32)))
            np.minimum(margin, excess, out=margin)
        contrast = signal / np.float32(whole.threshold or 1.0)
    limits = {name: float(getattr(parameters, name)) for name in LIMITS}
    planar = parameters.network.dimensions == 2  # its volumes are areas, one pixel deep
    for name in () if planar else ("min_volume_um3", "max_volume_um3"):
        limits[name] = _within(limits[name], margin.shape, spacing)
    labels, removed = control(
        raw, spacing, limits, flow=fields.flow, level=fields.level, contrast=contrast
    )
    # Filled holes lie inside, removed objects outside, at any level.
    np.abs(margin, out=margin)
    np.negative(margin, out=margin, where=labels == 0)
    return Found(labels, margin, removed)


def _parted(
    fields: Fields, image: Floats, mask: Bools, spacing: Spacing, parameters: Parameters
) -> Labels:
    """Return the foreground split by the places to which the flow leads, and by bright walls."""
    flow = smooth_flow(fields.flow, mask, (parameters.flow_smoothing,) * 3)
    ends = follow(flow, mask, steps=parameters.steps, step_size=parameters.step_size)
    parted = instances(
        ends,
        mask,
        # Longer lengths along z are the same as a shorter image.
        (spacing[0] / parameters.axial_elongation, *spacing[1:]),
        sigma_um=parameters.seed_smoothing_um,
        distance_um=parameters.seed_distance_um,
    )
    del ends
    if parameters.max_face_level < 1:
        parted = fill_holes(without_walls_joined(parted, fields.level, parameters.max_face_level))
        renumber(parted)
    if parameters.wall_reach_um == 0:
        return parted
    return moved_to_walls(
        parted,
        image,
        spacing,
        reach_um=parameters.wall_reach_um,
        smoothing_um=parameters.wall_smoothing_um,
    )


def _within(volume_um3: float, shape: Sizes, spacing: Spacing) -> float:
    """Return the part of a ball of this volume that lies in an image of a single slice."""
    if shape[0] > 1 or not 0 < volume_um3 < inf:
        return volume_um3
    radius = (volume_um3 * 3 / (4 * pi)) ** (1 / 3)
    return float(min(volume_um3, pi * radius**2 * spacing[0]))


def smoothed(image: Floats, spacing: Spacing, parameters: Parameters) -> Floats:
    """Return intensities after a Gaussian of `smoothing_um`, longer along z."""
    return gaussian(
        np.asarray(image, np.float32),
        sigmas(parameters.smoothing_um, spacing, parameters.axial_elongation),
    )


def measure(image: Floats, spacing: Spacing, parameters: Parameters) -> Whole:
    """Return the background of a whole image and its threshold, some planes at a time.

    Li, Lee, Pattern Recognition 26 (1993) 617, doi:10.1016/0031-3203(93)90115-D; Li, Tam, Pattern
    Recognition Letters 19 (1998) 771, doi:10.1016/S0167-8655(98)00057-9.
    """
    step = max(1, -(-image.size // _SAMPLE))
    values = np.concatenate([p.ravel()[::step] for p in _slabs(image, spacing, parameters)])
    background, _ = background_and_noise(values)
    values -= np.float32(background)
    return Whole(background, li_threshold(values) if values.max() > 0 else 0.0)


def _slabs(image: Floats, spacing: Spacing, parameters: Parameters) -> Iterator[Floats]:
    width = sigmas(parameters.smoothing_um, spacing, parameters.axial_elongation)[0]
    edge = int(_REACH * width + 1)
    for slab in parts_of(image.shape, _SLAB):
        around, inner = grown([slab], [edge])
        yield smoothed(image[around], spacing, parameters)[inner]


def above(signal: Floats, level: Floats) -> Floats:
    """Return ``signal / level - 1``, and -1 where the level is 0."""
    margin = np.full(signal.shape, -1, np.float32)
    np.divide(signal, level, out=margin, where=level > 0)
    np.subtract(margin, 1, out=margin, where=level > 0)
    return margin


def without_walls_joined(labels: Labels, level: Floats, limit: float) -> Labels:
    """Join objects, as the lowest number, over faces with a mean lower level above the limit."""
    count = int(labels.max(initial=0)) + 1
    pairs = []
    levels = []
    for low, high, touching in _contacts(labels):
        ends = np.sort([labels[low][touching], labels[high][touching]], axis=0).astype(np.int64)
        pairs.append(ends[0] * count + ends[1])
        levels.append(np.minimum(level[low][touching], level[high][touching]))
    faces, face = np.unique(np.concatenate(pairs), return_inverse=True)
    fallen = faces[np.bincount(face, np.concatenate(levels)) / np.bincount(face) > limit]
    if not fallen.size:
        return labels
    graph = coo_array((np.ones(fallen.size), np.divmod(fallen, count)), shape=(count, count))
    groups, number = connected_components(graph, directed=False)
    first = np.full(groups, count, np.uint32)
    np.minimum.at(first, number, np.arange(count, dtype=np.uint32))
    return np.asarray(first[number][labels], np.uint32)


def moved_to_walls(
    labels: Labels, image: Floats, spacing: Spacing, *, reach_um: float, smoothing_um: float
) -> Labels:
    """Move common faces at most `reach_um` onto brightest voxels, by a watershed of a band."""
    from skimage.segmentation import watershed  # takes long to import

    band = np.zeros(labels.shape, bool)  # voxels that share a face with another object
    for low, high, touching in _contacts(labels):
        band[low] |= touching
        band[high] |= touching
    if not band.any():
        return labels
    band = ndimage.binary_dilation(band, _ellipsoid(reach_um, spacing)) & (labels > 0)
    cored = np.zeros(int(labels.max()) + 1, bool)
    cored[labels[~band]] = True
    band &= cored[labels]
    markers = np.where(band, 0, labels).astype(np.int32)
    # Floods begin at the edge of the band: the rest of the image would only take time.
    mask = ndimage.binary_dilation(band, np.ones((3, 3, 3), bool)) & (labels > 0)
    markers[~mask] = 0
    smooth = gaussian(np.asarray(image, np.float32), sigmas(smoothing_um, spacing, 1.0))
    flooded = watershed(smooth, markers, mask=mask)
    del smooth, markers
    moved = np.where(band & (flooded > 0), flooded, labels).astype(np.uint32)
    return fill_holes(largest_pieces(moved))


def _contacts(labels: Labels) -> Iterator[tuple[Box, Box, Bools]]:
    """Yield the slices of both voxels of all pairs along each axis, and the pairs that touch."""
    for axis in range(labels.ndim):
        before = (slice(None),) * axis
        first = (*before, slice(None, -1))
        second = (*before, slice(1, None))
        a = labels[first]
        b = labels[second]
        yield first, second, (a != b) & (a > 0) & (b > 0)


def _ellipsoid(radius_um: float, spacing: Spacing) -> Bools:
    sizes = [int(radius_um / step + 1e-6) for step in spacing]
    grid = np.ogrid[tuple(slice(-size, size + 1) for size in sizes)]
    distance = sum((along * step) ** 2 for along, step in zip(grid, spacing, strict=True))
    return np.asarray(distance <= (radius_um * (1 + 1e-6)) ** 2)
