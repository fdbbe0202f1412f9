"""Blocks of a volume too large for the memory, and the objects that belong to each."""

from collections.abc import Callable, Sequence
from itertools import product
from math import ceil, inf, prod

import numpy as np
from numpy.typing import NDArray

from cytosuite.algorithms.cellpose3d.parameters import Parameters
from cytosuite.algorithms.cellpose3d.rescale import interpolate, labels_to_image, stencils, within
from cytosuite.errors import InputError
from cytosuite.memory import free_gib
from cytosuite.tiling import Box, Tile, fit, least, plan

AGREEMENT = 2  # voxels by which neighbouring blocks may differ about the centre of an object
SAMPLE = 2**24  # voxels that statistics are taken from, where a volume has more
BRICK = (8, 64, 64)  # voxels of a piece of that sample
_TILE_BYTES = 180  # per voxel of a tile, within the network (136 measured)
_VOXEL_BYTES = 68  # per working voxel of a block, from the image to the labels
_HELD_BYTES = 28  # of these bytes, those held until labels are on the grid of the image
_IMAGE_BYTES = 28  # per voxel of the image within a block, where that has another grid
_LABEL_BYTES = 4  # per voxel of the image
_SMALL = (64, 192, 192)  # tile where memory is short: more voxels are computed, in a quarter of it
_SHARE = 3  # a tile may take a third of the memory
_AXIAL = 1.5  # factor by which nuclei look longer along z
_REACH = 3.0  # standard deviations of a Gaussian


def margin_of(
    spacing: Sequence[float], diameter_um: float, parameters: Parameters
) -> tuple[int, ...]:
    """Return the margin that a block sees around its core.

    Parameters
    ----------
    spacing : sequence of float
        µm per working voxel at the scale of the training, z y x.
    diameter_um : float
        Typical lateral diameter of the nuclei at this scale.
    parameters : Parameters
        Halo, and the lengths over which voxels decide about each other.

    Returns
    -------
    tuple of int
        Voxels z, y, x: a nucleus with its centre on the core's border; then its neighbour and the
        smoothing of seeds, or the surroundings that its threshold depends on where these reach
        farther; the smoothing of flow and intensities; the way of faces to walls; and the halo.
    """
    seeds = parameters.seed_distance_um + _REACH * parameters.seed_smoothing_um
    surroundings = _REACH * parameters.local_um if parameters.local_weight > 0 else 0.0
    result = []
    for axis, (step, halo) in enumerate(zip(spacing, parameters.halo, strict=True)):
        longer = parameters.axial_elongation if axis == 0 else 1.0
        nucleus = diameter_um * (max(_AXIAL, longer) if axis == 0 else 1.0)
        around = max(nucleus + seeds * longer, surroundings * longer)
        smoothing = _REACH * parameters.smoothing_um * longer
        walls = parameters.wall_reach_um + _REACH * parameters.wall_smoothing_um
        voxels = (nucleus + around + smoothing + walls) / step + _REACH * parameters.flow_smoothing
        result.append(ceil(voxels) + halo)
    return tuple(result)


