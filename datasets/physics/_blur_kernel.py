"""Compiled Gaussian along the first axis of a part of an image, in the arithmetic of scipy."""

import numpy as np

from cytosuite.datasets.physics._sketch_kernels import Doubles, Floats
from cytosuite.datasets.physics.nucleus_kernel import compiled


@compiled
def along_planes(image: Floats, weights: Doubles, out: Floats) -> None:
    """Write weighted sums over planes.

    Parameters
    ----------
    image : (n + 2 r, Y, X) float32 array
        With the r planes before and after those of the result.
    weights : (r + 1,) float64 array
        Of a plane itself and of those at distance 1 to r on both sides.
    out : (n, Y, X) float32 array
        The planes in the middle. Terms are added in double precision from the farthest to the
        nearest, as by ``scipy.ndimage.correlate1d`` for symmetric weights: the bytes are the same.
    """
    reach, (planes, height, width) = len(weights) - 1, out.shape
    total = np.empty(width, np.float64)
    for z in range(planes):
        for y in range(height):
            own, row = image[z + reach, y], out[z, y]
            for x in range(width):
                total[x] = np.float64(own[x]) * weights[0]
            for away in range(reach, 0, -1):
                before, after = image[z + reach - away, y], image[z + reach + away, y]
                weight = weights[away]
                for x in range(width):
                    total[x] += (np.float64(before[x]) + np.float64(after[x])) * weight
            for x in range(width):
                row[x] = np.float32(total[x])
