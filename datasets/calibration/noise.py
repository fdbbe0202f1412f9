"""Estimate the noise of a detector from its images: offset, gain, multiplication, read noise.

Neighbouring voxels differ by noise and by structure. A second difference along y and x removes the
latter up to slopes and saddles; the rest is noise. Its level is read from the planes above and
below, which have independent noise.
"""

from dataclasses import dataclass
from math import isfinite, nan, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cytosuite.metrics.realism.scene import stack
from cytosuite.volume import Volume

Floats = NDArray[np.float64]

BINS = 24  # of brightness
SHARES = np.concatenate([np.linspace(0, 0.9, 13), 1 - 0.1 * 0.55 ** np.arange(1, BINS - 11)])
WEIGHT = 36.0  # sum of squares, and of cubes, of the second difference along both axes
LOWEST = 2.326  # standard deviations of a Gaussian that 1 % of values lie below
CORRELATED = 0.12  # correlation of neighbours above which second differences miss noise
ENOUGH = 2.0  # the variance must grow this much from the darkest to the brightest level
SURE = 2.5  # standard errors by which something must differ from nothing
SURE_OFFSET = 0.25  # largest error of the offset by third cumulants, relative to its distance
LEAST_EXCESS = 0.15  # below it multiplication cannot be distinguished from none


@dataclass(frozen=True, slots=True)
class Noise:
    """Properties of a detector estimated from noise; NaN where that is not possible.

    Parameters
    ----------
    correlation : float
        Of neighbours along y and x in the dark part; 0 for an untouched image.
    note : str
        Why a value is missing or uncertain, else empty.
    slope : float
        Growth of the variance with the mean, counts: gain times (1 + excess).
    gain, excess : float
        Counts per photon; variance added by multiplication, relative to shot noise.
    offset, read_counts : float
        Counts in the dark; standard deviation of the electronic noise in counts.
    """

    correlation: float
    note: str = ""
    slope: float = nan
    gain: float = nan
    excess: float = nan
    offset: float = nan
    read_counts: float = nan


def noise_of(image: Volume) -> Noise:
    """Return the properties of the detector, estimated from the noise of a stack.

    Parameters
    ----------
    image : Volume
        Axes ZYX, at least 3 planes of 5 x 5 voxels, as it came from the detector.

    Returns
    -------
    Noise
        All NaN but the correlation where brightness varies too little. With correlated noise
        (resampled, denoised or compressed images) the numbers are too small; the note says so.

    Notes
    -----
    With photons of mean n the second and third cumulants of the counts are ``g² (1 + e) n + r²``
    and ``g³ (1 + e) (1 + 2e) n``: gain g and excess e follow from how both grow with the mean, the
    point where the line of the former reaches 0 is ``offset - r² / slope``. The lowest 1 % of
    voxels without light lie 2.33 r below the offset, so that both follow. Where the lowest voxels
    lie above that point, read noise and light everywhere look alike, and the third cumulant, 0 at
    the offset, decides; if it is too uncertain the darkest voxels are taken to have no light.

    References
    ----------
    Janesick, Photon Transfer (SPIE 2007), doi:10.1117/3.725073; Immerkaer, Fast noise variance
    estimation, CVIU 64 (1996), doi:10.1006/cviu.1996.0060.
    """
    array = stack(image).astype(np.float64)
    correlation = neighbour_correlation(array)
    if min(array.shape[1:]) < 5 or array.shape[0] < 3:
        return Noise(correlation, "too few voxels for photon transfer")
    mean, second, third, voxels = transfer_curve(array)
    if not (len(mean) > 3 and second.max() > ENOUGH * second[0] > 0):
        return Noise(correlation, "the noise hardly grows with the signal: no photon transfer")
    slope, zero, _, _ = _line(mean, second, voxels / second**2)
    if not slope > 0:
        return Noise(correlation, "the noise does not grow with the signal: no photon transfer")
    steep, dark, steep_error, dark_error = _line(mean, third, voxels / second**3)
    ratio, error = steep / slope, steep_error / slope  # g (1 + 2e)
    excess = 0.0
    if ratio - slope > max(SURE * error, LEAST_EXCESS * slope):
        excess = min((ratio - slope) / (2 * slope - ratio), 1.0) if ratio < 1.5 * slope else 1.0
    lowest = float(np.quantile(array, 0.01))
    sure = dark_error < SURE_OFFSET * abs(lowest - zero)
    read = min(_read_noise(slope, zero, dark if sure else nan, lowest), sqrt(second[0]))
    note = "noise is correlated: gain and read noise are lower limits"
    return Noise(
        correlation,
        note if correlation > CORRELATED else "",
        slope=slope,
        gain=slope / (1 + excess),
        excess=excess,
        offset=zero + read**2 / slope,
        read_counts=read,
    )


