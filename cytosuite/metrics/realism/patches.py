"""Distance of small pieces of synthetic stacks from pieces of real ones, in texture and light.

Kernel (KID) and Fréchet (FID) distances of hand-made numbers per patch: nothing is downloaded, and
every number has a meaning. Binkowski et al., ICLR (2018), doi:10.48550/arXiv.1801.01401 (KID);
Heusel et al., NeurIPS (2017), doi:10.48550/arXiv.1706.08500 (FID; there, of a network's features).
"""

from functools import reduce
from itertools import pairwise
from math import nan
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from cytosuite.errors import InputError
from cytosuite.metrics.evidence import Evidence
from cytosuite.metrics.known import ratio
from cytosuite.metrics.metric import metric
from cytosuite.metrics.realism.scene import Scene, Scenes, members
from cytosuite.metrics.realism.spectrum import hann
from cytosuite.volume.arrays import Array, Doubles, Longs, Rng, Spacing
from cytosuite.volume.objects import box_at

PATCH_UM = (12.0, 12.0, 12.0)  # size z, y, x of a patch
BANDS = (0.04, 0.1, 0.2, 0.35, 0.6)  # limits of bands of the power spectrum in cycles per µm
OPENINGS_UM = (2.5, 5.0, 8.0)  # edges of the cubes of the granularity
NAMES = (
    *("mean", "spread", "skewness", "kurtosis", "gradient_z", "gradient_yx"),
    *(f"power_{low:g}_{high:g}" for low, high in pairwise(BANDS)),
    *(f"grains_{size:g}" for size in OPENINGS_UM),
)
LEAST = 1e-6  # added to shares before their logarithm, so that nothing counts as minus infinity
PER_DIMENSION = 5  # patches of each side per number, below which no covariance is estimated


class PatchFeatures(NamedTuple):
    """Numbers that describe the patches of both sides."""

    # (N, D), one row per patch, standardised: less the mean of the real patches, over their
    # standard deviation (over 1 where that is 0). No rows where a side cannot be drawn from
    real: Doubles
    synthetic: Doubles
    real_volume: Longs  # (N,), place, in its set, of the stack a patch is from
    synthetic_volume: Longs


def patch_features(
    real: Scenes,
    synthetic: Scenes,
    *,
    patches: int = 256,
    foreground: float = 0.5,
    seed: int = 0,
) -> PatchFeatures:
    """Draw patches of both sides and describe them by the same numbers.

    `patches` per side are spread evenly over its stacks, a share `foreground` of them centred on
    voxels of objects: otherwise a difference in the number of cells would pass as one of texture.
    Those that would reach out of a stack are shifted into it. Grey values have one unit, voxel
    sizes are alike: a finer stack holds frequencies which a coarser one cannot. Without rows if a
    side has no object, or nothing but objects; InputError if a stack is smaller than a patch, or a
    number is out of range.
    """
    if patches < 2 or not 0 <= foreground <= 1:
        raise InputError(
            f"patches must be at least 2 and foreground in [0, 1], found {patches} and {foreground}"
        )
    generators = np.random.default_rng(seed).spawn(2)
    drawn = [
        _described(members(side, Scene), patches, foreground, generator)
        for side, generator in zip((real, synthetic), generators, strict=True)
    ]
    (first, first_volume), (second, second_volume) = drawn
    if len(first) and len(second):
        spread = first.std(axis=0)
        centre = first.mean(axis=0)
        scale = np.where(spread > 0, spread, 1.0)
        first = (first - centre) / scale
        second = (second - centre) / scale
    return PatchFeatures(first, second, first_volume, second_volume)


PATCHES = Evidence(patch_features, ("real", "synthetic"), form="scenes", voxel_bytes=16)


