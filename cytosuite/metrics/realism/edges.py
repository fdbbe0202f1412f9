"""Strength of edges by depth in real and in synthetic stacks.

The curve of Bruch et al., PLOS ONE 18 (2023), doi:10.1371/journal.pone.0283828, with lengths in µm:
stacks of any size and voxel size compare. Tiles cover the whole image. `WHOLE` are the published
limits; `suited`, which the metrics take unless they are given others, puts grey values on the
scale of the real images and limits to their depth. `PUBLISHED` gives the curves of the published
program, and for two stacks its thirds, those of the longer curve: lengths in voxels; of both axes
the middle without that which the height has beyond whole tiles; a last tile reaches over the one
before. There, an image whose height is a whole number of tiles is an error, and so is a stack
without a tile that qualifies, which has no value here; several stacks of a side are paired by their
order, which are one set here.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from cytosuite.files import frozen
from cytosuite.metrics.evidence import Evidence
from cytosuite.metrics.known import known
from cytosuite.metrics.metric import family
from cytosuite.metrics.realism.regions import BRUCH, PIXEL_UM
from cytosuite.metrics.realism.scene import Stacks, members, stack
from cytosuite.volume import Volume
from cytosuite.volume.arrays import DoublePair, Doubles
from cytosuite.volume.pieces import evenly, planes_of

PLANE_UM = 1.5001311  # distance of the planes the published numbers were chosen for


@frozen
class EdgeSettings:
    """Limits of the edge measure; the published ones by default."""

    least_depth_um: float = 50 * PLANE_UM  # tiles with a shorter curve are left out
    # tiles without an edge of this strength are left out; published, tuned to one data set
    least_strength: float = 0.026
    # tiles without an edge of this share of the strongest one on the same side are left out
    least_share: float = 0.0
    # grey value that counts as 1; None: the largest of the dtype for integers, 1 for floats
    white: float | None = None
    # whether the published part of the image counts alone, with voxels of the published size
    cropped: bool = False


WHOLE = EdgeSettings()
PUBLISHED = EdgeSettings(cropped=True)
TILE_UM = 100 * PIXEL_UM  # edge of the square tiles
SMOOTHING_UM = 3 * PIXEL_UM  # standard deviation of the lateral Gaussian
QUANTILE = 0.95  # of the strengths of a tile in a plane
BRIGHT = 0.999  # quantile of the real images that counts as 1
DEEP = 0.25  # share of a stack that a tile's curve must be deep
RICH = 0.25  # share of the strongest edge of a side that a tile must have
VOXELS = 2**20  # of a stack, at most, that the scale is taken from: evenly spaced ones


class EdgeCurves(NamedTuple):
    """Edge strength by depth on both sides."""

    # (D,), depth below the plane of the strongest edges, common to both; empty if a side has no
    # curve
    depth_um: Doubles
    real: Doubles  # (D,), edge strength there, grey value (0 to 1) per `PIXEL_UM`
    synthetic: Doubles
    longest: int = 0  # number of depths to take thirds of; 0: D

    def difference(self, third: int | None = None) -> Doubles:
        """Return the absolute difference at each depth, or in one third (0, 1, 2) of them."""
        gap = np.abs(self.real - self.synthetic)
        limit = round((self.longest or gap.size) / 3)
        return gap[(third or 0) * limit : gap.size if third in (None, 2) else (third + 1) * limit]


def suited(real: Stacks) -> EdgeSettings:
    """Return settings for the range of grey values and the depth of real, finite ZYX stacks.

    1 is the range from the median to the 99.9 % quantile of the grey values (the largest value of
    the dtype says nothing of a 16-bit camera). A curve must be deep as a quarter of the shallowest
    stack, at most as published, and have an edge a quarter as strong as the strongest of its side:
    weak edges are a difference, not an absence. The published limits leave no tile of a stack of 51
    planes whose best one is in its middle.
    """
    stacks = [volume for volume in members(real, Volume) if stack(volume).size]
    if not stacks:
        return WHOLE
    middle, bright = np.quantile(
        np.concatenate([evenly(volume.array, VOXELS) for volume in stacks]), [0.5, BRIGHT]
    )
    depth = min(len(volume.array) * volume.spacing[0] for volume in stacks)
    return EdgeSettings(
        white=float(bright - middle) or 1.0,  # of a constant image, which has no edges
        least_depth_um=min(WHOLE.least_depth_um, DEEP * depth),
        least_strength=0.0,
        least_share=RICH,
    )


def edge_strength(image: Volume, settings: EdgeSettings = WHOLE) -> Doubles:
    """Return the strength of edges in every tile of every plane of a finite ZYX stack, (T, Z).

    One row per tile, rows of tiles from the first pixel on. The last ones may be shorter, but by
    less than half. No row where the image is narrower than half a tile.

    Notes
    -----
    Per plane: Gaussian (nearest border, cut at 4 sigma), then the Sobel magnitude
    ``sqrt((g_y**2 + g_x**2) / 2)`` with derivative ``[1, 0, -1]`` and smoothing ``[1, 2, 1] / 4``
    (mirrored border), each derivative times ``PIXEL_UM / spacing``, then the quantile by tile. At
    the voxel size of the published data these are the published numbers.
    """
    array = stack(image)
    step_y, step_x = image.spacing[1:]
    sizes = TILE_UM / step_y, TILE_UM / step_x
    tiled = _published_spans if settings.cropped else _spans
    spans = [tiled(n, size) for n, size in zip(array.shape[1:], sizes, strict=True)]
    white = settings.white
    if white is None:
        white = float(np.iinfo(array.dtype).max) if array.dtype.kind in "iu" else 1.0
    sigma = (SMOOTHING_UM / step_y, SMOOTHING_UM / step_x)
    tiles = [(rows, columns) for rows in spans[0] for columns in spans[1]]
    strength = np.empty((len(tiles), len(array)))
    for z, plane in enumerate(planes_of(array) if tiles else ()):
        smooth = ndimage.gaussian_filter(
            plane / np.float64(white), sigma, mode="nearest", truncate=4.0
        )
        along_y = ndimage.sobel(smooth, axis=0, mode="reflect") * (PIXEL_UM / step_y / 4)
        along_x = ndimage.sobel(smooth, axis=1, mode="reflect") * (PIXEL_UM / step_x / 4)
        magnitude = np.sqrt((along_y**2 + along_x**2) / 2)
        strength[:, z] = [np.quantile(magnitude[tile], QUANTILE) for tile in tiles]
    return strength


def edge_curve(images: Stacks, settings: EdgeSettings = WHOLE) -> DoublePair:
    """Return the strength of edges at each depth below the plane where they are strongest.

    The tiles of several images are one set. Depths (D,) in µm, from 0 on, in steps of the finest
    distance of planes in the set, and the mean strength over the tiles that reach each; both empty
    if no tile qualifies.

    Notes
    -----
    A tile's curve begins in the plane of its own maximum and goes to the last plane; one of n
    planes is n times their distance deep. Tiles of stacks with other distances of planes are
    interpolated linearly.
    """
    volumes = members(images, Volume)
    rows = [
        (volume.spacing[0], row[int(np.argmax(row)) :])
        for volume in (map(_middle, volumes) if settings.cropped else volumes)
        for row in edge_strength(volume, settings)
        if row.any()  # a tile of one grey value has no best plane
    ]
    strongest = max((row[0] for _, row in rows), default=0.0)
    least = max(settings.least_strength, settings.least_share * strongest)
    curves = [
        (step, row)
        for step, row in rows
        if row.size * step >= settings.least_depth_um * (1 - 1e-9) and row[0] >= least
    ]
    if not curves:
        return np.zeros(0), np.zeros(0)
    finest = min(step for step, _ in curves)
    lengths = [int((curve.size - 1) * step / finest + 1e-9) + 1 for step, curve in curves]
    depth = np.arange(max(lengths), dtype=np.float64) * finest
    total = np.zeros(depth.size)
    reached = np.zeros(depth.size)
    for (step, curve), length in zip(curves, lengths, strict=True):
        total[:length] += np.interp(depth[:length], np.arange(curve.size) * step, curve)
        reached[:length] += 1
    return depth, total / reached


def edge_curves(
    real: Stacks,
    synthetic: Stacks,
    edge_settings: EdgeSettings | None = None,
) -> EdgeCurves:
    """Return the edge curves of finite ZYX stacks on their common depth, or InputError.

    At the depths of the real curve within the range of the settings (`suited` to the real stacks
    without any), the synthetic one interpolated linearly; empty if no tile of a side qualifies.
    """
    settings = edge_settings or suited(real)
    depth, strength = edge_curve(real, settings)
    other_depth, synthetic_strength = edge_curve(synthetic, settings)
    if not (depth.size and other_depth.size):
        return EdgeCurves(np.zeros(0), np.zeros(0), np.zeros(0))
    common = depth <= other_depth[-1] * (1 + 1e-9)
    synthetic_strength = np.interp(depth[common], other_depth, synthetic_strength)
    longest = max(depth.size, other_depth.size) if settings.cropped else 0
    return EdgeCurves(depth[common], strength[common], synthetic_strength, longest)


EDGES = Evidence(edge_curves, ("real", "synthetic"), ("edge_settings",), form="volumes")


def mean_difference(curves: EdgeCurves, third: int | None) -> float:
    """Return the mean absolute difference of edge strength over the common depth, NaN of none.

    Over its upper, middle or lower third (0, 1, 2), or all of it. Grey value (0 to 1) per
    `PIXEL_UM`. The curves and their thirds are published, the single number is our summary.

    Examples
    --------
    >>> curves = EdgeCurves(np.arange(3.0), np.zeros(3), np.array([0.25, 0.5, 1.5]))
    >>> [metric.of(curves) for metric in (edge_degradation, edge_degradation_upper)]
    [0.75, 0.25]
    """
    return known(curves.difference(third))


edge_degradation, edge_degradation_upper, edge_degradation_middle, edge_degradation_lower = family(
    EDGES,
    mean_difference,
    {
        "edge_degradation": (
            "edge_degradation",
            "Difference of edge strength by depth",
            None,
            "Return the mean absolute difference of edge strength over the common depth.",
        )
    }
    | {
        f"edge_degradation_{part}": (
            f"edge_degradation_{part}",
            f"Difference of edge strength, {part} third",
            third,
            f"Return `edge_degradation` of the {part} third of the common depth.",
        )
        for third, part in enumerate(("upper", "middle", "lower"))
    },
    best=0.0,
    reference=BRUCH,
    undefined="when no tile of a side has an edge, and a quarter of the stack below its best plane",
)


def _middle(image: Volume) -> Volume:
    """Return the published part of a stack, with voxels of the published size."""
    rest = stack(image).shape[1] % round(TILE_UM / PIXEL_UM)
    y, x = (slice(rest // 2, size - (rest - rest // 2)) for size in image.shape[1:])
    return Volume(image.array[:, y, x], (PLANE_UM, PIXEL_UM, PIXEL_UM))


def _published_spans(size: int, tile: float) -> list[slice]:
    """Return whole tiles along an axis, the last up to its end; a short axis is one tile."""
    width = min(round(tile), size)
    starts = {*range(0, size - width + 1, width), size - width} if size else set()
    return [slice(start, start + width) for start in sorted(starts)]


def _spans(size: int, tile: float) -> list[slice]:
    """Return the tiles along an axis; a rest of less than half a tile is left out."""
    limits = [min(round(place * tile), size) for place in range(int(size / tile + 0.5 + 1e-9) + 1)]
    return [slice(a, b) for a, b in pairwise(limits) if b > a]
