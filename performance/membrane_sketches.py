"""Sketches of membranes: labels, boundary, distance and seeds, beside the published way.

The other program is written anew from its description (Eschweiler et al. 2024): random candidates,
complete-linkage clusters, the weighted nearest of five centres voxel by voxel in Python, a
dilation, two distance transforms, centroids by region. Compilation is left out.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial import cKDTree
from skimage.measure import regionprops
from skimage.morphology import ball

from cytosuite.datasets.membrane.generate import label
from cytosuite.datasets.membrane.parameters import Parameters, draw_values
from cytosuite.datasets.membrane.structures import build
from cytosuite.datasets.physics.sketch import companions

DENSITY = 1 / 20  # of the other program, 1/voxels
Made = tuple[int, NDArray[np.float32]]


def ours(edge: int, cell_um: float, seed: int = 0) -> Made:
    """Return the number of cells and the distance of a cube of tissue, as a case is made."""
    rng = np.random.default_rng(seed)
    parameters = Parameters(
        shape=(edge,) * 3, spacing_um=(1.0,) * 3, cell_um=(cell_um, cell_um), border_um=3.0
    )
    drawn = draw_values(rng, parameters)
    labels = label(build(rng, parameters, drawn), parameters, drawn)
    made = companions(labels, parameters.border_um)
    return int(made["seeds"].array.sum()), made["distance"].array


def published(edge: int, seed: int = 0) -> Made:
    """Return the same by the published steps."""
    rng = np.random.default_rng(seed)
    voxels = np.argwhere(np.ones((edge,) * 3, bool))
    drawn = voxels[rng.integers(len(voxels), size=int(len(voxels) * DENSITY**3))]
    clusters = fcluster(linkage(drawn, "complete"), 2 / DENSITY, "distance")
    names = np.unique(clusters)
    centres = np.array([drawn[clusters == name].mean(axis=0).astype(int) for name in names])
    tree = cKDTree(centres)
    alone = tree.query(centres, k=2)[0][:, 1]
    weights = 1 + 0.25 * alone / alone.max()
    labels = np.zeros((edge,) * 3, np.uint16)
    places = [tuple(place) for place in voxels]
    away, near = tree.query(places, k=min(5, len(centres) - 1))
    owners = near[np.arange(len(near)), (away * weights[near]).argmin(1)]
    for place, owner in zip(places, owners, strict=True):
        labels[place] = owner + 1
    boundary = (ndimage.grey_dilation(labels, footprint=ball(3)) - labels) != 0
    inside = labels > 0
    distance = ndimage.distance_transform_edt(inside) - ndimage.distance_transform_edt(~inside)
    seeds = np.zeros(labels.shape, np.uint8)
    for region in regionprops(labels):
        seeds[tuple(int(value) for value in region.centroid)] = 1
    assert boundary.any()
    return int(seeds.sum()), distance.astype(np.float32)


def main(edges: list[int], repeats: int = 5) -> None:
    """Print median CPU seconds of both, in turns, and their ratio."""
    row = "{:>5} {:28} {:>6} {:>8} {:>7}"
    print(row.format("edge", "program", "cells", "CPU s", "ratio"))
    for edge in edges:
        programs: dict[str, Callable[[int], Made]] = {
            "ours, cells of 42 voxels": lambda seed, edge=edge: ours(edge, 42.0, seed),
            "ours, cells of 20 voxels": lambda seed, edge=edge: ours(edge, 20.0, seed),
            "published": lambda seed, edge=edge: published(edge, seed),
        }
        times: dict[str, list[float]] = {name: [] for name in programs}
        cells: dict[str, int] = {}
        for turn in range(repeats + 1):
            for name, make in programs.items():
                begin = time.process_time()
                cells[name], _ = make(turn)
                times[name].append(time.process_time() - begin)
        medians = {name: statistics.median(found[1:]) for name, found in times.items()}
        for name, seconds in medians.items():
            ratio = f"{medians['published'] / seconds:.1f}x"
            print(row.format(edge, name, cells[name], f"{seconds:.3f}", ratio))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main([int(edge) for edge in sys.argv[1:]] or [64, 128], 5)
