"""The light of a real image, without the noise of its camera: the target of networks of light."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cytosuite.denoising.camera import CameraModel
from cytosuite.volume.arrays import Floats

WIDTHS = (0.3, 0.8, 1.2, 2.0)  # voxels, of Gaussian filters; the last one gives the level
POWERS = np.arange(3)[:, None]  # of ln(1 + photons): weights of the filters change with the level
SAMPLE = 300_000  # voxels that weights are found by


def light_of(image: NDArray[np.number], camera: CameraModel) -> Floats:
    """Return the light of a stack (Z, Y, X) or plane in its counts, without noise.

    Gaussian filters with weights that change with the level, of the least mean square error that is
    expected by the variance of the camera (Stein), without a truth: Blu, Luisier, IEEE Trans. Image
    Process. 16 (2007) 2778, doi:10.1109/TIP.2007.906002.
    """
    photons = (image.astype(np.float32) - camera.offset) / camera.gain
    filters = [ndimage.gaussian_filter(photons, width, mode="nearest") for width in WIDTHS]
    level = np.log1p(filters[-1].clip(0))
    some = np.s_[:: max(1, level.size // SAMPLE)]
    near = level.ravel()[some].astype(np.float64)
    powers = near**POWERS
    basis = np.concatenate([powers * part.ravel()[some] for part in filters])
    weighted = basis / ((1 + camera.excess) * np.expm1(near) + max(camera.read_noise, 0.1) ** 2)
    # The part of a voxel's own noise that a filter lets pass is no fit.
    tap = 1 / np.exp(-0.5 * np.square(np.arange(-9, 10)[:, None] / WIDTHS)).sum(axis=0)
    passed = np.outer(tap**image.ndim, powers.sum(axis=1))
    goal = weighted @ photons.ravel()[some] - passed.ravel()
    weights = np.linalg.lstsq(weighted @ basis.T, goal, rcond=1e-9)[0].reshape(passed.shape)
    shares = np.polynomial.polynomial.polyval(level, weights.T)
    light = np.einsum("f...,f...", shares, filters).clip(0)
    return np.asarray(light * camera.gain + camera.offset, np.float32)
