"""Nuclei of a 2D or 3D image by threshold, blob seeds and watershed."""

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cytosuite.algorithms.watershed.basins import basins, merge
from cytosuite.algorithms.watershed.parameters import Parameters
from cytosuite.algorithms.watershed.seeds import blob_response, seed_map, typical_radius
from cytosuite.segmentation.foreground import (
    background_and_noise,
    li_threshold,
    remove_background,
    restored,
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
from cytosuite.tiling import Box

_TAIL, _CROWDED = 4.0, 0.005  # more than this part of the voxels beyond 4 spreads: not noise


class Uneven(NamedTuple):
    """Uneven background of a whole image, of means of blocks of voxels."""

    means: NDArray[np.float32]  # see `lower_envelope`
    block: tuple[int, ...]  # voxels, per axis
    shape: tuple[int, ...]  # of the image

    def read(self, box: Box) -> NDArray[np.float32]:
        """Return the background in a part of the image."""
        return restored(self.means, self.block, self.shape, box)


class Measured(NamedTuple):
    """Quantities of a whole image that all of its blocks share."""

    lowest: float  # grey value that is subtracted first
    background: float  # level of the smoothed image without uneven background
    noise: float  # standard deviation
    threshold: float  # minimum cross entropy, above the background
    radii: tuple[float, ...]  # to look for, µm
    peak: float  # largest blob response
    uneven: Uneven | None  # background to subtract before its level, where it is uneven

    def background_in(self, box: Box) -> NDArray[np.float32] | np.float32:
        """Return the background in a part of the image."""
        level = np.float32(self.background)
        return level if self.uneven is None else self.uneven.read(box) + level


def segment(
    image: NDArray[Any],
    spacing: Sequence[float],
    parameters: Parameters,
    whole: Measured | None = None,
    box: Box = (),
) -> NDArray[np.int32]:
    """Return one label per nucleus.

    Parameters
    ----------
    image : (Z, Y, X) or (Y, X) array of numbers
        Nuclei bright on dark background, any dtype, any scale and offset; finite and not empty.
    spacing : sequence of float
        µm per voxel, one per axis.
    parameters : Parameters
        Sizes and thresholds.
    whole : Measured, optional
        Of the whole image, where `image` is a part of it.
    box : tuple of slice
        The voxels of this part.

    Returns
    -------
    (Z, Y, X) or (Y, X) int32 array
        0 = background, 1..n without gaps.

    Notes
    -----
    Deterministic. Time is near linear in the voxels (2 to 3 µs each); peak memory about 80 bytes
    per voxel and 1 kB per basin. README.md in this folder names the steps and their sources.
    """
    if whole is not None:
        signal, _ = smoothed(image, spacing, parameters, whole.lowest)
        signal -= whole.background_in(box)
        return _label(signal, whole.noise, spacing, parameters, whole)
    signal, residual = smoothed(image, spacing, parameters, float(image.min()))
    if parameters.background_um > 0:
        signal = remove_background(signal, spacing, parameters.background_um)
    background, spread = background_and_noise(signal)
    signal -= np.float32(background)
    coarse = coarse_of(signal, spacing, parameters)
    noise = noise_of(signal, residual, coarse, spread, spacing, parameters)
    del residual, coarse
    return _label(signal, noise, spacing, parameters)


def smoothed(
    image: NDArray[Any], spacing: Sequence[float], p: Parameters, lowest: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return smoothed intensities above the lowest, and their difference from the image."""
    values = np.empty(image.shape, np.float32)
    for plane, source in zip(values, image, strict=True):  # no float64 copy of the whole
        plane[...] = source - np.float64(lowest)
    signal = ndimage.gaussian_filter(values, sigmas(p.smoothing_um, spacing, p.axial_elongation))
    values -= signal
    return signal, values


def coarse_of(
    signal: NDArray[np.float32], spacing: Sequence[float], p: Parameters
) -> NDArray[np.float32]:
    """Return the mean over a nucleus around each voxel, which tells dark parts of an image."""
    return wide_mean(signal, spacing, max(p.radii_um) / 2, p.axial_elongation)


def noise_of(
    signal: NDArray[np.float32],
    residual: NDArray[np.float32],
    coarse: NDArray[np.float32],
    spread: float,
    spacing: Sequence[float],
    p: Parameters,
) -> float:
    """Return the standard deviation of the noise left in a smoothed image.

    Parameters
    ----------
    signal, residual : float32 arrays
        Of `smoothed`, the background at 0.
    coarse : float32 array
        Of `coarse_of`; it is changed.
    spread : float
        Of the background, see `background_and_noise`.
    spacing, p
        As of `segment`.
    """
    coarse -= coarse.min()
    sigma = sigmas(p.smoothing_um, spacing, p.axial_elongation)
    noise = white_noise(residual, coarse <= li_threshold(coarse), sigma)
    if noise == 0 or np.mean(signal > _TAIL * spread) < _CROWDED:
        noise = max(noise, spread)
    return noise


def foreground(
    signal: NDArray[np.float32], li: float, spacing: Sequence[float], p: Parameters
) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
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
    signal: NDArray[np.float32],
    noise: float,
    spacing: Sequence[float],
    p: Parameters,
    whole: Measured | None = None,
) -> NDArray[np.int32]:
    """Return the labels of a smoothed image without background."""
    labels = np.zeros(signal.shape, np.int32)
    li = li_threshold(signal) if whole is None else whole.threshold
    mask, level = foreground(signal, li, spacing, p)
    if not mask.any():
        return labels
    radii = _radii(mask, spacing, p) if whole is None else whole.radii
    response = blob_response(signal, spacing, radii, p.axial_elongation)
    mask &= response >= np.float32(p.blob_fraction) * signal
    if not mask.any():
        return labels
    box = _bounding_box(mask)
    mask, signal, response, level = mask[box], signal[box], response[box], level[box]
    for _ in range(p.passes):
        height = seed_map(
            response,
            mask,
            spacing,
            distance_weight=p.distance_weight,
            elongation=p.axial_elongation,
            peak=None if whole is None else whole.peak,
        )
        found = merge(basins(height, mask), height, p.merge_ratio)
        own = own_level(found, signal, level, factor=p.object_factor, weight=p.object_weight)
        found[signal < own] = 0
        mask = found > 0
    found = open_objects(largest_pieces(found), spacing, p.opening_um)
    found = fill_holes(largest_pieces(found))
    labels[box] = _select(found, signal, noise, li, spacing, p)
    return labels


def _radii(mask: NDArray[np.bool_], spacing: Sequence[float], p: Parameters) -> tuple[float, ...]:
    """Return the radii to look for: as given, or relative to those found in the foreground."""
    if not p.relative_radii:
        return p.radii_um
    return radii_of(typical_radius(mask[_bounding_box(mask)], spacing, p.axial_elongation), p)


def radii_of(typical: float, p: Parameters) -> tuple[float, ...]:
    """Return the radii to look for where nuclei have a typical one [µm], see `relative_radii`."""
    low, high = min(p.radii_um), max(p.radii_um)
    return tuple(min(max(typical * factor, low), high) for factor in p.relative_radii)


def _bounding_box(mask: NDArray[np.bool_]) -> tuple[slice, ...]:
    """Return the box around the true voxels, one voxel wider where the image allows."""
    (box,) = ndimage.find_objects(mask.view(np.int8))
    return tuple(slice(max(0, side.start - 1), side.stop + 1) for side in box)


def _select(
    labels: NDArray[np.int32],
    signal: NDArray[np.float32],
    noise: float,
    threshold: float,
    spacing: Sequence[float],
    p: Parameters,
) -> NDArray[np.int32]:
    """Return the objects of likely size, contrast and signal, numbered from 1."""
    count = np.bincount(labels.ravel())
    size = count * prod(spacing)
    mean = np.bincount(labels.ravel(), signal.ravel()) / np.maximum(count, 1)
    keep = (size >= p.minimum_size) & (size <= p.maximum_size) & (count > 0)
    keep &= (mean >= p.minimum_contrast * threshold) & (mean >= p.minimum_snr * noise)
    return keep_by(labels, keep)
