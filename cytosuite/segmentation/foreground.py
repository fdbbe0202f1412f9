"""Background, noise and the voxels that belong to nuclei."""

from collections.abc import Callable, Sequence
from functools import partial
from math import prod

import numpy as np
from scipy import ndimage

from cytosuite.files import FloatPair
from cytosuite.networks.grid import stencil
from cytosuite.networks.normalise import background_of, sampled_percentiles
from cytosuite.volume.arrays import (
    Array,
    Bools,
    Doubles,
    Floats,
    Ints,
    Lengths,
    Longs,
    Sizes,
    Spacing,
)
from cytosuite.volume.memory import is_mapped
from cytosuite.volume.pieces import parts_of, side_by_side, slabs_of, thinned

_BINS = 4096
_PLANES = 16  # that suffice for the noise of a volume
_MAD_TO_SD = 1.4826
_DARKEST = 0.1  # the surroundings count as at least this part of the global threshold
_WEAK_SMOOTHING = 0.05  # part of the noise in the residual that is too little to estimate it


def sigmas(length_um: float, spacing: Spacing, elongation: float) -> Lengths:
    """Return a length in voxels per axis; z (of three axes) is stretched by `elongation`."""
    factors = (elongation, 1.0, 1.0) if len(spacing) == 3 else (1.0, 1.0)
    return tuple(length_um * factor / step for factor, step in zip(factors, spacing, strict=True))


def gaussian(
    image: Floats,
    sigma: Spacing,
    truncate: float = 4.0,
    out: Floats | None = None,
) -> Floats:
    """Return SciPy's `gaussian_filter`, bit for bit, on all cores; `out` may be the image."""
    from cytosuite.segmentation._kernels import blur, blur_rows  # numba takes long to import

    result = np.empty(image.shape, np.float32) if out is None else out
    if result is not image:
        result[...] = image
    rows = result.reshape(-1, image.shape[-1])
    for axis, width in enumerate(sigma):
        if width > 0 and axis < image.ndim - 1:
            along_lines(partial(blur, taps(width, truncate)), axis, result)
        elif width > 0:
            work = partial(blur_rows, taps(width, truncate))
            side_by_side(work, [rows[part] for part in parts_of(rows.shape)])
    return result


def taps(width: float, truncate: float) -> Doubles:
    """Return one side of the weights of SciPy's Gaussian, from its middle."""
    reach = int(truncate * float(width) + 0.5)
    whole = np.exp(-0.5 / (width * width) * np.arange(-reach, reach + 1) ** 2)
    return np.ascontiguousarray((whole / whole.sum())[reach:])


def along_lines(work: Callable[..., None], axis: int, *images: Array) -> None:
    """Work on the lines along an axis, not the last one: (K, N, M), first and last column of M."""
    shape = images[0].shape
    size = prod(shape[:axis]), shape[axis], prod(shape[axis + 1 :])
    lines = [image.reshape(size) for image in images]
    if size[0] > 1:
        side_by_side(lambda part: work(*(line[part] for line in lines), 0, size[2]), parts_of(size))
        return
    columns = parts_of((size[2], size[1]))
    side_by_side(lambda part: work(*lines, part.start, part.stop), columns)


def distance_out(
    mask: Bools, spacing: Spacing, owner: Ints | None = None, reach: float = np.inf
) -> Floats:
    """Return distances to the nearest voxel outside of a mask, and write its label into `owner`.

    Voxels without a label that lie further away than `reach` get any distance above it.
    """
    from cytosuite.segmentation._kernels import away, away_in_rows  # numba takes long to import

    distance = np.empty(mask.shape, np.float32)
    labels = np.empty(mask.shape, np.int32) if owner is None else owner
    labelled = owner is not None
    free = owner == 0
    arrays: list[Array] = [np.ascontiguousarray(mask), distance, labels]
    rows, lines, names = (array.reshape(-1, mask.shape[-1]) for array in arrays)
    *others, step = np.asarray(spacing, np.float32)
    side_by_side(
        lambda part: away_in_rows(rows[part], step, labelled, lines[part], names[part]),
        parts_of(rows.shape),
    )
    if labelled:
        np.minimum(distance, (1.001 * reach) ** 2, out=distance, where=free)
    for axis, length in reversed([*enumerate(others)]):
        along_lines(partial(away, length * length, labelled), axis, distance, labels)
    return np.sqrt(distance, out=distance)


