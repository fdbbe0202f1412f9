"""Tiles of an image that is too large for a network in one piece, planned before it runs."""

from collections.abc import Callable
from itertools import pairwise, product
from math import ceil, prod
from typing import Any, Self

import numpy as np
from pydantic import model_validator

from cytosuite.contract.manifest import Count, Described
from cytosuite.errors import InputError, RoomError
from cytosuite.files import frozen
from cytosuite.volume.arrays import Box, Floats, Shape, Sizes
from cytosuite.volume.memory import GIB, free_gib
from cytosuite.volume.objects import box_at

Sides = tuple[Count, Count, Count]  # z, y, x
Widths = tuple[Count, ...]  # channels of the levels of a network
TILE: Sides = (96, 320, 320)  # of networks of volumes
SAMPLE = 2**24  # voxels that statistics are taken from, where a volume has more
BRICK = (8, 64, 64)  # voxels of a piece of that sample
_SMALL = (64, 192, 192)  # tile where memory is short: more voxels are computed, in a quarter of it
_SHARE = 3  # a tile may take a third of the memory
MOST_PER_AXIS = 40  # tiles per axis that are tried when the best size is looked for


@frozen
class Tile:
    """One piece of an image: the voxels to read, and those to keep of the answer."""

    input: Box  # the voxels to read; within the image
    output: Box  # the voxels it answers for; within `input`
    crop: Box  # the same voxels as `output`, counted from the corner of `input`


def plan(shape: Sizes, tile: Sizes, halo: Sizes, *, multiple: Sizes = ()) -> list[Tile]:
    """Return tiles of at most `tile` voxels per axis with halo; their outputs cover an image.

    `halo` voxels at inner faces give no answer; tiles begin and end at multiples of `multiple` (the
    last may stand over the image).
    """
    steps = tuple(multiple or (1,) * len(shape))
    if len({len(shape), len(tile), len(halo), len(steps)}) != 1:
        raise InputError(
            f"tiles: shape, tile, halo and multiple need one number per axis, found {list(shape)}, "
            f"{list(tile)}, {list(halo)} and {list(steps)}"
        )
    return [
        Tile(*zip(*spans, strict=True)) for spans in product(*map(_spans, shape, tile, halo, steps))
    ]


def fit(shape: Sizes, tile: Sizes, halo: Sizes, multiple: Sizes) -> Shape:
    """Return the tile of no more voxels than `tile` that computes the fewest, or `tile`."""
    budget = prod(tile)
    choices = []  # per axis: lengths, each with the voxels that tiles of this length read
    for size, margin, step in zip(shape, halo, multiple, strict=True):
        plans = {n: _spans(size, n, margin, step) for n in _lengths(size, margin, step)}
        choices.append([(n, sum(read.stop - read.start for read, *_ in plans[n])) for n in plans])
    candidates = []
    for choice in product(*choices):
        lengths = tuple(length for length, _ in choice)
        if prod(lengths) <= budget:
            # Of equally good ones the largest: fewer calls.
            candidates.append((prod(cost for _, cost in choice), -prod(lengths), lengths))
    return min(candidates)[2] if candidates else tuple(tile)


def least(shape: Sizes, halo: Sizes, multiple: Sizes) -> Shape:
    """Return the smallest tile that is still worth its halo: `fit` returns none smaller."""
    return tuple(
        min(_lengths(size, margin, step))
        for size, margin, step in zip(shape, halo, multiple, strict=True)
    )


def sample(read: Callable[[Box], Floats], shape: Sizes) -> Floats:
    """Return the values in all `bricks` of a volume, float32, stacked along z, for statistics."""
    return np.concatenate([read(box) for box in bricks(shape, BRICK)])


def bricks(shape: Sizes, brick: Sizes) -> list[Box]:
    """Return evenly spread boxes of `brick` voxels, 2^24 in all; one box of smaller volumes."""
    if prod(shape) <= SAMPLE:
        return [tuple(slice(0, n) for n in shape)]
    brick = [min(side, n) for side, n in zip(brick, shape, strict=True)]
    room = np.array(shape) / brick  # bricks side by side
    left = SAMPLE / prod(brick)
    axes = [int(axis) for axis in np.argsort(room)]
    starts = {}
    for rank, axis in enumerate(axes):
        share = (left / prod(room[axes[rank:]])) ** (1 / (len(axes) - rank))
        count = max(1, round(room[axis] * min(1.0, share)))
        left /= count
        starts[axis] = [
            int(place) for place in (np.arange(count) + 0.5) * shape[axis] / count - brick[axis] / 2
        ]
    return [
        box_at(place, brick) for place in product(*(starts[axis] for axis in range(len(shape))))
    ]


