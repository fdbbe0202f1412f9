"""Measure the loops of segmentation beside SciPy, scikit-image and edt, on one core.

Usage: python performance/filters.py [Z,Y,X]

Same inputs, same bits (where `value` is True); ratio: theirs over ours. `edt` counts where it is
installed.
"""

import os
import sys
from functools import partial
from importlib.util import find_spec

import numpy as np
from scipy import ndimage
from side_by_side import Row, measure, table
from skimage.measure import label

from cytosuite.algorithms.watershed.seeds import border_distance
from cytosuite.segmentation import objects
from cytosuite.segmentation.foreground import gaussian

SPACING = (2.0, 0.5, 0.5)


def main() -> None:
    """Print the table."""
    os.environ["OMP_NUM_THREADS"] = "1"
    shape = tuple(map(int, (sys.argv[1:] or ["30,512,512"])[0].split(",")))
    image = np.random.default_rng(0).random(shape, np.float32)
    rows: list[Row] = []
    for sigma in ((0.5, 1.0, 1.0), (1.0, 3.0, 3.0)):
        ours = gaussian(image, sigma)
        same = np.array_equal(ours, ndimage.gaussian_filter(image, sigma))
        programs = {
            "cytosuite": lambda sigma=sigma, same=same: gaussian(image, sigma) is not None and same,
            "SciPy": lambda sigma=sigma: ndimage.gaussian_filter(image, sigma).size,
        }
        rows += measure(f"Gaussian {sigma}", programs)
    mask = gaussian(image, (1.0, 4.0, 4.0)) > 0.5
    distance = {
        "cytosuite": partial(border_distance, mask, SPACING, 1.0),
        "SciPy": partial(ndimage.distance_transform_edt, mask, SPACING),
    }
    if find_spec("edt"):
        import edt  # type: ignore[import-not-found,unused-ignore]

        distance["edt"] = partial(edt.edt, mask, anisotropy=SPACING, parallel=1)
    pieces = {
        "cytosuite": partial(objects.largest_pieces, mask.astype(np.int32)),
        "scikit-image, label alone": partial(label, mask, connectivity=1),
    }
    for work, programs in (("distances", distance), ("largest pieces", pieces)):
        rows += measure(work, {name: lambda run=run: run().shape for name, run in programs.items()})
    print(table(rows))


if __name__ == "__main__":
    main()