def transfer_curve(array: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Return mean, variance and third cumulant of a stack's noise at levels of brightness.

    Returns
    -------
    mean, second, third, voxels : (B,) float array
        In ascending order of the mean. Levels are those of 5 x 5 voxels in the two neighbouring
        planes, so that noise does not choose its own level.
    """
    inner = np.s_[1:-1, 2:-2, 2:-2]
    around = ndimage.uniform_filter(array, (0, 5, 5))
    level = ((around[:-2] + around[2:]) / 2)[:, 2:-2, 2:-2].ravel()
    difference = ndimage.convolve1d(array, [1.0, -2.0, 1.0], axis=1)
    difference = ndimage.convolve1d(difference, [1.0, -2.0, 1.0], axis=2)[inner].ravel()
    limits = np.unique(np.quantile(level, SHARES[1:-1]))
    place = np.searchsorted(limits, level, side="right")
    voxels = np.bincount(place, minlength=len(limits) + 1).astype(np.float64)
    sums = [
        np.bincount(place, weights, len(voxels))
        for weights in (array[inner].ravel(), difference**2 / WEIGHT, difference**3 / WEIGHT)
    ]
    enough = (voxels >= 30) & (sums[1] > 0)
    mean, second, third = (total[enough] / voxels[enough] for total in sums)
    return mean, second, third, voxels[enough]


def neighbour_correlation(array: Floats) -> float:
    """Return the correlation of lateral neighbours in the darker half of the planes' tiles.

    Parameters
    ----------
    array : (Z, Y, X) float array

    Returns
    -------
    float
        From mean squared differences at a distance of 1 and 3 voxels, so that slow structure
        cancels in part; NaN for planes below 8 x 8 voxels.
    """
    if min(array.shape[1:]) < 8:
        return nan
    smooth = ndimage.uniform_filter(array, (0, 7, 7))
    dark = smooth <= np.median(smooth)
    ratios = []
    for axis in (1, 2):
        near, far = (_half_squared_difference(array, dark, axis, lag) for lag in (1, 3))
        ratios.append(1 - near / far if far > 0 else nan)
    return float(np.mean(ratios))


def _half_squared_difference(
    array: Floats, chosen: NDArray[np.bool_], axis: int, lag: int
) -> float:
    """Return half the mean squared difference of voxels at a distance along an axis."""
    before = (slice(None),) * axis
    first, second = (*before, slice(None, -lag)), (*before, slice(lag, None))
    both = chosen[first] & chosen[second]
    return float(np.square(array[second] - array[first])[both].mean() / 2) if both.any() else nan


def _read_noise(slope: float, zero: float, dark: float, lowest: float) -> float:
    """Return the electronic noise in counts from the zeros of the lines of noise."""
    root = LOWEST**2 - 4 * (zero - lowest) / slope
    if zero <= lowest and isfinite(dark):
        return sqrt(max(slope * (dark - zero), 0.0))
    if root < 0:
        return 0.0
    return slope / 2 * (LOWEST - sqrt(root) if zero > lowest else LOWEST + sqrt(root))


def _line(x: Floats, y: Floats, weights: Floats) -> tuple[float, float, float, float]:
    """Return slope and zero of a weighted straight line, and the standard errors of both."""
    middle = float(np.average(x, weights=weights))  # there, slope and height err independently
    (slope, height), cov = np.polyfit(x - middle, y, 1, w=np.sqrt(weights), cov=True)
    if slope == 0:
        return 0.0, nan, nan, nan
    distance = height / slope
    error = sqrt(cov[1, 1] + distance**2 * cov[0, 0]) / abs(slope)
    return float(slope), float(middle - distance), sqrt(cov[0, 0]), error
