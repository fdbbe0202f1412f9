"""The light of a real image, without the noise of its camera: the target of networks of light."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cytosuite.denoising.camera import Camera, correlation_of

Floats = NDArray[np.float64]

AXIAL = 0.8  # width of filters along z / across
WIDTHS = (0.4, 0.6, 0.8, 1.1, 1.6, 2.4)  # voxels, of filters along all axes
FILTERS = (
    (0.0, 0.0),
    *((AXIAL * width, width) for width in WIDTHS),
    (0.0, 0.6),
    (0.0, 1.2),
    (1.0, 0.0),
)
AROUND = (1.5, 2.0)  # voxels, of the level that noise and weights follow
POWERS = 3  # 1, u and u² of u = ln(1 + photons): weights of the filters change with the level
SAMPLE = 300_000  # voxels of an image that weights are found by
RIDGE = 1e-6  # of the mean square, keeps the weights of filters that are nearly alike small


def light_of(image: NDArray[np.number], camera: Camera) -> NDArray[np.float32]:
    """Return the light of a stack (Z, Y, X) or plane in its counts, without noise.

    Gaussian filters with weights that depend on the local level, of the least mean square error
    that can be expected, which needs no truth: Stein's estimate with the variance of the camera.
    Blu, Luisier, IEEE Trans. Image Process. 16 (2007) 2778, doi:10.1109/TIP.2007.906002.
    """
    photons = (image.astype(np.float32) - np.float32(camera.offset)) / np.float32(camera.gain)
    level = np.maximum(smoothed(photons, *AROUND), 0)
    step = max(1, photons.size // SAMPLE)
    near = level.ravel()[::step].astype(np.float64)
    variance = (1 + camera.excess) * near + max(camera.read_noise, 1e-3) ** 2
    seen, shares, filters = [], [], []
    for width, tap in zip(FILTERS, taps(image.ndim, camera), strict=True):
        filters.append(smoothed(photons, *width))
        for power in np.log1p(near) ** np.arange(POWERS)[:, None]:
            seen.append(power * filters[-1].ravel()[::step])
            shares.append(power * tap)
    basis, own = np.stack(seen), np.stack(shares)
    weighted = basis / variance
    square = weighted @ basis.T
    # noise that a filter lets pass at its own voxel is no fit
    goal = weighted @ photons.ravel()[::step].astype(np.float64) - own.sum(axis=1)
    square += RIDGE * np.trace(square) / len(square) * np.eye(len(square))
    weights = np.linalg.solve(square, goal).reshape(len(FILTERS), POWERS)
    curve = np.log1p(level)
    found = np.zeros_like(photons)
    for own_weights, part in zip(weights, filters, strict=True):
        found += np.polynomial.polynomial.polyval(curve, own_weights).astype(np.float32) * part
    return np.maximum(found, 0) * np.float32(camera.gain) + np.float32(camera.offset)


def smoothed(image: NDArray[np.float32], axial: float, lateral: float) -> NDArray[np.float32]:
    """Return a stack or plane after a Gaussian, widths in voxels."""
    sigma = (axial, lateral, lateral)[-image.ndim :]
    found: NDArray[np.float32] = ndimage.gaussian_filter(image, sigma, mode="nearest")
    return found


def taps(axes: int, camera: Camera) -> Iterator[float]:
    """Yield the weight of each filter for noise of a voxel and its correlated x neighbours."""
    point = np.zeros((21,) * axes, np.float32)
    middle = (10,) * axes
    point[middle] = 1
    for width in FILTERS:
        answer = smoothed(point, *width)
        beside = float(answer[(*middle[:-1], 11)])
        yield float(answer[middle]) + 2 * correlation_of(camera.lag) * beside
