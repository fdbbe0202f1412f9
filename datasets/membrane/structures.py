"""Structures of tissue, centres of its cells, and cells around them: a weighted Voronoi diagram.

Eschweiler et al., PLOS Comput. Biol. 20 (2024), doi:10.1371/journal.pcbi.1011890 (structures,
weights). Aurenhammer and Edelsbrunner (1984), doi:10.1016/0031-3203(84)90064-5 (diagram).
"""

from typing import NamedTuple

import numpy as np

from cytosuite.bodies.grid import Grid, Labels
from cytosuite.datasets.membrane.parameters import Drawn, Parameters
from cytosuite.datasets.physics.harmonics import Globe
from cytosuite.datasets.physics.labels import tidy
from cytosuite.datasets.physics.packing import MOST, count_for, pack
from cytosuite.datasets.physics.tissue import Region, ellipsoid, fill, irregular
from cytosuite.errors import InputError
from cytosuite.volume.arrays import Bools, Doubles, Image, Reals, Rng
from cytosuite.volume.objects import label_at
from cytosuite.volume.points import apart, neighbour

FILLED = 0.4  # of the volume, by the balls that keep centres apart: even cells, packed in no time
CROWD = 12  # candidates drawn per cell
APART = 0.75  # least distance in a layer relative to the root of a cell's area


def ball_um3(diameter_um: float) -> float:
    """Return the volume in µm³ of a ball."""
    return float(np.pi / 6 * diameter_um**3)


def cells_in(region: Region, cell_um: float) -> int:
    """Return the number of cells that fill a region; InputError above `MOST`."""
    return count_for(region, 1.0, ball_um3(cell_um), "raise cell_um or lower shape")


def scattered(rng: Rng, region: Region, cell_um: float) -> Doubles:
    """Return centres (N, 3) in µm, evenly spread in a region; InputError without room for them."""
    count = cells_in(region, cell_um)
    radius = cell_um / 2 * FILLED ** (1 / 3)
    return pack(rng, np.full((count, 3), radius), np.tile(np.eye(3), (count, 1, 1)), region)


def candidates(rng: Rng, region: Region, cell_um: float) -> Doubles:
    """Return points (M, 3) in µm, uniform in a region, `CROWD` for each cell of a diameter."""
    return region.draw(rng, CROWD * cells_in(region, cell_um))


def moved(points_um: Doubles, region: Region, depth_um: Doubles | float) -> Doubles:
    """Return points (n, 3) along the normals of a surface, at depths (n,) in µm below it."""
    shift = region.distance_at(points_um) + depth_um
    return points_um - shift[:, None] * region.normals_at(points_um)


def layer(
    rng: Rng,
    points_um: Doubles,
    region: Region,
    depth_um: Doubles | float,
    area_um2: float,
    jitter_um: float,
) -> Doubles:
    """Return centres (N, 3) in µm of a layer at a depth, of many uniform candidates (M, 3)."""
    if not len(points_um):
        return points_um
    depths = np.broadcast_to(depth_um, len(points_um))
    places = moved(points_um, region, depths)
    chosen = apart(places, APART * area_um2**0.5)
    return moved(places[chosen], region, depths[chosen] + rng.normal(0, jitter_um, len(chosen)))


class Anatomy(NamedTuple):
    """A tissue before it is shared out among cells."""

    centres_um: Doubles  # of the cells, z, y, x; some may lie beyond the image
    depth_um: Image  # of each voxel below the surface, positive inside the body
    inside: Bools  # voxels that are tissue
    shrink: Image | None = None  # factor of lengths along x in each row, see `voronoi.cells`


def build(rng: Rng, parameters: Parameters, drawn: Drawn) -> Anatomy:
    """Return the tissue of a case; InputError where it has no room or holds no cell."""
    makers = {"tissue": tissue, "meristem": meristem, "shell": shell, "cartographic": cartographic}
    return makers[parameters.structure](rng, parameters, drawn)


def tissue(rng: Rng, parameters: Parameters, drawn: Drawn) -> Anatomy:
    """Return tissue that goes on beyond the image on all sides; planes give its depth."""
    grid = parameters.image.detector
    region = fill(grid.size_um, drawn.cell_um)  # cells at the border are cut, as in a real field
    depth = np.broadcast_to(grid.centres(0)[:, None, None], grid.shape)
    return Anatomy(scattered(rng, region, drawn.cell_um), depth, np.ones(grid.shape, bool))


