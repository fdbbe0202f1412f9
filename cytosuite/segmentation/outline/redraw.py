"""Objects with outlines by boosted trees: each voxel near objects is asked by the nearest one."""

from collections.abc import Mapping
from dataclasses import replace
from math import ceil, prod
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from safetensors import safe_open

from cytosuite.contract.progress import report
from cytosuite.contract.spacing import warned
from cytosuite.contract.weights import Model
from cytosuite.errors import InputError
from cytosuite.networks.tiling import Tile, plan, tiles
from cytosuite.segmentation.objects import fill_holes, largest_pieces
from cytosuite.segmentation.outline import KEY, PREFIX, looseness_of
from cytosuite.segmentation.outline.features import (
    COLUMNS,
    REACH,
    SCALES,
    look,
    measure,
    smoothed,
)
from cytosuite.volume import Volume
from cytosuite.volume.arrays import Array, Floats, Ints, Sizes, Spacing
from cytosuite.volume.memory import GIB, free_gib, put, release, room, taken
from cytosuite.volume.objects import box_of, wider
from cytosuite.volume.pieces import distinct, slabs_of

Labels = Array

SMOOTHING = 0.1  # standard deviation of the smoothing of probabilities, in typical radii
_MARGIN = 4.0  # typical radii that a block sees around its core: a nucleus twice as large
_VOXEL_BYTES = 200  # per voxel of a block


class Trees(NamedTuple):
    """Trees of which all nodes of a depth ask the same: a leaf is the bits of the answers.

    Friedman, Annals of Statistics 29 (2001) 1189, doi:10.1214/aos/1013203451 (boosting);
    Prokhorenkova et al., NeurIPS (2018), doi:10.48550/arXiv.1706.09516 (oblivious trees).
    """

    feature: Ints  # (T, D) number of the column that is asked
    threshold: Floats  # (T, D); the bit is 1 above it
    value: Floats  # (T, 2^D), added to the log odds
    start: Floats  # (1,) log odds before the first tree

    def odds(self, columns: Floats) -> Floats:
        """Return the log odds (N,) of columns (F, N)."""
        result = np.full(columns.shape[1], self.start[0], np.float32)
        bit, leaf = (np.empty(result.size, np.uint8) for _ in range(2))
        for features, thresholds, value in zip(*self[:3], strict=True):
            leaf[:] = 0
            for place, (feature, threshold) in enumerate(zip(features, thresholds, strict=True)):
                np.greater(columns[feature], threshold, out=bit.view(bool))
                leaf |= np.left_shift(bit, place, out=bit)
            result += value[leaf]
        return result

    def tensors(self) -> dict[str, Ints | Floats]:
        """Return the arrays by name, as a file of weights holds them."""
        return {PREFIX + name: array for name, array in self._asdict().items()}

    @classmethod
    def read(cls, path: Path | None, columns: int) -> Self:
        """Return the trees in a file of weights; InputError without, or for other columns."""
        found: Mapping[str, Floats] = {}
        if path:
            with safe_open(path, "numpy") as file:
                names = [name for name in file.keys() if name.startswith(PREFIX)]  # noqa: SIM118
                found = {name.removeprefix(PREFIX): file.get_tensor(name) for name in names}
        if set(found) != set(cls._fields):
            raise InputError(
                f"{path or 'the model'}: expected an outline in the weights, found none; "
                "take `outline` out of the card's parameters, or train it"
            )
        trees = cls(**found)  # type: ignore[arg-type]
        count, depth = trees.feature.shape
        fits = trees.threshold.shape == (count, depth) and trees.value.shape == (count, 2**depth)
        if not fits or trees.feature.max(initial=0) >= columns or trees.feature.min(initial=0) < 0:
            raise InputError(f"{path}: its outline is not of this version; train it again")
        return trees


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
