"""Nuclei of one case: shapes drawn, packed in the foreground, and labelled with their overlaps."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cytosuite import large
from cytosuite.datasets.nuclei.foreground import detector, foreground, globe, upward
from cytosuite.datasets.nuclei.parameters import Parameters
from cytosuite.datasets.physics.bodies import Bodies, label
from cytosuite.datasets.physics.grid import Array, Grid, Labels
from cytosuite.datasets.physics.harmonics import Stars, draw_stars
from cytosuite.datasets.physics.harmonics_model import read_model
from cytosuite.datasets.physics.labels import tidy
from cytosuite.datasets.physics.packing import pack
from cytosuite.datasets.physics.region import Region
from cytosuite.datasets.physics.shapes import random_rotations
from cytosuite.errors import InputError

SOME = 50  # nuclei that are drawn before the memory of layers on disk is given back


@dataclass(frozen=True, slots=True)
class Annotation:
    """Labels of a case.

    Parameters
    ----------
    labels : (Z, Y, X) uint16 array
        The nucleus that is in front in each voxel: the one with the smaller distance from the
        centre relative to its surface. One piece each, numbered without gaps.
    layers : tuple of (Z, Y, X) uint16 array
        The whole nuclei with the same numbers, each in exactly one layer, none of which overlap
        within a layer; just the labels where no overlap was asked for.
    numbers : (M,) int array
        Number in the population of each label, from 0: ``numbers[label - 1]``.
    """

    labels: Labels
    layers: tuple[Labels, ...]
    numbers: NDArray[np.int64]


def draw_population(rng: np.random.Generator, count: int, parameters: Parameters) -> Stars:
    """Return nuclei of random size, elongation, direction and surface.

    Raises `InputError` if a file of shapes cannot be used.
    """
    axes_um, rotations = _axes(rng, count, parameters), _rotations(rng, count, parameters)
    if parameters.shapes:
        model = read_model(Path(parameters.shapes), plane=parameters.plane)
        return model.draw(rng, axes_um, rotations)
    return draw_stars(
        rng,
        axes_um,
        rotations,
        order=parameters.order,
        circularity=parameters.circularity,
        plane=parameters.plane,
    )


def place(
    rng: np.random.Generator,
    stars: Stars,
    room: Region,
    parameters: Parameters,
    start_um: Array | None = None,
) -> tuple[Stars, Array]:
    """Return nuclei and their centres (N, 3) in µm in a foreground, as near as is allowed.

    They are moved apart from random places or from `start_um` (N, 3), and those that stand upright
    on the surface are turned to it.

    Raises
    ------
    InputError
        If so many nuclei do not fit into the foreground.
    """
    if not parameters.outward:
        return stars, _packed(rng, stars, room, parameters, start_um)
    centres = room.draw(rng, len(stars)) if start_um is None else start_um
    for _ in range(2):  # once moved, they turn a little and have to move again
        stars = replace(stars, rotations=lifted(stars.rotations, upward(room, centres)))
        centres = _packed(rng, stars, room, parameters, centres)
    return stars, centres


def lifted(rotations: Array, normals: Array) -> Array:
    """Return rotations (N, 3, 3) with their last axis along or against directions (N, 3).

    Each is turned by the smallest angle, so that a body that moves on does not spin.
    """
    long = rotations[:, :, 2]
    cosine = (long * normals).sum(axis=1)
    goal = normals * np.where(cosine < 0, -1.0, 1.0)[:, None]
    z, y, x = np.cross(long, goal).T
    zero = np.zeros_like(z)
    cross = np.stack([zero, -x, y, x, zero, -z, -y, z, zero], axis=1).reshape(-1, 3, 3)
    turns = np.eye(3) + cross + cross @ cross / (1 + np.abs(cosine))[:, None, None]
    return np.asarray(turns @ rotations)


def _packed(
    rng: np.random.Generator,
    stars: Stars,
    room: Region,
    parameters: Parameters,
    start_um: Array | None,
) -> Array:
    """Return centres (N, 3) in µm of nuclei that keep their rotations."""
    gap, overlap = parameters.gap_um, parameters.packed_overlap
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
    for_place: np.random.Generator, for_shape: np.random.Generator, parameters: Parameters
) -> tuple[Stars, Array, Region]:
    """Return the nuclei of a case, their centres (N, 3) in µm, and the foreground.

    Raises `InputError` if so many nuclei do not fit.
    """
    low, high = parameters.n_nuclei
    stars = draw_population(for_shape, int(for_shape.integers(low, high + 1)), parameters)
    room = foreground(for_place, parameters)
    return *place(for_place, stars, room, parameters), room


def annotate(stars: Stars, centres_um: Array, parameters: Parameters) -> Annotation:
    """Return the labels of nuclei at places (N, 3) in µm of the foreground, and their layers.

    Nuclei of which fewer than `min_voxels` can be seen are left out of both.
    """
    grid = detector(parameters)
    if parameters.foreground == "map":
        stars, centres_um = globe(parameters).spread(stars, centres_um)
    labels, kept = tidy(label(stars, centres_um, grid), parameters.min_voxels)
    if parameters.max_overlap == 0:
        return Annotation(labels, (labels,), kept - 1)
    new = np.zeros(len(stars), np.uint16)
    new[kept - 1] = np.arange(1, len(kept) + 1)
    return Annotation(labels, layers(stars, centres_um, grid, new), kept - 1)


def layers(stars: Bodies, centres_um: Array, grid: Grid, numbers: Labels) -> tuple[Labels, ...]:
    """Return label images that together hold every nucleus as a whole.

    Parameters
    ----------
    stars, centres_um, grid : Bodies, (N, 3) float array, Grid
    numbers : (N,) uint16 array
        Label of each nucleus; those with 0 are left out.

    Returns
    -------
    tuple of (Z, Y, X) uint16 array
        At least one. In the order of their numbers, each nucleus goes to the first layer where all
        its voxels are free. Memory: 2 bytes per voxel and layer.
    """
    found = [large.room(grid.shape, np.uint16)]
    for patch in stars.patches(centres_um, grid):
        number = numbers[patch.index]
        if number == 0:
            continue
        mask = patch.on_box(patch.distance, 1.0) < 1
        free = (each for each in found if not each[patch.box][mask].any())
        layer = next(free, None)
        if layer is None:
            layer = large.room(grid.shape, np.uint16)
            found.append(layer)
        layer[patch.box][mask] = number
        if number % SOME == 0:
            large.release(*found)
    return tuple(found)


def _axes(rng: np.random.Generator, count: int, parameters: Parameters) -> Array:
    """Return semi-axes (N, 3) in µm of a wanted mean, the longest last."""
    radius = rng.uniform(*parameters.radius_um, count)
    long = rng.random(count) < parameters.long_fraction
    usual = rng.uniform(*parameters.elongation, count)
    ratio = np.where(long, rng.uniform(*parameters.long_elongation, count), usual)
    if parameters.plane:
        return np.stack([radius, radius / np.sqrt(ratio), radius * np.sqrt(ratio)], axis=1)
    short = radius * ratio ** (-1 / 3)
    return np.stack([short, short, short * ratio], axis=1)


def _rotations(rng: np.random.Generator, count: int, parameters: Parameters) -> Array:
    """Return rotations (N, 3, 3): any, or about z alone."""
    if not (parameters.plane or parameters.upright):
        return random_rotations(rng, count)
    turn = np.deg2rad(parameters.turn_deg) * rng.uniform(-1, 1, count)
    rotations = np.zeros((count, 3, 3))
    rotations[:, 0, 0] = 1
    rotations[:, 1, 1] = rotations[:, 2, 2] = np.cos(turn)
    rotations[:, 2, 1] = np.sin(turn)
    rotations[:, 1, 2] = -rotations[:, 2, 1]
    return rotations
