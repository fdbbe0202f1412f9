"""Structural similarity of two arrays: cut into columns, which threads work on one by one."""

import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cytosuite.errors import InputError
from cytosuite.large import is_mapped, release
from cytosuite.metrics.images import ssim_kernel as kernel
from cytosuite.metrics.images.ssim_window import Window

K1, K2 = 0.01, 0.03  # of the constants that keep the quotients defined (Wang et al. 2004)
PIECE = 32  # planes copied together where the loops cannot read the dtype or layout, or from disk
COLUMNS = 64  # worked on together, at most, where a thread takes more than one

Real = NDArray[Any]
Floats = NDArray[np.float64]
Quartet = tuple[Real, Real, Real, Real]
Buffers = tuple[Floats, Floats, Floats, Floats, Floats]
Scale = tuple[float, float]  # gain, offset
AS_IT_IS: Scale = (1.0, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """Volumes, window and scales that the columns of one comparison share."""

    volumes: tuple[Real, Real]
    window: Window
    scales: tuple[Scale, Scale]
    constants: tuple[float, float, float]
    out: Floats | None


def compare(
    truth: Real,
    prediction: Real,
    data_range: float,
    window: Window,
    scales: tuple[Scale, Scale] = (AS_IT_IS, AS_IT_IS),
    out: Floats | None = None,
) -> float:
    """Return the mean similarity of two arrays over the windows that lie within them.

    Parameters
    ----------
    truth, prediction : real arrays (Z, Y, X) or (Y, X)
        Of one shape, finite, not smaller than the window along any axis.
    data_range : float
        L, above 0.
    window : Window
        Weights along the axes.
    scales : two tuples (gain, offset)
        ``gain * value + offset`` is compared in place of the values, without a copy of them.
    out : float64 array (Z, Y, X), optional
        Takes the similarity of each window.

    Returns
    -------
    float
        In [-1, 1], whatever the number of threads.

    Raises
    ------
    InputError
        If the values are so large against L that their squares overflow.

    Notes
    -----
    There is a thread per processor; each needs 4 MB, more for a longer window along Z, whatever
    the size of the volume. Of one on disk it needs so much per 134 voxels along X, for `COLUMNS` of
    them at most by all threads or by the only one.
    A constant near the values is taken from both before they are squared. Sample variances, all
    larger by one factor, are compared by a C2 smaller by that factor.
    """
    volumes = (_as_volume(truth), _as_volume(prediction))
    centre = scales[0][0] * _middle(volumes[0]) + scales[0][1]
    work = _Work(
        volumes,
        window,
        (_in_units(scales[0], data_range, centre), _in_units(scales[1], data_range, centre)),
        (2 * K1**2, 2 * K2**2 * window.shrinkage, 2 * centre / data_range),
        out,
    )
    shape = values_shape(volumes[0].shape, window)
    mean = math.fsum(_all_columns(work, shape)) / math.prod(shape)
    if not math.isfinite(mean):
        raise InputError(
            f"SSIM: grey values too large for the data range {data_range:g}; give the image's own"
        )
    return mean


def values_shape(shape: tuple[int, ...], window: Window) -> tuple[int, ...]:
    """Return the number of windows along Z, Y, X within a volume of shape (Z, Y, X) or (Y, X).

    An `InputError` is raised if an axis is shorter than the window.
    """
    volume = (1,) * (3 - len(shape)) + tuple(shape)
    inside = tuple(n - 2 * radius for n, radius in zip(volume, window.radii, strict=True))
    if min(inside) < 1:
        raise InputError(
            f"SSIM: images of shape {shape} are smaller than the window of radius {window.radii}; "
            "make the window for this shape"
        )
    return inside


def _in_units(scale: Scale, data_range: float, centre: float) -> Scale:
    """Return the scale that also takes a constant away and makes the data range 1."""
    return scale[0] / data_range, (scale[1] - centre) / data_range


def _all_columns(work: _Work, shape: tuple[int, ...]) -> list[float]:
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
            totals[number] = _band(work, *band, buffers, copied=on_disk)

    threads = min(_processors(), len(bands), max(1, COLUMNS // together))
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(take) for _ in range(threads)]:
            done.result()
    return [total for own in totals for total in own]


def _band(
    work: _Work, rows: slice, widths: list[slice], buffers: list[Buffers], *, copied: bool
) -> list[float]:
    """Return the sum of the values of each of some columns, of volumes as they are or of copies."""
    _, ry, rx = work.window.radii
    planes = work.volumes[0].shape[0]
    direct = all(_kind(volume) is not None for volume in work.volumes)
    nothing, left = np.empty((0, 0, 0)), widths[0].start
    for own in buffers:
        own[-1][:] = 0.0
    held = [0] * len(widths)
    step = PIECE if copied or not direct else planes
    for first, last in pairwise([*range(0, planes, step), planes]):
        box = None
        if copied or not direct:
            across = slice(rows.start, rows.stop + 2 * ry), slice(left, widths[-1].stop + 2 * rx)
            box = slice(first, last), *across
        read = [_source(volume, box, direct) for volume in work.volumes]
        for n, width in enumerate(widths):
            done = first - held[n]
            held[n] = kernel.advance(
                read[0][1],
                read[1][1],
                (read[0][0], read[1][0]),
                (first, rows.start, width.start) if box is None else (0, 0, width.start - left),
                (last - first, rows.stop - rows.start, width.stop - width.start),
                work.scales,
                work.constants,
                work.window.weights,
                buffers[n],
                held[n],
                not direct or last == planes,
                nothing if work.out is None else work.out[done:, rows, width],
            )
        release(*work.volumes)
    return [float(own[-1].sum()) for own in buffers]


def _source(volume: Real, box: tuple[slice, ...] | None, direct: bool) -> tuple[int, Quartet]:
    """Return the place of a dtype, and a volume at that place, or a part of it, converted or not.

    The loops read four dtypes directly, others as float64.
    """
    kind = _kind(volume) if direct else len(kernel.DTYPES) - 1
    array = volume
    if box is not None:
        array = np.array(volume[box], volume.dtype if direct else np.float64, order="C")
    array = array.view()
    array.flags.writeable = False
    found = []
    for place, name in enumerate(kernel.DTYPES):
        empty = np.empty((0, 0, 0), name)
        empty.flags.writeable = False
        found.append(array if place == kind else empty)
    return kind or 0, (found[0], found[1], found[2], found[3])


def _kind(volume: Real) -> int | None:
    """Return the place of a volume's dtype among those read as they are; None to convert it."""
    name = volume.dtype.name
    known = volume.dtype.isnative and name in kernel.DTYPES and volume.flags.c_contiguous
    return kernel.DTYPES.index(name) if known else None


def _as_volume(array: Real) -> Real:
    """Return an array with axes Z, Y, X."""
    array = np.asarray(array)
    return array if array.ndim == 3 else array[np.newaxis]


def _middle(volume: Real) -> float:
    """Return the median of a few voxels."""
    few = volume[tuple(slice(n // 16, None, max(n // 8, 1)) for n in volume.shape)]
    middle = float(np.median(few.astype(np.float64)))
    release(volume)
    return middle


def _parts(length: int, longest: int) -> list[slice]:
    """Return slices of about equal length, none longer than `longest`."""
    count = -(-length // longest)
    edges = [length * k // count for k in range(count + 1)]
    return [slice(a, b) for a, b in pairwise(edges)]


def _processors() -> int:
    """Return the number of processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
