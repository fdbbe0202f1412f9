"""The seed map, which is largest in the middles of nuclei."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.morphology import local_maxima
from skimage.segmentation import watershed

from cytosuite.segmentation.foreground import sigmas

Ints = NDArray[np.int32]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]

_FLOOR = 1e-4  # where the response is not positive, this part of the largest keeps basins apart


def typical_radius(mask: Bools, spacing: Sequence[float], elongation: float) -> float:
    """Return the typical radius [µm] of balls or discs that make up a foreground."""
    distance = border_distance(mask, spacing, elongation)
    return (mask.ndim + 1) * float(distance[mask].mean())


def border_distance(mask: Bools, spacing: Sequence[float], elongation: float) -> Floats:
    """Return the distance to the nearest voxel outside of the foreground in µm, float32."""
    flattened = sigmas(1.0, [1.0] * mask.ndim, elongation)
    step = [size / factor for size, factor in zip(spacing, flattened, strict=True)]
    distance: NDArray[np.float64] = ndimage.distance_transform_edt(mask, sampling=step)
    return distance.astype(np.float32)


def blob_response(
    image: Floats, spacing: Sequence[float], radii_um: Sequence[float], elongation: float
) -> Floats:
    """Return the largest scale-normalised Laplacian of Gaussian over the radii (µm in y and x).

    Lindeberg, International Journal of Computer Vision 30 (1998) 79, doi:10.1023/A:1008045108935.
    """
    best = np.full(image.shape, -np.inf, np.float32)
    for radius in radii_um:
        sigma = sigmas(radius / np.sqrt(image.ndim), spacing, elongation)
        blurred = ndimage.gaussian_filter(image, sigma, truncate=3.0)
        response = np.zeros_like(blurred)
        for axis, width in enumerate(sigma):
            if image.shape[axis] > 1:
                response -= np.float32(width**2) * _second_difference(blurred, axis)
        np.maximum(best, response, out=best)
    return best


def _second_difference(array: Floats, axis: int) -> Floats:
    """Return the second central difference along an axis, edges repeated."""
    result = np.empty_like(array)
    a, out = np.moveaxis(array, axis, 0), np.moveaxis(result, axis, 0)
    out[1:-1] = a[2:] + a[:-2] - 2 * a[1:-1]
    out[0] = a[1] - a[0]
    out[-1] = a[-2] - a[-1]
    return result


def seed_map(
    response: Floats,
    mask: Bools,
    spacing: Sequence[float],
    distance_weight: float,
    elongation: float,
    peak: float | None = None,
) -> Floats:
    """Return blob response times a power of the distance to the border, 0 in the background."""
    top = float(response.max(initial=0.0)) if peak is None else peak
    floor = np.float32(_FLOOR * top)
    value: Floats = np.where(mask, np.maximum(response, floor), np.float32(0))
    if distance_weight > 0 and mask.any():
        distance = border_distance(mask, spacing, elongation)
        distance = ndimage.gaussian_filter(distance, sigmas(spacing[-1], spacing, 1.0))
        value *= distance ** np.float32(distance_weight)
    return value


def basins(seeds: Floats, mask: Bools) -> Ints:
    """Return one label per local maximum of the seed map, grown over the foreground, 0 outside.

    Meyer, Signal Processing 38 (1994) 113, doi:10.1016/0165-1684(94)90060-4.
    """
    peaks: Bools = local_maxima(seeds, connectivity=seeds.ndim)
    peaks &= mask
    markers, count = ndimage.label(peaks, structure=np.ones((3,) * seeds.ndim))
    if count == 0:
        return np.zeros(seeds.shape, np.int32)
    grown: Ints = watershed(-seeds, markers, mask=mask)
    return grown.astype(np.int32, copy=False)


def saddles(labels: Ints, height: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Return the pairs (N, 2) of touching basins and the height of each pair's highest pass."""
    keys, levels = [], []
    base = np.int64(labels.max(initial=0)) + 1
    for axis in range(labels.ndim):
        a, b = np.moveaxis(labels, axis, 0)[:-1], np.moveaxis(labels, axis, 0)[1:]
        h, g = np.moveaxis(height, axis, 0)[:-1], np.moveaxis(height, axis, 0)[1:]
        touch = (a != b) & (a > 0) & (b > 0)
        first, second = a[touch].astype(np.int64), b[touch].astype(np.int64)
        keys.append(np.minimum(first, second) * base + np.maximum(first, second))
        levels.append(np.minimum(h[touch], g[touch]))
    key, level = np.concatenate(keys), np.concatenate(levels)
    unique, inverse = np.unique(key, return_inverse=True)
    passes = np.zeros(unique.size, np.float32)
    np.maximum.at(passes, inverse, level)
    return np.stack([unique // base, unique % base], axis=1), passes


def merge(labels: Ints, height: Floats, ratio: float) -> Ints:
    """Return basins joined by relative persistence, high saddles first; higher peaks name them."""
    peaks = np.zeros(int(labels.max(initial=0)) + 1, np.float32)
    np.maximum.at(peaks, labels.ravel(), height.ravel())
    pairs, passes = saddles(labels, height)
    order = np.argsort(-passes, kind="stable")
    parent, top = list(range(peaks.size)), peaks.tolist()

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for (first, second), level in zip(pairs[order].tolist(), passes[order].tolist(), strict=True):
        a, b = root(first), root(second)
        if a != b and level >= ratio * min(top[a], top[b]):
            a, b = (a, b) if top[a] >= top[b] else (b, a)
            parent[b] = a
    roots = np.array([root(node) for node in range(peaks.size)], np.int32)
    return roots[labels]
