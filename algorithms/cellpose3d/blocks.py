"""Blocks of a volume too large for the memory, and the objects that belong to each."""

from collections.abc import Callable
from functools import partial
from math import ceil, prod

import numpy as np

from cytosuite.algorithms.cellpose3d.parameters import Parameters
from cytosuite.networks.grid import (
    interpolate,
    labels_to_image,
    reach_of,
    stencils,
    to_working,
    touched,
)
from cytosuite.networks.tiling import Tile, least, no_room, plan, tiles
from cytosuite.segmentation.assembly import Labels, in_order
from cytosuite.volume.arrays import Array, Box, Floats, Shape, Sizes, Spacing
from cytosuite.volume.memory import GIB, fits, free_gib, put, room, taken
from cytosuite.volume.objects import label_type
from cytosuite.volume.pieces import extremes

Read = Callable[[Box], Floats]

TILE_BYTES = 180  # per voxel of a tile, within the network (136 measured)
_VOXEL_BYTES = 68  # per working voxel of a block, from the image to the labels
_PIECE = 2**23  # voxels of the image that are brought to or from the working grid at a time
_PIECE_BYTES = 28  # per voxel of these
_LABEL_BYTES = 4  # per voxel; a half of them up to 65535 objects
_AXIAL = 1.5  # factor by which nuclei look longer along z
_REACH = 3.0  # standard deviations of a Gaussian


def margin_of(spacing: Spacing, diameter_um: float, parameters: Parameters) -> Shape:
    """Return the voxels z, y, x around a core: nucleus, seeds or surroundings, smoothing, halo."""
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
    shape: Sizes,
    image_shape: Sizes,
    margin: Sizes,
    *,
    multiple: Sizes,
    tile: Sizes,
    reason: str = "",
) -> list[Tile]:
    """Return blocks, as tiles begin, with margin and core, within the memory, or InputError."""
    free = free_gib()
    if memory_gib(shape, shape, image_shape, tile) <= free:
        whole = [-(-n // step) * step for n, step in zip(shape, multiple, strict=True)]
        return plan(shape, whole, (0,) * len(whole), multiple=multiple)
    smallest = least(shape, margin, multiple)
    needed = memory_gib(smallest, shape, image_shape, tile)
    if needed > free:
        raise no_room(image_shape, smallest, needed, free, reason)
    spare = (free - memory_gib((0,), shape, image_shape, tile)) * GIB
    passed = prod(tile)
    # A block no larger than a tile is passed through the network as a whole.
    small = min(passed, spare / (_VOXEL_BYTES + TILE_BYTES))
    return tiles(
        shape, margin, max(small, (spare - passed * TILE_BYTES) / _VOXEL_BYTES), multiple=multiple
    )


def memory_gib(block: Sizes, shape: Sizes, image_shape: Sizes, tile: Sizes) -> float:
    """Return the estimated memory of a prediction in blocks, GiB on top of the image's."""
    passed = min(prod(tile), prod(block))  # voxels in one pass of the network
    held = prod(block) * _VOXEL_BYTES + passed * TILE_BYTES
    arrays = [prod(image_shape) * _LABEL_BYTES]
    if tuple(shape) != tuple(image_shape):
        held += min(prod(image_shape), _PIECE) * _PIECE_BYTES
        if prod(block) < prod(shape):  # heights and intensities, too
            arrays += [prod(shape) * _LABEL_BYTES] * 3
    return float((held + sum(size for size in arrays if fits(size / 2))) / GIB)


def reader(image: Array, factor: Spacing, shape: Sizes) -> Read:
    """Return a function that reads the values in a box of the working grid, float32."""
    if prod(shape) >= image.size:
        return partial(to_working, image, factor)
    working = room(shape, np.float32)
    reach = [ceil(n * f) + 1 for n, f in zip(reach_of(image.shape, shape), factor, strict=True)]
    for tile in tiles(shape, reach, _PIECE * prod(shape) / image.size):
        put(working, tile.output, to_working(image, factor, tile.output))
    return partial(taken, working)


def to_image(labels: Labels, margin: Floats, image_shape: Sizes) -> Labels:
    """Return labels (uint16, or uint32) on the image's grid."""
    outlined = room(image_shape, label_type(extremes(labels)[1]))
    grid = stencils(labels.shape, image_shape)
    compact = [ceil(new / old) for new, old in zip(image_shape, labels.shape, strict=True)]
    for tile in tiles(image_shape, compact, _PIECE):  # few objects are in several of these
        source, places = touched(grid, tile.output)
        part = taken(labels, source)
        # Of an object that another block owns, this one may have seen less.
        height = np.copysign(
            taken(margin, source), np.where(part > 0, np.float32(1), np.float32(-1))
        )
        put(outlined, tile.output, labels_to_image(part, interpolate(height, places) > 0, places))
    return in_order(outlined)[0]
