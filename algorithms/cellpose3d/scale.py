"""The working grid of an image, on which nuclei have the size of the training."""

from collections.abc import Sequence
from math import exp, log, prod, sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cytosuite.algorithms.cellpose3d.parameters import Parameters, Trained
from cytosuite.errors import InputError
from cytosuite.large import release
from cytosuite.normalise import background_of, normalise
from cytosuite.spacing import text
from cytosuite.volume import Volume

_RANGE = 5.0  # diameters from a fifth of the expected one to five times
_SCALES = 15
_SLICES, _PIXELS = 12, 3_000_000  # slices, and pixels in them, that suffice for a typical size
_FAINTEST = 0.05  # response of a blob as bright as the background's noise, normalised
_SPREAD = 0.8  # of ln diameter about the expected one
_FAR = 2.0  # nuclei that differ by more than this factor from the training's are worth a warning
_ENLARGED = 40.0  # voxels of the working grid per voxel of the image: more show nothing more
_STRONG = 0.7  # blobs weaker than this part of the strongest do not count


class Scale(NamedTuple):
    """The working grid of an image, and its reason."""

    factor: tuple[float, ...]  # working voxels per voxel of the image, z y x
    spacing: tuple[float, ...]  # µm per voxel of the image at the scale of the training, z y x
    ratio: float  # diameter of the image's nuclei divided by that of the training
    source: str  # of the ratio: "given" by the user, "estimated" from the image, or "trained"
    warnings: tuple[str, ...] = ()  # remarks that a user must see


def choose_scale(
    image: NDArray[Any],
    volume: Volume,
    trained: Trained,
    parameters: Parameters,
) -> Scale:
    """Return the grid on which the nuclei of an image have the size of the training.

    Parameters
    ----------
    image : (Z, Y, X) array of numbers
        Intensities of `volume`; a flat image has one slice.
    volume : Volume
        Its spacing, and in its metadata ``diameter_um`` where the user knows the typical lateral
        diameter of the nuclei.
    trained : Trained
        Voxel and nucleus size of the training.
    parameters : Parameters
        `diameter`: whether it is estimated where the user gave none; where the voxel size is not
        known either, it is estimated in any case. `diameter_tolerance`, `rescale_tolerance`.

    Raises
    ------
    InputError
        If ``diameter_um`` is not a positive number, or the image would be enlarged more than
        40-fold: its voxels are far too large for the nuclei of the training.
    """
    voxel, diameter = trained.spacing, trained.diameter_um
    given, ratio, source = volume.metadata.get("diameter_um"), 1.0, "trained"
    if given is not None:
        if not isinstance(given, int | float) or not given > 0:
            raise InputError(f"diameter_um must be a positive number of µm, found {given!r}")
        ratio, source = given / diameter, "given"
    elif parameters.diameter == "estimated" or volume.spacing_is_assumed:
        slices = normalise(_typical(image), background_of(image))
        found = estimate_diameter(slices, (voxel[0], *volume.spacing)[-3:], diameter)
        tolerated = 1.0 if volume.spacing_is_assumed else parameters.diameter_tolerance
        if found is not None and abs(log(found / diameter)) > log(tolerated):
            ratio, source = found / diameter, "estimated"
    # A flat image is one slice of the training's thickness, whatever its scale.
    own = tuple(step / ratio for step in volume.spacing)
    own = (voxel[0], *own)[-3:]
    factor = _factors(own, voxel, parameters.rescale_tolerance)
    size = f"{text(volume.spacing)} µm"
    if (more := prod(factor)) > _ENLARGED:
        raise InputError(
            f"the model is for nuclei or cells of {diameter:.3g} µm, for which voxels of {size} "
            f"(z, y, x) are too large: the image would be enlarged {more:.0f} times; check channel "
            "(--channel) and voxel size (--spacing), or give --diameter"
        )
    odd = source == "estimated" and not volume.spacing_is_assumed and abs(log(ratio)) > log(_FAR)
    warning = (
        f"nuclei odd: with voxels of {size} they look {ratio * diameter:.3g} µm wide, those of "
        f"the model are {diameter:.3g} µm; rescaled to fit, check the voxel size"
    )
    return Scale(factor, own, ratio, source, (warning,) if odd else ())


