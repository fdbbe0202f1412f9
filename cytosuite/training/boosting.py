"""Growth of oblivious trees by gradient boosting, see `cytosuite.segmentation.outline.trees`."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cytosuite.contract.manifest import Described
from cytosuite.segmentation.outline.trees import Floats, Trees

Bytes = NDArray[np.uint8]

_SHRINKAGE = 1.0  # added to the curvature of a leaf: one of few samples moves little
_SEEN = 100_000  # samples from which thresholds are taken


class Growth(Described):
    """Settings of the trees."""

    trees: int = Field(40, ge=0, le=1000, description="how many; 0 keeps those of the parent")
    depth: int = Field(6, ge=1, le=8, description="questions of a tree")
    rate: float = Field(0.25, gt=0, le=1, description="part of a tree's answer that counts")
    bins: int = Field(32, ge=2, le=256, description="parts of equal number of a column's values")
    share: float = Field(0.4, gt=0, le=1, description="of the samples, drawn for each tree")


def grow(
    columns: Floats, inside: NDArray[np.bool_], weight: Floats, growth: Growth, seed: int
) -> Trees:
    """Return trees for the log odds of `inside` (N,), by columns (F, N) and weights (N,).

    Second-order boosting of the logistic loss: Chen and Guestrin, KDD (2016) 785,
    doi:10.1145/2939672.2939785, equations 5 to 7.
    """
    rng, count = np.random.default_rng(seed), inside.size
    seen = rng.choice(count, min(count, _SEEN), replace=False)
    inner = np.linspace(0, 1, growth.bins + 1)[1:-1]
    edges = [np.unique(np.quantile(values[seen], inner).astype(np.float32)) for values in columns]
    bins = np.stack(
        [np.searchsorted(e, v).astype(np.uint8) for e, v in zip(edges, columns, strict=True)]
    )
    share = np.clip(np.average(inside, weights=weight), 1e-3, 1 - 1e-3)
    start = np.float32(np.log(share / (1 - share)))
    odds, truth = np.full(count, start, np.float32), inside.astype(np.float32)
    shape = (growth.trees, growth.depth)
    feature, threshold = np.zeros(shape, np.int32), np.zeros(shape, np.float32)
    value = np.zeros((growth.trees, 2**growth.depth), np.float32)
    for tree in range(growth.trees):
        some = np.flatnonzero(rng.random(count) < growth.share)
        sure = 1 / (1 + np.exp(-odds[some]))
        slope, bend = (
            np.asarray(weight[some] * each, np.float32)
            for each in (sure - truth[some], sure * (1 - sure))
        )
        few, leaf = bins[:, some], np.zeros(some.size, np.int64)
        for depth in range(growth.depth):
            column, at = _best(few, leaf << 8, slope, bend, [edge.size for edge in edges])
            feature[tree, depth], threshold[tree, depth] = column, edges[column][at]
            leaf |= (few[column] > at).astype(np.int64) << depth
        size = 2**growth.depth
        value[tree] = -growth.rate * np.bincount(leaf, slope, size)
        value[tree] /= np.bincount(leaf, bend, size) + _SHRINKAGE
        part = slice(tree, tree + 1)
        grown = Trees(feature[part], threshold[part], value[part], np.zeros(1, np.float32))
        odds += grown.odds(columns)
    return Trees(feature, threshold, value, np.array([start], np.float32))


def _best(
    bins: Bytes,
    leaf: NDArray[np.int64],
    slope: Floats,
    bend: Floats,
    counts: Sequence[int],
) -> tuple[int, int]:
    """Return column and threshold that, asked in all leaves (times 256), lower the loss most."""
    best, chosen = -1.0, (0, 0)
    size = (int(leaf.max(initial=0)) >> 8) + 1 << 8
    for column, count in enumerate(counts):
        if not count:  # a constant
            continue
        key = leaf + bins[column]
        low, curve = (
            np.cumsum(np.bincount(key, part, size).reshape(-1, 256), 1) for part in (slope, bend)
        )
        high, rest = low[:, -1:] - low, curve[:, -1:] - curve
        gain = (low**2 / (curve + _SHRINKAGE) + high**2 / (rest + _SHRINKAGE)).sum(0)[:count]
        at = int(gain.argmax())
        if gain[at] > best:
            best, chosen = float(gain[at]), (column, at)
    return chosen
