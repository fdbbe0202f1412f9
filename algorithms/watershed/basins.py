"""Catchment basins of the seed map, and their merging by the depth of the saddles."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.morphology import local_maxima
from skimage.segmentation import watershed


def basins(seeds: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return one label per local maximum of the seed map, grown over the foreground.

    Parameters
    ----------
    seeds : (Z, Y, X) or (Y, X) float array
        The seed map.
    mask : bool array
        The foreground.

    Returns
    -------
    int32 array
        0 outside the foreground.

    References
    ----------
    Meyer, Signal Processing 38 (1994) 113, doi:10.1016/0165-1684(94)90060-4.
    """
    peaks: NDArray[np.bool_] = local_maxima(seeds, connectivity=seeds.ndim)
    peaks &= mask
    markers, count = ndimage.label(peaks, structure=np.ones((3,) * seeds.ndim))
    if count == 0:
        return np.zeros(seeds.shape, np.int32)
    grown: NDArray[np.int32] = watershed(-seeds, markers, mask=mask)
    return grown.astype(np.int32, copy=False)


def saddles(
    labels: NDArray[np.int32], height: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the pairs of touching basins and the highest pass between each.

    Parameters
    ----------
    labels : int32 array
        Basins, 0 outside.
    height : float array
        Of the same shape; the height of a pass is the lower of the two voxels that meet there.

    Returns
    -------
    pairs : (n, 2) int64 array
        Labels, the smaller first.
    passes : (n,) float array
        Height of the highest pass of each pair.
    """
    keys, levels = [], []
    base = np.int64(labels.max(initial=0)) + 1
    for axis in range(labels.ndim):
        a, b = np.moveaxis(labels, axis, 0)[:-1], np.moveaxis(labels, axis, 0)[1:]
        h, g = np.moveaxis(height, axis, 0)[:-1], np.moveaxis(height, axis, 0)[1:]
        touch = (a != b) & (a > 0) & (b > 0)
        first, second = a[touch].astype(np.int64), b[touch].astype(np.int64)
        keys.append(np.minimum(first, second) * base + np.maximum(first, second))
        levels.append(np.minimum(h[touch], g[touch]))
    key, level = np.concatenate(keys), np.concatenate(levels)
    unique, inverse = np.unique(key, return_inverse=True)
    passes = np.zeros(unique.size, np.float32)
    np.maximum.at(passes, inverse, level)
    return np.stack([unique // base, unique % base], axis=1), passes


def merge(
    labels: NDArray[np.int32], height: NDArray[np.float32], ratio: float
) -> NDArray[np.int32]:
    """Return the basins after joining those without a deep saddle between them.

    Parameters
    ----------
    labels, height
        As of `saddles`; heights are positive inside.
    ratio : float
        Basins are joined when their saddle is at least this fraction of the lower peak.

    Returns
    -------
    int32 array
        Labels of the joined basins, not consecutive.

    Notes
    -----
    Highest saddles first, the joined basin keeps the higher peak: the persistence of a maximum,
    relative to its height, so that dim and bright nuclei are treated alike.
    """
    peaks = np.zeros(int(labels.max(initial=0)) + 1, np.float32)
    np.maximum.at(peaks, labels.ravel(), height.ravel())
    pairs, passes = saddles(labels, height)
    order = np.argsort(-passes, kind="stable")
    parent, top = list(range(peaks.size)), peaks.tolist()

    def root(node: int) -> int:
        """Return the basin into which this one was merged."""
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for (first, second), level in zip(pairs[order].tolist(), passes[order].tolist(), strict=True):
        a, b = root(first), root(second)
        if a != b and level >= ratio * min(top[a], top[b]):
            a, b = (a, b) if top[a] >= top[b] else (b, a)
            parent[b] = a
    roots = np.array([root(node) for node in range(peaks.size)], np.int32)
    return roots[labels]
