"""The seed map, which is largest in the middles of nuclei."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cytosuite.segmentation.foreground import sigmas

_FLOOR = 1e-4  # where the response is not positive, this part of the largest keeps basins apart


def typical_radius(mask: NDArray[np.bool_], spacing: Sequence[float], elongation: float) -> float:
    """Return the typical radius [µm] of balls or discs that make up a foreground.

    Parameters
    ----------
    mask, spacing, elongation
        As of `border_distance`.

    Returns
    -------
    float
        ``(d + 1)`` times the mean distance to the border, exact for balls of one size in ``d``
        dimensions; large objects weigh more, as they hold more voxels.
    """
    distance = border_distance(mask, spacing, elongation)
    return (mask.ndim + 1) * float(distance[mask].mean())


def border_distance(
    mask: NDArray[np.bool_], spacing: Sequence[float], elongation: float
) -> NDArray[np.float32]:
    """Return the distance to the nearest voxel outside.

    Parameters
    ----------
    mask : (Z, Y, X) or (Y, X) bool array
        The foreground.
    spacing : sequence of float
        µm per voxel, one per axis.
    elongation : float
        How many times taller than wide nuclei look: distances along z are divided by it.

    Returns
    -------
    float32 array
        In µm, 0 outside.
    """
    flattened = sigmas(1.0, [1.0] * mask.ndim, elongation)
    step = [size / factor for size, factor in zip(spacing, flattened, strict=True)]
    distance: NDArray[np.float64] = ndimage.distance_transform_edt(mask, sampling=step)
    return distance.astype(np.float32)


def blob_response(
    image: NDArray[np.float32],
    spacing: Sequence[float],
    radii_um: Sequence[float],
    elongation: float,
) -> NDArray[np.float32]:
    """Return the largest scale-normalised Laplacian of Gaussian over the given radii.

    Parameters
    ----------
    image : (Z, Y, X) or (Y, X) float32 array
        Intensities.
    spacing, elongation
        As of `border_distance`.
    radii_um : sequence of float
        Radii in y and x [µm], at least one.

    Returns
    -------
    float array
        ``max_r -s_r^2 (laplacian of G(s_r) * image)`` with ``s_r = r / sqrt(d)``, positive in
        bright blobs; derivatives along z count in units of the stretched sigma.

    References
    ----------
    Lindeberg, International Journal of Computer Vision 30 (1998) 79,
    doi:10.1023/A:1008045108935.
    """
    best = np.full(image.shape, -np.inf, np.float32)
    for radius in radii_um:
        sigma = sigmas(radius / np.sqrt(image.ndim), spacing, elongation)
        blurred = ndimage.gaussian_filter(image, sigma, truncate=3.0)
        response = np.zeros_like(blurred)
        for axis, width in enumerate(sigma):
            if image.shape[axis] > 1:
                response -= np.float32(width**2) * _second_difference(blurred, axis)
        np.maximum(best, response, out=best)
    return best


def _second_difference(array: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """Return the second central difference along an axis, edges repeated."""
    result = np.empty_like(array)
    a, out = np.moveaxis(array, axis, 0), np.moveaxis(result, axis, 0)
    out[1:-1] = a[2:] + a[:-2] - 2 * a[1:-1]
    out[0] = a[1] - a[0]
    out[-1] = a[-2] - a[-1]
    return result


def seed_map(
    response: NDArray[np.float32],
    mask: NDArray[np.bool_],
    spacing: Sequence[float],
    *,
    distance_weight: float,
    elongation: float,
    peak: float | None = None,
) -> NDArray[np.float32]:
    """Return blob response times a power of the distance to the border of the foreground.

    Parameters
    ----------
    response : float32 array
        Blob response; values below 0.0001 of the largest count as that much.
    mask, spacing, elongation
        As of `border_distance`.
    distance_weight : float
        Exponent of the distance, 0 leaves it out.
    peak : float, optional
        Largest response of the whole image, where this is a part of it.

    Returns
    -------
    float32 array
        Positive in the foreground, 0 elsewhere.
    """
    top = float(response.max(initial=0.0)) if peak is None else peak
    floor = np.float32(_FLOOR * top)
    value: NDArray[np.float32] = np.where(mask, np.maximum(response, floor), np.float32(0))
    if distance_weight > 0 and mask.any():
        distance = border_distance(mask, spacing, elongation)
        distance = ndimage.gaussian_filter(distance, sigmas(spacing[-1], spacing, 1.0))
        value *= distance ** np.float32(distance_weight)
    return value
