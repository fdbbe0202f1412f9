"""Foregrounds: where the nuclei of a sketch lie, as regions of volumes and of planes."""

from dataclasses import dataclass

import numpy as np

from cytosuite.datasets.nuclei.parameters import Parameters
from cytosuite.datasets.physics import tissue
from cytosuite.datasets.physics.globe import Globe
from cytosuite.datasets.physics.grid import Array, Grid
from cytosuite.datasets.physics.region import Region

DEEP = 10.0  # a region of a plane is this many times as deep as wide: its faces are out of reach
SAMPLES = 160  # of a union of discs along its longer side


class Plane(Region):
    """A region of which only the middle plane counts: a plane with positions in space."""

    __slots__ = ()

    def draw(self, rng: np.random.Generator, count: int) -> Array:
        """Return points (count, 3) in µm, uniform in the middle plane of the region."""
        (low, high), middle = self.box_um[:, 1:], self.grid.size_um[0] / 2 + self.origin[0]
        points = np.zeros((0, 3))
        while len(points) < count:
            drawn = np.empty((2 * count + 64, 3))
            drawn[:, 0], drawn[:, 1:] = middle, rng.uniform(low, high, (len(drawn), 2))
            points = np.concatenate([points, drawn[self.distance_at(drawn) < 0]])
        return points[:count]


@dataclass(frozen=True, slots=True, eq=False)
class SurfaceLayer(Region):
    """The part of a region that is near its surface, however thin: cut after the interpolation.

    Parameters
    ----------
    distance, spacing, origin
        Of the whole body, see `Region`.
    thickness_um : float
    """

    thickness_um: float

    @property
    def volume_um3(self) -> float:
        """Volume in µm³ of the layer."""
        core = self.distance + np.float32(self.thickness_um)
        solid = Region.volume_um3.fget(self)  # type: ignore[attr-defined]
        if not (core < 0).any():
            return float(solid)
        return float(solid - Region(core, self.spacing, self.origin).volume_um3)

    @property
    def depth_um(self) -> float:
        """Radius in µm of the largest ball that fits inside, about."""
        return float(min(-self.distance.min(), self.thickness_um / 2))

    def distance_at(self, points_um: Array) -> Array:
        """Return the distance (n,) from the layer at points (n, 3) in µm."""
        half = self.thickness_um / 2
        return np.asarray(np.abs(Region.distance_at(self, points_um) + half) - half)


def upward(region: Region, points_um: Array) -> Array:
    """Return unit vectors (n, 3) towards the outer surface of a region at points (n, 3) in µm."""
    return Region(region.distance, region.spacing, region.origin).normals_at(points_um)


def globe(parameters: Parameters) -> Globe:
    """Return the ball of a map, see `Globe`."""
    return Globe(detector(parameters).size_um, parameters.latitude_deg)


def detector(parameters: Parameters) -> Grid:
    """Return the voxels of the image; a plane is one layer of voxels, 1 µm thick."""
    shape, spacing = parameters.shape, parameters.spacing_um
    return Grid((1, *shape), (1.0, *spacing)) if parameters.plane else Grid(shape, spacing)


def foreground(rng: np.random.Generator, parameters: Parameters) -> Region:
    """Return the region in which nuclei are placed, in the coordinates of `detector`.

    Parameters
    ----------
    rng : numpy Generator
        Draws the width of an ellipsoid, its bumps, and the places of discs and pits.
    parameters : Parameters
        Of a map, the region is the layer of the ball itself, around 0, see `Globe`.
    """
    size = list(detector(parameters).size_um)
    start = [0.0, 0.0, 0.0]
    if parameters.plane:
        depth = DEEP * (max(size) + 2 * parameters.margin_um)
        start[0] = size[0] / 2 - depth / 2
        size[0] = depth
    region = _region(rng, parameters, np.array(size))
    if not parameters.plane:
        return region
    origin = tuple(o + shift for o, shift in zip(region.origin, start, strict=True))
    return Plane(region.distance, region.spacing, origin)


def _region(rng: np.random.Generator, parameters: Parameters, size: Array) -> Region:
    """Return the region of a box of a size (3,) in µm with a corner at 0."""
    if parameters.foreground == "image":
        return tissue.fill(tuple(size.tolist()), parameters.margin_um)
    if parameters.foreground == "discs":
        return _discs(rng, parameters, size)
    if parameters.foreground == "map":
        outer = globe(parameters).radius_um + parameters.thickness_um / 2
        return _layer(tissue.ellipsoid((0.0,) * 3, (outer,) * 3), parameters)
    centre = tuple((size / 2).tolist())
    semi_axes = tuple((size / 2 * rng.uniform(*parameters.width)).tolist())
    if parameters.foreground == "ellipsoid":
        return tissue.ellipsoid(centre, semi_axes)
    if parameters.foreground == "shell":
        return tissue.shell(centre, semi_axes, parameters.core)[0]
    body = tissue.irregular(rng, centre, semi_axes, float(rng.uniform(*parameters.bumps)))
    low, high = parameters.dents
    for _ in range(int(rng.integers(low, high + 1))):
        point = body.draw(rng, 1)
        foot = point - body.distance_at(point)[:, None] * body.normals_at(point)
        radii = (parameters.dent_um,) * 3
        body = body.minus(tissue.ellipsoid(tuple(foot[0].tolist()), radii))
    return _layer(body, parameters)


def _layer(body: Region, parameters: Parameters) -> SurfaceLayer:
    """Return the layer of a body at its surface."""
    return SurfaceLayer(body.distance, body.spacing, body.origin, parameters.thickness_um)


def _discs(rng: np.random.Generator, parameters: Parameters, size: Array) -> Region:
    """Return a union of discs (balls) with centres anywhere in the image, cut by its faces."""
    low, high = parameters.discs
    count, radius = int(rng.integers(low, high + 1)), parameters.disc_radius_um
    centres = rng.uniform(0, size, (count, 3))
    step = float(size[1:].max()) / SAMPLES
    spacing = np.full(3, step)
    if parameters.plane:
        centres[:, 0], spacing[0] = size[0] / 2, size[0] / 4
    shape = tuple(np.ceil(size / spacing - 1e-9).astype(int).clip(2).tolist())
    grid = Grid(shape, tuple(spacing.tolist()))
    inside = tissue.fill(tuple(size.tolist()), 0.0).on(grid)
    ticks = [grid.centres(axis) for axis in range(3)]
    if parameters.plane:
        ticks[0] = np.full_like(ticks[0], size[0] / 2)  # discs stand through the plane
    nearest = np.full(shape, np.inf, np.float32)
    for centre in centres.astype(np.float32):
        z, y, x = (
            (t - c).reshape([-1 if a == axis else 1 for a in range(3)])
            for axis, (t, c) in enumerate(zip(ticks, centre, strict=True))
        )
        np.minimum(nearest, np.sqrt(z * z + y * y + x * x), out=nearest)
    distance = np.maximum(nearest - np.float32(radius), inside)
    return Region(distance, grid.spacing, grid.origin)
