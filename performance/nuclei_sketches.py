"""Labels of nuclei by spherical harmonics, beside the published way, which is written anew here.

Both draw nuclei of the same radius in the same volume. The published program evaluates a surface at
5000 angles, makes its Delaunay triangulation and asks it for every voxel of the image, per nucleus.
Further rows show time and memory of whole cases as the volume grows at equal density.

    python performance/nuclei_sketches.py
"""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay
from side_by_side import measure, table

from cytosuite.datasets.nuclei.generate import generate
from cytosuite.datasets.physics.bodies import label
from cytosuite.datasets.physics.dye import fibonacci_sphere
from cytosuite.datasets.physics.grid import Grid
from cytosuite.datasets.physics.harmonics import draw_stars, legendre

SIDE, NUCLEI, RADIUS, ORDER, CIRCULARITY = 64, 2, 10.0, 20, 5.0
ANGLES = 5000
PER_VOXEL = 20 / 64**3  # nuclei of whole cases


def places(count: int) -> NDArray[np.float64]:
    """Return centres (N, 3) away from the faces of the volume."""
    return np.random.default_rng(1).uniform(RADIUS, SIDE - RADIUS, (count, 3))


def published(count: int = NUCLEI) -> NDArray[np.uint16]:
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


def ours(count: int = NUCLEI) -> NDArray[np.uint16]:
    """Return labels by the radius in each direction, in the boxes of the nuclei."""
    rng = np.random.default_rng(0)
    axes, turns = np.full((count, 3), RADIUS), np.broadcast_to(np.eye(3), (count, 3, 3))
    stars = draw_stars(rng, axes, turns, order=ORDER, circularity=CIRCULARITY)
    return label(stars, places(count), Grid((SIDE,) * 3, (1.0,) * 3))


def filled(labels: Callable[[], NDArray[np.uint16]]) -> str:
    """Return the number of labelled voxels as text."""
    return f"{np.count_nonzero(labels())} voxels"


def case(side: int) -> str:
    """Return the number of nuclei of a whole case: sketch, labels, companions, image."""
    recipe = {
        "shape": (side,) * 3,
        "spacing_um": (0.5,) * 3,
        "n_nuclei": round(PER_VOXEL * side**3),
        "radius_um": (2.0, 4.0),
    }
    made = generate(np.random.default_rng(0), recipe)
    return f"{made.metadata['n_nuclei']} nuclei, {side**3 / 1e6:.1f} million voxels"


if __name__ == "__main__":
    work = f"{NUCLEI} nuclei of radius {RADIUS:g} in {SIDE}³ voxels"
    both = {"ours": partial(filled, ours), "published way": partial(filled, published)}
    rows = measure(work, both)
    for side in (64, 128, 256):
        rows += measure(f"whole case of {side}³ voxels", {"ours": partial(case, side)})
    print(table(rows))