def tiles(shape: Sizes, reach: Sizes, voxels: float, *, multiple: Sizes = ()) -> list[Tile]:
    """Return the tiles of no more than `voxels`, or the `least`, that compute the fewest in all."""
    steps = tuple(multiple) or (1,) * len(shape)
    limit = max(int(voxels), prod(least(shape, reach, steps)))
    return plan(
        shape, fit(shape, (limit, *[1] * (len(shape) - 1)), reach, steps), reach, multiple=steps
    )


def no_room(shape: Sizes, block: Sizes, needed: float, free: float, reason: str = "") -> RoomError:
    """Return the error where not even small blocks fit; memory needed and free in GiB."""
    image, part = (" x ".join(map(str, sides)) for sides in (shape, block))
    return RoomError(
        f"an image of {image} voxels{reason}, worked on in blocks of {part}, needs about "
        f"{needed:.1f} GiB of memory, {free:.1f} GiB are free; crop it, or give more memory"
    )


def smallest_tile(halo: Sizes, multiple: Sizes) -> Shape:
    """Return the smallest tile with an answer to keep, for images of any size."""
    # Halos at both faces, up to whole multiples, and a multiple that is kept.
    return tuple(
        (ceil(2 * margin / step) + 1) * step for margin, step in zip(halo, multiple, strict=True)
    )


def tile_within(tile: Sizes, voxel_bytes: int, halo: Sizes, multiple: Sizes) -> Shape:
    """Return a tile, or a smaller one where a pass of it would take a third of the memory."""
    if prod(tile) * voxel_bytes * _SHARE <= free_gib() * GIB:
        return tuple(tile)
    sides = zip(tile, _SMALL, smallest_tile(halo, multiple), strict=True)
    return tuple(max(min(side, few), least) for side, few, least in sides)


class Tiled(Described):
    """Parameters of an algorithm whose network answers tile by tile."""

    tile: Sides = TILE  # voxels z, y, x; its volume bounds the memory

    @model_validator(mode="after")
    def _has_an_answer(self) -> Self:
        """Refuse a tile that is all halo; a norm over the whole image knows no tiles."""
        network = getattr(self, "network", None)
        if network is None or getattr(network, "norm", "") == "instance":
            return self
        least = smallest_tile(reach_of(self), network.multiple)
        if any(size < needed for size, needed in zip(self.tile, least, strict=True)):
            raise ValueError(
                f"tile must be at least {list(least)} for this network, found {list(self.tile)}"
            )
        return self


def reach_of(parameters: Any) -> Sizes:  # noqa: ANN401
    """Return the voxels at the inner faces of a tile without an answer, z, y, x."""
    reach: Sizes = getattr(parameters, "halo", None) or parameters.network.halo
    return reach


def check_crop(name: str, shape: Sizes, network: Any) -> None:  # noqa: ANN401
    """Refuse (ValueError) sides z, y, x of crops by the arguments of a network."""
    if any(side % step for side, step in zip(shape, network.multiple, strict=True)):
        raise ValueError(
            f"{name} must be multiples of {list(network.multiple)} for this network, found "
            f"{list(shape)}"
        )
    if getattr(network, "dimensions", 3) == 2 and shape[0] != 1:
        raise ValueError(f"{name} must begin with 1 for a network of planes, found {list(shape)}")


def _spans(size: int, limit: int, halo: int, step: int) -> list[tuple[slice, slice, slice]]:
    """Return input, output and crop of the tiles along one axis."""
    limit -= limit % step
    least = (ceil(2 * halo / step) + 1) * step  # for any number of tiles, see _smallest
    if min(size, limit) < 1 or halo < 0 or (limit < size and limit < least):
        raise InputError(
            f"tiles: an axis of {size} voxels needs tiles of at least {least} "
            f"(halo {halo} on both sides, multiples of {step}), found {limit}"
        )
    count = 1
    while (length := _smallest(size, count, halo, step)) > limit:
        count += 1
    spare = (ceil(size / step) * step - length) // step
    starts = [step * (i * spare // max(1, count - 1)) for i in range(count)]
    # The cut is in the middle of the overlap of two neighbours, at least a halo from both faces.
    edges = [0, *((after + before + length) // 2 for before, after in pairwise(starts)), size]
    return [
        (slice(at, min(at + length, size)), slice(a, b), slice(a - at, b - at))
        for at, (a, b) in zip(starts, pairwise(edges), strict=True)
    ]


def _smallest(size: int, count: int, margin: int, step: int) -> int:
    """Return the smallest length, a multiple of `step`, with which `count` tiles suffice."""
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
