"""The camera behind a network that makes light: its noise, measured and made; light without it."""

from functools import lru_cache
from math import sqrt
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import ndimage

from cytosuite.contract.manifest import Described, NotNegative, Positive
from cytosuite.files import FloatPair
from cytosuite.networks.normalise import NOISE_UNITS, Background
from cytosuite.volume import memory
from cytosuite.volume.arrays import Bools, Doubles, Floats, Image, Reals, Rng
from cytosuite.volume.memory import release, room
from cytosuite.volume.objects import grown
from cytosuite.volume.pieces import evenly, slab_bounds

Lag = Annotated[float, Field(ge=0, le=0.5)]  # of electrons, read one x pixel later

SHOTS = 2**31  # first of the streams of planes, beyond the draws of a network
BRIGHTER = (0.5, 0.95)  # quantiles of voxels that a lag is read off: on dark ground it is larger
SAMPLE = 1_000_000  # values that quantiles are taken from; larger sets are thinned evenly
MORE = (0.02, 0.2)  # correlation along x beyond that along y: less is chance, more is structure
LEVELS = 1 - np.geomspace(1, 1e-3, 24)  # shares of voxels between which noise is measured
ENOUGH = 30  # voxels that a level of noise is worth measuring in
CURVED = 36.0  # sum of squares, and of cubes, of the second difference along both axes
EXTREME = 2.326  # standard deviations of a Gaussian that 1 % of values lie below
WIDTHS = (0.3, 0.8, 1.2, 2.0)  # voxels, of Gaussian filters; the last one gives the level
POWERS = np.arange(3)[:, None]  # of ln(1 + photons): weights of the filters change with the level
REACH = 8  # voxels, where scipy ends the widest of them
WEIGHED = 300_000  # voxels that weights are found by


class CameraModel(Described):
    """A camera as `cytosuite calibrate` measures it."""

    gain: Positive  # counts per photon
    offset: NotNegative  # counts in the dark
    read_noise: NotNegative = 0  # standard deviation of reading, photons
    excess: NotNegative = 0  # variance by multiplication / shot noise; EMCCD: 1
    lag: Lag = 0

    @property
    def units(self) -> Background:
        """Units of a network for light: linear up to a photon, logarithmic beyond."""
        return Background(self.offset, self.gain / NOISE_UNITS)

    def expose(self, level: Image, seed: int) -> Image:
        """Return the counts of light (..., Y, X) in counts; seed and place fix a plane's."""
        counts = room(level.shape, np.float32)
        planes = (array.reshape(-1, *level.shape[-2:]) for array in (level, counts))
        for number, (plane, out) in enumerate(zip(*planes, strict=True)):
            rng = Rng(np.random.Philox(key=[seed, SHOTS + number]))
            photons = ((plane - self.offset) / self.gain).clip(0)
            photons += late(electrons(rng, photons, self.excess) - photons, self.lag)
            photons += self.read_noise * rng.standard_normal(plane.shape, np.float32)
            out[...] = photons * self.gain + self.offset
            release(level, counts)
        return counts


def electrons(rng: Rng, photons: Reals, excess: float) -> Image:
    """Return photons with their shot noise, multiplied by a gamma variable."""
    signal = rng.poisson(photons).astype(np.float32)
    if excess > 0:
        signal = rng.standard_gamma(signal * np.float32(1 / excess), dtype=np.float32)
        signal *= np.float32(excess)
    return signal


def late(noise: Image, lag: float) -> Image:
    """Return noise (..., X) with a share that is read one x pixel later; its variance stays."""
    shifted = noise.copy()
    shifted[..., 1:] -= lag * (noise[..., 1:] - noise[..., :-1])
    shifted[..., 1:] /= sqrt((1 - lag) ** 2 + lag**2)
    return shifted


def seen_late(lag: float) -> FloatPair:
    """Return shares of variance and third cumulant of late noise that second differences see."""
    taps = np.convolve([1, -2, 1], [1 - lag, lag]) / sqrt((1 - lag) ** 2 + lag**2)
    return float((taps**2).sum() / 6), float((taps**3).sum() / -6)


def lag_of(array: Reals) -> float:
    """Return the lag of a stack (Z, Y, X) or plane: its noise is more alike along x than along y.

    0 where there is none, or it is structure: first differences show more of that than second ones.
    """
    smooth = ndimage.uniform_filter(array, (0, 7, 7)[-array.ndim :])
    low, high = np.quantile(smooth, BRIGHTER)
    chosen = (smooth >= low) & (smooth <= high)

    def more(kernel: list[float]) -> float:
        """Return how much more neighbours are alike along x, for differences by a kernel."""
        along_y, along_x = (
            np.square(ndimage.convolve1d(array, kernel, axis))[chosen].mean() for axis in (-2, -1)
        )
        return float(1 - along_x / along_y) if along_y > 0 else 0.0

    first = more([1.0, -1.0])
    second = 0.75 * more([1.0, -2.0, 1.0])
    sure = MORE[0] < second < MORE[1] and first < 1.5 * second
    return second / (1 + second) if sure else 0.0


