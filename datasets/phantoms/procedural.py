"""A library of drawn nuclei: stored ones without any stack to cut them from."""

import numpy as np
from scipy import ndimage

from cytosuite.datasets.phantoms.library import Phantom, from_mask
from cytosuite.datasets.physics.bodies import Bodies
from cytosuite.datasets.physics.dye import chromatin_tile
from cytosuite.datasets.physics.grid import Grid, Image, Lengths
from cytosuite.datasets.physics.mitosis import divide
from cytosuite.datasets.physics.shapes import draw_nuclei

EDGE = 3  # voxels of background around the box of a nucleus
CHROMATIN_UM = 0.6


def draw_library(
    rng: np.random.Generator,
    count: int,
    spacing_um: Lengths,
    *,
    diameter_um: float = 9.0,
    mitotic_fraction: float = 0.0,
) -> list[Phantom]:
    """Return phantoms of drawn nuclei, see `cytosuite.datasets.physics.shapes.draw_nuclei`.

    Parameters
    ----------
    rng, count : numpy Generator, int
    spacing_um : tuple of float
        µm per voxel at which they are stored; finer than the grid on which they are painted.
    diameter_um : float
        Median diameter of the sphere of the same volume.
    mitotic_fraction : float
        Probability of mitosis; a pair of daughters makes two phantoms of the `count`.
    """
    nuclei = draw_nuclei(rng, count, diameter_um=diameter_um, mitotic_fraction=mitotic_fraction)
    nuclei, _, _ = divide(rng, nuclei, np.zeros((count, 3)))
    nuclei = nuclei.take(np.arange(count))
    tile = chromatin_tile(rng, Grid((1, 1, 1), spacing_um), CHROMATIN_UM)
    return render(nuclei, spacing_um, tile)


def render(bodies: Bodies, spacing_um: Lengths, tile: Image) -> list[Phantom]:
    """Return a phantom named ``drawn_<number>`` of each body, with a chromatin tile at its spacing.

    Notes
    -----
    Bodies are painted with a soft rim; its voxels take the density from half a voxel farther
    inside, as the rim is added again when the phantom is placed.
    """
    phantoms = []
    reach = 2 * float(bodies.semi_axes_um.max(initial=0.0))
    shape = tuple(2 * int(np.ceil(reach / step) + EDGE) for step in spacing_um)
    grid = Grid(shape, spacing_um)
    middle = np.asarray(grid.size_um) / 2
    # All lie on one spot: each patch is painted in a box of its own.
    for patch in bodies.patches(np.tile(middle, (len(bodies), 1)), grid, grid.voxel_um):
        light = patch.on_box(bodies.density(patch, grid, tile))
        distance = patch.on_box(patch.distance, 2.0)
        radius = float(bodies.semi_axes_um[patch.index].prod() ** (1 / 3))
        core = distance < 1 - grid.voxel_um / (2 * radius)
        nearest = ndimage.distance_transform_edt(
            ~core, spacing_um, return_distances=False, return_indices=True
        )
        name = f"drawn_{patch.index + 1:04d}"
        phantoms.append(from_mask(name, light[tuple(nearest)], distance < 1, spacing_um))
    return phantoms
