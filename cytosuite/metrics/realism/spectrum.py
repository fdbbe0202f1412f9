"""Power spectra of real and synthetic stacks over spatial frequencies, in cycles per µm.

Blur removes fine structure, noise adds it: both change the spectrum where histograms hardly move.
Gray and Markel, IEEE Transactions on Acoustics, Speech and Signal Processing 24 (1976),
doi:10.1109/TASSP.1976.1162849 (log-spectral distance).
"""

from collections.abc import Callable
from functools import partial
from math import nan
from typing import NamedTuple

import numpy as np

from cytosuite.metrics.evidence import Evidence
from cytosuite.metrics.metric import metric
from cytosuite.metrics.realism.scene import Stacks, members, stack
from cytosuite.volume import Volume
from cytosuite.volume.arrays import Doubles
from cytosuite.volume.memory import release
from cytosuite.volume.pieces import planes_of

FLOOR = 1e-12  # share of the mean density: below it a band counts as empty
COLUMNS, BLOCK = 1 << 14, 1 << 22  # columns along z looked at together, and voxels, at most


class Spectra(NamedTuple):
    """Power by spatial frequency on both sides, each with a mean of 1 over the bands."""

    # (F,), centre of each band in cycles per µm, equally spaced, zero excluded; empty if undefined
    frequency: Doubles
    real: Doubles  # (F,), power density there, relative to its mean over the bands
    synthetic: Doubles

    @property
    def distance(self) -> float:
        """Log-spectral distance in dB; NaN where there is no spectrum."""
        if not self.frequency.size:
            return nan
        levels = 10 * np.log10(np.maximum([self.real, self.synthetic], FLOOR))
        return float(np.sqrt(np.mean((levels[0] - levels[1]) ** 2)))


def power_lateral(image: Volume, edges: Doubles) -> Doubles:
    """Return the power density of the planes of a finite ZYX stack in rings of frequency, (F,).

    Rings between `edges`, (F + 1,) in cycles per µm, ascending and equally spaced. Mean of the
    squared Fourier amplitudes in each, mean over planes, in squared grey values times µm². Each
    plane less its mean is multiplied by a Hann window before.
    """
    array = image.array
    _, height, width = array.shape
    step_y, step_x = image.spacing[1:]
    window = np.outer(hann(height), hann(width))
    radius = np.hypot(
        np.fft.fftfreq(height, step_y)[:, None], np.fft.rfftfreq(width, step_x)[None, :]
    )
    twice = np.full(radius.shape, 2.0)  # the half that is not computed, being a mirror image
    twice[:, 0] = 1.0
    if width % 2 == 0:
        twice[:, -1] = 1.0
    power = np.zeros(radius.shape)
    for plane in planes_of(array):
        grey = plane.astype(np.float64)
        power += np.abs(np.fft.rfft2((grey - grey.mean()) * window)) ** 2
    power *= step_y * step_x / ((window**2).sum() * max(len(array), 1))
    return _by_band(radius, power, twice, edges)


