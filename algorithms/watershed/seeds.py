"""The seed map, which is largest in the middles of nuclei, and its basins."""

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import edt
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

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
    height: Floats  # (N + 1,), the last one is that outside: 0
    place: Ints  # of each voxel of the padded image in `height`; -1 outside

    @classmethod
    def of(cls, mask: Bools, height: Floats) -> "Relief":
        """Return the relief of heights (N,) in a mask."""
        room = np.pad(mask, 1)
        voxels, place = np.flatnonzero(room), np.full(room.shape, -1, np.int32)
        place.ravel()[voxels] = np.arange(voxels.size)
        return cls(voxels, np.append(height, np.float32(0)), place)

    @property
    def parts(self) -> list[slice]:
        """Return the voxels in parts."""
        return parts_of((self.voxels.size,), PART // 4)

    def steps(self, *, corners: bool = False) -> list[int]:
        """Return the ways to the neighbours by faces forwards, or to all, in the flat image."""
        along = [stride // self.place.itemsize for stride in self.place.strides]
        ways = product((-1, 0, 1), repeat=len(along))
        return [int(np.dot(way, along)) for way in ways] if corners else along

    def above(self, chosen: Places, steps: Sequence[int]) -> Ints:
        """Return the places of the highest neighbours of voxels (M,), or of themselves."""
        target = chosen.astype(np.int32)

        def climb(part: slice) -> None:
            here, own = self.voxels[chosen[part]], target[part]
            best = self.height[own]
            for step in steps:
                beyond = self.place.ravel()[here + step]
                level = self.height[beyond]
                higher = np.flatnonzero(level > best)
                best[higher], own[higher] = level[higher], beyond[higher]

        side_by_side(climb, parts_of(chosen.shape, PART // 16))
        return target


def basins(relief: Relief) -> tuple[Ints, Places]:
    """Return the basin 1..K of each voxel (N,): where its steepest ascent by faces ends (K,)."""
    steps = relief.steps()
    faces = [*steps, *(-step for step in steps)]
    places = np.arange(relief.voxels.size)
    up = relief.above(places, faces)
    tops = np.flatnonzero(up == places)
    label = np.zeros(up.size, np.int32)
    label[tops] = np.arange(1, tops.size + 1)
    while not np.array_equal(ends := up[up], up):  # twice as far each time
        up = ends
    return label[up], tops


def saddles(relief: Relief, labels: Ints) -> tuple[Places, Floats]:
    """Return the pairs (M, 2) of touching basins and their highest passes, the highest first."""
    base = np.int64(labels.max(initial=0)) + 1

    def touches(part: slice) -> list[tuple[Places, Floats, Floats]]:
        found = []
        for step in relief.steps():
            beyond = relief.place.ravel()[relief.voxels[part] + step]
            here = np.flatnonzero((beyond >= 0) & (labels[part] != labels[beyond]))
            beyond, here = beyond[here], here + part.start
            first, second = labels[here].astype(np.int64), labels[beyond].astype(np.int64)
            a, b = relief.height[here], relief.height[beyond]
            key = np.minimum(first, second) * base + np.maximum(first, second)
            found.append((key, np.minimum(a, b), np.maximum(a, b)))
        return found

    found = [columns for part in side_by_side(touches, relief.parts) for columns in part]
    key, level, side = (np.concatenate(column) for column in zip(*found, strict=True))
    order = np.lexsort((side, level, key))
    order = order[np.flatnonzero(np.diff(key[order], append=-1))]  # the highest of each pair
    order = order[np.lexsort((key[order], -side[order], -level[order]))]
    return np.stack(np.divmod(key[order], base), axis=1), level[order]


def flooded(relief: Relief) -> tuple[Ints, Floats, Places, Floats]:
    """Return the number of the peak that floods each voxel (N,), heights by number, `saddles`.

    A peak is a top with none higher at its corners; other basins join the peak that floods them:
    Meyer, Signal Processing 38 (1994) 113, doi:10.1016/0165-1684(94)90060-4; 0 where there is none.
    """
    labels, tops = basins(relief)
    pairs, passes = saddles(relief, labels)
    peaks = 1 + np.flatnonzero(relief.above(tops, relief.steps(corners=True)) == tops)
    ends = np.concatenate([np.stack([np.zeros_like(peaks), peaks], axis=1), pairs])  # as one sea
    shape = (tops.size + 1,) * 2
    tree = minimum_spanning_tree(csr_array((np.arange(1, len(ends) + 1), ends.T), shape=shape))
    joined = ends[np.sort(tree.data)[peaks.size :].astype(np.int64) - 1]
    count, piece = connected_components(csr_array((np.ones(len(joined)), joined.T), shape=shape))
    name = np.zeros(count, np.int32)
    name[piece[peaks]] = peaks
    name = name[piece]
    heights = np.zeros(name.size, np.float32)
    np.maximum.at(heights, name[1:], relief.height[tops])
    return name[labels], heights, name[pairs], passes


def merge(relief: Relief, ratio: float) -> Ints:
    """Return basins joined by relative persistence, high saddles first; higher peaks name them."""
    labels, heights, pairs, passes = flooded(relief)
    parent, top = list(range(heights.size)), heights.tolist()

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    high = (pairs[:, 0] != pairs[:, 1]) & (passes >= ratio * heights[pairs].min(axis=1))
    for (first, second), level in zip(pairs[high].tolist(), passes[high].tolist(), strict=True):
        a, b = root(first), root(second)
        if a != b and level >= ratio * min(top[a], top[b]):
            a, b = (a, b) if top[a] >= top[b] else (b, a)
            parent[b] = a
    names = np.array(parent, np.int32)
    while not np.array_equal(names[names], names):
        names = names[names]
    return names[labels]
