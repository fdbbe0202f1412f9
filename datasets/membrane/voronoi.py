"""Cells around centres: a weighted Voronoi diagram, cut to a tissue.

Weights: Eschweiler et al. (2024), doi:10.1371/journal.pcbi.1011890; diagram: Aurenhammer and
Edelsbrunner (1984), doi:10.1016/0031-3203(84)90064-5.
"""

import numpy as np

from cytosuite.bodies.grid import Grid, Labels
from cytosuite.datasets.physics.labels import tidy
from cytosuite.datasets.physics.packing import MOST
from cytosuite.errors import InputError
from cytosuite.volume.arrays import Bools, Doubles, Image
from cytosuite.volume.objects import label_at
from cytosuite.volume.points import neighbour


def weights(centres_um: Doubles, strength: float) -> Doubles:
    """Return factors ``1 + strength d / max(d)``, d: distance to the nearest other centre."""
    if len(centres_um) < 2:
        return np.ones(len(centres_um))
    alone = neighbour(centres_um)
    return 1 + strength * alone / max(float(alone.max()), 1e-12)


def cells(
    centres_um: Doubles,
    factors: Doubles,
    grid: Grid,
    inside: Bools,
    shrink: Image | None = None,
) -> Labels:
    """Return index + 1 of each voxel's nearest weighted centre; `shrink` (Y,) shortens x."""
    from cytosuite.datasets.membrane import _voronoi_kernel  # compiled on first use

    if len(centres_um) > MOST:
        raise InputError(
            f"expected at most {MOST} cells, found {len(centres_um)}; raise cell_um or lower shape"
        )
    labels = np.zeros(grid.shape, np.uint16)
    places = centres_um.astype(np.float32)
    squares = np.square(factors.astype(np.float32))
    ticks = (grid.centres(0), grid.centres(1), grid.centres(2))
    rows = np.ones(grid.shape[1], np.float32) if shrink is None else shrink
    _voronoi_kernel.assign(places, squares, ticks, rows, inside, labels)
    return labels


def whole(labels: Labels, inside: Bools, min_voxels: int) -> Labels:
    """Return cells in one piece each, without gaps; stray voxels go to a neighbouring cell."""
    tidied, _ = tidy(labels, min_voxels)
    places = np.argwhere(inside & (tidied == 0))
    while len(places):
        owners = np.zeros(len(places), np.uint16)
        for step in np.concatenate([np.eye(3, dtype=int), -np.eye(3, dtype=int)]):
            owners = np.where(owners == 0, label_at(tidied, places + step), owners)
        taken = owners > 0
        if not taken.any():
            break  # tissue that no cell touches
        tidied[tuple(places[taken].T)] = owners[taken]
        places = places[~taken]
    return tidied
