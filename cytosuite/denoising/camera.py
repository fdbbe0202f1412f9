"""The camera behind a network that makes light: shot noise, multiplication, reading, by position.

Basden et al. (2003), doi:10.1046/j.1365-8711.2003.07020.x (multiplication by a gamma variable).
"""

from math import sqrt

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cytosuite.contract.manifest import Described
from cytosuite.denoising.noise import streams
from cytosuite.networks.normalise import NOISE_UNITS, Background

Image = NDArray[np.float32]

SHOTS = 2**31  # draw of the counts, beyond those of a network


class Camera(Described):
    """A camera as `cytosuite calibrate` measures it: light in counts above an offset."""

    gain: float = Field(gt=0, description="counts per photon")
    offset: float = Field(ge=0, description="counts in the dark")
    read_noise: float = Field(0, ge=0, description="standard deviation of reading, photons")
    excess: float = Field(0, ge=0, description="variance by multiplication / shot noise; EMCCD: 1")
    lag: float = Field(
        0, ge=0, le=0.5, description="share of a voxel's electrons that is read one x pixel later"
    )

    @property
    def units(self) -> Background:
        """Units of a network for light: linear up to about a photon, logarithmic beyond."""
        return Background(self.offset, self.gain / NOISE_UNITS)

    @property
    def correlation(self) -> float:
        """Correlation of the noise of neighbours along x."""
        return self.lag * (1 - self.lag) / ((1 - self.lag) ** 2 + self.lag**2)

    def expose(self, level: Image, seed: int) -> Image:
        """Return the counts ([[C,] Z,] Y, X) of a level of light in counts, those of a seed."""
        photons = np.maximum(level - np.float32(self.offset), 0) / np.float32(self.gain)
        signal, reading = np.empty_like(photons), np.empty_like(photons)
        deep = (-1, *(1, *level.shape)[-3:])
        for rng, box, _ in streams(photons.reshape(deep).shape, seed, SHOTS):
            seen = electrons(rng, photons.reshape(deep)[box], self.excess)
            signal.reshape(deep)[box] = seen
            reading.reshape(deep)[box] = rng.standard_normal(seen.shape, np.float32)
        signal = late(signal, photons, self.lag) + np.float32(self.read_noise) * reading
        return np.asarray(signal * np.float32(self.gain) + np.float32(self.offset), np.float32)


def electrons(rng: np.random.Generator, photons: NDArray[np.floating], excess: float) -> Image:
    """Return photons with their shot noise, multiplied."""
    signal: Image = rng.poisson(photons).astype(np.float32)
    if excess > 0:  # Gamma(N / excess, excess) after N electrons
        signal = rng.standard_gamma(signal * np.float32(1 / excess), dtype=np.float32)
        signal *= np.float32(excess)
    return signal


def late(signal: Image, expected: Image, lag: float) -> Image:
    """Return electrons (..., X) of which the share `lag` is read one x pixel later.

    Noise alone moves, as the microscope's blur holds that of the light; mean and variance stay.
    """
    if not lag:
        return signal
    noise = signal - expected
    found = noise.copy()
    found[..., 1:] = (1 - lag) * noise[..., 1:] + lag * noise[..., :-1]
    found[..., 1:] /= sqrt((1 - lag) ** 2 + lag**2)
    return np.asarray(found + expected, np.float32)
