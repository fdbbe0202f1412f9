"""Cells around centres: a weighted Voronoi diagram, cut to a tissue.

References
----------
Eschweiler et al., Denoising diffusion probabilistic models for generation of realistic fully
annotated microscopy image datasets, PLOS Comput. Biol. 20 (2024),
doi:10.1371/journal.pcbi.1011890: the weights. Aurenhammer and Edelsbrunner, An optimal algorithm
for constructing the weighted Voronoi diagram in the plane, Pattern Recognit. 17 (1984),
doi:10.1016/0031-3203(84)90064-5: the diagram.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from cytosuite.datasets.membrane.places import MOST
from cytosuite.datasets.physics.grid import Array, Grid, Image, Labels
from cytosuite.datasets.physics.labels import tidy
from cytosuite.errors import InputError


def weights(centres_um: Array, strength: float) -> Array:
    """Return factors (N,) of distance: ``1 + strength d / max(d)``.

    Parameters
    ----------
    centres_um : (N, 3) float array
    strength : float
        From 0 on. Isolated cells get smaller, as `d` is the distance to the nearest other centre.

    Examples
    --------
    >>> weights(np.array([[0.0, 0, 0], [0, 0, 2], [0, 0, 6]]), 0.5).tolist()
    [1.25, 1.25, 1.5]
    """
    if len(centres_um) < 2:
        return np.ones(len(centres_um))
    alone = cKDTree(centres_um).query(centres_um, k=2)[0][:, 1]
    return np.asarray(1 + strength * alone / max(float(alone.max()), 1e-12))


def cells(
    centres_um: Array,
    factors: Array,
    grid: Grid,
    inside: NDArray[np.bool_],
    shrink: Image | None = None,
) -> Labels:
    """Return the cells (Z, Y, X) of a tissue: each voxel's nearest centre by weighted distance.

    Parameters
    ----------
    centres_um, factors : (N, 3) and (N,) float arrays
        At most 65535 centres, and the factor of the distance from each.
    grid, inside : Grid, (Z, Y, X) bool array
        Voxels, and those that are tissue; the others are 0.
    shrink : (Y,) float32 array, optional
        Factor, at most 1, of lengths along x in each row: of a map, on which the parallels of a
        globe are stretched.

    Returns
    -------
    (Z, Y, X) uint16 array
        Index of the centre + 1.

    Raises
    ------
    InputError
        If there are too many centres.
    """
    from cytosuite.datasets.membrane import _voronoi_kernel  # compiled on first use

    if len(centres_um) > MOST:
        raise InputError(
            f"expected at most {MOST} cells, found {len(centres_um)}; raise cell_um or lower shape"
        )
    labels = np.zeros(grid.shape, np.uint16)
    if len(centres_um):
        places, own = centres_um.astype(np.float32), factors.astype(np.float32)
        ticks = (grid.centres(0), grid.centres(1), grid.centres(2))
        rows = np.ones(grid.shape[1], np.float32) if shrink is None else shrink
        _voronoi_kernel.assign(places, own, *ticks, rows, inside, labels)
    return labels


def whole(labels: Labels, inside: NDArray[np.bool_], min_voxels: int) -> Labels:
    """Return cells (Z, Y, X) in one piece each, numbered without gaps, that fill the tissue.

    Weights and curved surfaces can cut off pieces of a cell; they, and cells of fewer voxels than
    `min_voxels`, go to a cell beside them, voxel by voxel from the border on.
    """
    found, _ = tidy(labels, min_voxels)
    places = np.argwhere(inside & (found == 0))
    while len(places):
        owners = np.zeros(len(places), np.uint16)
        for step in np.concatenate([np.eye(3, dtype=int), -np.eye(3, dtype=int)]):
            beside = places + step
            free = (owners == 0) & ((beside >= 0) & (beside < found.shape)).all(axis=1)
            owners[free] = found[tuple(beside[free].T)]
        taken = owners > 0
        if not taken.any():
            break  # tissue that no cell touches
        found[tuple(places[taken].T)] = owners[taken]
        places = places[~taken]
    return found
