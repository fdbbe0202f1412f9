"""Model the detector: ``gain (S + Normal(0, read noise)) + offset + |Normal(0, half-normal)|``.

S photons, multiplied: variance has the slope ``gain (1 + excess) / averaging``. Janesick (2007),
doi:10.1117/3.725073; Basden et al. (2003), doi:10.1046/j.1365-8711.2003.07020.x (multiplication);
Bruch et al. (2023), doi:10.1371/journal.pone.0283828 (half-normal noise, averaging).
"""

from math import sqrt
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator
from scipy import ndimage

from cytosuite.datasets.physics.grid import some_planes
from cytosuite.datasets.ranges import NotNegative, NotNegativeRange, Positive, Range, Section
from cytosuite.denoising.camera import Lag, electrons, late
from cytosuite.errors import InputError
from cytosuite.volume import memory
from cytosuite.volume.arrays import Array, Image, Rng, Unsigned
from cytosuite.volume.pieces import slabs

MOST_PHOTONS = 1e9  # per voxel; sums of repeats and their noise stay exact enough in float32
BRIGHT = 0.9999  # quantile of the labelled light that an exposure is set by


class Camera(Section):
    """From expected photons to counts; a pair is a range, of which `settled` draws a value."""

    background_photons: NotNegativeRange = (0.0, 0.0)
    """photons per voxel everywhere: stray light, dark current"""
    read_noise: NotNegativeRange = (0.0, 0.0)
    """standard deviation, photons"""
    gain: Positive = 4.0
    """counts per photon"""
    offset: float = Field(100.0, ge=0, le=60000)
    """counts in the dark"""
    excess: NotNegativeRange = (0.0, 0.0)
    """multiplication noise: extra variance / shot noise (EMCCD: 1)"""
    half_normal: NotNegative = 0.0
    """sigma of noise that only adds, counts"""
    averaging: int = Field(1, ge=1, le=1000)
    """acquisitions that are averaged"""
    bits: Literal[8, 12, 16] = 16
    """of the detector; 8 makes uint8 images"""
    sensor_blur: Range[Annotated[float, Field(ge=0, le=100)]] = (0.0, 0.0)
    """lateral Gaussian after the noise (correlated noise), voxels"""
    lag: Lag = 0
    """share of a voxel's electrons that is read one x pixel later (EMCCD)"""

    @model_validator(mode="after")
    def _sees(self) -> Self:
        """Refuse an offset at which every count is the highest."""
        if self.offset >= self.full_scale:
            raise ValueError(
                f"offset must lie below the highest count of {self.bits} bits, {self.full_scale}, "
                f"found {self.offset:g}; lower offset or raise bits"
            )
        return self

    @property
    def full_scale(self) -> int:
        """The highest count."""
        return int(2**self.bits - 1)

    @property
    def dtype(self) -> type[np.unsignedinteger]:
        """The type of the counts."""
        return np.uint8 if self.bits == 8 else np.uint16

    def expose(self, rng: Rng, photons: Image) -> Unsigned:
        """Return the counts for photons (Z, Y, X) plane by plane: uint8 for 8 bits or uint16."""
        result = memory.room(photons.shape, self.dtype)
        for part in slabs(photons, result):
            for plane, out in zip(photons[part], result[part], strict=True):
                out[...] = np.rint(self._counts(rng, plane)).clip(0, self.full_scale)
        return result

    def _counts(self, rng: Rng, plane: Image) -> Image:
        """Return the counts of a plane, not yet rounded."""
        low = float(plane.min(initial=0))
        high = float(plane.max(initial=0))
        if not (low >= 0 and high <= MOST_PHOTONS):  # NaN fails too
            raise InputError(
                f"camera: photons per voxel must lie in 0 .. {MOST_PHOTONS:.0e}, found {low:g} to "
                f"{high:g}"
            )
        # The sum of Poisson numbers is Poisson, and their gamma variables add up alike: repeats
        # need no loop here.
        read_noise, excess, blur = self.read_noise[0], self.excess[0], self.sensor_blur[0]
        signal = electrons(rng, plane * np.float64(self.averaging), excess)
        signal *= np.float32(1 / self.averaging)
        if self.lag > 0:
            signal = plane + late(signal - plane, self.lag)
        if read_noise > 0:
            noise = rng.standard_normal(plane.shape, dtype=np.float32)
            signal += noise * np.float32(read_noise / sqrt(self.averaging))
        signal *= np.float32(self.gain)
        if self.half_normal > 0:
            for _ in range(self.averaging):
                noise = np.abs(rng.standard_normal(plane.shape, dtype=np.float32))
                signal += noise * np.float32(self.half_normal / self.averaging)
        if blur > 0:
            signal = ndimage.gaussian_filter(signal, blur, mode="reflect")
        signal += np.float32(self.offset)
        return signal


def gain_for_exposure(photons: Image, labels: Array, exposure: float, camera: Camera) -> float:
    """Return counts per photon at which the 99.99 % quantile of labelled light has `exposure`.

    Bruch et al., Communications Biology (2025), doi:10.1038/s42003-025-07469-2; 1 without light.
    """
    level = exposure * camera.full_scale - camera.offset
    if level <= 0:
        raise InputError(
            f"camera: an exposure is a share of full scale above the offset of "
            f"{camera.offset:g} counts, found {exposure:g} of {camera.full_scale}; raise exposure "
            "or lower offset"
        )
    some = some_planes(photons.shape)
    photons = photons[some]
    labels = labels[some]
    labelled = photons[labels > 0]
    light = float(np.quantile(labelled if labelled.size else photons, BRIGHT))
    return level / light if light > 0 else 1.0
