"""Attenuation by tissue and blur, in µm; the objective is on the side of z = 0."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import zip_longest
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from cytosuite.bodies.grid import slabs
from cytosuite.files import IntPair
from cytosuite.segmentation.foreground import taps
from cytosuite.volume.arrays import Bools, Box, Image, Reals, Sizes, Spacing

REACH = 4.0  # standard deviations of a Gaussian beyond which its light is left out of account
TRUNCATE = 4.0  # standard deviations that scipy's Gaussian reaches
SHARP = 1e-15  # voxels: less is no blur, as for scipy
ROWS = 2**22  # voxels of the rows that are blurred along z together


class Attenuation(NamedTuple):
    """Law of lost light (Bruch et al. 2023, doi:10.1371/journal.pone.0283828)."""

    law: str = "exponential"  # exp(-d / length), (d / length + 1)^-6, or none
    length_um: float = 100.0  # for excitation and emission together
    delay_um: float = 0.0  # tissue that does not dim; negative: tissue above the first
    floor: float = 0.0  # added to the law at any depth, in [0, 1]

    def factor(self, depth_um: Reals | float) -> Image:
        """Return the share of the light left under depths of tissue; 1 within the delay."""
        beyond = np.asarray(depth_um, np.float32) - np.float32(self.delay_um)
        beyond *= np.float32(1 / self.length_um)
        np.maximum(beyond, 0, out=beyond)
        if self.law == "power":
            beyond += 1
            beyond *= beyond * beyond  # cubed
            share = 1 / (beyond * beyond)
        else:
            share = np.exp(-beyond)
        if self.floor:
            share += np.float32(self.floor)
            np.minimum(share, 1, out=share)
        return np.asarray(share, np.float32)


def attenuate(
    image: Image,
    share: Reals | Bools,
    step_um: float,
    law: Attenuation,
    above_um: Reals | float = 0.0,
) -> Image:
    """Dim an image (Z, Y, X), in place, by the tissue above; return `above_um` of the next."""
    depth = np.zeros(image.shape[1:], np.float32)
    depth += np.asarray(above_um, np.float32)
    for plane, solid in zip(image, share, strict=True):
        half = solid * np.float32(step_um / 2)
        depth += half
        plane *= law.factor(depth)
        depth += half
    return depth


def blurred(
    paint: Callable[[Box], Image], shape: Sizes, sigma: Spacing
) -> Iterator[tuple[slice, Image]]:
    """Yield planes and light (n, Y, X) of a blurred image, slab by slab, with scipy's bytes."""

    def _light(span: IntPair) -> Image:
        slab = _along_z(paint, shape, sigma[0], *span)
        for plane in slab:
            edges = (_reach(sigma[1]),) * 2, (0, 0)  # rows and columns that a plane lacks
            _along(np.pad(plane, edges, "edge")[:, None], sigma[1], plane[:, None])
            if sigma[2] > SHARP:
                ndimage.gaussian_filter1d(plane, sigma[2], -1, output=plane, mode="nearest")
        return slab

    spans = slabs(shape)
    with ThreadPoolExecutor(1) as pool:  # one slab ahead of the camera
        coming = pool.submit(_light, spans[0])
        for span, following in zip_longest(spans, spans[1:]):
            planes = coming.result()
            if following:
                coming = pool.submit(_light, following)
            yield slice(*span), planes


def _along_z(
    paint: Callable[[Box], Image], shape: Sizes, sigma: float, start: int, stop: int
) -> Image:
    """Return a slab blurred along z alone, some rows at a time."""
    depth, height, width = shape
    reach = _reach(sigma)
    planes = np.arange(start - reach, stop + reach).clip(0, depth - 1)
    low = int(planes[0])
    high = int(planes[-1]) + 1
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
    """Blur along the first axis; `image` is longer than `out` by the reach at both ends."""
    from cytosuite.datasets.physics import _image_kernels  # compiled on first use

    _image_kernels.along_planes(image, taps(sigma, TRUNCATE) if _reach(sigma) else np.ones(1), out)


def _reach(sigma: float) -> int:
    """Return how many voxels away a Gaussian still counts."""
    return int(TRUNCATE * sigma + 0.5) if sigma > SHARP else 0