def plan_blocks(
    shape: Sequence[int],
    image_shape: Sequence[int],
    margin: Sequence[int],
    *,
    multiple: Sequence[int],
    tile: Sequence[int],
    reason: str = "",
) -> list[Tile]:
    """Return the blocks in which a volume fits into the memory that is free.

    Parameters
    ----------
    shape : sequence of int
        Of the working grid.
    image_shape : sequence of int
        Of the image.
    margin : sequence of int
        Of `margin_of`.
    multiple : sequence of int
        Blocks begin at multiples of these, as tiles do, so that their fields agree.
    tile : sequence of int
        Of one pass of the network.
    reason : str
        Of the size of the working grid, for a message.

    Returns
    -------
    list of Tile
        ``input`` is a block with its margin, ``output`` its core; one block where that fits.

    Raises
    ------
    InputError
        If not even labels and the smallest block fit.
    """
    free = free_gib()
    if free is None or memory_gib(shape, shape, image_shape, tile) <= free:
        whole = [-(-n // step) * step for n, step in zip(shape, multiple, strict=True)]
        return plan(shape, whole, (0,) * len(whole), multiple=multiple)
    smallest = least(shape, margin, multiple)
    needed = memory_gib(smallest, shape, image_shape, tile)
    if needed > free:
        raise InputError(
            f"an image of {' x '.join(map(str, image_shape))} voxels{reason}, worked on in blocks "
            f"of {' x '.join(map(str, smallest))}, needs about {needed:.1f} GiB of memory, "
            f"{free:.1f} GiB are free; crop it, or give more memory"
        )
    spare = (free - memory_gib((0,), shape, image_shape, tile)) * 2**30
    each, passed = _bytes(shape, image_shape), prod(tile)
    # A block no larger than a tile is passed through the network as a whole.
    small = min(passed, spare / (each + _TILE_BYTES))
    voxels = max(prod(smallest), int(max(small, (spare - passed * _TILE_BYTES) / each)))
    block = fit(shape, (voxels, *[1] * (len(shape) - 1)), margin, multiple)
    return plan(shape, block, margin, multiple=multiple)


def tile_within(tile: Sequence[int]) -> tuple[int, ...]:
    """Return a tile, or a smaller one where a pass of it would take a third of the memory.

    Parameters
    ----------
    tile : sequence of int
        Voxels z, y, x.
    """
    free = free_gib()
    if free is None or prod(tile) * _TILE_BYTES * _SHARE <= free * 2**30:
        return tuple(tile)
    return tuple(min(side, small) for side, small in zip(tile, _SMALL, strict=True))


def memory_gib(
    block: Sequence[int], shape: Sequence[int], image_shape: Sequence[int], tile: Sequence[int]
) -> float:
    """Return the estimated memory of a prediction on top of the image's, in GiB.

    Parameters
    ----------
    block : sequence of int
        Working voxels of the fields held at once: of the whole, or of a block.
    shape, image_shape : sequence of int
        Of the working grid and of the image.
    tile : sequence of int
        Of one pass of the network.

    Examples
    --------
    >>> whole, tile = (256, 1024, 1024), (64, 192, 192)
    >>> round(memory_gib(whole, whole, whole, tile), 1)
    18.4
    >>> round(memory_gib((128, 384, 384), whole, whole, tile), 1)
    2.6
    """
    passed = min(prod(tile), prod(block))  # voxels in one pass of the network
    held = prod(block) * _bytes(shape, image_shape) + passed * _TILE_BYTES
    return float((held + prod(image_shape) * _LABEL_BYTES) / 2**30)


def owned(labels: NDArray[np.integer], block: Tile, shape: Sequence[int]) -> NDArray[np.bool_]:
    """Return a mask of the objects that belong to a block.

    Parameters
    ----------
    labels : (Z, Y, X) integer array
        Objects 1..n in ``block.input``, 0 = background.
    block : Tile
        The block.
    shape : sequence of int
        Of the volume.

    Returns
    -------
    (n + 1,) bool array
        Objects with their centre of mass in the core, or nearly so, that do not touch the face of
        an inner margin, beyond which they might go on.
    """
    voxels = np.nonzero(labels)
    names = labels[voxels]
    size = np.maximum(np.bincount(names, minlength=1), 1)
    centres = np.stack([np.bincount(names, v, minlength=size.size) / size for v in voxels], axis=1)
    result = in_core(centres, block, shape, AGREEMENT)
    for axis, (part, length) in enumerate(zip(block.input, shape, strict=True)):
        for inner, face in ((part.start > 0, 0), (part.stop < length, -1)):
            if inner:
                result[np.unique(labels.take(face, axis))] = False
    result[0] = False
    return result


def in_core(
    centres: NDArray[np.float64] | Sequence[Sequence[float]],
    block: Tile,
    shape: Sequence[int],
    slack: float = 0.0,
) -> NDArray[np.bool_]:
    """Return a mask (N,) of the centres that lie in the core of a block.

    Parameters
    ----------
    centres : (N, 3) floats
        z, y, x in voxels of ``block.input``.
    block, shape
        As of `owned`; beyond the border of the volume the outermost block goes on.
    slack : float
        Voxels by which the core is grown towards its neighbours.
    """
    places = np.asarray(centres, np.float64).reshape(-1, len(shape))
    inside = np.ones(len(places), bool)
    for axis, (crop, part, length) in enumerate(zip(block.crop, block.output, shape, strict=True)):
        low = crop.start - 0.5 - slack if part.start > 0 else -inf
        high = crop.stop - 0.5 + slack if part.stop < length else inf
        inside &= (places[:, axis] >= low) & (places[:, axis] < high)
    return inside


def to_image(
    labels: NDArray[np.integer],
    margin: NDArray[np.float32],
    block: Tile,
    shape: Sequence[int],
    image_shape: Sequence[int],
) -> tuple[NDArray[np.integer], Box, Box]:
    """Return the objects of a block on the grid of the image.

    Parameters
    ----------
    labels : (Z', Y', X') integer array
        Objects in ``block.input``.
    margin : (Z', Y', X') float32 array
        Height above the thresholds of the foreground, relative.
    block : Tile
        The block.
    shape, image_shape : sequence of int
        Of the working grid and of the image.

    Returns
    -------
    labels : (Z, Y, X) integer array
        See `labels_to_image`; the same as from all blocks at once.
    box, core : tuple of slice
        Voxels of the image in the block, and in its core.
    """
    if tuple(shape) == tuple(image_shape):
        return labels, block.input, block.output
    box, places = within(stencils(shape, image_shape), block.input)
    part = labels_to_image(labels, interpolate(margin, places) > 0, places)
    core = tuple(
        slice(round(span.start * new / old), round(span.stop * new / old))
        for span, old, new in zip(block.output, shape, image_shape, strict=True)
    )
    return part, box, core


def sample(read: Callable[[Box], NDArray[np.float32]], shape: Sequence[int]) -> NDArray[np.float32]:
    """Return the voxels from which the statistics of a whole volume are taken.

    Parameters
    ----------
    read : callable
        Returns the values in a box.
    shape : sequence of int
        Of the volume.

    Returns
    -------
    (Z', Y', X') float32 array
        The volume itself up to 2^24 voxels; else about so many, in pieces of 8 x 64 x 64 that lie
        evenly in the volume, stacked along z.
    """
    if prod(shape) <= SAMPLE:
        return read(tuple(slice(0, n) for n in shape))
    brick = [min(side, n) for side, n in zip(BRICK, shape, strict=True)]
    room = np.array(shape) / brick  # bricks side by side
    left, axes = SAMPLE / prod(brick), [int(axis) for axis in np.argsort(room)]
    starts: dict[int, list[int]] = {}
    for rank, axis in enumerate(axes):
        share = (left / prod(room[axes[rank:]])) ** (1 / (len(axes) - rank))
        count = max(1, round(room[axis] * min(1.0, share)))
        left /= count
        places = (np.arange(count) + 0.5) * shape[axis] / count - brick[axis] / 2
        starts[axis] = [int(place) for place in places]
    pieces = [
        read(tuple(slice(a, a + n) for a, n in zip(place, brick, strict=True)))
        for place in product(*(starts[axis] for axis in range(len(shape))))
    ]
    return np.concatenate(pieces)


def _bytes(shape: Sequence[int], image_shape: Sequence[int]) -> float:
    """Return the bytes that a working voxel of a block takes."""
    if tuple(shape) == tuple(image_shape):
        return _VOXEL_BYTES
    return max(_VOXEL_BYTES, _HELD_BYTES + _IMAGE_BYTES * prod(image_shape) / prod(shape))
