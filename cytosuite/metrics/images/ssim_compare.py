"""Structural similarity of two arrays under a sliding window, by threads column by column."""

import math
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from cytosuite.errors import InputError
from cytosuite.metrics.images import ssim_kernel as kernel
from cytosuite.volume.arrays import Array, Doubles, Shape
from cytosuite.volume.cores import cores
from cytosuite.volume.large import is_mapped, release
from cytosuite.volume.pieces import deep

SIGMA = 1.5  # voxels (Wang et al. 2004)
RADIUS = 5  # voxels: 3.5 sigmas
K1, K2 = 0.01, 0.03  # of the constants that keep the quotients defined (Wang et al. 2004)
PIECE = 32  # planes brought into the units of the comparison together
COLUMNS = 64  # worked on together, at most, where a thread takes more than one

Scale = tuple[float, float]  # gain, offset
AS_IT_IS: Scale = (1.0, 0.0)


class Window(NamedTuple):
    """A product of symmetric weights along Z, Y and X."""

    # from the centre outwards; the centre and twice the others sum to 1
    weights: tuple[Doubles, Doubles, Doubles]

    @property
    def radii(self) -> tuple[int, int, int]:
        """Voxels on either side of the centre, along Z, Y, X."""
        z, y, x = (half.size - 1 for half in self.weights)
        return z, y, x


def gaussian_window(shape: Shape, *, shrink: bool = False) -> Window:
    """Return the Gaussian window of 11 voxels for images of a shape (Z, Y, X) or (Y, X).

    With `shrink` it is narrower along shorter axes, which gives another number; else they are an
    `InputError`. A volume of one slice has the window of an image.

    Examples
    --------
    >>> gaussian_window((32, 64, 64)).radii, gaussian_window((64, 64)).radii
    ((5, 5, 5), (0, 5, 5))
    """
    if len(shape) not in (2, 3):
        raise InputError(f"SSIM needs images (Z, Y, X) or (Y, X), found shape {shape}; give one")
    weights = [np.ones(1)] * (3 - len(shape))
    for axis, length in enumerate(shape):
        radius = min(RADIUS, (length - 1) // 2)
        plane = length == 1 and len(shape) == 3 and axis == 0
        if radius < RADIUS and not (shrink or plane):
            raise InputError(
                f"SSIM: axis {axis} of shape {shape} is shorter than the window of "
                f"{2 * RADIUS + 1} voxels; give larger images, or a metric without window like PSNR"
            )
        half = np.exp(-(np.arange(radius + 1) ** 2) / (2 * SIGMA**2))
        weights.append(np.asarray(half / (half[0] + 2 * half[1:].sum()), np.float64))
    return Window((weights[0], weights[1], weights[2]))


class _Work(NamedTuple):
    """Volumes, window and scales that the columns of one comparison share."""

    volumes: tuple[Array, Array]
    window: Window
    scales: tuple[Scale, Scale]
    constants: tuple[float, float, float]


def compare(
    truth: Array,
    prediction: Array,
    data_range: float,
    window: Window,
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
    work = _Work(
        volumes,
        window,
        (_in_units(scales[0], data_range, centre), _in_units(scales[1], data_range, centre)),
        (2 * K1**2, 2 * K2**2, 2 * centre / data_range),
    )
    shape: Shape = tuple(n - 2 * r for n, r in zip(volumes[0].shape, window.radii, strict=True))
    mean = math.fsum(_all_columns(work, shape)) / math.prod(shape)
    if not math.isfinite(mean):
        raise InputError(
            f"SSIM: grey values too large for the data range {data_range:g}; give the image's own"
        )
    return mean


def _in_units(scale: Scale, data_range: float, centre: float) -> Scale:
    """Return the scale that also takes a constant away and makes the data range 1."""
    return scale[0] / data_range, (scale[1] - centre) / data_range


def _all_columns(work: _Work, shape: Shape) -> list[float]:
    """Return the sum of the values of each column; threads take the next until none is left."""
    width = kernel.WIDTH - 2 * work.window.radii[2]
    rows, widths = _parts(shape[1], kernel.ROWS), _parts(shape[2], width)
    # Pages of a file hold whole rows: of volumes on disk, columns side by side are read together.
    on_disk = any(is_mapped(volume) for volume in work.volumes)
    bands = [(y, widths) for y in rows] if on_disk else [(y, [x]) for y in rows for x in widths]
    together = len(bands[0][1])
    totals: list[list[float]] = [[] for _ in bands]
    waiting = iter(list(enumerate(bands)))

    def take() -> None:
        """Work on band after band."""
        buffers = [kernel.workspace(work.window.radii) for _ in range(together)]
        for number, band in waiting:
            totals[number] = _band(work, *band, buffers)

    threads = min(cores(), len(bands), max(1, COLUMNS // together))
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(take) for _ in range(threads)]:
            done.result()
    return [total for column in totals for total in column]


def _band(
    work: _Work, rows: slice, widths: list[slice], buffers: list[kernel.Buffers]
) -> list[float]:
    """Return the sum of the values of each of some columns."""
    _, ry, rx = work.window.radii
    planes, left = work.volumes[0].shape[0], widths[0].start
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
                work.window.weights,
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
