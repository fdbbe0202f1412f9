"""Places of cells: packed in a volume, or in layers below a surface."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from cytosuite.datasets.physics.grid import Array
from cytosuite.datasets.physics.packing import pack
from cytosuite.datasets.physics.placement import count_for
from cytosuite.datasets.physics.region import Region
from cytosuite.errors import InputError

FILLED = 0.4  # of the volume, by the balls that keep centres apart: even cells, packed in no time
CROWD = 12  # candidates drawn per cell
MOST = 65535  # cells of a case, see `cytosuite.datasets.membrane.voronoi`
APART = 0.75  # least distance in a layer relative to the root of a cell's area


def ball_um3(diameter_um: float) -> float:
    """Return the volume in µm³ of a ball.

    Examples
    --------
    >>> round(ball_um3(2.0), 3)
    4.189
    """
    return float(np.pi / 6 * diameter_um**3)


def cells_in(region: Region, cell_um: float) -> int:
    """Return the number of cells of a diameter that fill a region.

    Raises
    ------
    InputError
        If it is larger than labels can count: nothing is drawn then.
    """
    count = count_for(region, 1.0, ball_um3(cell_um))
    if count > MOST:
        raise InputError(
            f"cells of {cell_um:.3g} µm in {region.volume_um3:.3g} µm³ of tissue are {count}, at "
            f"most {MOST} are allowed; raise cell_um or lower shape"
        )
    return count


def scattered(rng: np.random.Generator, region: Region, cell_um: float) -> Array:
    """Return centres (N, 3) in µm, evenly spread in a region.

    Parameters
    ----------
    rng, region : numpy Generator, Region
    cell_um : float
        Diameter of the ball of a cell's mean volume, which decides how many there are.

    Raises
    ------
    InputError
        If the region is too small for a cell, or holds too many.
    """
    count = cells_in(region, cell_um)
    radius = cell_um / 2 * FILLED ** (1 / 3)
    return pack(rng, np.full((count, 3), radius), np.tile(np.eye(3), (count, 1, 1)), region)


def candidates(rng: np.random.Generator, region: Region, cell_um: float) -> Array:
    """Return points (M, 3) in µm, uniform in a region, `CROWD` for each cell of a diameter."""
    return region.draw(rng, CROWD * cells_in(region, cell_um))


def moved(points_um: Array, region: Region, depth_um: Array | float) -> Array:
    """Return points (n, 3) along the normals of a surface, at depths (n,) in µm below it."""
    shift = region.distance_at(points_um) + depth_um
    return np.asarray(points_um - shift[:, None] * region.normals_at(points_um))


def thinned(points_um: Array, apart_um: float) -> NDArray[np.intp]:
    """Return the numbers of points (n, 3), at least a distance apart.

    Each point that has no earlier one of the result near it is kept: a random sequential
    placement, in the order of the points.

    Examples
    --------
    >>> thinned(np.array([[0.0, 0, 0], [0, 0, 1], [0, 0, 2.1], [0, 0, 2.9]]), 1.5).tolist()
    [0, 2]
    """
    first, second = cKDTree(points_um).query_pairs(apart_um, output_type="ndarray").T
    open_, kept = np.ones(len(points_um), bool), np.zeros(len(points_um), bool)
    while open_.any():
        live = open_[first] & open_[second]
        first, second = first[live], second[live]
        leading = open_.copy()
        leading[second] = False  # of each pair the first comes earlier
        kept |= leading
        open_ &= ~leading
        open_[second[leading[first]]] = False
    return np.flatnonzero(kept)


def layer(
    rng: np.random.Generator,
    points_um: Array,
    region: Region,
    depth_um: Array | float,
    area_um2: float,
    jitter_um: float,
) -> Array:
    """Return centres (N, 3) in µm of a layer of cells below a surface.

    Parameters
    ----------
    rng : numpy Generator
    points_um : (M, 3) float array
        Candidates within the layer, uniform and many more than cells.
    region : Region
    depth_um : (M,) float array or float
        Of the middle of the layer, below each.
    area_um2 : float
        Of a cell within the layer, on average.
    jitter_um : float
        Standard deviation of the depth of a centre.
    """
    if not len(points_um):
        return points_um
    depths = np.broadcast_to(depth_um, len(points_um))
    places = moved(points_um, region, depths)
    kept = thinned(places, APART * area_um2**0.5)
    return moved(places[kept], region, depths[kept] + rng.normal(0, jitter_um, len(kept)))
