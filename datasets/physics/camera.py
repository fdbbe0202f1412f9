"""Model the detector: ``gain (S + Normal(0, read noise)) + offset + |Normal(0, half-normal)|``.

S photons, multiplied: variance has the slope ``gain (1 + excess) / averaging``. Janesick (2007),
doi:10.1117/3.725073; Basden et al. (2003), doi:10.1046/j.1365-8711.2003.07020.x (multiplication);
Bruch et al. (2023), doi:10.1371/journal.pone.0283828 (half-normal noise, averaging).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cytosuite.bodies.grid import Image
from cytosuite.datasets.physics.grid import some_planes
from cytosuite.denoising.camera import electrons, late
from cytosuite.errors import InputError
from cytosuite.volume import large
from cytosuite.volume.pieces import slabs

BITS = (8, 12, 16)
MOST_PHOTONS = 1e9  # per voxel; sums of repeats and their noise stay exact enough in float32
BRIGHT = 0.9999  # quantile of the labelled light that an exposure is set by


def area_average(
    image: Image,
    spacing: Sequence[float],
    out_shape: Sequence[int],
    out_spacing: Sequence[float],
    offset_um: Sequence[float] = (0.0, 0.0, 0.0),
) -> Image:
    """Return the mean of an image, dark outside, over the voxels of a coarser grid."""
    for axis, size in enumerate(out_shape):
        ratio, start = out_spacing[axis] / spacing[axis], offset_um[axis] / spacing[axis]
        edges = np.round(start + ratio * np.arange(size + 1), 9)  # in samples
        low, high = edges[:-1], edges[1:]
        first = np.floor(low).astype(int)
        terms = int((np.ceil(high) - first).max())
        form = [size if a == axis else 1 for a in range(image.ndim)]
        result = np.zeros((*image.shape[:axis], size, *image.shape[axis + 1 :]), np.float32)
        for index in first + np.arange(terms)[:, None]:
            weight = (np.minimum(high, index + 1) - np.maximum(low, index)).clip(0) / ratio
            weight *= (index >= 0) & (index < image.shape[axis])
            taken = image.take(index.clip(0, image.shape[axis] - 1), axis)
            taken *= weight.astype(np.float32).reshape(form)
            result += taken
        image = result
    return image


@dataclass(frozen=True, slots=True)
class Detector:
    """A detector that turns light into counts; InputError for a value out of its range."""

    gain: float = 1.0  # counts per photon
    offset: float = 100.0  # counts in the dark, without shot noise
    read_noise: float = 0.0  # standard deviation of the electronic noise, photons
    excess: float = 0.0  # variance by multiplication / shot noise: 1 for EMCCD at high gain
    half_normal: float = 0.0  # counts; |Gaussian| of this standard deviation is added
    averaging: int = 1  # acquisitions averaged before rounding
    sensor_blur: float = 0.0  # voxels, lateral Gaussian over signal and noise: resampled images
    lag: float = 0.0  # share of a voxel's electrons that is read one x pixel later (EMCCD)
    bits: int = 16  # 8, 12 or 16: counts are rounded and clipped to 0 .. 2**bits - 1

    def __post_init__(self) -> None:
        """Refuse values that no detector has."""
        full_scale(self.bits)
        if not (isfinite(self.gain) and self.gain > 0):
            raise InputError(f"camera: gain must be a positive number, found {self.gain:g}")
        if self.averaging < 1 or int(self.averaging) != self.averaging:
            raise InputError(
                f"camera: averaging must be a whole number from 1 on, found {self.averaging}"
            )
        for name in ("offset", "read_noise", "excess", "half_normal", "sensor_blur", "lag"):
            value = getattr(self, name)
            if not (isfinite(value) and value >= 0):
                raise InputError(f"camera: {name} must be a number from 0 on, found {value:g}")

    def expose(self, rng: np.random.Generator, photons: Image) -> NDArray[np.unsignedinteger]:
        """Return the counts for photons (Z, Y, X) plane by plane: uint8 for 8 bits or uint16."""
        kind = np.uint8 if self.bits == 8 else np.uint16
        result = large.room(photons.shape, kind)
        for part in slabs(photons, result):
            for plane, out in zip(photons[part], result[part], strict=True):
                out[...] = np.rint(self._counts(rng, plane)).clip(0, full_scale(self.bits))
        return result

    def _counts(self, rng: np.random.Generator, plane: Image) -> Image:
        """Return the counts of a plane, not yet rounded."""
        low, high = float(plane.min(initial=0)), float(plane.max(initial=0))
        if not (low >= 0 and high <= MOST_PHOTONS):  # NaN fails too
            raise InputError(
                f"camera: photons per voxel must lie in 0 .. {MOST_PHOTONS:.0e}, found {low:g} to "
                f"{high:g}"
            )
        # The sum of Poisson numbers is Poisson, and their gamma variables add up alike: repeats
        # need no loop here.
        signal = electrons(rng, plane * np.float64(self.averaging), self.excess)
        signal *= np.float32(1 / self.averaging)
        if self.lag > 0:
            signal = plane + late(signal - plane, self.lag)
        if self.read_noise > 0:
            noise = rng.standard_normal(plane.shape, dtype=np.float32)
            signal += noise * np.float32(self.read_noise / sqrt(self.averaging))
        signal *= np.float32(self.gain)
        if self.half_normal > 0:
            for _ in range(self.averaging):
                noise = np.abs(rng.standard_normal(plane.shape, dtype=np.float32))
                signal += noise * np.float32(self.half_normal / self.averaging)
        if self.sensor_blur > 0:
            signal = ndimage.gaussian_filter(signal, self.sensor_blur, mode="reflect")
        signal += np.float32(self.offset)
        return signal


def gain_for_exposure(
    photons: Image, labels: NDArray[Any], exposure: float, offset: float, bits: int
) -> float:
    """Return counts per photon at which the 99.99 % quantile of labelled light has `exposure`.

    Bruch et al., Communications Biology (2025), doi:10.1038/s42003-025-07469-2; 1 without light.
    """
    level = exposure * full_scale(bits)
    if not (exposure > 0 and level > offset):
        raise InputError(
            f"camera: an exposure is a share of full scale above the offset of "
            f"{offset:g} counts, found {exposure:g} of {full_scale(bits)}; raise exposure or "
            "lower offset"
        )
    some = some_planes(photons.shape)
    photons, labels = photons[some], labels[some]
    labelled = photons[labels > 0]
    light = float(np.quantile(labelled if labelled.size else photons, BRIGHT))
    return (level - offset) / light if light > 0 else 1.0


def full_scale(bits: int) -> int:
    """Return the highest count of a detector with 8, 12 or 16 bits; `InputError` for others."""
    if bits not in BITS:
        raise InputError(f"camera: bits must be 8, 12 or 16, found {bits!r}")
    return int(2**bits - 1)
