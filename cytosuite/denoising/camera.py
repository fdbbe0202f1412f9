"""The camera behind a network that makes light: shot noise, multiplication, lag and reading."""

from math import sqrt
from typing import Annotated

import numpy as np
from pydantic import Field
from scipy import ndimage

from cytosuite.contract.manifest import Described, NotNegative, Positive
from cytosuite.files import FloatPair
from cytosuite.networks.normalise import NOISE_UNITS, Background
from cytosuite.volume.arrays import Bools, Image, Reals, Rng
from cytosuite.volume.large import release, room
from cytosuite.volume.pieces import evenly

Lag = Annotated[float, Field(ge=0, le=0.5)]  # of electrons, read one x pixel later

SHOTS = 2**31  # first of the streams of planes, beyond the draws of a network
BRIGHTER = (0.5, 0.95)  # quantiles of voxels that a lag is read off: on dark ground it is larger
SAMPLE = 1_000_000  # values that quantiles are taken from; larger sets are thinned evenly
MORE = (0.02, 0.2)  # correlation along x beyond that along y: less is chance, more is structure


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
