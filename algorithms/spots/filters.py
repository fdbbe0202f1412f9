"""Candidates for spots: differences of Gaussians in units of their noise."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from cytosuite.algorithms.spots import _kernels as kernels
from cytosuite.algorithms.spots import _loops as loops
from cytosuite.volume.arrays import Array, Doubles, Floats, Longs
from cytosuite.volume.objects import box_at

_TRUNCATE = 3.5  # sigmas of a Gaussian's taps
_SURROUND = 2.0  # sigmas of the Gaussian that tells the background
_BLOCK = 64  # px: side of the blocks in which noise is measured
_FREEDOM = 200.0  # degrees of freedom of a block's noise: its few values make tails heavier
_CHANCE = 0.05  # that an image of noise alone has a spot
_LEFT = (0.02275, 0.15866, 0.5)  # quantiles at -2, -1 and 0 sd: spots lie right of them
_SYMMETRIC = 20.0  # skewness that is none, times √pixels: about the sd of its measurement
_CROWDED = 0.14  # skewness that crowds of spots hardly reach
_HEAVIER = 9 / 8  # times the fourth cumulant of a Poisson variable: photons under Gaussian weights
_RIDGE = 5.0  # times as much as along an edge an answer falls across it
_TURNS = np.pi / 8 * np.arange(16)
# Sigmas along z, y, x to where that is measured; nearer, two spots are one ridge.
_RING = 2 * np.array([0 * _TURNS, np.sin(_TURNS), np.cos(_TURNS)])[:, None]
_MISFIT = 0.15  # part of a spot's light that its fit may leave, and that is no spot


class Blocks(NamedTuple):
    """One value for each block of each plane."""

    values: Doubles  # (Z, M, N)
    ends_y: Longs  # (M + 1,), px
    ends_x: Longs  # (N + 1,), px

    def at(self, places: Array) -> Doubles:
        """Return the values at places (N, 3) in whole px."""
        z, y, x = places.T.astype(np.int64)
        rows = np.searchsorted(self.ends_y, y, "right") - 1
        return np.asarray(self.values[z, rows, np.searchsorted(self.ends_x, x, "right") - 1])


class Filter(NamedTuple):
    """A difference of two Gaussians, with its answers to white noise and to a spot."""

    inner: tuple[Floats, ...]  # taps along z, y, x
    outer: tuple[Floats, ...]  # of a second Gaussian, upon the first
    norm: float  # sd that white noise of sd 1 keeps
    peak: float  # answer to a spot of height 1
    rough: float  # product over the axes of the slopes of the answer to noise, in its sd per px


def filter_of(sigma: Doubles) -> Filter:
    """Return the filter for spots of a sigma (z, y, x) in px; 0 along the axis of one plane."""
    inner = [_bell(s) for s in sigma]
    outer = [_bell(s * (_SURROUND**2 - 1) ** 0.5) for s in sigma]
    both = [np.convolve(bell, surround) for bell, surround in zip(inner, outer, strict=True)]
    kernel = -np.einsum("z,y,x->zyx", *both)
    margins = [(len(whole) - len(bell)) // 2 for whole, bell in zip(both, inner, strict=True)]
    middle = box_at(margins, [*map(len, inner)])
    kernel[middle] += np.einsum("z,y,x->zyx", *inner)
    spot = np.einsum("z,y,x->zyx", *(bell / bell.max() for bell in inner))
    norm = float(np.sqrt((kernel**2).sum()))
    axes = [axis for axis in range(3) if sigma[axis] > 0]
    slopes = [float(np.sqrt((np.diff(kernel, axis=axis) ** 2).sum())) / norm for axis in axes]
    return Filter(
        tuple(bell.astype(np.float32) for bell in inner),
        tuple(bell.astype(np.float32) for bell in outer),
        norm,
        float((kernel[middle] * spot).sum()),
        float(np.prod(slopes)),
    )


def clearest(scores: Doubles, size: int, sigmas: Sequence[Doubles], skew: float = 0.0) -> int:
    """Return how many of the scores (N,), falling, to believe in: those with the largest F1.

    A number k of them holds k - false ones, of all spots as many as it holds at most; none where
    each number may be noise of a skewness.
    """
    count = np.arange(1, len(scores) + 1)
    if not (by_chance(as_normal(scores, skew), size, sigmas) <= _CHANCE * count).any():
        return 0
    # Crowds of spots look a little skewed.
    true = count - by_chance(as_normal(scores, skew * (skew > _CROWDED)), size, sigmas)
    return int(np.argmax(true / (true.max() + count))) + 1


def by_chance(scores: Doubles, size: int, sigmas: Sequence[Doubles]) -> Doubles:
    """Return how many maxima above each score white noise has on average in an image of a size.

    Worsley et al., Human Brain Mapping 4 (1996) 58, the term of the largest dimension of a t field.
    """
    rough = sum(filter_of(sigma).rough for sigma in sigmas)
    axes = int((sigmas[0] > 0).sum())
    bend = scores if axes == 2 else scores**2 * (1 - 1 / _FREEDOM) - 1
    tail = (1 + scores**2 / _FREEDOM) ** ((1 - _FREEDOM) / 2)
    maxima: Doubles = bend * tail * size * rough / (2 * np.pi) ** ((axes + 1) / 2)
    return maxima


def skewness(answer: Floats) -> float:
    """Return the skewness of noise (Z, Y, X) of a filter's answer, in which spots are rare.

    By the left half of its distribution, in which no spot lies: Cornish and Fisher, Revue de
    l'Institut International de Statistique 5 (1938) 307. 0 where it may be symmetric.
    """
    some = answer[:, ::2, ::2].ravel()
    ranks = [int(part * (some.size - 1)) for part in _LEFT]
    far, near, middle = np.partition(some, ranks)[ranks].astype(np.float64)
    if near <= far:
        return 0.0
    ratio = (middle - near) / (near - far)
    skew = float(6 * (ratio - 1) / (3 * ratio - 1))
    return skew if ratio > 1 and skew > _SYMMETRIC / answer.size**0.5 else 0.0


def as_normal(scores: Doubles, skew: float) -> Doubles:
    """Return the scores of normal noise that are as rare as these (N,) of skewed noise.

    The noise is a Poisson variable of mean 1 / skew², the root is that of its rate function.
    """
    if not skew:
        return scores
    rise = _HEAVIER * skew * np.maximum(scores, 0)
    return np.asarray(np.sqrt(2 * ((1 + rise) * np.log1p(rise) - rise)) / (_HEAVIER * skew))


def _bell(sigma: float) -> Doubles:
    """Return the taps of a Gaussian, of sum 1."""
    size = int(_TRUNCATE * sigma + 0.5)
    bell = np.exp(-0.5 * (np.arange(-size, size + 1) / max(sigma, 1e-3)) ** 2)
    return np.asarray(bell / bell.sum())


def candidates(
    values: Floats,
    rest: Floats,
    spare: Sequence[Floats],
    gain: float,
    sigmas: Sequence[Doubles],
    threshold: float,
    least: float,
) -> tuple[Doubles, Blocks, float]:
    """Return spots (N, 25) to be fitted in an image's rest, its variance and its skewness.

    The clearest come first. Three `spare` images of the same shape are overwritten.
    """
    ends = _ends(rest.shape[1]), _ends(rest.shape[2])
    best, smooth, answer = spare
    which = np.zeros(rest.shape, np.uint8)  # takes no memory for a lone scale
    scales = [filter_of(sigma) for sigma in sigmas]
    noises, skew = [], 0.0  # of the narrowest filter, the most
    for number, scale in enumerate(scales):
        z, y, x = scale.inner
        loops.blur(rest, z, y, x, smooth)
        z, y, x = scale.outer
        loops.blur(smooth, z, y, x, answer)
        np.subtract(smooth, answer, out=answer)
        spreads = loops.spreads(answer, *ends, float(least * scale.norm))
        loops.keep_best(answer, spreads, *ends, number, best, which)
        noises.append(Blocks(spreads.astype(np.float64), *ends))
        skew = skewness(best) if number == 0 else skew
    places = loops.peaks(best, threshold)
    at = tuple(places.T)
    variance = noises[0]._replace(values=(noises[0].values / scales[0].norm) ** 2)
    light = np.maximum(values[at].astype(np.float64) - rest[at], 0)  # of spots already found
    spots = np.zeros((len(places), kernels.COLUMNS))
    spots[:, kernels.VARIANCE] = noise = variance.at(places)
    score = best[at] / np.sqrt(1 + (gain * light + (_MISFIT * light) ** 2) / noise)
    scale_at = which[at]
    peak = np.array([scale.peak for scale in scales])[scale_at]
    height = best[at] * np.choose(scale_at, [n.at(places) for n in noises]) / peak
    spots[:, [kernels.Z, kernels.Y, kernels.X]] = places
    spots[:, kernels.HEIGHT], spots[:, kernels.LEVEL] = height, rest[at] - height
    tall, wide = np.array([(sigma[0] or 1.0, sigma[2]) for sigma in sigmas])[scale_at].T
    spots[:, kernels.TALL], spots[:, kernels.WIDE] = np.log(tall), np.log(wide)
    spots[:, kernels.START : kernels.SD] = spots[:, : kernels.START]
    spots[:, kernels.RESPONSE] = score
    near = ndimage.map_coordinates(
        best, places.T[..., None] + wide[:, None] * _RING, float, 1, "nearest"
    )
    fall = 2 * best[at][:, None] - near[:, :8] - near[:, 8:]
    if min(best.shape[-2:]) > 1:  # along the other axis alone nothing falls
        score *= fall.max(axis=1) < _RIDGE * fall.min(axis=1)
    rank = np.argsort(-score, kind="stable")
    return spots[rank[score[rank] >= threshold]], variance, skew


def _ends(size: int) -> Longs:
    """Return the borders of blocks of about 64 pixels along an axis."""
    count = max(1, round(size / _BLOCK))
    return np.arange(count + 1) * size // count
