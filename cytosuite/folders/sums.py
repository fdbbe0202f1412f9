"""Weighted sums of images of the same names in two folders or more, quantised once."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from cytosuite.errors import InputError
from cytosuite.folders.colours import read_colours
from cytosuite.formats import read
from cytosuite.volume import Volume, merged
from cytosuite.volume.arrays import Array
from cytosuite.volume.memory import SLAB
from cytosuite.volume.pieces import parts_of

CLIPPED = "clipped_fraction"  # of a sum's pixels, in its metadata


def weighted_sum(paths: Sequence[Path], weights: Sequence[float]) -> Volume:
    """Return the sum of images in their dtype, whole numbers rounded and clipped once.

    Grey values beyond the dtype are clipped, and their fraction stands in the metadata.
    """
    images = (read_colours(path) or [read(path)] for path in paths)  # colours are channels
    first, *others = map(merged, images)
    for path, image in zip(paths[1:], others, strict=True):
        kinds = [f"{volume.axes} {volume.shape} {volume.array.dtype}" for volume in (first, image)]
        if kinds[0] != kinds[1]:
            raise InputError(f"{path}: expected {kinds[0]} as in {paths[0]}, found {kinds[1]}")
    result = np.empty_like(first.array)
    clipped = 0
    most = np.iinfo(result.dtype) if result.dtype.kind in "iu" else None
    exact = np.float32 if result.dtype.itemsize < 3 else np.float64  # type of the sums
    for part in parts_of(result.shape, SLAB):
        total: Array = first.array[part] * exact(weights[0])
        for image, weight in zip(others, weights[1:], strict=True):
            total += image.array[part] * exact(weight)
        if most is not None:
            np.rint(total, out=total)
            clipped += int(np.count_nonzero((total < most.min) | (total > most.max)))
            np.clip(total, most.min, most.max, out=total)
        result[part] = total
    facts = {CLIPPED: clipped / max(result.size, 1)} if most is not None else {}
    return replace(first, array=result, metadata={**first.metadata, **facts})
