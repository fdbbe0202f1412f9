"""Structural similarity (SSIM) of images: Gaussian window, no padding, double precision.

Wang, Bovik, Sheikh, Simoncelli, IEEE Transactions on Image Processing 13 (2004),
doi:10.1109/TIP.2003.819861.
"""

import math
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from cytosuite.errors import InputError
from cytosuite.files import FloatPair, FloatTriple
from cytosuite.metrics.images import ssim_kernel as kernel
from cytosuite.metrics.images.pair import PAIR, ImagePair
from cytosuite.metrics.metric import metric
from cytosuite.volume.arrays import Array, Shape
from cytosuite.volume.memory import is_mapped, release
from cytosuite.volume.pieces import cores, deep

SIGMA = 1.5  # voxels (Wang et al. 2004)
RADIUS = 5  # voxels: 3.5 sigmas
K1, K2 = 0.01, 0.03  # of the constants that keep the quotients defined (Wang et al. 2004)
PIECE = 32  # planes brought into the units of the comparison together
COLUMNS = 64  # worked on together, at most, where a thread takes more than one

Scale = FloatPair  # gain, offset
AS_IT_IS: Scale = (1.0, 0.0)


class _Work(NamedTuple):
    """Volumes, window and scales that the columns of one comparison share."""

    volumes: tuple[Array, Array]
    window: kernel.Window
    scales: tuple[Scale, Scale]
    constants: FloatTriple