def meristem(rng: Rng, parameters: Parameters, drawn: Drawn) -> Anatomy:
    """Return a dome, top at the first plane; layers of cells as thick as wide, larger inside."""
    z, y, x = parameters.image.detector.size_um
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
        top = top + edge
        edge = edge * parameters.growth
    depth = -region.on(parameters.image.detector)
    return Anatomy(np.concatenate(centres), depth, depth > 0)


def shell(rng: Rng, parameters: Parameters, drawn: Drawn) -> Anatomy:
    """Return one layer of cells around an ellipsoid of yolk that thins towards both ends of x."""
    size = parameters.image.detector.size_um
    axes = tuple(parameters.extent * length / 2 for length in size)
    if drawn.thickness_um >= min(axes):
        raise InputError(
            f"a shell of {drawn.thickness_um:.3g} µm has no room in an ellipsoid of "
            f"{min(axes):.3g} µm in its shortest half-axis; lower thickness_um or raise shape"
        )
    region = ellipsoid(tuple(length / 2 for length in size), axes)

    def thickness(x: Reals) -> Reals:
        """Return the thickness in µm at places along x."""
        along = np.abs(x - size[2] / 2) / axes[2]
        return np.asarray(drawn.thickness_um * (1 - drawn.thinning * along.clip(0, 1)))

    area = np.pi / 4 * drawn.cell_um**2
    wide = (6 / np.pi * area * drawn.thickness_um) ** (1 / 3)  # a ball of an equatorial cell
    crowd = candidates(rng, region, wide)
    thick = thickness(crowd[:, 2])
    within = -region.distance_at(crowd) < thick
    crowd = crowd[within]
    thick = thick[within]
    centres = layer(rng, crowd, region, thick / 2, area, parameters.jitter * drawn.thickness_um)
    depth = -region.on(parameters.image.detector)
    limit = thickness(parameters.image.detector.centres(2)).astype(np.float32)
    return Anatomy(centres, depth, (depth > 0) & (depth < limit))


def cartographic(rng: Rng, parameters: Parameters, drawn: Drawn) -> Anatomy:
    """Return a shell spread out as a map: at latitude l, x is shown 1 / cos(l) times as long."""
    grid = parameters.image.detector
    height, y, x = grid.size_um
    globe = Globe(grid.size_um, parameters.latitude_deg)
    radius = globe.radius_um
    if drawn.thickness_um > height:
        raise InputError(
            f"a sheet of {drawn.thickness_um:.3g} µm has no room in an image of {height:.3g} µm "
            "along z; lower thickness_um or raise shape"
        )
    low = -drawn.cell_um
    high = np.array([y, x]) + drawn.cell_um
    area = np.pi / 4 * drawn.cell_um**2
    count = np.prod(high - low) / area
    if count > MOST:
        raise InputError(
            f"a map of {y:.4g} x {x:.4g} µm holds {count:.0f} cells of {drawn.cell_um:.3g} µm, at "
            f"most {MOST} are allowed; raise cell_um or lower shape"
        )
    places = rng.uniform(low, high, (round(CROWD * count), 2))
    latitude = globe.latitude(places[:, 0])
    chosen = rng.random(len(places)) < np.cos(latitude)
    places, latitude, longitude = places[chosen], latitude[chosen], places[chosen, 1] / radius
    ring = np.cos(latitude)
    sphere = [np.sin(latitude), ring * np.sin(longitude), ring * np.cos(longitude)]
    places = places[apart(radius * np.stack(sphere, axis=1), APART * area**0.5)]
    middle = height / 2 + rng.normal(0, parameters.jitter * drawn.thickness_um, len(places))
    top = (height - drawn.thickness_um) / 2
    depth = np.broadcast_to(grid.centres(0)[:, None, None] - np.float32(top), grid.shape)
    rows = np.cos(globe.latitude(grid.centres(1))).astype(np.float32)
    inside = (depth > 0) & (depth < drawn.thickness_um)
    return Anatomy(np.column_stack([middle, places]), depth, inside, rows)


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
