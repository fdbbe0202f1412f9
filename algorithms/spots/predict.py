"""Entry point of the detector of spots: one image in, its points out."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from cytosuite.algorithms.spots import _kernels as kernels
from cytosuite.algorithms.spots.filters import candidates
from cytosuite.algorithms.spots.fits import PLACE, WIDTH, Fits, Parameters
from cytosuite.algorithms.spots.heights import choose
from cytosuite.contract.interface import image_of
from cytosuite.contract.manifest import parameters_of
from cytosuite.contract.points import MOST, Points
from cytosuite.contract.progress import state
from cytosuite.contract.spacing import text
from cytosuite.contract.weights import Model
from cytosuite.errors import InputError
from cytosuite.volume import Volume
from cytosuite.volume.arrays import Array, Doubles, Spacing

_ROUNDING = 1e-6  # of the range of grey values: the least noise
# Without a voxel size: slices are usually as far apart as keeps spots as wide along z.
_IN_PIXELS = {
    "in_pixels": True,
    "sigmas_um": (1.0, 1.5, 2.2),
    "measure_width": True,
    "axial_elongation": 1.0,
}
_NARROWEST_PX = 0.5  # standard deviation of a spot that is wider than a hot pixel
FWHM = (8 * np.log(2)) ** 0.5  # standard deviations of a Gaussian: its width at half its height
_FEW = 0.1  # of the spots: a pass that finds fewer is the last


class Detected(NamedTuple):
    """Spots of an image, the clearest first."""

    places: Doubles  # (N, axes), px
    height: Doubles  # (N,), grey values above the background
    light: Doubles  # (N,), grey values, the sum over all pixels
    snr: Doubles  # (N,), height in its sd
    gain: float  # grey values per photon, 0 where unknown

    def photons(self) -> Doubles:
        """Return the photons of each spot, NaN where the image does not tell."""
        return self.light / (self.gain or np.nan)


def find(image: Array, spacing: Spacing, parameters: Parameters) -> Detected:
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
    if p.measure_width:
        fits = fits.measured(*candidates(values, values, spare, 0.0, sigmas, p.threshold, least))
    for _ in range(p.passes):
        count = len(fits.spots)
        fits.add(*candidates(values, fits.rest, spare, fits.gain, fits.sigmas, p.threshold, least))
        if fits.like_light()[count:].sum() <= _FEW * len(fits.spots):
            break
    fits.sweep()
    good = fits.good()
    spots, snr = fits.spots[good], fits.spots[good, kernels.SCORE]
    places, height = spots[:, PLACE[3 - image.ndim :]], spots[:, kernels.HEIGHT]
    wide = np.exp(spots[:, WIDTH])[:, fits.axes]
    return Detected(
        places, height, height * np.prod(wide * np.sqrt(2 * np.pi), axis=1), snr, fits.gain
    )


def predict(inputs: Mapping[str, Volume], model: Model) -> Mapping[str, Points]:
    """Return the ``detected-points`` of one image, the clearest first, at most 100,000."""
    volume = image_of(inputs)
    parameters, lines = _search(volume, parameters_of(model.card, Parameters))
    spots = find(volume.array, volume.spacing, parameters)
    stricter, expected = (_number(volume, key) for key in ("stricter", "expected"))
    choice = choose(spots.height, spots.snr, stricter or 1.0, int(expected or 0))
    state(size=lines[0], **choice.facts)
    some = np.flatnonzero(choice.marked)[:MOST]
    light, warnings = spots.photons()[some], (*lines[1:], *choice.lines)
    points = Points(spots.places[some], volume.spacing, photons=light, warnings=warnings)
    return {"detected-points": points}


def _search(volume: Volume, parameters: Parameters) -> tuple[Parameters, list[str]]:
    """Return the parameters for an image, in pixels without its voxel size; first line: widths.

    A further line says where voxels are so large that a spot would be narrower than half of one.
    """
    p, diameter, unit = parameters, _number(volume, "diameter_um"), "µm"
    pixel = volume.spacing[-1]
    if volume.spacing_is_assumed and not p.in_pixels:
        p = p.model_copy(update=_IN_PIXELS)
    if p.in_pixels:
        pixel, unit = 1.0, "px"
    if diameter:
        sigma = diameter / FWHM / (1.0 if unit == "µm" else volume.spacing[-1])
        p = p.model_copy(update={"sigmas_um": (sigma,), "measure_width": False})
    size = f"spots of {', '.join(f'{s:.3g}' for s in sorted(p.sigmas_um))} {unit} (sd)"
    if (wide := max(p.sigmas_um) / pixel) < _NARROWEST_PX:
        line = (
            f"voxel size {text(volume.spacing)} µm: a spot would be {wide:.2g} px wide (standard "
            f"deviation), and is hardly found below {_NARROWEST_PX}; is it right (--spacing)? "
            "--diameter gives the width of spots"
        )
        return p, [size, line]
    if p is parameters or not volume.spacing_is_assumed:
        return p, [size]
    return p, [size, f"spots sought in pixels: {size}, as the voxel size is not known (--diameter)"]


def _number(volume: Volume, key: str) -> float | None:
    """Return a positive number that the user gives about an image, None without it."""
    value = volume.metadata.get(key)
    if value is None or (isinstance(value, int | float) and 0 < value < np.inf):
        return value
    raise InputError(f"{key} must be a positive number, found {value!r}")
