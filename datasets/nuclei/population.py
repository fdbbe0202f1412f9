"""Nuclei of one case: shapes drawn, packed in the foreground, and labelled with their overlaps."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cytosuite.bodies.grid import Grid, Labels
from cytosuite.bodies.stars import Bodies, Stars, label
from cytosuite.datasets.nuclei.parameters import Parameters
from cytosuite.datasets.physics import tissue
from cytosuite.datasets.physics.harmonics import Globe, draw_stars
from cytosuite.datasets.physics.harmonics_model import read_model
from cytosuite.datasets.physics.labels import tidy
from cytosuite.datasets.physics.packing import pack
from cytosuite.datasets.physics.shapes import about_axis, random_rotations, turns
from cytosuite.datasets.physics.tissue import Region
from cytosuite.datasets.ranges import draw, draw_whole
from cytosuite.errors import InputError
from cytosuite.volume import memory
from cytosuite.volume.arrays import Doubles, Longs, Rng

DEEP = 10.0  # a region of a plane is this many times as deep as wide: its faces are out of reach
SAMPLES = 160  # of a union of discs along its longer side
FURTHER = 9  # draws of discs in which nuclei may find room
SOME = 50  # nuclei that are drawn before the memory of layers on disk is given back


class Plane(Region):
    """A plane with positions in space: only the middle plane of the region counts."""

    __slots__ = ()

    def draw(self, rng: Rng, count: int) -> Doubles:
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
    """The surface layer of a region, cut after interpolation."""

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
        return min(-float(self.distance.min()), self.thickness_um / 2)

    def distance_at(self, points_um: Doubles) -> Doubles:
        """Return the distance (n,) from the layer at points (n, 3) in µm."""
        half = self.thickness_um / 2
        return np.abs(Region.distance_at(self, points_um) + half) - half


def globe(parameters: Parameters) -> Globe:
    """Return the ball of a map, see `Globe`."""
    return Globe(parameters.image.detector.size_um, parameters.latitude_deg)


def foreground(rng: Rng, parameters: Parameters) -> Region:
    """Return the region of nuclei in the coordinates of the detector; of a map around 0."""
    size = np.array(parameters.image.detector.size_um)
    if not parameters.image.plane:
        return _region(rng, parameters, size)
    depth = DEEP * (max(size) + 2 * parameters.image.margin_um)
    start = size[0] / 2 - depth / 2
    size[0] = depth
    region = _region(rng, parameters, size)
    z, y, x = region.origin
    return Plane(region.distance, region.spacing, (z + float(start), y, x))


def _region(rng: Rng, parameters: Parameters, size: Doubles) -> Region:
    """Return the region of a box of a size (3,) in µm with a corner at 0."""
    if parameters.foreground == "image":
        return tissue.fill(tuple(size.tolist()), parameters.image.margin_um)
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
    for _ in range(draw_whole(rng, parameters.dents)):
        point = body.draw(rng, 1)
        foot = point - body.distance_at(point)[:, None] * body.normals_at(point)
        body = body.minus(tissue.ellipsoid(tuple(foot[0].tolist()), (parameters.dent_um,) * 3))
    return _layer(body, parameters)


def _layer(body: Region, parameters: Parameters) -> SurfaceLayer:
    """Return the layer of a body at its surface."""
    return SurfaceLayer(body.distance, body.spacing, body.origin, parameters.thickness_um)


def _discs(rng: Rng, parameters: Parameters, size: Doubles) -> Region:
    """Return a union of discs (balls) with centres anywhere in the image and its margin."""
    count = draw_whole(rng, parameters.discs)
    radius = parameters.disc_radius_um
    more = np.full(3, parameters.image.margin_um)
    more[0] *= not parameters.image.plane
    centres = rng.uniform(-more, size + more, (count, 3))
    spacing = np.full(3, float((size + 2 * more)[1:].max()) / SAMPLES)
    if parameters.image.plane:
        centres[:, 0], spacing[0] = size[0] / 2, size[0] / 4
    shape = tuple(np.ceil((size + 2 * more) / spacing - 1e-9).astype(int).clip(2).tolist())
    grid = Grid(shape, tuple(spacing.tolist()), tuple((-more).tolist()))
    inside = tissue.fill(tuple(size.tolist()), parameters.image.margin_um).on(grid)
    ticks = [grid.centres(axis) for axis in range(3)]
    if parameters.image.plane:
        ticks[0] = np.full_like(ticks[0], size[0] / 2)  # discs stand through the plane
    nearest = np.full(shape, np.inf, np.float32)
    for centre in centres.astype(np.float32):
        z, y, x = np.ix_(*(t - c for t, c in zip(ticks, centre, strict=True)))
        np.minimum(nearest, np.sqrt(z * z + y * y + x * x), out=nearest)
    return Region(np.maximum(nearest - np.float32(radius), inside), grid.spacing, grid.origin)


class Annotation(NamedTuple):
    """Labels of a case."""

    labels: Labels  # the nucleus in front: nearest to its centre relative to its surface
    layers: tuple[Labels, ...]  # whole nuclei, each in one layer; the labels without overlap
    numbers: Longs  # number in the population, from 0: ``numbers[label - 1]``


def draw_population(rng: Rng, count: int, parameters: Parameters) -> Stars:
    """Return nuclei of random size, elongation, direction and surface."""
    radius = draw(rng, parameters.radius_um, count)
    long = rng.random(count) < parameters.long_fraction
    usual = rng.uniform(*parameters.elongation, count)
    ratio = np.where(long, rng.uniform(*parameters.long_elongation, count), usual)
    if parameters.image.plane:
        axes_um = np.stack([radius, radius / np.sqrt(ratio), radius * np.sqrt(ratio)], axis=1)
    else:
        short = radius * ratio ** (-1 / 3)
        axes_um = np.stack([short, short, short * ratio], axis=1)
    if parameters.image.plane or parameters.upright:
        rotations = about_axis(np.deg2rad(parameters.turn_deg) * rng.uniform(-1, 1, count))
    else:
        rotations = random_rotations(rng, count)
    if parameters.case_spread > 0:
        axes_um *= np.exp(parameters.case_spread * rng.normal())
    axes_um *= (np.median(parameters.n_nuclei) / max(count, 1)) ** parameters.shrinkage
    if parameters.shapes:
        model = read_model(Path(parameters.shapes), plane=parameters.image.plane)
        return model.draw(rng, axes_um, rotations)
    return draw_stars(
        rng,
        axes_um,
        rotations,
        order=parameters.order,
        circularity=parameters.circularity,
        plane=parameters.image.plane,
    )


def place(
    rng: Rng,
    stars: Stars,
    room: Region,
    parameters: Parameters,
    start_um: Doubles | None = None,
) -> tuple[Stars, Doubles]:
    """Return nuclei and centres (N, 3) in µm, moved apart from random places or `start_um`."""
    if not parameters.outward:
        return stars, _packed(rng, stars, room, parameters, start_um)
    centres = room.draw(rng, len(stars)) if start_um is None else start_um
    whole = Region(room.distance, room.spacing, room.origin)  # also of a layer: its outer surface
    for _ in range(2):  # once moved, they turn a little and have to move again
        stars = replace(stars, rotations=lifted(stars.rotations, whole.normals_at(centres)))
        centres = _packed(rng, stars, room, parameters, centres)
    return stars, centres


def lifted(rotations: Doubles, normals: Doubles) -> Doubles:
    """Return rotations (N, 3, 3) turned as little as needed to have directions as last axes."""
    long = rotations[:, :, 2]
    away = (long * normals).sum(axis=1, keepdims=True) < 0
    return turns(long, np.where(away, -normals, normals)) @ rotations


def _packed(
    rng: Rng,
    stars: Stars,
    room: Region,
    parameters: Parameters,
    start_um: Doubles | None,
) -> Doubles:
    """Return centres (N, 3) in µm of nuclei that keep their rotations."""
    gap = parameters.gap_um
    overlap = parameters.packed_overlap
    bodies = stars.semi_axes_um, stars.rotations
    try:
        return pack(rng, *bodies, room, gap_um=gap, max_overlap=overlap, start_um=start_um)
    except InputError:
        axes = stars.axes_um
        raise InputError(
            f"nuclei parameters: {len(axes)} nuclei with axes of {axes.min():.1f} to "
            f"{axes.max():.1f} µm do not fit into the foreground; lower n_nuclei, radius_um or "
            "gap_um, or raise max_overlap or shape"
        ) from None


def populate(
    for_place: Rng, for_shape: Rng, parameters: Parameters
) -> tuple[Stars, Doubles, Region]:
    """Return the nuclei of a case, their centres (N, 3) in µm, and the foreground."""
    stars = draw_population(for_shape, draw_whole(for_shape, parameters.n_nuclei), parameters)
    return settle(for_place, stars, parameters)


def settle(
    rng: Rng, stars: Stars, parameters: Parameters, more: int = FURTHER
) -> tuple[Stars, Doubles, Region]:
    """Return nuclei, centres (N, 3) in µm and foreground; discs that are too near are drawn anew.

    InputError where they find no room in any.
    """
    room = foreground(rng, parameters)
    try:
        return *place(rng, stars, room, parameters), room
    except InputError:
        if parameters.foreground != "discs" or not more:
            raise
    return settle(rng, stars, parameters, more - 1)


def annotate(stars: Stars, centres_um: Doubles, parameters: Parameters) -> Annotation:
    """Return labels and layers of nuclei at places (N, 3) in µm, without those that are hidden."""
    grid = parameters.image.detector
    if parameters.foreground == "map":
        stars, centres_um = globe(parameters).spread(stars, centres_um)
    labels, numbers = tidy(label(stars, centres_um, grid), parameters.labels.min_voxels)
    if parameters.max_overlap == 0:
        return Annotation(labels, (labels,), numbers - 1)
    new = np.zeros(len(stars), np.uint16)
    new[numbers - 1] = np.arange(1, len(numbers) + 1)
    return Annotation(labels, layers(stars, centres_um, grid, new), numbers - 1)


def layers(stars: Bodies, centres_um: Doubles, grid: Grid, numbers: Labels) -> tuple[Labels, ...]:
    """Return label images that hold every whole nucleus with a number, in the first free one."""
    images = [memory.room(grid.shape, np.uint16)]
    for patch in stars.patches(centres_um, grid):
        number = numbers[patch.index]
        if number == 0:
            continue
        mask = patch.on_box(patch.distance, 1.0) < 1
        layer = next((image for image in images if not image[patch.box][mask].any()), None)
        if layer is None:
            layer = memory.room(grid.shape, np.uint16)
            images.append(layer)
        layer[patch.box][mask] = number
        if number % SOME == 0:
            memory.release(*images)
    return tuple(images)
