"""The camera behind a network that makes light: shot noise, multiplication, reading, by position.

Basden et al. (2003), doi:10.1046/j.1365-8711.2003.07020.x (multiplication by a gamma variable).
"""

from math import sqrt

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import ndimage

from cytosuite.contract.manifest import Described
from cytosuite.denoising.noise import streams
from cytosuite.networks.normalise import NOISE_UNITS, Background

Image = NDArray[np.float32]

SHOTS = 2**31  # draw of the counts, beyond those of a network
BRIGHTER = (0.5, 0.95)  # quantiles of voxels that a lag is read off: on dark ground it is larger
MORE = (0.02, 0.2)  # correlation along x beyond that along y: less is chance, more is structure
MOST_LAG = 0.5  # half of the electrons: more would be the next pixel's


class Camera(Described):
    """A camera as `cytosuite calibrate` measures it: light in counts above an offset."""

    gain: float = Field(gt=0, description="counts per photon")
    offset: float = Field(ge=0, description="counts in the dark")
    read_noise: float = Field(0, ge=0, description="standard deviation of reading, photons")
    excess: float = Field(0, ge=0, description="variance by multiplication / shot noise; EMCCD: 1")
    lag: float = Field(
        0,
        ge=0,
        le=MOST_LAG,
        description="share of a voxel's electrons that is read one x pixel later",
    )

    @property
    def units(self) -> Background:
        """Units of a network for light: linear up to about a photon, logarithmic beyond."""
        return Background(self.offset, self.gain / NOISE_UNITS)

    def expose(self, level: Image, seed: int) -> Image:
        """Return the counts ([[C,] Z,] Y, X) of a level of light in counts, those of a seed."""
        photons = np.maximum(level - np.float32(self.offset), 0) / np.float32(self.gain)
        signal, reading = np.empty_like(photons), np.empty_like(photons)
        deep = (-1, *(1, *level.shape)[-3:])
        for rng, box, _ in streams(photons.reshape(deep).shape, seed, SHOTS):
            seen = electrons(rng, photons.reshape(deep)[box], self.excess)
            signal.reshape(deep)[box] = seen
            reading.reshape(deep)[box] = rng.standard_normal(seen.shape, np.float32)
        signal = photons + late(signal - photons, self.lag) + np.float32(self.read_noise) * reading
        return np.asarray(signal * np.float32(self.gain) + np.float32(self.offset), np.float32)


def electrons(rng: np.random.Generator, photons: NDArray[np.floating], excess: float) -> Image:
    """Return photons with their shot noise, multiplied."""
    signal: Image = rng.poisson(photons).astype(np.float32)
    if excess > 0:  # Gamma(N / excess, excess) after N electrons
        signal = rng.standard_gamma(signal * np.float32(1 / excess), dtype=np.float32)
        signal *= np.float32(excess)
    return signal


def late(noise: Image, lag: float) -> Image:
    """Return the noise (..., X) of electrons of which a share is read one x pixel later.

    Its variance stays where neighbours are as bright; the light has this blur already.
    """
    found = noise.copy()
    found[..., 1:] = (1 - lag) * noise[..., 1:] + lag * noise[..., :-1]
    found[..., 1:] /= sqrt((1 - lag) ** 2 + lag**2)
    return found


def correlation_of(lag: float) -> float:
    """Return the correlation of the noise of neighbours along x that a lag makes."""
    return lag * (1 - lag) / ((1 - lag) ** 2 + lag**2)


def lag_of(array: NDArray[np.floating]) -> float:
    """Return the lag that the noise of a stack (Z, Y, X) or plane tells; 0 where there is none.

    Noise that is more alike along x than along y has smaller differences there. Structure has so
    too, but then first and second differences disagree.
    """
    smooth = ndimage.uniform_filter(array, (0, 7, 7)[-array.ndim :])
    low, high = np.quantile(smooth, BRIGHTER)
    chosen = (smooth >= low) & (smooth <= high)
    found = []
    for kernel in ([1.0, -1.0], [1.0, -2.0, 1.0]):
        along_y, along_x = (
            np.square(ndimage.convolve1d(array, kernel, axis))[chosen].mean(dtype=np.float64)
            for axis in (-2, -1)
        )
        weight = -np.dot(kernel, kernel) / (2 * np.dot(kernel[1:], kernel[:-1]))
        found.append(float(weight * (1 - along_x / along_y)) if along_y > 0 else 0.0)
    more = found[1]
    if not (MORE[0] < more < MORE[1] and abs(found[0] - more) < more / 2):
        return 0.0
    return (1 - sqrt(1 - 4 * more / (1 + 2 * more))) / 2
