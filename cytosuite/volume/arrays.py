"""Types of arrays, one name for each type of number, and of what is counted along their axes."""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cytosuite.files import FloatPair, FloatTriple, frozen

Shape = tuple[int, ...]  # voxels along the axes
Lengths = tuple[float, ...]  # µm along them
Spacing = Sequence[float]  # the same, as it is given
ZYX = FloatTriple  # a number for each axis of a volume
Box = tuple[slice, ...]  # a part of an array
Sizes = Sequence[int]  # voxels along the axes, as they are given
Interval = FloatPair  # of values, from the least to the greatest
Array = NDArray[Any]
Bools = NDArray[np.bool_]
Bytes = NDArray[np.uint8]
Shorts = NDArray[np.uint16]
Words = NDArray[np.uint32]
LongWords = NDArray[np.uint64]
Unsigned = NDArray[np.unsignedinteger]  # any of them
Ints = NDArray[np.int32]
Longs = NDArray[np.int64]
Indices = NDArray[np.intp]
Integers = NDArray[np.integer]  # any of them
Halves = NDArray[np.float16]
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Reals = NDArray[np.floating]  # any of them
DoublePair = tuple[Doubles, Doubles]
LongPair = tuple[Longs, Longs]
DType = np.dtype[Any]  # of their elements
Columns = dict[str, Doubles]  # of a table, by name
Labels = Ints  # number of the object of each voxel, from 1; 0: of none
Image = Floats  # brightness of each voxel
Rng = np.random.Generator  # that draws are taken from


@frozen
class Rows:
    """A table: fields that are arrays are its columns, all of one length."""

    @property
    def arrays(self) -> dict[str, Array]:
        """The columns by name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(next(iter(self.arrays.values())))

    def take(self, chosen: Integers | Bools) -> Self:
        """Return the chosen rows: their numbers, in any order and number, or a mask (N,)."""
        return replace(self, **{name: values[chosen] for name, values in self.arrays.items()})

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Return the rows of one or more tables."""
        columns = {name: [part.arrays[name] for part in parts] for name in parts[0].arrays}
        return replace(parts[0], **{name: np.concatenate(all_) for name, all_ in columns.items()})
