"""A nucleus in each cell: a second channel under the numbers of the cells."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cytosuite.datasets.membrane.parameters import Drawn
from cytosuite.datasets.physics.grid import Array, Grid, Labels
from cytosuite.datasets.physics.harmonics import draw_stars
from cytosuite.datasets.physics.labels import tidy
from cytosuite.volume import Volume

ORDER, CIRCULARITY = 6, 5.0  # of the surface, see `draw_stars`
GREY = (0.5, 0.9)  # of a nucleus in the sketch


def nuclei(rng: np.random.Generator, cells: Volume, boundary: Volume, drawn: Drawn) -> Labels:
    """Return the nuclei (Z, Y, X) of cells as uint16, each under the number of its cell.

    Parameters
    ----------
    rng : numpy Generator
        Draws the surfaces.
    cells, boundary : Volume
        Labels, numbered without gaps, and the mask of their membranes.
    drawn : Drawn

    Notes
    -----
    A nucleus lies at the centroid of its cell and has its proportions, the share `nucleus` of its
    volume and a surface of random harmonics. Where it would reach into the membrane it is cut, so
    that it may be smaller, and the few cells that are thinner than their membranes have none.
    """
    grid = Grid(cells.shape, cells.spacing)
    centres, axes, rotations = ellipsoids(cells.array, grid)
    axes = axes * drawn.nucleus ** (1 / 3)
    stars = draw_stars(rng, axes, rotations, order=ORDER, circularity=CIRCULARITY)
    smaller = axes**2 / stars.semi_axes_um  # harmonics add to the volume
    stars = replace(stars, axes_um=smaller, semi_axes_um=axes)
    found = np.zeros(cells.shape, np.uint16)
    for patch in stars.patches(centres, grid):
        own = (patch.on_box(patch.distance, 1.0) < 1) & (cells.array[patch.box] == patch.index + 1)
        own &= boundary.array[patch.box] == 0
        found[patch.box][own] = patch.index + 1
    whole, numbers = tidy(found, 1)
    return np.asarray(np.append(0, numbers).astype(np.uint16)[whole])


def ellipsoids(cells: Labels, grid: Grid) -> tuple[Array, Array, Array]:
    """Return centroids (N, 3) in µm, semi-axes (N, 3) in µm and rotations (N, 3, 3) of cells.

    The ellipsoid of a cell has its volume and the directions and ratios of its second moments; a
    voxel counts with its own extent, so that flat cells have a thickness.
    """
    count = int(cells.max(initial=0)) + 1
    sums = np.zeros((10, count))  # 1, z, y, x, zz, yy, xx, zy, zx, yx
    y, x = (grid.centres(axis).astype(np.float64) for axis in (1, 2))
    for z, plane in zip(grid.centres(0).astype(np.float64), cells, strict=True):
        rows, columns = np.nonzero(plane)
        owner, q, r = plane[rows, columns], y[rows], x[columns]
        flat = np.bincount(owner, minlength=count)
        one_y, one_x = (np.bincount(owner, each, count) for each in (q, r))
        squares = [np.bincount(owner, each, count) for each in (q * q, r * r, q * r)]
        sums[:4] += flat, z * flat, one_y, one_x
        sums[4:] += z * z * flat, *squares[:2], z * one_y, z * one_x, squares[2]
    number = sums[0, 1:]
    mean = sums[1:, 1:] / number
    centres = mean[:3].T
    index = np.array([[3, 6, 7], [6, 4, 8], [7, 8, 5]])
    moments = mean[index].transpose(2, 0, 1) - centres[:, :, None] * centres[:, None, :]
    moments += np.diag(np.square(grid.spacing) / 12)
    values, rotations = np.linalg.eigh(moments)
    rotations[:, :, 0] *= np.linalg.det(rotations)[:, None]
    axes = np.sqrt(values)
    volume = 3 / (4 * np.pi) * number * np.prod(grid.spacing)
    axes *= ((volume / axes.prod(axis=1)) ** (1 / 3))[:, None]
    return centres, axes, rotations


def sketch_nuclei(rng: np.random.Generator, found: Labels) -> NDArray[np.uint8]:
    """Return the sketch (Z, Y, X) of nuclei as uint8: one value per nucleus, 0 outside."""
    values = 255 * rng.uniform(*GREY, int(found.max(initial=0)))
    return np.asarray(np.append(0, np.rint(values)).astype(np.uint8)[found])
