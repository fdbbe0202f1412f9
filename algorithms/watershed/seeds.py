"""The seed map, which is largest in the middles of nuclei, and its basins."""

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from cytosuite.segmentation.foreground import distance_out, gaussian, sigmas
from cytosuite.volume.arrays import Bools, Floats, Ints, Longs, Sizes, Spacing
from cytosuite.volume.pieces import PART, cores, parts_of, side_by_side

Places = Longs

_FLOOR = 1e-4  # where the response is not positive, this part of the largest keeps basins apart


def typical_radius(mask: Bools, spacing: Spacing, elongation: float) -> float:
    """Return the typical radius [µm] of balls or discs that make up a foreground."""
    return (mask.ndim + 1) * float(border_distance(mask, spacing, elongation)[mask].mean())


def border_distance(mask: Bools, spacing: Spacing, elongation: float) -> Floats:
    """Return the distance to the nearest voxel outside of the foreground in µm; 1 without any."""
    if mask.all():
        return np.ones(mask.shape, np.float32)
    return distance_out(mask, [*np.divide(spacing, sigmas(1.0, [1.0] * mask.ndim, elongation))])


def blob_response(
    image: Floats, spacing: Spacing, radii_um: Sequence[float], elongation: float
) -> Floats:
    """Return the largest scale-normalised Laplacian of Gaussian over the radii (µm in y and x).

    Lindeberg, International Journal of Computer Vision 30 (1998) 79, doi:10.1023/A:1008045108935.
    """
    from cytosuite.segmentation._kernels import curvature

    best = np.full(image.shape, -np.inf, np.float32)
    volume = (1, *image.shape)[-3:]
    for radius in radii_um:
        sigma = sigmas(radius / np.sqrt(image.ndim), spacing, elongation)
        blurred = gaussian(image, sigma, truncate=3.0).reshape(volume)
        factors = np.array([0, *np.square(sigma)], np.float32)[-3:]
        for part in parts_of(volume):
            curvature(blurred, factors, best.reshape(volume), part.start, part.stop)
    return best


def seed_map(
    response: Floats,
    mask: Bools,
    spacing: Spacing,
    distance_weight: float,
    elongation: float,
    peak: float,
) -> Floats:
    """Return blob response (N,) times a power of the distance to the border, per voxel in mask."""
    value = np.maximum(response, np.float32(_FLOOR * peak))
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
        voxels = np.flatnonzero(room)
        place = np.full(room.shape, -1, np.int32)
        place.ravel()[voxels] = np.arange(voxels.size)
        return cls(voxels, np.append(height, np.float32(0)), place)

    @property
    def flat(self) -> tuple[Places, Floats, Ints]:
        """Return its voxels, heights and places, as compiled loops take them."""
        return self.voxels, self.height, self.place.ravel()

    def steps(self, *, corners: bool = False) -> list[int]:
        """Return the ways to the neighbours by faces forwards, or to all, in the flat image."""
        along = [stride // self.place.itemsize for stride in self.place.strides]
        ways = product((-1, 0, 1), repeat=len(along))
        return [int(np.dot(way, along)) for way in ways] if corners else along

    def above(self, chosen: Ints, steps: Sizes) -> Ints:
        """Return the places of the highest neighbours of voxels (M,), or of themselves."""
        from cytosuite.algorithms.watershed._kernels import climb  # numba takes long to import

        target = chosen.copy()
        ways = np.array(steps, np.int64)
        side_by_side(
            lambda part: climb(*self.flat, ways, target[part]), parts_of(target.shape, PART // 4)
        )
        return target


def basins(relief: Relief) -> tuple[Ints, Ints]:
    """Return the basin 1..K of each voxel (N,): where its steepest ascent by faces ends (K,)."""
    steps = relief.steps()
    places = np.arange(relief.voxels.size, dtype=np.int32)
    up = relief.above(places, [*steps, *(-step for step in steps)])
    tops = up == places
    while not np.array_equal(up, further := up[up]):  # steps are doubled
        up = further
    return np.cumsum(tops, dtype=np.int32)[up], np.flatnonzero(tops).astype(np.int32)


def saddles(relief: Relief, labels: Ints) -> tuple[Ints, Floats]:
    """Return the pairs (M, 2) of touching basins and their highest passes, the highest first."""
    from cytosuite.algorithms.watershed._kernels import passes

    count = int(labels.max(initial=0))
    ways = np.array(relief.steps(), np.int64)

    def touches(part: slice) -> tuple[Ints, Floats]:
        """Return the pairs that touch in some places, and their passes with the higher sides."""
        n, pairs, levels = passes(*relief.flat, ways, labels, count, part.start, part.stop)
        return pairs[:n, :2], levels[:n]

    parts = parts_of(labels.shape, max(PART // 4, -(-labels.size // cores())))
    pairs, levels = map(np.concatenate, zip(*side_by_side(touches, parts), strict=True))
    key = pairs[:, 0] * np.int64(count + 1) + pairs[:, 1]
    # Heights are not negative: as integers their bits have the same order.
    high, low = levels.view(np.uint32).astype(np.uint64).T
    rank = high << np.uint64(32) | low
    order = np.lexsort((rank, key))
    order = order[np.flatnonzero(np.diff(key[order], append=-1))]  # the highest of each pair
    order = order[np.argsort(~rank[order], kind="stable")]
    return pairs[order], levels[order, 0]


def flooded(relief: Relief) -> tuple[Ints, Floats, Ints, Floats]:
    """Return the number of the peak that floods each voxel (N,), heights by number, `saddles`.

    A peak is a top with none higher at its corners; other basins join the peak that floods them:
    Meyer, Signal Processing 38 (1994) 113, doi:10.1016/0165-1684(94)90060-4; 0 where there is none.
    """
    from cytosuite.algorithms.watershed._kernels import flood

    labels, tops = basins(relief)
    pairs, passes = saddles(relief, labels)
    peaks = relief.above(tops, relief.steps(corners=True)) == tops
    name = np.append(False, peaks) * np.arange(tops.size + 1, dtype=np.int32)
    flood(pairs, name)
    heights = np.zeros(name.size, np.float32)
    np.maximum.at(heights, name[1:], relief.height[tops])
    return name[labels], heights, name[pairs], passes


def merge(relief: Relief, ratio: float) -> Ints:
    """Return basins joined by relative persistence, high saddles first; higher peaks name them."""
    from cytosuite.algorithms.watershed._kernels import join

    labels, heights, pairs, passes = flooded(relief)
    high = (pairs[:, 0] != pairs[:, 1]) & (passes >= ratio * heights[pairs].min(axis=1))
    names = np.arange(heights.size, dtype=np.int32)
    join(pairs[high], passes[high], heights, ratio, names)
    return names[labels]
