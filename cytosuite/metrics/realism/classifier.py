"""How surely a classifier tells synthetic images from real ones, by the texture of small pieces.

A two-sample test: Lopez-Paz and Oquab, ICLR (2017), doi:10.48550/arXiv.1610.06545. A linear
discriminant is deterministic and, on embryos, stricter than a forest: of real ones against others
it has an area of 0.60, which the control ``real`` measures for the images at hand.
"""

from collections.abc import Sequence
from itertools import combinations
from math import nan

import numpy as np
from scipy import ndimage

from cytosuite.metrics.evidence import Evidence
from cytosuite.metrics.metric import metric
from cytosuite.metrics.realism.scene import Stacks, members, stack
from cytosuite.metrics.realism.structure import brighter
from cytosuite.volume import Volume
from cytosuite.volume.arrays import Array, Bools, Doubles, Shape
from cytosuite.volume.pieces import thinned

PATCH = (11, 25, 25)  # voxels z, y, x; noise is of voxels
PATCHES = 40  # of a stack
LEAST = 9  # voxels across, below which an image has no texture
BRIGHT = 90  # percentile of the smoothed stack from which patches have their middle
GROUND, LIGHT, STEPS = 20, 99, 30  # percentiles of the reference, and units between them
QUANTILES = (5, 25, 50, 75, 95, 99.5)
WIDTHS = (1, 2, 4)  # of the smoothings, voxels; half as wide along z
FOLDS = 5
DRAWS = 4
SHRINKAGE = 0.05  # of the covariance towards a ball
TINY = 1e-6

Sides = tuple[list[Doubles], list[Doubles]]


def textures(real: Stacks, synthetic: Stacks) -> Sides:
    """Return the texture of patches of each stack of both sides, float64 (patches, features).

    Grey values of both sides have one unit, which the real ones give: ``arcsinh`` of counts above
    their ground over a thirtieth of their light. Patches are drawn among the brightest tenth of
    the voxels of each stack. InputError if an image is no stack of finite numbers.
    """
    sides = [[stack(image) for image in members(side, Volume)] for side in (real, synthetic)]
    ends = [np.percentile(thinned(array, 1), (GROUND, LIGHT)) for array in sides[0]]
    ground, light = np.median(ends, axis=0) if ends else (0.0, 1.0)
    unit = max(light - ground, TINY) / STEPS
    shapes = [array.shape for side in sides for array in side]
    size = tuple(np.min([PATCH, *shapes], axis=0).tolist())
    if min(size[1:]) < LEAST:
        return [], []
    first, second = (
        [_textures((array - ground) / unit, size, n) for n, array in enumerate(side)]
        for side in sides
    )
    return first, second


TEXTURES = Evidence(textures, ("real", "synthetic"), form="volumes", voxel_bytes=48)


@metric(
    "patch_AUC",
    "How surely a classifier tells patches from real ones",
    evidence=TEXTURES,
    best=0.5,
    worst=1.0,
    reference="10.48550/arXiv.1610.06545",
    undefined="when a side has fewer than 2 stacks, or a stack is narrower than 9 voxels",
)
def patch_auc(sides: Sides) -> float:
    """Return the area under the curve of a classifier of patches of stacks that it did not see.

    0.5 where it guesses, and 0.5 for less; 1 where it is always right. A linear discriminant with
    a covariance shrunk by 0.05; folds of stacks of both sides, mean of four draws of folds. Real
    stacks that differ among themselves are told apart, too: compare with the control ``real``.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> real, alike, apart = ([rng.normal(at, 1, (9, 2)) for _ in range(4)] for at in (0, 0, 9))
    >>> round(patch_auc.of((real, apart)), 3), patch_auc.of((real, alike)) < 0.7
    (1.0, True)
    """
    folds = min(FOLDS, *map(len, sides))
    if folds < 2:
        return nan
    areas = []
    for draw in range(DRAWS):
        rng = np.random.default_rng(draw)
        numbers = [rng.permutation(len(side)) % folds for side in sides]
        for fold in range(folds):
            learned = _rows(sides, [number != fold for number in numbers])
            judged = _rows(sides, [number == fold for number in numbers])
            direction = _direction(*learned)
            first, second = (rows @ direction for rows in judged)
            areas.append(brighter(second, first))
    return max(float(np.mean(areas)), 0.5)


