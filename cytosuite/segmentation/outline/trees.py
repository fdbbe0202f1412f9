"""Boosted trees as plain arrays: their answer, their fit, their file."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from safetensors import safe_open

from cytosuite.errors import InputError
from cytosuite.segmentation.outline import PREFIX
from cytosuite.volume.arrays import Floats, Ints


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
