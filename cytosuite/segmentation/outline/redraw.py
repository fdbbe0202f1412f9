"""Objects with outlines by trees: each voxel near objects is asked once, by the nearest one."""

from dataclasses import replace
from math import ceil, prod

import numpy as np

from cytosuite.contract.progress import report
from cytosuite.contract.spacing import warned
from cytosuite.contract.weights import Model
from cytosuite.networks.tiling import Tile, plan, tiles
from cytosuite.segmentation.objects import fill_holes, largest_pieces
from cytosuite.segmentation.outline import KEY, looseness_of
from cytosuite.segmentation.outline.features import (
    COLUMNS,
    REACH,
    SCALES,
    look,
    measure,
    smoothed,
)
from cytosuite.segmentation.outline.trees import Trees
from cytosuite.volume import Volume
from cytosuite.volume.arrays import Array, Ints, Sizes, Spacing
from cytosuite.volume.memory import GIB, free_gib, put, release, room, taken
from cytosuite.volume.objects import box_of, wider
from cytosuite.volume.pieces import distinct, slabs_of

Labels = Array

SMOOTHING = 0.1  # standard deviation of the smoothing of probabilities, in typical radii
_MARGIN = 4.0  # typical radii that a block sees around its core: a nucleus twice as large
_VOXEL_BYTES = 200  # per voxel of a block


def redraw(
    labels: Labels, image: Array, spacing: Spacing, trees: Trees, looseness: float
) -> Labels:
    """Return labels (axes as the image) with outlines where the trees are surer than 1 - looseness.

    Objects keep their order and are numbered from 1; one of which nothing is left is dropped.
    """
    shape = labels.shape
    flat = [axis for axis, size in enumerate(shape) if size > 1]  # a slice is a plane
    if len(flat) < len(shape):
        thin = tuple(shape[axis] for axis in flat)
        steps = [spacing[axis] for axis in flat]
        if not thin:
            return labels
        found = redraw(labels.reshape(thin), image.reshape(thin), steps, trees, looseness)
        return found.reshape(shape)
    common = measure(labels, image, spacing)
    if common.threshold <= 0:
        return labels
    found = room(shape, labels.dtype)
    length = (REACH + 3 * SCALES[-1]) * common.radius
    reaches = [ceil(length / step) for step in spacing]  # outlines lie and smoothing reaches there
    blocks = _blocks(shape, [ceil(_MARGIN * common.radius / step) for step in spacing])

    def drawn(part: Ints, light: Array) -> Ints:
        """Return the objects of a part of the image, drawn anew."""
        near = look(part, light, spacing, common)
        sure = np.zeros(part.shape, np.float32)
        sure.ravel()[near.voxels] = 1 / (1 + np.exp(-trees.odds(near.columns)))
        sure = smoothed(sure, [SMOOTHING * common.radius / step for step in spacing])
        objects = np.zeros(part.shape, np.int32)
        inside = sure.ravel()[near.voxels] >= 1 - looseness
        objects.ravel()[near.voxels[inside]] = near.owner[inside]
        return fill_holes(largest_pieces(objects))

    for done, tile in enumerate(blocks):
        report(done, len(blocks))
        part = taken(labels, tile.input).astype(np.int32)
        near = box_of(part > 0)
        if near is None:
            continue
        box = wider(near, reaches)
        part[box] = drawn(part[box], taken(image, tile.input)[box])
        put(found, tile.output, part[tile.crop].astype(labels.dtype))
        release(labels, image)
    return _without_gaps(found)


def _blocks(shape: Sizes, margin: Sizes) -> list[Tile]:
    """Return the blocks in which an image fits into the free memory, at least the smallest ones."""
    free = free_gib() * GIB / _VOXEL_BYTES
    if prod(shape) <= free:
        return plan(shape, shape, (0,) * len(shape))
    return tiles(shape, margin, free)


def _without_gaps(labels: Labels) -> Labels:
    """Return the labels, in place, with the numbers 1..n in the same order."""
    names = distinct(labels)
    names = names[names > 0]
    if names.size and names[-1] > names.size:
        number = np.zeros(int(names[-1]) + 1, labels.dtype)
        number[names] = np.arange(1, names.size + 1)
        for slab in slabs_of(labels):
            slab[...] = number[slab]
    return labels


def with_outline(
    found: Volume, image: Array, spacing: Spacing, model: Model, own: float | None
) -> Volume:
    """Return labels with outlines of the looseness that user or card want; as found without."""
    given = found.metadata.get(KEY)
    if own is None:
        line = f"outline {given} not used: the model {model.card.name} draws no outlines"
        return found if given is None else warned(found, line)
    looseness = looseness_of(own, given)
    labels = redraw(found.array, image, spacing, Trees.read(model.weights, COLUMNS), looseness)
    return replace(found, array=labels, metadata={**found.metadata, KEY: looseness})
