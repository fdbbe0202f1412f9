"""Types of arrays, one name for each type of number, and of what is counted along their axes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, ...]  # voxels along the axes
Lengths = tuple[float, ...]  # µm along them
Spacing = Sequence[float]  # the same, as it is given
Sizes = Sequence[int]  # voxels along the axes, as they are given
Interval = tuple[float, float]  # of values, from the least to the greatest
Array = NDArray[Any]
Bools = NDArray[np.bool_]
Bytes = NDArray[np.uint8]
Shorts = NDArray[np.uint16]
Ints = NDArray[np.int32]
Longs = NDArray[np.int64]
Indices = NDArray[np.intp]
Integers = NDArray[np.integer]  # any of them
Halves = NDArray[np.float16]
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Reals = NDArray[np.floating]  # any of them
Rng = np.random.Generator  # that draws are taken from
