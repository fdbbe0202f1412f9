"""Faces between touching objects: those without a wall fall, the others move onto it."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from cytosuite.segmentation.foreground import sigmas
from cytosuite.segmentation.objects import fill_holes, largest_pieces

Labels = NDArray[np.uint32]
Slices = tuple[slice, ...]


def without_walls_joined(labels: Labels, level: NDArray[np.float32], limit: float) -> Labels:
    """Return objects, joined where no wall parts them.

    Parameters
    ----------
    labels : (Z, Y, X) uint32 array
        0 = background.
    level : (Z, Y, X) float32 array
        Prediction of the network: high within objects, low where they touch.
    limit : float
        Objects are joined where the mean level of their common face, in the lower voxel of each
        two that touch there, is above this.

    Returns
    -------
    (Z, Y, X) uint32 array
        With the lowest number of each group; the given array where nothing is joined.

    Examples
    --------
    >>> labels = np.array([[[1, 1, 2, 2, 3, 3]]], np.uint32)
    >>> level = np.float32([[[1, 0.9, 0.8, 0.4, 0.3, 1]]])
    >>> without_walls_joined(labels, level, 0.6)
    array([[[1, 1, 1, 1, 3, 3]]], dtype=uint32)
    """
    count = int(labels.max(initial=0)) + 1
    pairs, levels = [], []
    for low, high, touching in _contacts(labels):
        ends = np.sort([labels[low][touching], labels[high][touching]], axis=0).astype(np.int64)
        pairs.append(ends[0] * count + ends[1])
        levels.append(np.minimum(level[low][touching], level[high][touching]))
    faces, face = np.unique(np.concatenate(pairs), return_inverse=True)
    means = np.bincount(face, np.concatenate(levels)) / np.bincount(face)
    fallen = faces[means > limit]
    if not fallen.size:
        return labels
    graph = coo_array((np.ones(fallen.size), np.divmod(fallen, count)), shape=(count, count))
    groups, number = connected_components(graph, directed=False)
    first = np.full(groups, count, np.uint32)
    np.minimum.at(first, number, np.arange(count, dtype=np.uint32))
    return np.asarray(first[number][labels], np.uint32)


def moved_to_walls(
    labels: Labels,
    image: NDArray[np.float32],
    spacing: Sequence[float],
    *,
    reach_um: float,
    smoothing_um: float,
) -> Labels:
    """Return objects with their common faces moved onto the brightest voxels nearby.

    Parameters
    ----------
    labels : (Z, Y, X) uint32 array
        0 = background; its border with objects stays where it is.
    image : (Z, Y, X) float32 array
        Bright where objects are parted, like a stained membrane.
    spacing : sequence of float
        µm per voxel, z y x.
    reach_um : float
        Largest distance from a face to its new place, µm; an object without a voxel farther than
        this from its faces keeps its voxels.
    smoothing_um : float
        Standard deviation of a Gaussian that the image is smoothed with before, µm.

    Returns
    -------
    (Z, Y, X) uint32 array
        The same labels, each in one piece and without holes; only voxels near faces change.

    Notes
    -----
    A watershed of the image floods the band around the faces from both sides.

    Examples
    --------
    >>> labels = np.repeat(np.array([1, 2], np.uint32), [4, 6]).reshape(1, 1, 10)
    >>> image = np.float32([0, 0, 0, 0, 1, 2, 9, 1, 0, 0]).reshape(1, 1, 10)
    >>> moved_to_walls(labels, image, (1, 1, 1), reach_um=3, smoothing_um=0).ravel()
    array([1, 1, 1, 1, 1, 1, 2, 2, 2, 2], dtype=uint32)
    """
    from skimage.segmentation import watershed  # takes long to import

    band = _faces(labels)
    if not band.any():
        return labels
    band = ndimage.binary_dilation(band, _ellipsoid(reach_um, spacing)) & (labels > 0)
    cored = np.zeros(int(labels.max()) + 1, bool)
    cored[labels[~band]] = True
    band &= cored[labels]
    markers = np.where(band, 0, labels).astype(np.int32)
    # Floods begin at the edge of the band: the rest of the image would only take time.
    mask = ndimage.binary_dilation(band, np.ones((3, 3, 3), bool)) & (labels > 0)
    markers[~mask] = 0
    smooth = ndimage.gaussian_filter(image, sigmas(smoothing_um, spacing, 1.0))
    flooded = watershed(smooth, markers, mask=mask)
    del smooth, markers
    found = np.where(band & (flooded > 0), flooded, labels).astype(np.uint32)
    return fill_holes(largest_pieces(found))


def _faces(labels: Labels) -> NDArray[np.bool_]:
    """Return the voxels of objects that share a face of a voxel with another object."""
    faces = np.zeros(labels.shape, bool)
    for low, high, touching in _contacts(labels):
        faces[low] |= touching
        faces[high] |= touching
    return faces


def _contacts(labels: Labels) -> Iterator[tuple[Slices, Slices, NDArray[np.bool_]]]:
    """Yield the slices of both voxels of all pairs along each axis, and the pairs that touch."""
    for axis in range(labels.ndim):
        low, high = [slice(None)] * labels.ndim, [slice(None)] * labels.ndim
        low[axis], high[axis] = slice(None, -1), slice(1, None)
        first, second = tuple(low), tuple(high)
        a, b = labels[first], labels[second]
        yield first, second, (a != b) & (a > 0) & (b > 0)


def _ellipsoid(radius_um: float, spacing: Sequence[float]) -> NDArray[np.bool_]:
    """Return the voxels within a distance of the middle one."""
    sizes = [int(radius_um / step + 1e-6) for step in spacing]
    grid = np.ogrid[tuple(slice(-size, size + 1) for size in sizes)]
    distance = sum((along * step) ** 2 for along, step in zip(grid, spacing, strict=True))
    return np.asarray(distance <= (radius_um * (1 + 1e-6)) ** 2)
