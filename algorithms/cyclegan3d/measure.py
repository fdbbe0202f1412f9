"""Measurement of the look of an image: its levels, its noise and its blur."""

from math import nan, sqrt
from typing import NamedTuple

import numpy as np
from pydantic import Field
from scipy import fft

from cytosuite.contract.manifest import Described, NotNegative
from cytosuite.denoising.camera import (
    EXTREME,
    SAMPLE,
    Lag,
    lag_of,
    level_around,
    neighbour_correlation,
    noise_by_level,
)
from cytosuite.segmentation.foreground import background_and_noise, li_threshold
from cytosuite.volume.arrays import Doubles, Floats, Lengths, Spacing
from cytosuite.volume.objects import grown, opened
from cytosuite.volume.pieces import deep, evenly, extremes, slabs, slabs_of

NONE = np.zeros(0)
SHARES = (1 - np.cos(np.linspace(0, np.pi, 33))) / 2  # of quantiles: dense at both ends
SMOOTHING = 1.0  # voxels; the smooth image is the level, the difference detail and noise
DARK = 4.0  # standard deviations of smoothed background above which light counts as glow
QUIETEST = 0.005  # of the threshold of objects: least spread, where background has no noise
FEW = 64  # values that quantiles are worth taking from
LEAST_SHARE = 1e-5  # of an image that objects must fill
VOXELS = 1 << 24  # of the planes or rows that noise and spectra are taken from
LOWEST = 0.03  # cycles per µm from which edges, not the arrangement of objects, rule a spectrum
HIGHEST = 0.8  # of the Nyquist frequency up to which aliases do not
COHERENT = 0.05  # correlation of neighbouring lines below which a frequency holds only noise
GROWS = 0.1  # of the variance, from dark to bright, below which it does not depend on light


class CameraNoise(Described):
    """Noise of a camera: variance = read variance + gain times light."""

    offset: float  # grey value without light
    read_variance: NotNegative  # variance without light, grey values squared
    gain: NotNegative  # growth of the variance with the grey value
    skew: NotNegative  # third central moment over variance of the noise that light adds
    correlation: float = Field(0.0, ge=0, le=0.7)  # of the noise of lateral neighbours
    lag: Lag = 0

    def shot(self, level: Floats) -> Floats:
        """Return the variance that light of a level adds."""
        above: Floats = np.maximum(level - np.float32(self.offset), 0)
        return above * np.float32(self.gain)

    def variance(self, level: Floats) -> Floats:
        """Return the variance at a level."""
        return self.shot(level) + np.float32(self.read_variance)


class Levels(NamedTuple):
    """Grey levels of the parts of a smoothed image; empty quantiles where a part is missing."""

    background: float
    spread: float
    glow: Doubles = NONE
    objects: Doubles = NONE
    voxels: int = 0  # of objects


def levels_of(level: Floats) -> Levels:
    """Return the levels of background, glow and objects of a smoothed image."""
    if not level.size:
        return Levels(0.0, 0.0)
    background, spread = background_and_noise(level)
    contrast = li_threshold(level, background)
    spread = max(spread, QUIETEST * contrast)
    floor = background + DARK * spread
    threshold = max(background + contrast, floor)
    solid = 0  # voxels of bodies that are three voxels wide
    for part in slabs(level):
        around, inner = grown([part], [2])  # erosion and dilation
        solid += int(np.count_nonzero(opened(level[around] > threshold)[inner]))
    if solid < max(1, LEAST_SHARE * level.size):
        return Levels(background, spread)
    top = float(extremes(level)[1])
    glow, _ = _between(level, floor, threshold)
    objects, voxels = _between(level, threshold, top)
    return Levels(background, spread, glow, objects, voxels)