@metric(
    "patch_KID",
    "Kernel distance of patch statistics",
    evidence=PATCHES,
    best=0.0,
    reference="10.48550/arXiv.1801.01401",
    undefined="when a side has fewer than 2 patches, or no object to draw them from",
)
def patch_kid(features: PatchFeatures) -> float:
    """Return the unbiased squared maximum mean discrepancy of the patches' numbers.

    ``sum_{i != j} k(x_i, x_j) / (N (N - 1)) + sum_{i != j} k(y_i, y_j) / (M (M - 1))
    - 2 mean k(x_i, y_j)`` with ``k(x, y) = (x . y / D + 1)**3``, of all patches: the mean over
    subsets, which large sets need, estimates the same with more noise. It is 0 on average for
    patches of one kind, and then negative half of the time.

    Examples
    --------
    >>> none = np.zeros(2, int)
    >>> x, y = np.array([[0.0], [1.0]]), np.array([[0.0], [2.0]])
    >>> patch_kid.of(PatchFeatures(x, y, none, none))
    -13.0
    """
    x = features.real
    y = features.synthetic
    a, b = (
        (np.unique(volume)[:, None] == volume).astype(np.float64)
        for volume in (features.real_volume, features.synthetic_volume)
    )
    distance = 0.0
    for rows, group in ((x, a), (y, b)):
        kernel = _polynomial(rows, rows)
        np.fill_diagonal(kernel, 0.0)
        distance += _mean(group @ kernel @ group.T, len(rows) * (len(rows) - 1))
    return distance - 2 * _mean(a @ _polynomial(x, y) @ b.T, len(x) * len(y))


@metric(
    "patch_FID",
    "Fréchet distance of patch statistics",
    evidence=PATCHES,
    best=0.0,
    reference="10.48550/arXiv.1706.08500",
    undefined="when a side has fewer than 5 patches per number that describes them",
)
def patch_fid(features: PatchFeatures) -> float:
    """Return the Fréchet distance of the patches' numbers, taken as normally distributed.

    Above 0 for patches of one kind too: the estimate is biased upwards by few patches.

    Examples
    --------
    >>> none, x = np.zeros(5, int), np.arange(5.0)[:, None]
    >>> round(patch_fid.of(PatchFeatures(x, x + 3, none, none)), 9)
    9.0
    """
    least = PER_DIMENSION * features.real.shape[1]
    if min(len(features.real), len(features.synthetic)) < max(least, 2):
        return nan
    return frechet_distance(features.real, features.synthetic)


def frechet_distance(first: Doubles, second: Doubles) -> float:
    """Return the squared Fréchet distance of two samples, taken as normally distributed.

    ``|m1 - m2|**2 + Tr(S1 + S2 - 2 (S1 S2)**(1/2))`` with means m and sample covariances S of two
    float64 arrays, (N, D) and (M, D), of at least two rows each. The trace of the root is the sum
    of the roots of the eigenvalues of the symmetric matrix ``S1**(1/2) S2 S1**(1/2)``, negative
    ones by rounding taken as 0: no complex numbers arise.

    Examples
    --------
    >>> round(frechet_distance(np.array([[0.0], [2.0]]), np.array([[3.0], [9.0]])), 6)
    33.0
    """
    covariances = [np.atleast_2d(np.cov(side, rowvar=False)) for side in (first, second)]
    values, vectors = np.linalg.eigh(covariances[0])
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    shared = np.sqrt(np.clip(np.linalg.eigvalsh(root @ covariances[1] @ root), 0, None)).sum()
    gap = first.mean(axis=0) - second.mean(axis=0)
    spread = np.trace(covariances[0]) + np.trace(covariances[1])
    return max(float(gap @ gap + spread - 2 * shared), 0.0)


def _mean(sums: Doubles, pairs: int) -> float:
    """Return the mean of a kernel from its sums by pair of stacks, NaN of no pairs."""
    return ratio(float(np.einsum("ab->", sums)), pairs)


def _polynomial(x: Doubles, y: Doubles) -> Doubles:
    """Return the cubic kernel of all pairs of rows."""
    kernel: Doubles = (x @ y.T / max(x.shape[1], 1) + 1.0) ** 3
    return kernel


def _described(
    scenes: list[Scene], patches: int, foreground: float, generator: Rng
) -> tuple[Doubles, Longs]:
    """Return the numbers of the patches drawn from a set, and the place of the stack of each."""
    on = round(patches * foreground)
    counts = np.zeros((2, len(scenes)), np.int64)  # off and on objects, per stack
    for kind, number in enumerate((patches - on, on)):
        able = [i for i, s in enumerate(scenes) if ((s.labels != 0) == bool(kind)).any()]
        if number and not able:
            return np.zeros((0, len(NAMES))), np.zeros(0, np.int64)
        for place in range(number):
            counts[kind, able[place % len(able)]] += 1
    rows = [np.zeros((0, len(NAMES)))]
    for place, scene in enumerate(scenes):
        if counts[:, place].any():
            rows.append(statistics(_cut(scene, counts[:, place], generator), scene.image.spacing))
    return np.concatenate(rows), np.repeat(np.arange(len(scenes)), counts.sum(axis=0))


