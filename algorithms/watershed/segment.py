"""Nuclei of a 2D or 3D image by threshold, blob seeds and watershed."""

from collections.abc import Callable
from math import ceil, prod
from typing import NamedTuple

import numpy as np

from cytosuite.algorithms.watershed.parameters import Parameters
from cytosuite.algorithms.watershed.seeds import (
    Relief,
    blob_response,
    merge,
    seed_map,
    typical_radius,
)
from cytosuite.contract.progress import report
from cytosuite.segmentation.foreground import (
    background_and_noise,
    gaussian,
    li_threshold,
    reduced,
    remove_background,
    sigmas,
    threshold_map,
    white_noise,
    wide_mean,
)
from cytosuite.segmentation.objects import (
    fill_holes,
    keep_by,
    largest_pieces,
    open_objects,
    own_level,
)
from cytosuite.volume.arrays import Array, Bools, Box, Floats, Ints, Lengths, Spacing
from cytosuite.volume.memory import is_mapped
from cytosuite.volume.objects import box_of, wider
from cytosuite.volume.pieces import parts_of, side_by_side

_WIDEST, _MOST = 0.15, 2**22  # radii of a nucleus; voxels that are looked at
_TAIL, _CROWDED = 4.0, 0.005  # more than this part of the voxels beyond 4 spreads: not noise
_SHARED = 0.5  # part of the spread that is noise in any case: neighbours may share it


class Measured(NamedTuple):
    """Quantities of a whole image that all of its blocks share."""

    lowest: float  # grey value that is subtracted first
    uneven: Callable[[Box], Floats] | None  # background in a part of the image, where it is uneven
    radii: Lengths  # to look for, µm
    background: float = 0.0  # level of the smoothed image without uneven background
    noise: float = 0.0  # standard deviation
    threshold: float = 0.0  # minimum cross entropy, above the background
    peak: float = 0.0  # largest blob response

    def background_in(self, box: Box) -> Floats | np.float32:
        """Return the background in a part of the image."""
        level = np.float32(self.background)
        return self.uneven(box) + level if self.uneven else level


def segment(
    image: Array,
    spacing: Spacing,
    parameters: Parameters,
    whole: Measured | None = None,
    box: Box = (),
) -> Ints:
    """Return int32 labels 1..n of an image (Z, Y, X) or (Y, X), or its `box`; steps: README.md."""
    if whole:
        signal, _ = smoothed(image, spacing, parameters, whole.lowest)
        signal -= whole.background_in(box)
        return _label(signal, whole.noise, spacing, parameters, whole)
    signal, residual, spread = flattened(image, spacing, parameters)
    report(1, 10)
    coarse = coarse_of(signal, spacing, parameters)
    noise = noise_of(signal, residual, coarse, spread, spacing, parameters)
    del residual, coarse
    return _label(signal, noise, spacing, parameters)


def widened(image: Array, spacing: Spacing, p: Parameters) -> Parameters:
    """Return parameters with a smoothing that leaves nuclei as clear as `clearness` wants.

    White noise that a Gaussian smooths falls as its width grows: in planes as one over the width.
    Noise that neighbours share is in the spread of the background alone.
    """
    middle = _middle(image)
    for _ in range(4 if p.clearness > 0 else 0):
        signal, residual, spread = flattened(middle, spacing, p)
        mask = signal > np.float32(li_threshold(signal))
        white = white_noise(residual, mask, sigmas(p.smoothing_um, spacing, p.axial_elongation))
        noise = max(white, spread)
        excess = p.clearness * noise / float(signal[mask].mean()) if noise > 0 else 0.0
        if excess <= 1.02:
            break
        radius = typical_radius(mask, spacing, p.axial_elongation)
        width = min(p.smoothing_um * excess ** (2 / image.ndim), _WIDEST * radius)
        if width <= 1.02 * p.smoothing_um:
            break
        p = p.model_copy(update={"smoothing_um": width})
    return p