def _rows(sides: Sides, chosen: list[Bools]) -> list[Doubles]:
    """Return the patches of the chosen stacks of each side."""
    pairs = zip(sides, chosen, strict=True)
    return [np.concatenate([rows for rows, on in zip(*pair, strict=True) if on]) for pair in pairs]


def _direction(first: Doubles, second: Doubles) -> Doubles:
    """Return the discriminant of two samples of rows, in units of the rows."""
    spread = np.concatenate([first, second]).std(axis=0) + TINY
    sides = first / spread, second / spread
    covariance = sum(np.cov(side, rowvar=False, bias=True) for side in sides) / 2
    ball = SHRINKAGE * np.trace(covariance) / len(spread) + TINY
    shrunk = (1 - SHRINKAGE) * covariance + ball * np.eye(len(spread))
    gap = sides[1].mean(axis=0) - sides[0].mean(axis=0)
    return np.asarray(np.linalg.solve(shrunk, gap) / spread)


def _textures(counts: Doubles, size: Shape, seed: int) -> Doubles:
    """Return the features of patches of a stack; filters see all of it."""
    scaled = np.arcsinh(counts).astype(np.float32)
    smooth = {width: ndimage.gaussian_filter(scaled, (width / 2, width, width)) for width in WIDTHS}
    fine = scaled - ndimage.gaussian_filter(scaled, 1)
    box = [
        slice(n // 2, length - n + n // 2 + 1) for length, n in zip(scaled.shape, size, strict=True)
    ]
    inner = smooth[2][tuple(box)]
    places = np.argwhere(inner >= np.percentile(inner, BRIGHT))
    rng = np.random.default_rng(seed)
    places = places[rng.choice(len(places), min(PATCHES, len(places)), replace=False)]

    def cut(array: Array) -> Doubles:
        """Return the patches of an array."""
        windows = np.lib.stride_tricks.sliding_window_view(array, size)
        return windows[tuple(places.T)].astype(np.float64)

    return _features(cut(scaled), [cut(smooth[width]) for width in WIDTHS], cut(fine))


def _features(patches: Doubles, smoothed: Sequence[Doubles], fine: Doubles) -> Doubles:
    """Return brightness, steps, correlations, contrast by scale and skewness of patches."""
    space = (1, 2, 3)
    axes = [axis for axis in space if patches.shape[axis] > 2]
    steps = [np.diff(patches, axis=axis) for axis in axes]
    spreads = [step.std(axis=space) + TINY for step in steps]
    columns = [
        patches.mean(axis=space),
        patches.std(axis=space),
        *np.percentile(patches, QUANTILES, axis=space),
        *spreads,
        *(np.abs(step).mean(axis=space) for step in steps),
        *(_correlation(np.delete(patches, -1, axis), np.delete(patches, 0, axis)) for axis in axes),
        *(one / other for one, other in combinations(spreads, 2)),
    ]
    for low in smoothed:
        steep = np.sqrt(sum(slope**2 for slope in np.gradient(low, axis=axes))).mean(axis=space)
        columns += [low.std(axis=space), (patches - low).std(axis=space), steep]
    centred = fine - fine.mean(axis=space, keepdims=True)
    skew = (centred**3).mean(axis=space) / (centred.std(axis=space) ** 3 + TINY)
    return np.stack([*columns, skew, _correlation(np.abs(fine), patches)], axis=1)


def _correlation(first: Doubles, second: Doubles) -> Doubles:
    """Return the correlation of the voxels of each patch, 0 of constant ones."""
    space = (1, 2, 3)
    a, b = (side - side.mean(axis=space, keepdims=True) for side in (first, second))
    return np.asarray((a * b).mean(axis=space) / (a.std(axis=space) * b.std(axis=space) + TINY))