def _cut(scene: Scene, wanted: Longs, generator: Rng) -> Array:
    """Return patches with their centres off and on objects."""
    shape = tuple(
        max(round(size / step), 2) for size, step in zip(PATCH_UM, scene.image.spacing, strict=True)
    )
    size = np.array(scene.labels.shape)
    if (size < shape).any():
        raise InputError(
            f"a stack of {scene.labels.shape} voxels is smaller than a patch of {shape} voxels "
            f"({PATCH_UM} µm); give a larger one"
        )
    inside = (scene.labels != 0).ravel()
    centres = [
        generator.choice(np.flatnonzero(inside == bool(kind)), number)
        for kind, number in enumerate(wanted)
        if number
    ]
    places = np.stack(np.unravel_index(np.concatenate(centres), scene.labels.shape), axis=1)
    starts = np.clip(places - np.array(shape) // 2, 0, size - shape)
    return np.stack([scene.image.array[box_at(start, shape)] for start in starts])


def statistics(patches: Array, spacing: Spacing) -> Doubles:
    """Return the numbers of `NAMES` of each patch of one stack, (N, Z, Y, X) to float64 (N, D).

    Finite also for constant patches.

    Notes
    -----
    Brightness, contrast and the share of light in few bright voxels: mean and log standard
    deviation of the grey values, skewness and excess kurtosis (sign kept, ``log(1 + |x|)``). Blur
    and noise: log of the gradient energy over the variance, along z and laterally, per µm². Sizes
    of structures apart from contrast: log share of the variance in each band of radial frequency.
    Sizes of bright grains, which the spectrum, blind to phase, cannot tell from dark ones: the
    share of light above the minimum that openings with growing cubes take away one by one.
    """
    grey = patches.astype(np.float64)
    steps = np.asarray(spacing, np.float64)
    space = (1, 2, 3)
    mean = grey.mean(axis=space)
    centred = grey - mean[:, None, None, None]
    variance = (centred**2).mean(axis=space)
    varied = variance > (1e-12 * np.abs(mean)) ** 2
    safe = np.where(varied, variance, 1.0)
    skew = np.where(varied, (centred**3).mean(axis=space) / safe**1.5, 0.0)
    kurtosis = np.where(varied, (centred**4).mean(axis=space) / safe**2 - 3.0, 0.0)
    spread = np.sqrt(np.where(varied, variance, 0.0))
    floor = LEAST * float(np.sqrt((spread**2).mean())) or LEAST  # of all patches
    columns = [mean, np.log(spread + floor)]
    columns += [np.sign(value) * np.log1p(np.abs(value)) for value in (skew, kurtosis)]
    energy = [(np.diff(grey, axis=a) ** 2).mean(axis=space) / steps[a - 1] ** 2 for a in space]
    columns += [np.log(e / safe + LEAST) for e in (energy[0], energy[1] + energy[2])]
    window = reduce(np.multiply.outer, map(hann, grey.shape[1:]))
    power = np.abs(np.fft.fftn(centred * window, axes=space)) ** 2
    axes = [np.fft.fftfreq(size, step) for size, step in zip(window.shape, steps, strict=True)]
    radius = np.sqrt(sum(f**2 for f in np.meshgrid(*axes, indexing="ij")))
    power /= (window**2).sum() * window.size
    for low, high in pairwise(BANDS):
        inside = (radius >= low) & (radius < high)
        columns.append(np.log(power[:, inside].sum(axis=1) / safe + LEAST))
    lowest = grey.min(axis=space, keepdims=True)
    light = left = (grey - lowest).mean(axis=space)
    for size in OPENINGS_UM:
        opened = ndimage.grey_opening(
            grey, size=(1, *(max(round(size / step), 1) for step in steps)), mode="nearest"
        )
        remains = (opened - lowest).mean(axis=space)
        columns.append((left - remains) / np.where(light > 0, light, 1.0))
        left = remains
    return np.stack(columns, axis=1)