def calmed(image: Array, clear: float) -> tuple[Array, float]:
    """Return a volume (Z, Y, X) without strong noise, and the smoothing [voxels along y and x].

    Where its brightest signal is below `clear` times the noise of single voxels it is smoothed,
    from half of that on by one voxel, along z by half of it; an image on disk stays as it is.
    """
    if not clear or is_mapped(image) or min(image.shape[1:]) < 3:
        return image, 0.0
    rough = np.diff(
        np.diff(image[:: max(1, len(image) // _PLANES)].astype(np.float32), 2, axis=-1), 2, axis=-2
    )
    noise = _MAD_TO_SD * float(np.median(np.abs(rough))) / 6  # the root of the squared weights
    signal = sampled_percentiles(image, 99.8)[0] - background_of(image).mean
    sigma = float(np.clip(clear * noise / signal - 1, 0, 1)) if signal > 0 else 0.0
    if not sigma:
        return image, 0.0
    return ndimage.gaussian_filter(image.astype(np.float32), (sigma / 2, sigma, sigma)), sigma


def background_and_noise(signal: Floats) -> FloatPair:
    """Return level and standard deviation of the background: half-sample mode, lower MAD."""
    values = np.sort(thinned(signal, max(1, signal.size // 200_000)))
    background = _half_sample_mode(values)
    below = values[values <= background]
    spread = _MAD_TO_SD * float(np.median(background - below)) if below.size else 0.0
    return background, spread


def white_noise(residual: Floats, background: Bools, sigma: Spacing) -> float:
    """Return the sd that white noise keeps after smoothing by `sigma`; 0 if that was too weak.

    With the kernel ``k``, white noise of variance ``v`` leaves ``v sum(k^2)`` in the smoothed
    image and ``v (1 - 2 k(0) + sum(k^2))`` in the residual, image minus smoothed image.
    """
    centre = 1.0
    square = 1.0
    for width in sigma:
        impulse = np.zeros(2 * int(4 * width + 1) + 1)
        impulse[impulse.size // 2] = 1.0
        kernel = ndimage.gaussian_filter1d(impulse, width) if width > 0 else impulse
        centre = centre * float(kernel.max())
        square = square * float(np.sum(kernel**2))
    left = 1 - 2 * centre + square

    def squares(part: slice) -> tuple[float, int]:
        """Return sum of squares and number of the background voxels in some planes."""
        values = residual[part][background[part]].astype(np.float64)
        return float(np.sum(values**2)), values.size

    total, count = np.sum(side_by_side(squares, parts_of(residual.shape)), axis=0)
    if left < _WEAK_SMOOTHING or count == 0:
        return 0.0
    return float(np.sqrt(total / count * square / left))


def _half_sample_mode(values: Floats) -> float:
    """Return the middle of the shortest intervals holding ever fewer of the sorted values."""
    while values.size > 64:
        half = max(32, values.size // 2)
        width = values[half - 1 :] - values[: values.size - half + 1]
        narrowest = np.flatnonzero(width == width.min())
        start = int(narrowest[narrowest.size // 2])
        if width[start] == 0:
            return float(values[start])
        values = values[start : start + half]
    return float(np.median(values))


def remove_background(image: Floats, spacing: Spacing, radius_um: float) -> Floats:
    """Return the image minus a smooth envelope (µm), by Sternberg, doi:10.1109/MC.1983.1654163."""
    small, block = reduced(image, background_steps(radius_um, spacing))
    ground = restored(lower_envelope(small, block, spacing, radius_um), block, image.shape)
    return np.subtract(image, ground, out=ground)


def lower_envelope(small: Floats, block: Sizes, spacing: Spacing, radius_um: float) -> Floats:
    """Return the smooth lower envelope of an image that was reduced to means."""
    width = [
        2 * max(1, round(radius_um / step / length)) + 1
        for step, length in zip(spacing, block, strict=True)
    ]
    opened = ndimage.grey_opening(small, size=width, mode="nearest")
    return np.asarray(ndimage.gaussian_filter(opened, [w / 4 for w in width], mode="nearest"))


def wide_mean(image: Floats, spacing: Spacing, sigma_um: float, elongation: float) -> Floats:
    """Return the Gaussian mean over a wide neighbourhood, at a cost independent of its width."""
    sigma = sigmas(sigma_um, spacing, elongation)
    small, block = reduced(image, wide_steps(sigma_um, spacing, elongation))
    small = gaussian(small, [w / b for w, b in zip(sigma, block, strict=True)])
    return restored(small, block, image.shape)


def background_steps(radius_um: float, spacing: Spacing) -> list[int]:
    """Return the sides, in voxels, of the blocks that `remove_background` averages."""
    return [max(1, round(radius_um / 4 / step)) for step in spacing]


def wide_steps(sigma_um: float, spacing: Spacing, elongation: float) -> list[int]:
    """Return the sides, in voxels, of the blocks that `wide_mean` averages; parts begin so."""
    return [max(1, round(width / 3)) for width in sigmas(sigma_um, spacing, elongation)]


def reduced(image: Floats, wanted: Sizes) -> tuple[Floats, list[int]]:
    """Return the means of blocks of an image, cut at the end, and the blocks' sides."""
    block = [min(size, want) for size, want in zip(image.shape, wanted, strict=True)]
    small: Array = image
    for axis, length in enumerate(block):
        if length > 1:
            starts = np.arange(0, image.shape[axis], length)
            counts: Array = np.diff(np.append(starts, image.shape[axis])).astype(np.float32)
            sums: Array = np.add.reduceat(small, starts, axis=axis)
            small = sums / np.expand_dims(counts, tuple(range(1, image.ndim - axis)))
    return small, block


def restored(
    small: Floats,
    block: Sizes,
    shape: Sizes,
    box: Sequence[slice] | None = None,
) -> Floats:
    """Return means of blocks, interpolated linearly from their centres to the voxels (in `box`)."""
    from cytosuite.segmentation._kernels import stretch

    if box is None:
        whole = np.empty(shape, np.float32)

        def fill(part: slice) -> None:
            """Interpolate some planes."""
            whole[part] = restored(
                small, block, shape, (part, *(slice(0, size) for size in shape[1:]))
            )

        side_by_side(fill, parts_of(shape))
        return whole
    for axis, (length, size, span) in enumerate(zip(block, shape, box, strict=True)):
        if length == 1:
            small = small[(*[slice(None)] * axis, span)]
            continue
        starts = np.arange(0, size, length)
        centres = (starts + np.minimum(starts + length, size) - 1) / 2
        low, _, weight = stencil(
            np.interp(np.arange(size)[span], centres, np.arange(len(centres))), len(centres)
        )
        lines = np.ascontiguousarray(small.swapaxes(axis, -1))
        found = np.empty((*lines.shape[:-1], low.size), np.float32)
        stretch(low, weight, lines.reshape(-1, lines.shape[-1]), found.reshape(-1, low.size))
        small = found.swapaxes(axis, -1)
    return small


def li_threshold(values: Floats, background: float = 0.0) -> float:
    """Return the threshold of least ``-S_low log m_low - S_high log m_high``, in 4096 bins.

    Sums S, means m of the classes: Li, Lee (1993), doi:10.1016/0031-3203(93)90115-D.
    """
    ground = np.float32(background)
    tops = [float(part.max(initial=-np.inf)) for part in slabs_of(values)]
    top = float(max(tops, default=-np.inf) - ground)
    if top <= 0:
        return 0.0

    def count(part: Floats) -> Longs:
        """Return the histogram of some planes."""
        light = np.clip(part - ground if background else part, 0.0, top)
        return np.histogram(light, bins=_BINS, range=(0.0, top))[0]

    counts = np.zeros(_BINS, np.int64)
    for slab in slabs_of(values):
        counts += sum(side_by_side(count, [slab[part] for part in parts_of(slab.shape)]))
    edges = np.histogram_bin_edges(np.zeros(0, np.result_type(values, 0.0)), _BINS, (0.0, top))
    centres = (edges[1:] + edges[:-1]) / 2
    number = np.cumsum(counts)
    total = np.cumsum(counts * centres)
    with np.errstate(divide="ignore", invalid="ignore"):
        low = total * np.log(total / number)
        above = total[-1] - total
        high = above * np.log(above / (number[-1] - number))
    entropy = -(low + high)
    entropy[~np.isfinite(entropy)] = np.inf
    if not np.isfinite(entropy).any():
        return float(values.flat[0] - ground)
    return float(edges[int(np.argmin(entropy)) + 1])


def threshold_map(
    signal: Floats,
    spacing: Spacing,
    *,
    threshold: float,
    local_um: float,
    local_weight: float,
    elongation: float,
) -> Floats:
    """Return the threshold of each voxel: raised in bright surroundings, lowered in dark ones."""
    if local_um <= 0 or local_weight <= 0 or threshold <= 0:
        return np.full(signal.shape, threshold, np.float32)
    level = wide_mean(np.maximum(signal, 0), spacing, local_um, elongation)

    def shift(part: slice) -> None:
        """Turn means over surroundings into thresholds, in some planes."""
        here = level[part]
        here /= np.float32(threshold)
        np.maximum(here, np.float32(_DARKEST), out=here)
        here **= np.float32(local_weight)
        here *= np.float32(threshold)

    side_by_side(shift, parts_of(signal.shape))
    return level