def _between(level: Floats, low: float, high: float) -> tuple[Doubles, int]:
    """Return the quantiles of the values in (low, high], evenly spaced if few, and their number."""
    counts = [int(np.count_nonzero((part > low) & (part <= high))) for part in slabs_of(level)]
    voxels, passed, samples = sum(counts), 0, []
    if voxels < FEW:
        return np.interp(SHARES, [0, 1], [low, high]), voxels
    step = -(-voxels // SAMPLE)
    for part, count in zip(slabs_of(level), counts, strict=True):
        samples.append(part[(part > low) & (part <= high)][-passed % step :: step])
        passed += count
    result = np.quantile(np.concatenate(samples), SHARES).astype(np.float64)
    result[0] = low
    result[-1] = high
    return result, voxels


def noise_of(array: Floats) -> CameraNoise:
    """Return the noise of a detector from an image (Z, Y, X) or (Y, X), by photon transfer.

    Second differences along y and x remove structure up to slopes, the covariance of neighbouring
    planes the rest of it; variance and third moment are read by level, the mean of the 9 x 9 voxels
    around, less the inner 5 x 5, so that noise does not choose its own. The offset follows from the
    1 % of darkest voxels, 2.33 standard deviations of the read noise below it. All is 0 in an image
    narrower than 9 voxels.

    Janesick, Photon Transfer (SPIE 2007), doi:10.1117/3.725073; Immerkaer, Fast noise variance
    estimation, CVIU 64 (1996), doi:10.1006/cviu.1996.0060.
    """
    if min(array.shape[-2:]) < 9 or not array.size:
        return CameraNoise(offset=0.0, read_variance=0.0, gain=0.0, skew=0.0)
    if array.ndim == 3:  # planes in the middle: neighbours stay neighbours
        count = max(2, VOXELS // array[0].size)
        array = array[max(0, (len(array) - count) // 2) :][:count]
    mean, second, third, voxels = noise_by_level(array, level_around(array))
    lag = lag_of(array)
    correlation = float(np.clip(neighbour_correlation(array) - lag / 2, 0, 0.7))
    inside = tap(correlation) ** 2  # of second neighbours, from the first ones'
    share = (3 - 4 * correlation + inside / (1 + 2 * inside)) / 3
    share *= sqrt(1 - 4 * lag / 3)  # along x alone
    second = second / share**2
    third = third / share**3
    lowest = float(np.quantile(evenly(array, SAMPLE), 0.01))
    sure = second > 0
    if np.count_nonzero(sure) > 3:
        mean, second, third, voxels = (values[sure] for values in (mean, second, third, voxels))
        weight = np.sqrt(voxels) / second
        gain, height = (float(v) for v in np.polyfit(mean, second, 1, w=weight))
        if gain * np.ptp(mean) > GROWS * np.median(second):
            steep = float(np.polyfit(mean, third, 1, w=weight / np.sqrt(second))[0])
            read = _read_noise(gain, -height / gain, lowest)
            return CameraNoise(
                offset=(read**2 - height) / gain,
                read_variance=read**2,
                gain=gain,
                skew=float(np.clip(steep / gain, gain, 1.5 * gain)),  # one photon; multiplied
                correlation=correlation,
                lag=lag,
            )
    flat = max(float(np.average(second, weights=voxels)), 0.0) if voxels.size else 0.0
    return CameraNoise(
        offset=lowest, read_variance=flat, gain=0.0, skew=0.0, correlation=correlation, lag=lag
    )


def blur_of(array: Floats, spacing: Spacing) -> Lengths:
    """Return the blur of an image along each axis: standard deviation in µm, alike along y and x.

    Noise of neighbouring lines is independent: the mean product of their spectra is that of the
    structure. Bodies with sharp edges have one that falls as ``f^-2`` (Porod, Kolloid-Zeitschrift
    124 (1951) 83, doi:10.1007/BF01512792); a Gaussian blur multiplies it by ``exp(-(2 pi f
    sigma)^2)``. NaN where it cannot be measured.
    """
    squares = [_edge_blur(array, axis, step) for axis, step in enumerate(spacing)]
    lateral = [value for value in squares[-2:] if value == value]
    squares[-2:] = [sum(lateral) / len(lateral) if lateral else nan] * 2
    return tuple(float(np.sqrt(value)) for value in squares)


def _read_noise(gain: float, zero: float, lowest: float) -> float:
    """Return the noise without light, from the level where the line of noise reaches 0."""
    if zero <= lowest:
        return 0.0  # light everywhere: as good as no read noise
    root = max(EXTREME**2 - 4 * (zero - lowest) / gain, 0.0)
    return gain / 2 * (EXTREME - sqrt(root))


def _edge_blur(array: Floats, axis: int, step: float) -> float:
    """Return the squared blur along an axis in µm², NaN where it cannot be measured."""
    beside = -1 if axis < array.ndim - 1 else -2
    lines = np.moveaxis(deep(array), [axis - array.ndim, beside], [-1, -2])
    lines = lines[:: max(1, -(-lines.size // VOXELS))]  # evenly spaced planes
    length = lines.shape[-1]
    frequency = np.fft.rfftfreq(max(length, 1), step).astype(np.float64)
    chosen = (frequency >= LOWEST) & (frequency <= HIGHEST / (2 * step))
    if np.count_nonzero(chosen) < 3 or lines.shape[-2] < 2:
        return nan
    window = np.hanning(length + 2)[1:-1].astype(np.float32)
    waves = fft.rfft((lines - lines.mean(axis=-1, keepdims=True)) * window)[..., chosen]
    power = np.square(np.abs(waves)).astype(np.float64).mean(axis=(0, 1))
    shared = (waves[:, 1:] * waves[:, :-1].conj()).real.astype(np.float64)
    shared = shared.mean(axis=(0, 1))
    noisy = ~(shared > COHERENT * power)
    end = int(np.argmax(noisy)) if noisy.any() else len(noisy)
    if end < 3:
        return nan
    used = frequency[chosen][:end]
    slope = np.polyfit((2 * np.pi * used) ** 2, np.log(shared[:end] * used**2), 1)[0]
    return max(-float(slope), 0.0)


def tap(correlation: float) -> float:
    """Return the tap c of the filter (c, 1, c) that correlates neighbours so much."""
    return (1 - sqrt(1 - 2 * correlation**2)) / (2 * correlation) if correlation > 0 else 0.0