def _factors(
    spacing: Sequence[float], trained: Sequence[float], tolerance: float
) -> tuple[float, ...]:
    """Return the working voxels per voxel of the image, per axis, from voxel sizes in µm.

    They are 1 where every ``|ln factor|`` is within the tolerance: the image is used as it is.
    """
    found = tuple(own / new for own, new in zip(spacing, trained, strict=True))
    if all(abs(log(factor)) <= tolerance + 1e-9 for factor in found):
        return (1.0,) * len(found)
    return found


def estimate_diameter(
    slices: NDArray[np.float32], spacing: Sequence[float], expected_um: float
) -> float | None:
    """Return the typical lateral diameter of the bright blobs in an image.

    Parameters
    ----------
    slices : (Z, Y, X) float32 array
        Normalised intensities (`normalise`), in which dim and bright nuclei count alike.
    spacing : sequence of float
        µm per voxel, z y x.
    expected_um : float
        Diameters from a fifth of it to five times are looked for.

    Returns
    -------
    float or None
        In µm, of y and x; None where no blob stands out.

    Notes
    -----
    Maxima in scale and place of the scale-normalised Laplacian of Gaussian in each slice; a disc
    of radius r responds most at sigma = r / sqrt(2). The result is the median over blobs, weighted
    with strength and diameter; the smallest scale, at which noise responds most, and the largest
    do not count.

    References
    ----------
    Lindeberg, International Journal of Computer Vision 30 (1998) 79,
    doi:10.1023/A:1008045108935.
    """
    widest = min(slices.shape[1] * spacing[1], slices.shape[2] * spacing[2])
    diameters = [expected_um * _RANGE ** (2 * i / (_SCALES - 1) - 1) for i in range(_SCALES)]
    diameters = [d for d in diameters if 3 * max(spacing[1:]) <= d <= widest]
    if len(diameters) < 3:
        return None
    response = np.stack([_laplacian(slices, spacing, d / (2 * sqrt(2))) for d in diameters])
    peak = response == ndimage.maximum_filter(response, (3, 1, 5, 5))
    peak[[0, -1]] = False
    scale, *_ = where = np.nonzero(peak & (response > _FAINTEST))
    if not scale.size:
        return None
    logs = np.log(np.asarray(diameters))[scale]
    # Among blobs of many sizes (a whole embryo is one) the expected size is the likelier.
    weight = response[where] * np.exp(-0.5 * ((logs - log(expected_um)) / _SPREAD) ** 2)
    strong = weight > _STRONG * weight.max()
    logs, weight = logs[strong], weight[strong] * np.exp(logs[strong])
    order = np.argsort(logs, kind="stable")
    middle = np.searchsorted(np.cumsum(weight[order]), weight.sum() / 2)
    return exp(float(logs[order][middle]))


def _typical(image: NDArray[Any]) -> NDArray[Any]:
    """Return evenly chosen slices that suffice for a typical size."""
    count = min(_SLICES, max(1, _PIXELS // (image.shape[1] * image.shape[2])))
    places = np.linspace(0, image.shape[0] - 1, count + 2)[1:-1]
    found = np.asarray(image[np.unique(places.round().astype(int))])
    release(image)
    return found


def _laplacian(
    slices: NDArray[np.float32], spacing: Sequence[float], sigma_um: float
) -> NDArray[np.float32]:
    """Return ``-sigma^2`` times the Laplacian of the smoothed slices, positive in bright blobs."""
    sigma = (0.0, sigma_um / spacing[1], sigma_um / spacing[2])
    smooth = ndimage.gaussian_filter(slices, sigma, mode="nearest", truncate=3.0)
    total = np.zeros_like(slices)
    for axis in (1, 2):
        # Differences, as a truncated kernel of derivatives responds to a constant too.
        inner, values = np.moveaxis(total, axis, 0)[1:-1], np.moveaxis(smooth, axis, 0)
        inner += np.float32(sigma[axis] ** 2) * (2 * values[1:-1] - values[:-2] - values[2:])
    total[:, [0, -1]] = total[:, :, [0, -1]] = 0  # no neighbours beyond the border
    return total
