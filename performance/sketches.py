"""Sketches of membranes and of nuclei beside the published ways, which are written here again.

Usage: python performance/sketches.py [membranes] [nuclei]

Membranes (Eschweiler et al. 2024): random candidates, complete-linkage clusters, the weighted
nearest of five centres voxel by voxel in Python, a dilation, two distance transforms, centroids by
region. Nuclei: a surface at 5000 angles, its Delaunay triangulation, asked for every voxel of the
image, per nucleus. Compilation is left out.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial import Delaunay, cKDTree
from side_by_side import measure, table
from skimage.measure import regionprops
from skimage.morphology import ball

from cytosuite.bodies.grid import Grid
from cytosuite.bodies.harmonics import fibonacci_sphere, legendre
from cytosuite.bodies.stars import label as label_stars
from cytosuite.datasets.membrane.generate import label
from cytosuite.datasets.membrane.parameters import Parameters, draw_values
from cytosuite.datasets.membrane.structures import build
from cytosuite.datasets.nuclei.generate import generate
from cytosuite.datasets.physics.harmonics import draw_stars
from cytosuite.datasets.physics.sketch import extras
from cytosuite.volume.arrays import Doubles, Floats

DENSITY = 1 / 20  # of the other program, 1/voxels
Made = tuple[int, Floats]


def membranes(edge: int, cell_um: float, seed: int = 0) -> Made:
    """Return the number of cells and the distance of a cube of tissue, as a case is made."""
    rng = np.random.default_rng(seed)
    parameters = Parameters(
        shape=(edge,) * 3, spacing_um=(1.0,) * 3, cell_um=(cell_um, cell_um), border_um=3.0
    )
    drawn = draw_values(rng, parameters)
    labels = label(build(rng, parameters, drawn), parameters, drawn)
    made = extras(labels, parameters.labels.border_um)
    return int(made["seeds"].array.sum()), made["distance"].array


def published_membranes(edge: int, seed: int = 0) -> Made:
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


def of_membranes(edges: Sequence[int] = (64, 128), repeats: int = 5) -> None:
    """Print median CPU seconds of both, in turns, and their ratio."""
    row = "{:>5} {:28} {:>6} {:>8} {:>7}"
    print(row.format("edge", "program", "cells", "CPU s", "ratio"))
    for edge in edges:
        programs: dict[str, Callable[[int], Made]] = {
            "ours, cells of 42 voxels": lambda seed, edge=edge: membranes(edge, 42.0, seed),
            "ours, cells of 20 voxels": lambda seed, edge=edge: membranes(edge, 20.0, seed),
            "published": lambda seed, edge=edge: published_membranes(edge, seed),
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


SIDE, NUCLEI, RADIUS, ORDER, CIRCULARITY = 64, 2, 10.0, 20, 5.0
ANGLES = 5000
PER_VOXEL = 20 / 64**3  # nuclei of whole cases


def places(count: int) -> Doubles:
    """Return centres (N, 3) away from the faces of the volume."""
    return np.random.default_rng(1).uniform(RADIUS, SIDE - RADIUS, (count, 3))


def published_nuclei(count: int = NUCLEI) -> NDArray[np.uint16]:
    """Return labels by a Delaunay test of all voxels for each nucleus, later ones over earlier."""
    rng = np.random.default_rng(0)
    directions = fibonacci_sphere(ANGLES)
    angle = np.arange(ORDER + 1)[:, None] * np.arctan2(directions[2], directions[1])
    falling = legendre(ORDER, directions[0])
    norm = np.where(np.arange(ORDER + 1) > 0, np.sqrt(2), 1.0)[:, None, None]
    basis = np.stack(
        [norm * falling * np.cos(angle)[:, None], norm * falling * np.sin(angle)[:, None]]
    ).reshape(-1, ANGLES)
    labels = np.zeros((SIDE,) * 3, np.uint16)
    voxels = np.stack(np.indices(labels.shape), axis=-1).reshape(-1, 3) + 0.5
    degree = np.maximum(np.arange(ORDER + 1), 1.0)
    deviation = np.sqrt(4 * np.pi * degree**-CIRCULARITY / (2 * degree + 1)) * (degree > 1)
    for number, centre in enumerate(places(count), start=1):
        drawn = rng.normal(size=(2, ORDER + 1, ORDER + 1)) * deviation
        radii = RADIUS * (1 + drawn.reshape(-1) @ basis)
        hull = Delaunay(centre + (radii * directions).T)
        labels.reshape(-1)[hull.find_simplex(voxels) > 0] = number
    return labels


def nuclei(count: int = NUCLEI) -> NDArray[np.uint16]:
    """Return labels by the radius in each direction, in the boxes of the nuclei."""
    rng = np.random.default_rng(0)
    axes, turns = np.full((count, 3), RADIUS), np.broadcast_to(np.eye(3), (count, 3, 3))
    stars = draw_stars(rng, axes, turns, order=ORDER, circularity=CIRCULARITY)
    return label_stars(stars, places(count), Grid((SIDE,) * 3, (1.0,) * 3))


def filled(labels: Callable[[], NDArray[np.uint16]]) -> str:
    """Return the number of labelled voxels as text."""
    return f"{np.count_nonzero(labels())} voxels"


def case(side: int) -> str:
    """Return the number of nuclei of a whole case: sketch, labels, extras, image."""
    recipe = {
        "shape": (side,) * 3,
        "spacing_um": (0.5,) * 3,
        "n_nuclei": round(PER_VOXEL * side**3),
        "radius_um": (2.0, 4.0),
    }
    made = generate(np.random.default_rng(0), recipe)
    return f"{made.metadata['n_nuclei']} nuclei, {side**3 / 1e6:.1f} million voxels"


def of_nuclei() -> None:
    """Print time and memory of labels, and of whole cases as the volume grows."""
    work = f"{NUCLEI} nuclei of radius {RADIUS:g} in {SIDE}³ voxels"
    both = {"ours": partial(filled, nuclei), "published way": partial(filled, published_nuclei)}
    rows = measure(work, both)
    for side in (64, 128, 256):
        rows += measure(f"whole case of {side}³ voxels", {"ours": partial(case, side)})
    print(table(rows))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    chosen = sys.argv[1:] or ["membranes", "nuclei"]
    if "membranes" in chosen:
        of_membranes()
    if "nuclei" in chosen:
        of_nuclei()
