"""Strength of edges by depth in real and in synthetic stacks.

The curve of Bruch et al. (2023) with lengths in µm: stacks of any size and voxel size compare.
Three settings have names: `PUBLISHED`, tiles and limits of the published program; `WHOLE`, the same
limits on tiles of the whole image; `suited`, which the metrics take by themselves: tiles of the
whole image, grey values on the scale of the real images, limits for stacks of their depth.

References
----------
Bruch et al., Synthesis of large scale 3D microscopic images of 3D cell cultures for training and
benchmarking, PLOS ONE 18 (2023), doi:10.1371/journal.pone.0283828. There, lengths are in voxels,
an image whose height is a whole number of tiles is an error, and so is a stack without a tile that
qualifies.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from math import inf, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cytosuite.errors import InputError
from cytosuite.large import thinned
from cytosuite.metrics.evidence import Evidence
from cytosuite.metrics.metric import metric
from cytosuite.metrics.realism.regions import BRUCH, PIXEL_UM
from cytosuite.metrics.realism.scene import members, planes_of, stack
from cytosuite.volume import Volume

PLANE_UM = 1.5001311  # distance of the planes the published numbers were chosen for

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class EdgeSettings:
    """Lengths and limits of the edge measure; the published ones on the whole image by default.

    Parameters
    ----------
    tile_um : float
        Edge of the square tiles; published 100 pixels.
    smoothing_um : float
        Standard deviation of the lateral Gaussian; published 3 pixels.
    least_depth_um : float
        Tiles with a shorter curve are left out; published 50 planes.
    least_strength : float
        Tiles without an edge of this strength are left out; published 0.026, tuned to the grey
        values of one data set.
    least_share : float
        Tiles without an edge of this share of the strongest one on the same side are left out;
        0 as published.
    pixel_um : float
        Length on which strengths are given: change of grey value per this length.
    quantile : float
        Of the strengths of a tile in a plane, in [0, 1].
    white : float or None
        Grey value that counts as 1. None: the largest of the dtype for integers, 1 for floats.
    range_um : tuple of two floats or None
        First and last depth below the strongest plane at which two curves are compared; None for
        all the depth that both have.
    crop : bool
        Whether the image is cropped to the middle before it is smoothed, as published: from both
        lateral axes goes what the height leaves beyond whole tiles, and a last tile may overlap
        the one before. Without it the tiles begin at the first pixel.

    Raises
    ------
    InputError
        If a length is not positive, the quantile is outside [0, 1] or the range is empty.
    """

    tile_um: float = 100 * PIXEL_UM
    smoothing_um: float = 3 * PIXEL_UM
    least_depth_um: float = 50 * PLANE_UM
    least_strength: float = 0.026
    least_share: float = 0.0
    pixel_um: float = PIXEL_UM
    quantile: float = 0.95
    white: float | None = None
    range_um: tuple[float, float] | None = None
    crop: bool = False

    def __post_init__(self) -> None:
        """Refuse settings without meaning."""
        for name in ("tile_um", "smoothing_um", "pixel_um"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} must be a positive length, found {getattr(self, name)}")
        if not 0 <= self.quantile <= 1:
            raise InputError(f"quantile must be in [0, 1], found {self.quantile}")
        if self.range_um is not None and not 0 <= self.range_um[0] <= self.range_um[1]:
            raise InputError(f"range_um must be 0 <= first <= last, found {self.range_um}")


PUBLISHED = EdgeSettings(crop=True)
WHOLE = EdgeSettings()
BRIGHT = 0.999  # quantile of the real images that counts as 1
DEEP = 0.25  # share of a stack that a tile's curve must be deep
RICH = 0.25  # share of the strongest edge of a side that a tile must have
VOXELS = 2**20  # of a stack, at most, that the scale is taken from: evenly spaced ones


@dataclass(frozen=True, slots=True, eq=False)
class EdgeCurves:
    """Edge strength by depth on both sides.

    Parameters
    ----------
    depth_um : (D,) float64 array
        Depth below the plane of the strongest edges, common to both; empty if a side has no curve.
    real, synthetic : (D,) float64 array
        Edge strength there, grey value (0 to 1) per `EdgeSettings.pixel_um`.
    """

    depth_um: Floats
    real: Floats
    synthetic: Floats

    def difference(self, third: int | None = None) -> float:
        """Return the mean absolute difference of the curves; NaN if there is none.

        Over all the common depth, or its upper, middle or lower third (0, 1, 2).
        """
        gap = np.abs(self.real - self.synthetic)
        if third is not None:
            limit = round(gap.size / 3)
            gap = gap[third * limit : (third + 1) * limit if third < 2 else gap.size]
        return float(gap.mean()) if gap.size else nan


def suited(real: Volume | Sequence[Volume]) -> EdgeSettings:
    """Return settings for the range of grey values and the depth of real images.

    Parameters
    ----------
    real : Volume or list of Volume
        Finite ZYX stacks; any other is an `InputError`.

    Returns
    -------
    EdgeSettings
        Those of `WHOLE`, but 1 is the range from the median to the 99.9 % quantile of the grey
        values (the largest value of the dtype says nothing of a 16-bit camera), a curve must be
        deep as a quarter of the shallowest stack, at most as published, and have an edge a quarter
        as strong as the strongest of its side: weak edges are a difference, not an absence. The
        published limits leave no tile of a stack of 51 planes whose best one is in its middle.
    """
    stacks = [volume for volume in members(real) if stack(volume).size]
    if not stacks:
        return WHOLE
    parts = [thinned(volume.array, -(-volume.array.size // VOXELS)) for volume in stacks]
    middle, bright = np.quantile(np.concatenate(parts), [0.5, BRIGHT])
    depth = min(len(volume.array) * volume.spacing[0] for volume in stacks)
    return EdgeSettings(
        white=float(bright - middle) or 1.0,  # of a constant image, which has no edges
        least_depth_um=min(WHOLE.least_depth_um, DEEP * depth),
        least_strength=0.0,
        least_share=RICH,
    )


def edge_strength(image: Volume, settings: EdgeSettings = WHOLE) -> Floats:
    """Return the strength of edges in every tile of every plane.

    Parameters
    ----------
    image : Volume
        A finite ZYX stack; any other is an `InputError`.
    settings : EdgeSettings
        Lengths and limits.

    Returns
    -------
    (T, Z) float64 array
        One row per tile, rows of tiles from the first pixel on. The last ones may be shorter, but
        by less than half; of a cropped image they are whole, see `EdgeSettings.crop`. No row where
        the image is narrower than half a tile, or a cropped one than a tile.

    Notes
    -----
    Per plane: Gaussian (nearest border, cut at 4 sigma), then the Sobel magnitude
    ``sqrt((g_y**2 + g_x**2) / 2)`` with derivative ``[1, 0, -1]`` and smoothing ``[1, 2, 1] / 4``
    (mirrored border), each derivative times ``pixel_um / spacing``, then the quantile by tile. At
    the voxel size of the published data these are the published numbers.
    """
    array = stack(image)
    step_y, step_x = image.spacing[1:]
    sizes = settings.tile_um / step_y, settings.tile_um / step_x
    if settings.crop:
        array, spans = _cropped(array, round(sizes[0]), round(sizes[1]))
    else:
        spans = [_spans(n, size) for n, size in zip(array.shape[1:], sizes, strict=True)]
    white = settings.white
    if white is None:
        white = float(np.iinfo(array.dtype).max) if array.dtype.kind in "iu" else 1.0
    sigma = (settings.smoothing_um / step_y, settings.smoothing_um / step_x)
    tiles = [(rows, columns) for rows in spans[0] for columns in spans[1]]
    strength = np.empty((len(tiles), len(array)))
    for z, plane in enumerate(planes_of(array) if tiles else ()):
        smooth = ndimage.gaussian_filter(plane / white, sigma, mode="nearest", truncate=4.0)
        along_y = ndimage.sobel(smooth, axis=0, mode="reflect") * (settings.pixel_um / step_y / 4)
        along_x = ndimage.sobel(smooth, axis=1, mode="reflect") * (settings.pixel_um / step_x / 4)
        magnitude = np.sqrt((along_y**2 + along_x**2) / 2)
        strength[:, z] = [np.quantile(magnitude[tile], settings.quantile) for tile in tiles]
    return strength


def edge_curve(
    images: Volume | Sequence[Volume], settings: EdgeSettings = WHOLE
) -> tuple[Floats, Floats]:
    """Return the strength of edges at each depth below the plane where they are strongest.

    The tiles of several images are one set; see `edge_strength` for arguments and errors.

    Returns
    -------
    depth_um : (D,) float64 array
        From 0 on, in steps of the finest distance of planes in the set.
    strength : (D,) float64 array
        Mean over the tiles that reach this depth. Both empty if no tile qualifies.

    Notes
    -----
    A tile's curve begins in the plane of its own maximum and goes to the last plane; one of n
    planes is n times their distance deep. Tiles of stacks with other distances of planes are
    interpolated linearly.
    """
    rows = [
        (volume.spacing[0], row[int(np.argmax(row)) :])
        for volume in members(images)
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
    depth: Floats = np.arange(max(lengths), dtype=np.float64) * finest
    total, reached = np.zeros(depth.size), np.zeros(depth.size)
    for (step, curve), length in zip(curves, lengths, strict=True):
        total[:length] += np.interp(depth[:length], np.arange(curve.size) * step, curve)
        reached[:length] += 1
    return depth, total / reached


def edge_curves(
    real: Volume | Sequence[Volume],
    synthetic: Volume | Sequence[Volume],
    settings: EdgeSettings | None = None,
) -> EdgeCurves:
    """Return the edge curves of real and synthetic stacks on their common depth.

    Parameters
    ----------
    real, synthetic : Volume or list of Volume
        Finite ZYX stacks; any other is an `InputError`.
    settings : EdgeSettings, optional
        Lengths and limits, the same for both sides; without them those that are `suited` to the
        real ones.

    Returns
    -------
    EdgeCurves
        At the depths of the real curve within the range of the settings, the synthetic one
        interpolated linearly; empty if no tile of a side qualifies.
    """
    settings = settings or suited(real)
    depth, strength = edge_curve(real, settings)
    other_depth, other = edge_curve(synthetic, settings)
    if not (depth.size and other_depth.size):
        return EdgeCurves(np.zeros(0), np.zeros(0), np.zeros(0))
    first, last = settings.range_um or (0.0, inf)
    common = (depth >= first) & (depth <= min(last, other_depth[-1]) * (1 + 1e-9))
    return EdgeCurves(depth[common], strength[common], np.interp(depth[common], other_depth, other))


EDGES = Evidence(edge_curves, ("real", "synthetic"), form="volumes")
degradation = partial(
    metric,
    evidence=EDGES,
    best=0.0,
    reference=BRUCH,
    undefined="when no tile of a side has an edge, and a quarter of the stack below its best plane",
)


@degradation("edge_degradation", "Difference of edge strength by depth")
def edge_degradation(curves: EdgeCurves) -> float:
    """Return the mean absolute difference of edge strength over the common depth.

    Grey value (0 to 1) per `EdgeSettings.pixel_um`. The curves and their thirds are published, the
    single number is our summary.

    Examples
    --------
    >>> edge_degradation.of(EdgeCurves(np.arange(2.0), np.array([0.5, 0.25]), np.array([0.5, 0.5])))
    0.125
    """
    return curves.difference()


@degradation("edge_degradation_upper", "Difference of edge strength, upper third")
def edge_degradation_upper(curves: EdgeCurves) -> float:
    """Return `edge_degradation` of the upper third of the common depth.

    Examples
    --------
    >>> curves = EdgeCurves(np.arange(3.0), np.zeros(3), np.array([0.25, 0.5, 1.0]))
    >>> [third.of(curves) for third in (edge_degradation_upper, edge_degradation_lower)]
    [0.25, 1.0]
    """
    return curves.difference(0)


@degradation("edge_degradation_middle", "Difference of edge strength, middle third")
def edge_degradation_middle(curves: EdgeCurves) -> float:
    """Return `edge_degradation` of the middle third of the common depth."""
    return curves.difference(1)


@degradation("edge_degradation_lower", "Difference of edge strength, lower third")
def edge_degradation_lower(curves: EdgeCurves) -> float:
    """Return `edge_degradation` of the lower third of the common depth."""
    return curves.difference(2)


def _cropped(array: NDArray[Any], high: int, wide: int) -> tuple[NDArray[Any], list[list[slice]]]:
    """Return the middle of a stack as published, with its tiles along y and x."""
    rest = array.shape[1] % high
    first, last = rest // 2, rest - rest // 2
    array = array[:, first : array.shape[1] - last, first : max(first, array.shape[2] - last)]
    spans = []
    for size, tile in zip(array.shape[1:], (high, wide), strict=True):
        starts = list(range(0, size - tile + 1, tile))
        if starts and starts[-1] + tile < size:
            starts.append(size - tile)
        spans.append([slice(start, start + tile) for start in starts])
    return array, spans


def _spans(size: int, tile: float) -> list[slice]:
    """Return the tiles along an axis; a rest of less than half a tile is left out."""
    count = int(size / tile + 0.5 + 1e-9)
    limits = [min(round(place * tile), size) for place in range(count + 1)]
    return [slice(a, b) for a, b in pairwise(limits) if b > a]