def neighbour_correlation(array: Reals) -> float:
    """Return the correlation of lateral neighbours in the dark half, from lags 1 and 3."""
    smooth = ndimage.uniform_filter(array, (0, 7, 7)[-array.ndim :])
    dark = smooth <= np.median(evenly(smooth, SAMPLE))
    ratios = []
    for axis in (-1, -2):
        near, far = (
            _squared_difference(np.swapaxes(array, axis, -1), np.swapaxes(dark, axis, -1), lag)
            for lag in (1, 3)
        )
        ratios.append(1 - near / far if far > 0 else 0.0)
    return float(np.mean(ratios))


def _squared_difference(array: Reals, chosen: Bools, lag: int) -> float:
    """Return the mean squared difference of chosen voxels at a distance along the last axis."""
    both = chosen[..., :-lag] & chosen[..., lag:]
    values = array[..., lag:][both] - array[..., :-lag][both]
    return float(np.mean(values.astype(np.float64) ** 2)) if values.size else 0.0


def level_around(array: Reals) -> Reals:
    """Return the sum of the 9 x 9 voxels around, less the inner 5 x 5: no noise chooses its own."""
    planes = (1,) * (array.ndim - 2)
    level = 81 * ndimage.uniform_filter(array, (*planes, 9, 9))
    return np.asarray(level - 25 * ndimage.uniform_filter(array, (*planes, 5, 5)))


def level_of_neighbours(array: Reals) -> Reals:
    """Return the mean of 5 x 5 voxels in the planes above and below, of a stack (Z, Y, X)."""
    around = ndimage.uniform_filter(array, (0, 5, 5))
    return np.asarray(ndimage.convolve1d(around, [0.5, 0.0, 0.5], axis=0, mode="mirror"))


def noise_by_level(array: Reals, level: Reals) -> tuple[Doubles, ...]:
    """Return mean, variance and third moment of noise at levels of brightness, and voxels."""
    inner = (..., slice(4, -4), slice(4, -4))
    difference = ndimage.convolve1d(array, [1.0, -2.0, 1.0], axis=-2)
    difference = ndimage.convolve1d(difference, [1.0, -2.0, 1.0], axis=-1)[inner]
    square = difference**2
    if array.ndim == 3 and len(array) > 1:  # neighbouring planes share structure
        shared = difference[1:] * difference[:-1]
        square -= (np.append(shared, shared[-1:], 0) + np.append(shared[:1], shared, 0)) / 2
    level = level[inner].ravel()
    limits = np.unique(np.quantile(evenly(level, SAMPLE), LEVELS[1:]))
    place = np.searchsorted(limits, level, side="right")
    voxels = np.bincount(place, minlength=len(limits) + 1).astype(np.float64)
    sums = [
        np.bincount(place, weights, len(voxels))
        for weights in (
            array[inner].ravel(),
            square.ravel() / CURVED,
            difference.ravel() ** 3 / CURVED,
        )
    ]
    enough = voxels >= ENOUGH
    return (*(total[enough] / voxels[enough] for total in sums), voxels[enough])


def light_of(image: NDArray[np.number], camera: CameraModel) -> Floats:
    """Return the light of a stack (Z, Y, X) or plane in its counts, without noise.

    Gaussian filters with weights that change with the level, of the least mean square error that is
    expected by the variance of the camera (Stein), without a truth: Blu, Luisier, IEEE Trans. Image
    Process. 16 (2007) 2778, doi:10.1109/TIP.2007.906002.
    """
    step = max(1, image.size // WEIGHED)
    across = image[:1].size
    most = max(memory.SLAB, 4 * REACH * across) if memory.is_mapped(image) else image.size
    bounds = slab_bounds(image.shape, most)

    @lru_cache(maxsize=1)
    def seen(start: int, stop: int) -> Floats:
        """Return photons of a slab as they are and after each filter, (1 + filters, Z, Y, X)."""
        around, inner = grown([slice(start, stop)], [REACH])
        near = (image[around].astype(np.float32) - camera.offset) / camera.gain
        release(image)
        filtered = (ndimage.gaussian_filter(near, width, mode="nearest") for width in WIDTHS)
        return np.stack([values[inner] for values in (near, *filtered)])

    drawn = [
        seen(*ends).reshape(1 + len(WIDTHS), -1)[:, -ends[0] * across % step :: step].copy()
        for ends in bounds
    ]
    sample = np.concatenate(drawn, axis=1)
    near = np.log1p(sample[-1].clip(0)).astype(np.float64)
    powers = near**POWERS
    basis = np.concatenate([powers * part for part in sample[1:]])
    weighted = basis / ((1 + camera.excess) * np.expm1(near) + max(camera.read_noise, 0.1) ** 2)
    # The part of a voxel's own noise that a filter lets pass is no fit.
    tap = 1 / np.exp(-0.5 * np.square(np.arange(-9, 10)[:, None] / WIDTHS)).sum(axis=0)
    passed = np.outer(tap**image.ndim, powers.sum(axis=1))
    goal = weighted @ sample[0] - passed.ravel()
    weights = np.linalg.lstsq(weighted @ basis.T, goal, rcond=1e-9)[0].reshape(passed.shape)
    result = room(image.shape, np.float32)
    for start, stop in bounds:
        _, *filters = seen(start, stop)
        shares = np.polynomial.polynomial.polyval(np.log1p(filters[-1].clip(0)), weights.T)
        light = np.einsum("f...,f...", shares, filters).clip(0)
        result[start:stop] = light * camera.gain + camera.offset
        release(result)
    return result