def gaussian_window(shape: Shape, *, shrink: bool = False) -> kernel.Window:
    """Return the Gaussian window of 11 voxels for images of a shape (Z, Y, X) or (Y, X).

    Symmetric weights along Z, Y and X, from the centre outwards: the centre and twice the others
    sum to 1. A volume of one slice has the window of an image. With `shrink` it is narrower along
    shorter axes, which gives another number; else they are an `InputError`.
    """
    if len(shape) not in (2, 3):
        raise InputError(f"SSIM needs images (Z, Y, X) or (Y, X), found shape {shape}; give one")
    weights = [np.ones(1)] * (3 - len(shape))
    for axis, length in enumerate(shape):
        radius = min(RADIUS, (length - 1) // 2)
        if radius < RADIUS and not (shrink or (length == 1 and len(shape) == 3 and axis == 0)):
            raise InputError(
                f"SSIM: axis {axis} of shape {shape} is shorter than the window of "
                f"{2 * RADIUS + 1} voxels; give larger images, or a metric without window like PSNR"
            )
        half = np.exp(-(np.arange(radius + 1) ** 2) / (2 * SIGMA**2))
        weights.append(np.asarray(half / (half[0] + 2 * half[1:].sum()), np.float64))
    return weights[0], weights[1], weights[2]


def compare(
    truth: Array,
    prediction: Array,
    data_range: float,
    window: kernel.Window,
    scales: tuple[Scale, Scale] = (AS_IT_IS, AS_IT_IS),
) -> float:
    """Return the mean similarity, in [-1, 1], of two arrays over the windows that lie within them.

    Of real arrays (Z, Y, X) or (Y, X) of one shape, finite; ``gain * value + offset`` of `scales`
    is compared in place of the values; no axis is shorter than the window. InputError if values
    are so large against L, the `data_range`, that their squares overflow.

    Notes
    -----
    There is a thread per processor; each needs 4 MB, more for a longer window along Z, whatever
    the size of the volume. Of one on disk it needs so much per 134 voxels along X, for `COLUMNS` of
    them at most by all threads or by the only one.
    A constant near the values is taken from both before they are squared.
    """
    volumes = deep(np.asarray(truth)), deep(np.asarray(prediction))
    centre = scales[0][0] * _middle(volumes[0]) + scales[0][1]
    # The data range becomes 1.
    first, second = ((gain / data_range, (offset - centre) / data_range) for gain, offset in scales)
    constants = 2 * K1**2, 2 * K2**2, 2 * centre / data_range
    halo = (2 * (half.size - 1) for half in window)
    shape: Shape = tuple(n - more for n, more in zip(volumes[0].shape, halo, strict=True))
    columns = _all_columns(_Work(volumes, window, (first, second), constants), shape)
    mean = math.fsum(columns) / math.prod(shape)
    if not math.isfinite(mean):
        raise InputError(
            f"SSIM: grey values too large for the data range {data_range:g}; give the image's own"
        )
    return mean


def _all_columns(work: _Work, shape: Shape) -> list[float]:
    """Return the sum of the values of each column."""
    width = kernel.WIDTH - 2 * (work.window[2].size - 1)
    rows = _parts(shape[1], kernel.ROWS)
    widths = _parts(shape[2], width)
    # Pages of a file hold whole rows: of volumes on disk, columns side by side are read together.
    on_disk = any(is_mapped(volume) for volume in work.volumes)
    bands = [(y, widths) for y in rows] if on_disk else [(y, [x]) for y in rows for x in widths]
    together = len(bands[0][1])
    threads = min(cores(), len(bands), max(1, COLUMNS // together))
    spare = [[kernel.workspace(work.window) for _ in range(together)] for _ in range(threads)]

    def summed(band: tuple[slice, list[slice]]) -> list[float]:
        """Return the sums of a band, in buffers that no other thread has."""
        buffers = spare.pop()
        totals = _band(work, *band, buffers)
        spare.append(buffers)
        return totals

    with ThreadPoolExecutor(threads) as pool:
        return [total for totals in pool.map(summed, bands) for total in totals]


def _band(
    work: _Work, rows: slice, widths: list[slice], buffers: list[kernel.Buffers]
) -> list[float]:
    """Return the sum of the values of each of some columns."""
    _, ry, rx = (half.size - 1 for half in work.window)
    planes = work.volumes[0].shape[0]
    left = widths[0].start
    across = slice(rows.start, rows.stop + 2 * ry), slice(left, widths[-1].stop + 2 * rx)
    for buffer in buffers:
        buffer[-1][:] = 0.0
    held = [0] * len(widths)
    for first, last in pairwise([*range(0, planes, PIECE), planes]):
        truth, prediction = (
            gain * volume[first:last, *across].astype(np.float64) + offset
            for volume, (gain, offset) in zip(work.volumes, work.scales, strict=True)
        )
        for n, width in enumerate(widths):
            held[n] = kernel.advance(
                truth,
                prediction,
                width.start - left,
                (rows.stop - rows.start, width.stop - width.start),
                work.constants,
                work.window,
                buffers[n],
                held[n],
                last == planes,
            )
        release(*work.volumes)
    return [float(buffer[-1].sum()) for buffer in buffers]


def _middle(volume: Array) -> float:
    """Return the median of a few voxels."""
    few = volume[tuple(slice(n // 16, None, max(n // 8, 1)) for n in volume.shape)]
    middle = float(np.median(few.astype(np.float64)))
    release(volume)
    return middle


def _parts(length: int, longest: int) -> list[slice]:
    """Return slices of about equal length, none longer than `longest`."""
    count = -(-length // longest)
    return [slice(a, b) for a, b in pairwise([length * k // count for k in range(count + 1)])]


@metric(
    "SSIM",
    "Structural similarity",
    evidence=PAIR,
    best=1.0,
    worst=-1.0,
    reference="10.1109/TIP.2003.819861",
    tolerance=1e-6,
)
def ssim(images: ImagePair) -> float:
    """Return the mean structural similarity, of volumes in three dimensions.

    Of images (Z, Y, X), or (Y, X) or one slice for SSIM in two dimensions. It is 1 for equal
    images, negative for inverted structure. Per window, with means mu, population variances and
    covariance sigma under its weights,
    ``(2 mu_x mu_y + C1)(2 sigma_xy + C2) / ((mu_x^2 + mu_y^2 + C1)(sigma_x^2 + sigma_y^2 + C2))``,
    ``C1 = (0.01 L)^2``, ``C2 = (0.03 L)^2``; the mean over all windows within the volume. The
    weights are a Gaussian of 1.5 voxels cut to 11 along each axis, whatever the voxel size. No
    window reaches over the border, nothing is padded, as in the reference; programs that pad, or
    take the sample covariance, get other numbers. Two constant images a and b have
    ``(2ab + C1) / (a^2 + b^2 + C1)``.

    Examples
    --------
    >>> import numpy as np
    >>> flat = np.full((11, 11, 11), 0.5)
    >>> round(ssim(flat, flat - 0.2, data_range=1.0), 5)
    0.88239
    """
    return compare(
        images.truth, images.prediction, images.data_range, gaussian_window(images.truth.shape)
    )
