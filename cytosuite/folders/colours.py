"""Colour images as grey ones."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from cytosuite.contract.spacing import warned
from cytosuite.formats import channels, read
from cytosuite.formats.picture import COLOURS
from cytosuite.volume import Volume
from cytosuite.volume.memory import room
from cytosuite.volume.pieces import slabs


def read_grey(path: Path, group: str = "", *, axes: str = "") -> Volume:
    """Return the image in a file, of colours their mean; see `cytosuite.formats.read`."""
    colours = read_colours(path, axes=axes)
    return mean_colour(colours) if colours else read(path, axes=axes, group=group)


def read_colours(path: Path, *, axes: str = "") -> list[Volume]:
    """Return the colours of a colour image, of any other none."""
    if tuple(channels(path)[: len(COLOURS)]) != COLOURS:
        return []
    return [read(path, {"C": number}, axes=axes) for number in range(len(COLOURS))]


def mean_colour(colours: Sequence[Volume]) -> Volume:
    """Return the mean of colours with a warning; of equal ones the first."""
    first, *others = colours
    arrays = [volume.array for volume in colours]
    if all(np.array_equal(first.array, volume.array) for volume in others):
        return first
    mean = room(first.shape, np.float32)
    for part in slabs(mean, *arrays):
        np.mean([array[part] for array in arrays], axis=0, dtype=np.float32, out=mean[part])
    line = f"colours averaged: {', '.join(COLOURS)}; --channel-index takes one"
    return warned(replace(first, array=mean), line)
