"""The seed map, which is largest in the middles of nuclei, and its basins."""

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import edt
import numpy as np
from numpy.typing import NDArray

from cytosuite.segmentation.foreground import gaussian, sigmas
from cytosuite.volume.cores import PART, cores, parts_of, side_by_side

Ints = NDArray[np.int32]
Places = NDArray[np.int64]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]

_FLOOR = 1e-4  # where the response is not positive, this part of the largest keeps basins apart


def typical_radius(mask: Bools, spacing: Sequence[float], elongation: float) -> float:
    """Return the typical radius [µm] of balls or discs that make up a foreground."""
    distance = border_distance(mask, spacing, elongation)
    return (mask.ndim + 1) * float(distance[mask].mean())


def border_distance(mask: Bools, spacing: Sequence[float], elongation: float) -> Floats:
    """Return the distance to the nearest voxel outside of the foreground in µm; 1 without any."""
    flattened = sigmas(1.0, [1.0] * mask.ndim, elongation)
    step = [size / factor for size, factor in zip(spacing, flattened, strict=True)]
    distance: Floats = edt.edt(np.ascontiguousarray(mask), anisotropy=step, parallel=cores())
    return distance if np.isfinite(distance.flat[0]) else np.ones_like(distance)


def blob_response(
    image: Floats, spacing: Sequence[float], radii_um: Sequence[float], elongation: float
) -> Floats:
    """Return the largest scale-normalised Laplacian of Gaussian over the radii (µm in y and x).

    Lindeberg, International Journal of Computer Vision 30 (1998) 79, doi:10.1023/A:1008045108935.
    """
    best = np.full(image.shape, -np.inf, np.float32)
    for radius in radii_um:
        sigma = sigmas(radius / np.sqrt(image.ndim), spacing, elongation)
        blurred = gaussian(image, sigma, truncate=3.0)

        def respond(part: slice, blurred: Floats = blurred, sigma: Sequence[float] = sigma) -> None:
            first = max(0, part.start - 1)  # the differences need a plane on each side
            around, inner = blurred[first : part.stop + 1], slice(part.start - first, None)
            response = np.zeros_like(best[part])
            for axis, width in enumerate(sigma):
                if image.shape[axis] > 1:
                    difference = _second_difference(around, axis)[inner][: len(response)]
                    response -= np.float32(width**2) * difference
            np.maximum(best[part], response, out=best[part])

        side_by_side(respond, parts_of(image.shape))
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
    peak: float,
) -> Floats:
    """Return blob response (N,) times a power of the distance to the border, per voxel in mask."""
    value: Floats = np.maximum(response, np.float32(_FLOOR * peak))
    if distance_weight > 0 and mask.any():
        distance = border_distance(mask, spacing, elongation)
        gaussian(distance, sigmas(spacing[-1], spacing, 1.0), out=distance)
        value *= distance[mask] ** np.float32(distance_weight)
    return value


class Relief(NamedTuple):
    """Heights of the voxels of a foreground, in an image that is padded by one voxel."""

    voxels: Places  # (N,) flat, in the padded image
    height: Floats  # (N,)
    padded: Floats  # 0 outside
    place: Ints  # of each voxel of the padded image in `voxels`, or -1

    @classmethod
    def of(cls, mask: Bools, height: Floats) -> "Relief":
        """Return the relief of heights (N,) in a mask."""
        room = np.pad(mask, 1)
        voxels = np.flatnonzero(room)
        padded, place = np.zeros(room.shape, np.float32), np.full(room.shape, -1, np.int32)
        padded.ravel()[voxels] = height
        place.ravel()[voxels] = np.arange(voxels.size)
        return cls(voxels, height, padded, place)

    @property
    def parts(self) -> list[slice]:
        """Return the voxels in parts."""
        return parts_of((self.voxels.size,), PART // 4)

    def steps(self, *, corners: bool = False) -> list[int]:
        """Return the ways to the neighbours by faces forwards, or to all, in the flat image."""
        along = [stride // self.padded.itemsize for stride in self.padded.strides]
        ways = product((-1, 0, 1), repeat=len(along))
        return [int(np.dot(way, along)) for way in ways] if corners else along

    def above(self, chosen: slice | Places, steps: Sequence[int]) -> Ints:
        """Return the places of the highest neighbours of some voxels, or of themselves."""
        here, best = self.voxels[chosen], self.height[chosen].copy()
        target, flat = here.copy(), self.padded.ravel()
        for step in steps:
            level = flat[here + step]
            higher = np.flatnonzero(level > best)
            best[higher] = level[higher]
            target[higher] = here[higher] + step
        return self.place.ravel()[target]


def basins(relief: Relief) -> tuple[Ints, Places]:
    """Return the basin 1..K of each voxel (N,), and the places of their local maxima (K,).

    A voxel belongs where the steepest ascent by faces ends, at a corner if need be, as by flooding:
    Meyer, Signal Processing 38 (1994) 113, doi:10.1016/0165-1684(94)90060-4.
    """
    steps = relief.steps()
    faces = [*steps, *(-step for step in steps)]
    ascents = side_by_side(lambda part: relief.above(part, faces), relief.parts)
    up = np.concatenate([np.zeros(0, np.int32), *ascents])
    tops = np.flatnonzero(up == np.arange(up.size))
    up[tops] = relief.above(tops, relief.steps(corners=True))
    peaks = tops[up[tops] == tops]
    label = np.zeros(up.size, np.int32)
    label[peaks] = np.arange(1, peaks.size + 1)
    while True:  # twice as far each time
        ends = np.concatenate(side_by_side(lambda part: up[up[part]], relief.parts) or [up])
        if np.array_equal(ends, up):
            return label[up], peaks
        up = ends


def saddles(relief: Relief, labels: Ints) -> tuple[Places, Floats]:
    """Return the pairs (M, 2) of touching basins and the height of each pair's highest pass."""
    base = np.int64(labels.max(initial=0)) + 1

    def touches(part: slice) -> tuple[Places, Floats]:
        keys, levels = [np.zeros(0, np.int64)], [np.zeros(0, np.float32)]
        for step in relief.steps():
            beyond = relief.place.ravel()[relief.voxels[part] + step]
            here = np.flatnonzero((beyond >= 0) & (labels[part] != labels[beyond]))
            beyond = beyond[here]
            first, second = labels[part][here].astype(np.int64), labels[beyond].astype(np.int64)
            keys.append(np.minimum(first, second) * base + np.maximum(first, second))
            levels.append(np.minimum(relief.height[part][here], relief.height[beyond]))
        return np.concatenate(keys), np.concatenate(levels)

    found = side_by_side(touches, relief.parts) or [touches(slice(0))]
    key, level = (np.concatenate(column) for column in zip(*found, strict=True))
    unique, inverse = np.unique(key, return_inverse=True)
    passes = np.zeros(unique.size, np.float32)
    np.maximum.at(passes, inverse, level)
    return np.stack([unique // base, unique % base], axis=1), passes


def merge(relief: Relief, ratio: float) -> Ints:
    """Return basins joined by relative persistence, high saddles first; higher peaks name them."""
    labels, peaks = basins(relief)
    pairs, passes = saddles(relief, labels)
    order = np.argsort(-passes, kind="stable")
    top = [0.0, *relief.height[peaks].tolist()]
    parent = list(range(len(top)))

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
    roots = np.array([root(node) for node in range(len(top))], np.int32)
    return roots[labels]
