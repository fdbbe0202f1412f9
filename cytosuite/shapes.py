"""Shapes of objects that only a wrong geometry of the image gives."""

from math import exp, log

import numpy as np
from numpy.typing import NDArray

from cytosuite.large import release
from cytosuite.spacing import text
from cytosuite.volume import Volume

SECTIONS = 16  # slices that are looked at
PIXELS = 9  # of a section that counts
OBJECTS = 8  # sections that are enough for a typical ratio
STRETCHED = {"YX": 1.5, "ZYX": 1.35}  # ratios worth a warning; cells on glass may lie in line


def stretched(labels: Volume) -> str:
    """Return a warning if objects are longer along y than along x, or the other way round.

    Parameters
    ----------
    labels : Volume
        Axes ZYX or YX, 0 = background.

    Returns
    -------
    str
        Empty for fewer than 8 objects, or where the median of the ratios of their standard
        deviations along y and x is below 1.5 in a plane and 1.35 in a volume, of which sections
        in 16 slices count: nuclei lie in all directions, so that more tells swapped axes or a
        wrong pixel size.
    """
    planes = labels.array.reshape(-1, *labels.shape[-2:])
    places = np.linspace(0, len(planes) - 1, min(len(planes), SECTIONS) + 2)[1:-1]
    found = [_log_ratio(planes[place]) for place in np.unique(places.round().astype(int))]
    release(labels.array)
    ratios = np.concatenate(found) + log(labels.spacing[-2] / labels.spacing[-1])
    limit = log(STRETCHED.get(labels.axes, 1.5))
    if ratios.size < OBJECTS or abs(middle := float(np.median(ratios))) <= limit:
        return ""
    long, short = ("y", "x") if middle > 0 else ("x", "y")
    return (
        f"objects odd: {exp(abs(middle)):.2g} times as long along {long} as along {short}; "
        f"check the order of the axes and the voxel size, {text(labels.spacing)} µm"
    )


def _log_ratio(plane: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return ln of standard deviation along y over that along x, in pixels, of whole sections."""
    places = np.nonzero(plane > 0)
    names, labels = np.unique(plane[places], return_inverse=True)
    count = np.bincount(labels, minlength=names.size)
    cut = np.concatenate([plane[[0, -1]].ravel(), plane[:, [0, -1]].ravel()])
    keep = (count >= PIXELS) & ~np.isin(names, cut)
    variances = []
    for place in places:
        weight = place.astype(np.float64)
        mean = np.bincount(labels, weight, names.size) / count
        square = np.bincount(labels, weight**2, names.size) / count
        variances.append((square - mean**2)[keep] + 1 / 12)  # of a pixel itself
    return np.asarray(np.log(variances[0] / variances[1]) / 2)