def _middle(image: Array) -> Array:
    """Return the middle of an image, at most 4 million voxels."""
    side = int(_MOST ** (1 / image.ndim))
    return image[tuple(slice(max(0, (n - side) // 2), (n + side) // 2) for n in image.shape)]


def shrinking(image: Array, p: Parameters) -> int:
    """Return how many times smaller a plane in pixels must be for nuclei to fit in `background_um`.

    Wider ones are taken as background, which hollows them out. 1 where they fit or fill the image.
    """
    if not (p.in_pixels and p.background_um) or image.ndim > 2 or is_mapped(image):
        return 1
    small, _ = reduced(_middle(image).astype(np.float32), (4, 4))
    background, _ = background_and_noise(small)
    mask = small > background + li_threshold(small, background)
    radius = typical_radius(mask, (4.0, 4.0), 1.0) if mask.any() else 0.0
    return max(1, ceil(radius / p.background_um)) if radius < min(image.shape) / 6 else 1


def flattened(image: Array, spacing: Spacing, p: Parameters) -> tuple[Floats, Floats, float]:
    """Return smoothed intensities without background, the removed part, the background's spread."""
    signal, residual = smoothed(image, spacing, p, float(image.min()))
    if p.background_um > 0:
        signal = remove_background(signal, spacing, p.background_um)
    background, spread = background_and_noise(signal)
    signal -= np.float32(background)
    return signal, residual, spread


def smoothed(image: Array, spacing: Spacing, p: Parameters, lowest: float) -> tuple[Floats, Floats]:
    """Return smoothed intensities above the lowest, and their difference from the image."""
    values = np.empty(image.shape, np.float32)

    def lower(part: slice) -> None:
        """Subtract the lowest value from some planes, without a float64 copy of the whole."""
        np.subtract(image[part], lowest, out=values[part], dtype=np.float64, casting="same_kind")

    side_by_side(lower, parts_of(image.shape))
    signal = gaussian(values, sigmas(p.smoothing_um, spacing, p.axial_elongation))
    values -= signal
    return signal, values


def coarse_of(signal: Floats, spacing: Spacing, p: Parameters) -> Floats:
    """Return the mean over a nucleus around each voxel, which tells dark parts of an image."""
    return wide_mean(signal, spacing, max(p.radii_um) / 2, p.axial_elongation)


def noise_of(
    signal: Floats,
    residual: Floats,
    coarse: Floats,
    spread: float,
    spacing: Spacing,
    p: Parameters,
) -> float:
    """Return the standard deviation of the noise left in a smoothed image, the background at 0."""
    coarse -= coarse.min()
    sigma = sigmas(p.smoothing_um, spacing, p.axial_elongation)
    noise = white_noise(residual, coarse <= li_threshold(coarse), sigma)
    crowded = noise > 0 and np.mean(signal > _TAIL * spread) >= _CROWDED
    return max(noise, spread * (_SHARED if crowded else 1))


def foreground(signal: Floats, li: float, spacing: Spacing, p: Parameters) -> tuple[Bools, Floats]:
    """Return the voxels above their thresholds, and these thresholds before `threshold_factor`."""
    level = threshold_map(
        signal,
        spacing,
        threshold=li,
        local_um=p.local_um,
        local_weight=p.local_weight,
        elongation=p.axial_elongation,
    )
    return signal > np.float32(p.threshold_factor) * level, level


def _label(
    signal: Floats,
    noise: float,
    spacing: Spacing,
    p: Parameters,
    whole: Measured | None = None,
) -> Ints:
    """Return the labels of a smoothed image without background."""
    labels = np.zeros(signal.shape, np.int32)
    report(2, 10)
    li = whole.threshold if whole else li_threshold(signal)
    mask, level = foreground(signal, li, spacing, p)
    if not mask.any():
        return labels
    radii = whole.radii if whole else p.radii_um
    if not whole and p.relative_radii:
        radii = radii_of(typical_radius(mask[_around(mask)], spacing, p.axial_elongation), p)
    report(3, 10)
    response = blob_response(signal, spacing, radii, p.axial_elongation)
    report(4, 10)

    def limit(part: slice) -> None:
        """Keep the foreground of some planes where blobs are strong enough."""
        mask[part] &= response[part] >= np.float32(p.blob_fraction) * signal[part]

    side_by_side(limit, parts_of(mask.shape))
    if not mask.any():
        return labels
    box = _around(mask)
    mask, response = mask[box].copy(), response[box]
    peak = whole.peak if whole else float(response.max(initial=0.0))
    light, level, response = signal[box][mask], level[box][mask], response[mask]
    for turn in range(p.passes):
        report(4 * p.passes + 4 * turn, 10 * p.passes)
        height = seed_map(response, mask, spacing, p.distance_weight, p.axial_elongation, peak)
        report(4 * p.passes + 4 * turn + 2, 10 * p.passes)
        basins = merge(Relief.of(mask, height), p.merge_ratio)
        limits = own_level(basins, light, level, factor=p.object_factor, weight=p.object_weight)
        keep = (light >= limits) & (basins > 0)
        mask[mask] = keep
        basins, light, level, response = basins[keep], light[keep], level[keep], response[keep]
    report(8, 10)
    objects = np.zeros(mask.shape, np.int32)
    objects[mask] = basins
    objects = open_objects(largest_pieces(objects), spacing, p.opening_um)
    report(9, 10)
    labels[box] = _select(fill_holes(largest_pieces(objects)), signal[box], noise, li, spacing, p)
    return labels


def radii_of(typical: float, p: Parameters) -> Lengths:
    """Return the radii to look for where nuclei have a typical one [µm], see `relative_radii`."""
    low = min(p.radii_um)
    high = max(p.radii_um)
    return tuple(min(max(typical * factor, low), high) for factor in p.relative_radii)


def _around(mask: Bools) -> Box:
    """Return the box around a mask that holds something, with a voxel more on each side."""
    return wider(box_of(mask) or (), (1,) * mask.ndim)


def _select(
    labels: Ints,
    signal: Floats,
    noise: float,
    threshold: float,
    spacing: Spacing,
    p: Parameters,
) -> Ints:
    """Return the objects of likely size, contrast and signal, numbered from 1."""
    inside = labels > 0
    names = labels[inside]
    count = np.bincount(names, minlength=1)
    size = count * prod(spacing)
    mean = np.bincount(names, signal[inside], count.size) / np.maximum(count, 1)
    keep = (size >= p.minimum_size) & (size <= p.maximum_size) & (count > 0)
    keep &= (mean >= p.minimum_contrast * threshold) & (mean >= p.minimum_snr * noise)
    return keep_by(labels, keep)
