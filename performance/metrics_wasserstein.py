"""Wasserstein distance of two volumes of 16.7 million voxels: ours, and SciPy's.

SciPy sorts and merges both samples in float64; it runs once, ours five times.
"""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from side_by_side import Row, measure, table

from cytosuite.metrics import w1

SHAPE = (64, 512, 512)


def volumes(shape: tuple[int, ...] = SHAPE) -> dict[str, tuple[NDArray[Any], NDArray[Any]]]:
    """Return pairs of volumes by name: dark skies with a bright tail, as fluorescence is."""
    rng = np.random.default_rng(0)
    first, second, again = (rng.gamma(shape_of, 100.0, shape) for shape_of in (2.0, 2.2, 2.0))
    return {
        "uint16": (first.astype(np.uint16), second.astype(np.uint16)),
        "float32": (first.astype(np.float32), second.astype(np.float32)),
        "float32, one distribution": (first.astype(np.float32), again.astype(np.float32)),
        "float32, equal": (first.astype(np.float32), first.astype(np.float32)),
    }


def rows(shape: tuple[int, ...] = SHAPE) -> list[Row]:
    """Return time, peak memory and value of ours and of SciPy, if it is there."""
    found: list[Row] = []
    for name, (real, synthetic) in volumes(shape).items():
        work = f"W1 of 2 x {real.size / 1e6:.1f} M voxels, {name}"
        found += measure(work, {"cytosuite": partial(w1, real, synthetic)}, repeats=5)
        found += _scipy(work, real, synthetic)
    return found


def _scipy(work: str, real: NDArray[Any], synthetic: NDArray[Any]) -> list[Row]:
    """Return the row of SciPy, or one that says that it is missing."""
    try:
        from scipy.stats import wasserstein_distance
    except ImportError:
        return [Row(work, "scipy (not installed)", float("nan"), float("nan"), "-")]

    def run() -> float:
        return float(wasserstein_distance(real.ravel(), synthetic.ravel()))

    return measure(work, {"scipy": run}, repeats=1, warm_up=False)


if __name__ == "__main__":
    print(table(rows()))
