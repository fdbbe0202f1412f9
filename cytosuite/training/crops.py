"""Random crops of mapped arrays: a stream of random numbers for each, by seed and step alone."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from cytosuite.volume.arrays import Array, Box, Floats, Rng, Sizes
from cytosuite.volume.objects import box_at

Item = TypeVar("Item")


def streams(seed: int, step: int, count: int) -> list[Rng]:
    """Return the random numbers of each crop of a step."""
    return [*map(np.random.default_rng, np.random.SeedSequence([seed, step]).spawn(count))]


def chosen(rng: Rng, items: Sequence[Item]) -> Item:
    """Return one of several, each as likely."""
    return items[int(rng.integers(len(items)))]


def draw_box(rng: Rng, sides: Sizes, shape: Sizes) -> Box:
    """Return the voxels of a crop in an image; every place that is possible is as likely."""
    return box_at(rng.integers(np.subtract(sides, shape) + 1), shape)


def cut(array: Array, box: Box) -> Floats:
    """Return a crop (C, Z, Y, X); nothing else of the array is read."""
    return array[(slice(None), *box)].astype(np.float32)
