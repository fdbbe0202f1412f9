"""Entry point of the detector of spots: one image in, its points out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cytosuite.algorithms.spots import _kernels as kernels
from cytosuite.algorithms.spots.filters import Doubles, candidates
from cytosuite.algorithms.spots.fits import PLACE, WIDTH, Fits
from cytosuite.algorithms.spots.parameters import Parameters
from cytosuite.contract.interface import image_of
from cytosuite.contract.manifest import parameters_of
from cytosuite.contract.points import MOST, Points

_ROUNDING = 1e-6  # of the range of grey values: the least noise
_FEW = 0.1  # of the spots: a pass that finds fewer is the last


class Detected(NamedTuple):
    """Detected of an image, the clearest first."""

    places: Doubles  # (N, axes), px
    sd: Doubles  # (N, axes), px, of the places
    sigma: Doubles  # (N, axes), px, of the spots' light
    height: Doubles  # (N,), grey values above the background
    background: Doubles  # (N,), grey values
    light: Doubles  # (N,), grey values, the sum over all pixels
    snr: Doubles  # (N,), height in its sd
    gain: float  # grey values per photon, 0 where unknown

    def photons(self) -> Doubles:
        """Return the photons of each spot, NaN where the image does not tell."""
        return self.light / (self.gain or np.nan)


def find(image: NDArray[Any], spacing: Sequence[float], parameters: Parameters) -> Detected:
    """Return the spots of an image (Z, Y, X) or (Y, X) that is finite; steps: README.md."""
    p = parameters
    steps = (1.0,) * image.ndim if p.in_pixels else tuple(spacing)
    stretch = np.array([p.axial_elongation, 1.0, 1.0])
    sigmas = [s * stretch / np.array([1.0, *steps][-3:]) for s in sorted(p.sigmas_um)]
    lowest = float(image.min())
    values = np.empty((1,) * (3 - image.ndim) + image.shape, np.float32)
    # In float64, a part at a time: differences of signed integers overflow.
    np.subtract(image.reshape(values.shape), lowest, values, dtype=float, casting="same_kind")
    if len(values) == 1:
        sigmas = [np.array([0.0, *sigma[1:]]) for sigma in sigmas]
    quantum = 12**-0.5 if image.dtype.kind in "iu" else 0.0
    smallest = float(np.finfo(np.float32).tiny)
    least = max(quantum, _ROUNDING * float(values.max(initial=0)), smallest)
    fits = Fits(values, sigmas, p)
    spare = [np.empty_like(values) for _ in range(3)]
    for _ in range(p.passes):
        count = len(fits.spots)
        fits.add(*candidates(values, fits.rest, spare, fits.gain, sigmas, p.threshold, least))
        if fits.like_light()[count:].sum() <= _FEW * len(fits.spots):
            break
    fits.sweep()
    good = fits.good()
    spots, results, gain = fits.spots[good], fits.results[good], fits.gain
    axes = slice(3 - image.ndim, 3)
    wide = np.exp(spots[:, WIDTH])
    real = wide[:, -2:] if len(values) == 1 else wide
    light = spots[:, kernels.HEIGHT] * np.prod(real * np.sqrt(2 * np.pi), axis=1)
    return Detected(
        spots[:, PLACE[axes]],
        results[:, PLACE[axes]],
        wide[:, axes],
        spots[:, kernels.HEIGHT],
        spots[:, kernels.LEVEL] + lowest,
        light,
        results[:, kernels.SCORE],
        gain,
    )


if TYPE_CHECKING:
    from cytosuite.contract.weights import Model
    from cytosuite.volume import Volume


def predict(inputs: Mapping[str, Volume], model: Model) -> Mapping[str, Points]:
    """Return the ``detected-points`` of one image, the clearest first, at most 100,000."""
    volume = image_of(inputs)
    spots = find(volume.array, volume.spacing, parameters_of(model.card, Parameters))
    light = spots.photons()[:MOST]
    return {"detected-points": Points(spots.places[:MOST], volume.spacing, photons=light)}