def power_axial(image: Volume, edges: Doubles) -> Doubles:
    """Return the power density along the axis of a stack in bands of frequency.

    As `power_lateral`: the mean of the squared Fourier amplitudes along z over all columns, in
    squared grey values times µm, each column less its mean in a Hann window.
    """
    array = image.array
    window = hann(len(array))
    frequency = np.fft.rfftfreq(len(array), image.spacing[0]).astype(np.float64)
    power = np.zeros(frequency.size)
    rows = max(min(COLUMNS, BLOCK // max(len(array), 1)) // max(array.shape[2], 1), 1)
    for start in range(0, array.shape[1], rows):
        block = array[:, start : start + rows].astype(np.float64)
        block -= block.mean(axis=0)
        block *= window[:, None, None]
        power += (np.abs(np.fft.rfft(block, axis=0)) ** 2).sum(axis=(1, 2))
        release(array)
    power *= image.spacing[0] / ((window**2).sum() * max(array[0].size, 1))
    return _by_band(frequency, power, np.ones(frequency.size), edges)


def lateral_spectra(real: Stacks, synthetic: Stacks) -> Spectra:
    """Return the radial power spectra of the planes of finite ZYX stacks, or InputError.

    In rings as wide as the shortest lateral edge resolves, up to the lowest limit (half a cycle per
    voxel) of all images; the mean over the images of a side, divided by its mean over the bands:
    contrast itself is left to other metrics, the spectrum says at which sizes it lies.
    """
    return _spectra(real, synthetic, (1, 2), power_lateral)


def axial_spectra(real: Stacks, synthetic: Stacks) -> Spectra:
    """Return the power spectra along z of real and synthetic stacks, see `lateral_spectra`."""
    return _spectra(real, synthetic, (0,), power_axial)


LATERAL = Evidence(lateral_spectra, ("real", "synthetic"), form="volumes")
AXIAL = Evidence(axial_spectra, ("real", "synthetic"), form="volumes")
spectral = partial(metric, best=0.0, reference="10.1109/TASSP.1976.1162849")


@spectral(
    "lateral_spectrum_distance",
    "Log-spectral distance within planes, dB",
    evidence=LATERAL,
    undefined="when a side is constant or narrower than 4 pixels",
)
def lateral_spectrum_distance(spectra: Spectra) -> float:
    """Return the difference of the spectra of the planes in dB.

    ``sqrt(mean over bands of (10 log10(real / synthetic))**2)``, every band of equal width and
    weight. Densities below 1e-12 of the mean count as that.

    Examples
    --------
    >>> half = Spectra(np.array([1.0, 2.0]), np.array([1.0, 1.0]), np.array([1.0, 0.01]))
    >>> round(lateral_spectrum_distance.of(half), 3)
    14.142
    """
    return spectra.distance


@spectral(
    "axial_spectrum_distance",
    "Log-spectral distance along z, dB",
    evidence=AXIAL,
    undefined="when a side is constant along z or has fewer than 4 planes",
)
def axial_spectrum_distance(spectra: Spectra) -> float:
    """Return the difference of the spectra along z in dB, see `lateral_spectrum_distance`."""
    return spectra.distance


def hann(size: int) -> Doubles:
    """Return a Hann window without zeros at its ends."""
    return np.sin(np.pi * (np.arange(size) + 0.5) / max(size, 1)) ** 2


def _spectra(
    real: Stacks,
    synthetic: Stacks,
    axes: tuple[int, ...],
    power: Callable[[Volume, Doubles], Doubles],
) -> Spectra:
    """Return the spectra of both sides in the bands that all images resolve along some axes."""
    sides = members(real, Volume), members(synthetic, Volume)
    images = [image for side in sides for image in side]
    for image in images:
        stack(image)
    sizes = [(image.shape[a], image.spacing[a]) for image in images for a in axes]
    wide = all(size >= 4 for size, _ in sizes)
    if wide and all(sides) and all(image.array.size for image in images):
        width = max(1 / (size * step) for size, step in sizes)
        bands = int(min(0.5 / step for _, step in sizes) / width + 1e-9)
        edges = (np.arange(bands + 1, dtype=np.float64) + 0.5) * width
        density = [np.mean([power(v, edges) for v in side], axis=0) for side in sides if bands]
        means = [side.mean() for side in density]
        if min(means, default=0) > np.finfo(float).tiny:  # less is rounding of a constant image
            return Spectra(
                (edges[1:] + edges[:-1]) / 2, density[0] / means[0], density[1] / means[1]
            )
    return Spectra(np.zeros(0), np.zeros(0), np.zeros(0))


def _by_band(frequency: Doubles, power: Doubles, weight: Doubles, edges: Doubles) -> Doubles:
    """Return the weighted mean power in each band."""
    band = np.floor((frequency - edges[0]) / (edges[1] - edges[0]) + 1e-9).astype(np.intp).ravel()
    inside = (band >= 0) & (band < edges.size - 1)
    band = band[inside]
    share = weight.ravel()[inside]
    count = np.bincount(band, weights=share, minlength=edges.size - 1)
    total = np.bincount(band, weights=share * power.ravel()[inside], minlength=edges.size - 1)
    return total / np.maximum(count, 1e-300)
