"""Gaussian blur of an image that need not fit into memory, slab by slab."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy import ndimage

from cytosuite.datasets.physics.grid import Array, Image, slabs
from cytosuite.tiling import Box

TRUNCATE = 4.0  # standard deviations that scipy's Gaussian reaches
SHARP = 1e-15  # voxels: less is no blur, as for scipy
ROWS = 2**22  # voxels of the rows that are blurred along z together


def blurred(
    paint: Callable[[Box], Image], shape: Sequence[int], sigma: Sequence[float]
) -> Iterator[tuple[slice, Image]]:
    """Yield an image blurred by a Gaussian, in consecutive slabs.

    Parameters
    ----------
    paint : callable
        Returns any part (z, y, x) of the sharp image as a new float32 array.
    shape : sequence of int
        Voxels of the whole along z, y, x.
    sigma : sequence of float
        Standard deviations in voxels. Beyond its faces the image goes on as at them.

    Yields
    ------
    slice, (n, Y, X) float32 array
        Planes of a slab (`cytosuite.datasets.physics.grid.slabs`) and their light: the bytes are
        those of ``scipy.ndimage.gaussian_filter(whole, sigma, mode="nearest")``.
    """
    spans = slabs(shape)
    if len(spans) == 1:
        whole = paint(tuple(slice(0, size) for size in shape))
        yield slice(0, shape[0]), ndimage.gaussian_filter(whole, sigma, mode="nearest")
        return

    def light(span: tuple[int, int]) -> Image:
        """Return a blurred slab."""
        slab = _along_z(paint, shape, sigma[0], *span)
        for plane in slab:
            _along(np.pad(plane, _edges(sigma[1]), "edge")[:, None], sigma[1], plane[:, None])
            if sigma[2] > SHARP:
                ndimage.gaussian_filter1d(plane, sigma[2], -1, output=plane, mode="nearest")
        return slab

    with ThreadPoolExecutor(1) as pool:  # one slab ahead of the camera
        coming = pool.submit(light, spans[0])
        for number, (start, stop) in enumerate(spans, start=1):
            found = coming.result()
            if number < len(spans):
                coming = pool.submit(light, spans[number])
            yield slice(start, stop), found


def _along_z(
    paint: Callable[[Box], Image], shape: Sequence[int], sigma: float, start: int, stop: int
) -> Image:
    """Return a slab blurred along z alone, some rows at a time."""
    depth, height, width = shape
    reach = _reach(sigma)
    planes = np.arange(start - reach, stop + reach).clip(0, depth - 1)
    low, high = int(planes[0]), int(planes[-1]) + 1
    light = np.empty((stop - start, height, width), np.float32)
    rows = max(1, ROWS // (len(planes) * width))
    for top in range(0, height, rows):
        span = slice(top, min(top + rows, height))
        part = paint((slice(low, high), span, slice(0, width)))
        if len(part) < len(planes):
            part = part[planes - low]
        _along(part, sigma, light[:, span])
    return light


def _along(image: Image, sigma: float, out: Image) -> None:
    """Blur along the first axis, of which `image` has the reach more at both ends than `out`."""
    from cytosuite.datasets.physics import _blur_kernel  # compiled on first use

    _blur_kernel.along_planes(image, _weights(sigma), out)


def _reach(sigma: float) -> int:
    """Return how many voxels away a Gaussian still counts."""
    return int(TRUNCATE * sigma + 0.5) if sigma > SHARP else 0


def _edges(sigma: float) -> list[tuple[int, int]]:
    """Return the rows and columns that a plane lacks on each side."""
    return [(_reach(sigma),) * 2, (0, 0)]


def _weights(sigma: float) -> Array:
    """Return the weights (r + 1,) of scipy's Gaussian from the middle on: those of one point."""
    reach = _reach(sigma)
    point = np.zeros(2 * reach + 1)
    point[reach] = 1
    seen = ndimage.gaussian_filter1d(point, sigma, mode="constant") if reach else point
    return np.ascontiguousarray(seen[reach:])
