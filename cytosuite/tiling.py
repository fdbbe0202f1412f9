"""Tiles of an image too large for a network in one piece, planned as data before anything runs."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from math import ceil, prod

import numpy as np
from numpy.typing import NDArray

from cytosuite.errors import InputError

Box = tuple[slice, ...]
MOST_PER_AXIS = 40  # tiles per axis that are tried when the best size is looked for


@dataclass(frozen=True, slots=True)
class Tile:
    """One piece of an image: what is read, and which voxels are taken from the answer.

    Parameters
    ----------
    input : tuple of slice
        The voxels to read; within the image.
    output : tuple of slice
        The voxels it answers for; within `input`.
    crop : tuple of slice
        The same voxels as `output`, counted from the corner of `input`.
    ramp : tuple of (int, int)
        Per axis, over how many voxels at the lower and the upper end of `output` the answer is
        blended with the neighbour's; 0 without blending.
    """

    input: Box
    output: Box
    crop: Box
    ramp: tuple[tuple[int, int], ...]


def plan(
    shape: Sequence[int],
    tile: Sequence[int],
    halo: Sequence[int],
    *,
    multiple: Sequence[int] | None = None,
    blend: int = 0,
) -> list[Tile]:
    """Return tiles whose outputs cover an image.

    Parameters
    ----------
    shape : sequence of int
        Size of the image in voxels, per axis.
    tile : sequence of int
        Largest size of a tile, halo included, per axis.
    halo : sequence of int
        Voxels at each inner face of a tile whose answer is thrown away, per axis.
    multiple : sequence of int, optional
        Tiles begin and end at multiples of these (the product of a network's poolings), so that
        pooled voxels are the same as without tiles; at the end of the image they may stand over,
        for the caller to pad.
    blend : int
        Voxels over which neighbours are blended linearly, beyond the halo; even.

    Returns
    -------
    list of Tile
        Last axis fastest; all of equal size up to the end of the image, as few and as small as
        the limits allow.

    Raises
    ------
    InputError
        If the numbers of axes differ, a size is not positive, or a tile is all halo.

    Notes
    -----
    A network whose answer depends on no voxel farther than `halo` gives the same as without tiles.
    A Gaussian importance map instead of the crop leaves seams, as voxels near a tile's face, which
    saw padding instead of the image, keep a part in the mean.
    """
    steps = tuple(multiple or (1,) * len(shape))
    if len({len(shape), len(tile), len(halo), len(steps)}) != 1:
        raise InputError(
            f"tiles: shape, tile, halo and multiple need one number per axis, found {list(shape)}, "
            f"{list(tile)}, {list(halo)} and {list(steps)}"
        )
    if blend < 0 or blend % 2:
        raise InputError(f"tiles: blend must be an even number of voxels, found {blend}")
    axes = [
        _spans(size, limit, margin, step, blend)
        for size, limit, margin, step in zip(shape, tile, halo, steps, strict=True)
    ]
    return [_tile(spans) for spans in product(*axes)]


def fit(
    shape: Sequence[int], tile: Sequence[int], halo: Sequence[int], multiple: Sequence[int]
) -> tuple[int, ...]:
    """Return the tile with no more voxels than a given one that computes the fewest in all.

    Parameters
    ----------
    shape, halo, multiple : sequence of int
        As for `plan`.
    tile : sequence of int
        Its volume is the limit: a thin stack gets a flat, wide tile of the same memory.

    Returns
    -------
    tuple of int
        Size of the tile, multiples of `multiple`; `tile` itself where nothing else fits.
    """
    budget = prod(tile)
    choices = [
        [(length, _computed(size, length, margin, step)) for length in _lengths(size, margin, step)]
        for size, margin, step in zip(shape, halo, multiple, strict=True)
    ]
    candidates = []
    for each in product(*choices):
        lengths = tuple(length for length, _ in each)
        if prod(lengths) <= budget:
            # Of equally good ones the largest: fewer calls.
            candidates.append((prod(cost for _, cost in each), -prod(lengths), lengths))
    return min(candidates)[2] if candidates else tuple(tile)


def least(shape: Sequence[int], halo: Sequence[int], multiple: Sequence[int]) -> tuple[int, ...]:
    """Return the smallest tile that is still worth its halo: `fit` returns none smaller.

    Parameters
    ----------
    shape, halo, multiple : sequence of int
        As for `plan`.

    Examples
    --------
    >>> least((1000, 9), (10, 0), (1, 3))
    (45, 3)
    """
    return tuple(
        min(_lengths(size, margin, step))
        for size, margin, step in zip(shape, halo, multiple, strict=True)
    )


def computed_ratio(shape: Sequence[int], tiles: Iterable[Tile]) -> float:
    """Return the voxels that all tiles read, divided by those of the image.

    Examples
    --------
    >>> computed_ratio((10,), plan((10,), (8,), (2,)))
    1.4
    """
    read = sum(prod(part.stop - part.start for part in tile.input) for tile in tiles)
    return float(read / prod(shape))


def paste(target: NDArray[np.float32], tile: Tile, part: NDArray[np.float32]) -> None:
    """Put the answer for one tile where it belongs.

    Parameters
    ----------
    target : (C, ...) float32 array
        Zero before the first tile. It is changed.
    tile : Tile
        Which part of it.
    part : (C, ...) float32 array
        The answer for all of ``tile.input``; what stands over its end is passed over.
    """
    piece = part[(slice(None), *tile.crop)]
    place = (slice(None), *tile.output)
    if not any(lower or upper for lower, upper in tile.ramp):
        target[place] = piece
        return
    for axis, (lower, upper) in enumerate(tile.ramp, start=1):
        weight = _trapezoid(piece.shape[axis], lower, upper)
        piece = piece * weight.reshape([-1 if i == axis else 1 for i in range(piece.ndim)])
    target[place] += piece


@dataclass(frozen=True, slots=True)
class _Span:
    """A tile along one axis: read [start, stop), answer for [first, last)."""

    start: int
    stop: int
    first: int
    last: int
    ramp: tuple[int, int]


def _tile(spans: Sequence[_Span]) -> Tile:
    """Return the tile with these extents along its axes."""
    return Tile(
        tuple(slice(span.start, span.stop) for span in spans),
        tuple(slice(span.first, span.last) for span in spans),
        tuple(slice(span.first - span.start, span.last - span.start) for span in spans),
        tuple(span.ramp for span in spans),
    )


def _spans(size: int, limit: int, halo: int, step: int, blend: int) -> list[_Span]:
    """Return the tiles along one axis."""
    limit -= limit % step
    if min(size, limit) < 1 or halo < 0 or (limit < size and limit <= 2 * halo + blend):
        raise InputError(
            f"tiles: an axis of {size} voxels needs tiles of at least {2 * halo + blend + step} "
            f"(halo {halo} on both sides, multiples of {step}), found {limit}"
        )
    margin = halo + blend // 2
    count = 1
    while _smallest(size, count, margin, step) > limit:
        count += 1
    starts, length = list(_starts(size, count, margin, step)), _smallest(size, count, margin, step)
    # The cut lies in the middle of what two neighbours share, at least a margin from both faces.
    cuts = [(after + before + length) // 2 for before, after in pairwise(starts)]
    edges = [0, *cuts, size]
    half = blend // 2
    return [
        _Span(
            start,
            min(start + length, size),
            edges[i] - (half if i else 0),
            edges[i + 1] + (half if i < count - 1 else 0),
            (blend if i else 0, blend if i < count - 1 else 0),
        )
        for i, start in enumerate(starts)
    ]


def _smallest(size: int, count: int, margin: int, step: int) -> int:
    """Return the smallest length, a multiple of `step`, of which `count` tiles suffice."""
    padded = ceil(size / step)
    if count == 1:
        return padded * step
    length = ceil((size + (count - 1) * 2 * margin) / count / step)
    while (length - ceil((padded - length) / (count - 1))) * step < 2 * margin and length < padded:
        length += 1
    return min(length, padded) * step


def _lengths(size: int, margin: int, step: int) -> set[int]:
    """Return sizes for 1, 2, 3 ... tiles, until they are no longer worth their halo."""
    most = min(MOST_PER_AXIS, max(1, ceil(size / max(1, 2 * margin, step))))
    return {_smallest(size, count, margin, step) for count in range(1, most + 1)}


def _starts(size: int, count: int, margin: int, step: int) -> Iterator[int]:
    """Yield where `count` equal tiles begin, evenly spread over the axis."""
    spare = ceil(size / step) - _smallest(size, count, margin, step) // step
    for i in range(count):
        yield step * (i * spare // max(1, count - 1))


def _computed(size: int, length: int, halo: int, step: int) -> int:
    """Return the voxels read along an axis by tiles of at most `length`."""
    return sum(span.stop - span.start for span in _spans(size, length, halo, step, 0))


def _trapezoid(size: int, lower: int, upper: int) -> NDArray[np.float32]:
    """Return weights that rise from 0 to 1 over `lower` voxels and fall over the last `upper`."""
    weight = np.ones(size, np.float32)
    if lower:
        weight[:lower] = (np.arange(lower) + 0.5) / lower
    if upper:
        weight[-upper:] *= ((np.arange(upper) + 0.5) / upper)[::-1]
    return weight
