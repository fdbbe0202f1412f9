"""Fusion of views: their mean, weighted by the light that each has left."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cytosuite.datasets.physics.grid import Image

LEAST = 1e-6  # of a weight: no voxel is without one


def fused(
    counts: Sequence[NDArray[np.unsignedinteger | np.float32]],
    passed: Sequence[Image],
    preference: float,
) -> NDArray[np.uint16]:
    """Return the volume that is fused from registered views.

    Parameters
    ----------
    counts : sequence of (Z, Y, X) arrays
        The views, registered: numbers from 0 to 65535.
    passed : sequence of (Z, Y, X) float32 arrays
        Share of the light that is left in each of them.
    preference : float
        Power of it by which a view counts: 0 is the plain mean.

    Notes
    -----
    ``sum(w_i v_i) / sum(w_i)`` with ``w_i = passed_i ^ preference``, plane by plane: the weighted
    mean of multi-view light-sheet microscopy, here with weights that are known, not estimated from
    the images as by Preibisch et al.

    References
    ----------
    Preibisch et al., Mosaicing of single plane illumination microscopy images using groupwise
    registration and fast content-based image fusion, Proc. SPIE 6914 (2008), doi:10.1117/12.770893.
    """
    result = np.empty(counts[0].shape, np.uint16)
    for index, out in enumerate(result):
        weights = [np.maximum(each[index], LEAST) ** np.float32(preference) for each in passed]
        total = sum(w * view[index] for w, view in zip(weights, counts, strict=True))
        out[...] = np.rint(total / sum(weights))
    return result
