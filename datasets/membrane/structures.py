"""Structures of tissue: the voxels that are tissue, and the centres of its cells.

References
----------
Eschweiler et al., Denoising diffusion probabilistic models for generation of realistic fully
annotated microscopy image datasets, PLOS Comput. Biol. 20 (2024),
doi:10.1371/journal.pcbi.1011890: tissue, meristem and shell; the README lists the differences.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cytosuite.datasets.membrane.parameters import Drawn, Parameters
from cytosuite.datasets.membrane.places import (
    APART,
    CROWD,
    MOST,
    ball_um3,
    candidates,
    layer,
    scattered,
    thinned,
)
from cytosuite.datasets.physics.globe import Globe
from cytosuite.datasets.physics.grid import Array, Image
from cytosuite.datasets.physics.tissue import ellipsoid, fill, irregular
from cytosuite.errors import InputError


@dataclass(frozen=True, slots=True)
class Anatomy:
    """A tissue before it is shared out among cells.

    Parameters
    ----------
    centres_um : (N, 3) float array
        Of the cells, z, y, x; some may lie beyond the image.
    depth_um : (Z, Y, X) float32 array
        Of each voxel below the surface, positive inside the body.
    inside : (Z, Y, X) bool array
        Voxels that are tissue.
    shrink : (Y,) float32 array or None
        Factor of lengths along x in each row of a map, see `voronoi.cells`.
    """

    centres_um: Array
    depth_um: Image
    inside: NDArray[np.bool_]
    shrink: Image | None = None


def build(rng: np.random.Generator, parameters: Parameters, drawn: Drawn) -> Anatomy:
    """Return the tissue of a case.

    Raises
    ------
    InputError
        If it holds no cell, or the image is too small for it.
    """
    makers = {
        "tissue": tissue,
        "meristem": meristem,
        "shell": shell,
        "cartographic": cartographic,
    }
    return makers[parameters.structure](rng, parameters, drawn)


def tissue(rng: np.random.Generator, parameters: Parameters, drawn: Drawn) -> Anatomy:
    """Return tissue that goes on beyond the image on all sides; its depth is that of the plane."""
    grid = parameters.grid
    region = fill(grid.size_um, drawn.cell_um)  # cells at the border are cut, as in a real field
    depth = np.broadcast_to(grid.centres(0)[:, None, None], grid.shape)
    return Anatomy(scattered(rng, region, drawn.cell_um), depth, np.ones(grid.shape, bool))


def meristem(rng: np.random.Generator, parameters: Parameters, drawn: Drawn) -> Anatomy:
    """Return a dome, its top at the first plane, with layers of cells that get larger inside.

    The dome is the upper half of an ellipsoid with smooth bulges (`tissue.irregular`). A layer is
    as thick as its cells are wide: the edge of the cube of their volume.
    """
    z, y, x = parameters.grid.size_um
    axes = (parameters.extent * z, parameters.extent * y / 2, parameters.extent * x / 2)
    region = irregular(rng, (z, y / 2, x / 2), axes, drawn.bumps)
    crowd = candidates(rng, region, drawn.cell_um)
    crowd = crowd[crowd[:, 0] < z + 2 * drawn.cell_um]  # cells below may reach into the image
    below = -region.distance_at(crowd)
    centres, top, edge = [], 0.0, ball_um3(drawn.cell_um) ** (1 / 3)
    while top < below.max():
        middle = top + edge / 2
        chosen = crowd[(below >= top) & (below < top + edge)]
        centres.append(layer(rng, chosen, region, middle, edge**2, parameters.jitter * edge))
        top, edge = top + edge, edge * parameters.growth
    depth = -region.on(parameters.grid)
    return Anatomy(np.concatenate(centres), depth, depth > 0)


def shell(rng: np.random.Generator, parameters: Parameters, drawn: Drawn) -> Anatomy:
    """Return one layer of cells around an ellipsoid of yolk that thins towards both ends of x."""
    size = parameters.grid.size_um
    axes = tuple(parameters.extent * length / 2 for length in size)
    if drawn.thickness_um >= min(axes):
        raise InputError(
            f"a shell of {drawn.thickness_um:.3g} µm has no room in an ellipsoid of "
            f"{min(axes):.3g} µm in its shortest half-axis; lower thickness_um or raise shape"
        )
    region = ellipsoid(tuple(length / 2 for length in size), axes)

    def thickness(x: NDArray[np.floating]) -> NDArray[np.floating]:
        """Return the thickness in µm at places along x."""
        along = np.abs(x - size[2] / 2) / axes[2]
        return np.asarray(drawn.thickness_um * (1 - drawn.thinning * along.clip(0, 1)))

    area = np.pi / 4 * drawn.cell_um**2
    wide = (6 / np.pi * area * drawn.thickness_um) ** (1 / 3)  # a ball of an equatorial cell
    crowd = candidates(rng, region, wide)
    thick = thickness(crowd[:, 2])
    within = -region.distance_at(crowd) < thick
    crowd, thick = crowd[within], thick[within]
    jitter = parameters.jitter * drawn.thickness_um
    centres = layer(rng, crowd, region, thick / 2, area, jitter)
    depth = -region.on(parameters.grid)
    limit = thickness(parameters.grid.centres(2)).astype(np.float32)
    return Anatomy(centres, depth, (depth > 0) & (depth < limit))


def cartographic(rng: np.random.Generator, parameters: Parameters, drawn: Drawn) -> Anatomy:
    """Return a sheet of cells in the middle of the image: the shell of a ball, spread out as a map.

    Rows are parallels and columns meridians, both evenly spaced in degrees: at latitude `l`,
    lengths along x are shown ``1 / cos(l)`` times as long.

    Raises
    ------
    InputError
        If the map is wider than the equator of the ball, the sheet thicker than the image, or
        there are too many cells.
    """
    grid = parameters.grid
    height, y, x = grid.size_um
    globe = Globe(grid.size_um, parameters.latitude_deg)
    radius = globe.radius_um
    if drawn.thickness_um > height:
        raise InputError(
            f"a sheet of {drawn.thickness_um:.3g} µm has no room in an image of {height:.3g} µm "
            "along z; lower thickness_um or raise shape"
        )
    margin = drawn.cell_um
    low, high = np.array([-margin, -margin]), np.array([y + margin, x + margin])
    area = np.pi / 4 * drawn.cell_um**2
    count = np.prod(high - low) / area
    if count > MOST:
        raise InputError(
            f"a map of {y:.4g} x {x:.4g} µm holds {count:.0f} cells of {drawn.cell_um:.3g} µm, at "
            f"most {MOST} are allowed; raise cell_um or lower shape"
        )
    places = rng.uniform(low, high, (round(CROWD * count), 2))
    latitude = globe.latitude(places[:, 0])
    kept = rng.random(len(places)) < np.cos(latitude)
    places, latitude, longitude = places[kept], latitude[kept], places[kept, 1] / radius
    ring = np.cos(latitude)
    sphere = [np.sin(latitude), ring * np.sin(longitude), ring * np.cos(longitude)]
    places = places[thinned(radius * np.stack(sphere, axis=1), APART * area**0.5)]
    middle = height / 2 + rng.normal(0, parameters.jitter * drawn.thickness_um, len(places))
    top = (height - drawn.thickness_um) / 2
    depth = np.broadcast_to(grid.centres(0)[:, None, None] - np.float32(top), grid.shape)
    rows = np.cos(globe.latitude(grid.centres(1))).astype(np.float32)
    inside = (depth > 0) & (depth < drawn.thickness_um)
    return Anatomy(np.column_stack([middle, places]), depth, inside, rows)
