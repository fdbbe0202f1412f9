"""The light of a real image, without the noise of its camera: the target of networks of light."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cytosuite.denoising.camera import CameraModel
from cytosuite.volume import large
from cytosuite.volume.arrays import Floats
from cytosuite.volume.large import release, room
from cytosuite.volume.pieces import slab_bounds

WIDTHS = (0.3, 0.8, 1.2, 2.0)  # voxels, of Gaussian filters; the last one gives the level
POWERS = np.arange(3)[:, None]  # of ln(1 + photons): weights of the filters change with the level
REACH = 8  # voxels, where scipy ends the widest of them
SAMPLE = 300_000  # voxels that weights are found by


def light_of(image: NDArray[np.number], camera: CameraModel) -> Floats:
    """Return the light of a stack (Z, Y, X) or plane in its counts, without noise.

    Gaussian filters with weights that change with the level, of the least mean square error that is
    expected by the variance of the camera (Stein), without a truth: Blu, Luisier, IEEE Trans. Image
    Process. 16 (2007) 2778, doi:10.1109/TIP.2007.906002.
    """
    step = max(1, image.size // SAMPLE)
    across = image[:1].size
    most = max(large.SLAB, 4 * REACH * across) if large.is_mapped(image) else image.size
    bounds = slab_bounds(image.shape, most)

    @lru_cache(maxsize=1)
    def seen(start: int, stop: int) -> Floats:
        """Return photons of a slab as they are and after each filter, (1 + filters, Z, Y, X)."""
        first = max(0, start - REACH)
        near = (image[first : stop + REACH].astype(np.float32) - camera.offset) / camera.gain
        release(image)
        filtered = (ndimage.gaussian_filter(near, width, mode="nearest") for width in WIDTHS)
        return np.stack([values[start - first : stop - first] for values in (near, *filtered)])

    drawn = [
        seen(*ends).reshape(1 + len(WIDTHS), -1)[:, -ends[0] * across % step :: step].copy()
        for ends in bounds
    ]
    sample = np.concatenate(drawn, axis=1)
    near = np.log1p(sample[-1].clip(0)).astype(np.float64)
    powers = near**POWERS
    basis = np.concatenate([powers * part for part in sample[1:]])
    weighted = basis / ((1 + camera.excess) * np.expm1(near) + max(camera.read_noise, 0.1) ** 2)
    # The part of a voxel's own noise that a filter lets pass is no fit.
    tap = 1 / np.exp(-0.5 * np.square(np.arange(-9, 10)[:, None] / WIDTHS)).sum(axis=0)
    passed = np.outer(tap**image.ndim, powers.sum(axis=1))
    goal = weighted @ sample[0] - passed.ravel()
    weights = np.linalg.lstsq(weighted @ basis.T, goal, rcond=1e-9)[0].reshape(passed.shape)
    result = room(image.shape, np.float32)
    for start, stop in bounds:
        _, *filters = seen(start, stop)
        level = np.log1p(filters[-1].clip(0))
        shares = np.polynomial.polynomial.polyval(level, weights.T)
        light = np.einsum("f...,f...", shares, filters).clip(0)
        result[start:stop] = light * camera.gain + camera.offset
        release(result)
    return result
