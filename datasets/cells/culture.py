"""Cells on glass: outlines packed and cut in the plane, nuclei inside of them, heights above it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from cytosuite.bodies.grid import Grid, Labels
from cytosuite.bodies.stars import Bodies, Stars, label
from cytosuite.datasets.cells import placement
from cytosuite.datasets.cells.given import on_grid
from cytosuite.datasets.cells.parameters import Outlines, Parameters
from cytosuite.datasets.cells.placement import Poses
from cytosuite.datasets.cells.processes import Numbers, grow_processes
from cytosuite.datasets.nuclei import parameters as sketches
from cytosuite.datasets.nuclei.population import draw_population, settle
from cytosuite.datasets.phantoms.library import stored_library
from cytosuite.datasets.phantoms.stored import StoredNuclei, draw_stored
from cytosuite.datasets.physics import debris, shapes
from cytosuite.datasets.physics.bodies import Mixture, extents_um
from cytosuite.datasets.physics.labels import tidy, voxel_values
from cytosuite.datasets.physics.shapes import LATE, Nuclei, about_axis
from cytosuite.datasets.ranges import draw_whole
from cytosuite.datasets.scene import Shapes
from cytosuite.errors import InputError
from cytosuite.volume import Volume
from cytosuite.volume.arrays import Bools, DoublePair, Doubles, Image, Rng, Shape

RESTING, TWO, DIVIDING, DYING = range(4)
ROUND = {DIVIDING: 0.75, DYING: 0.55}  # radius / radius of a spread cell
TALL = 1.6  # height of a round cell / its radius
PART = 0.75  # radius of one of two nuclei / radius of a single one
ROOM = 0.9  # shorter semi-axis of a nucleus / distance to the border of its cell, at most
DEEPEST = 0.95  # of the largest distance there is: where a nucleus without room may lie
CLEAR_UM = 0.3  # of the cell below and above its nucleus
PIECES, BRIGHT = 0.3, (1.5, 4.0)  # volume and brightness of dying nuclei's pieces / the nucleus'


class Culture(NamedTuple):
    """Cells 1 to N and their nuclei on a grid that is wider than the image."""

    grid: Grid
    cells: Labels  # (Z, Y, X)
    nuclei: Labels  # (Z, Y, X), with the number of their cell
    thickness: Image  # (Y, X), of all cells, relative to the height of each
    kinds: Numbers  # (N,), from 0
    states: Numbers  # (N,), RESTING to DYING
    bodies: Bodies  # nuclei or their parts
    centres_um: Doubles  # (M, 3)
    owners: Numbers  # (M,), number of the cell
    shrunk: int  # nuclei that found no room otherwise


class _Sheet(NamedTuple):
    """Outlines of cells in the plane; labels are the numbers of the rows + 1."""

    labels: Labels  # (Y, X)
    dome: Image  # (Y, X), height of the cell in front / its greatest
    thickness: Image  # (Y, X), sum over all cells
    stars: Stars
    states: Numbers


def grow(rng: Rng, parameters: Parameters, source: Volume | None = None) -> Culture:
    """Return the cells of a case, drawn or given, with their nuclei; InputError without room."""
    for_cells, for_nuclei, for_kinds = rng.spawn(3)
    for_place, *others = for_nuclei.spawn(4)
    y, x = parameters.image.detector.spacing[1:]
    margin = parameters.image.margin_um
    grid = parameters.image.detector.wider((0, int(np.ceil(margin / y)), int(np.ceil(margin / x))))
    sheet, plane, stored = None, grid, None
    if not source:
        sheet = _sheet(for_cells, parameters, grid)
        labels = sheet.labels[None]
        states = sheet.states
        plane = grid.layer
    else:
        labels = on_grid(source, grid)
        states = _states(for_cells, parameters.cells, int(labels.max()))
    count = len(states)
    if not sheet or parameters.nuclei.fitted:
        poses, stored = _fitted(for_place, parameters, labels, plane, states)
    else:
        poses = _poses(for_place, others[0], parameters, grid, sheet)
    bodies, centres, owners = _nuclei(others, parameters, states, poses, stored)
    nuclei = voxel_values(label(bodies, centres, grid), owners, np.uint16)
    nuclei[nuclei != labels] = 0
    if not sheet:
        depth = placement.depth_um(labels, grid)[0]
        plain = labels[0]
        deepest = np.append(np.inf, ndimage.maximum(depth, plain, np.arange(1, count + 1)))
        cells = labels
        thickness = _dome(np.asarray(1 - depth / deepest[plain], np.float32))
    else:
        heights = for_kinds.uniform(*parameters.cells.height_um, count)
        heights = np.where(states >= DIVIDING, TALL * sheet.stars.semi_axes_um[:, 2], heights)
        cells = _cells(sheet, heights, nuclei, grid, parameters)
        thickness = sheet.thickness
    shares = np.cumsum(parameters.cells.kinds) / np.sum(parameters.cells.kinds)
    return Culture(
        grid=grid,
        cells=cells,
        nuclei=nuclei,
        thickness=thickness,
        kinds=np.searchsorted(shares[:-1], for_kinds.random(count), side="right"),
        states=states,
        bodies=bodies,
        centres_um=centres,
        owners=owners,
        shrunk=poses.shrunk,
    )


def _sheet(rng: Rng, parameters: Parameters, grid: Grid) -> _Sheet:
    """Return the outlines of a case, packed and cut in the plane."""
    for_place, for_shape, for_state, for_processes = rng.spawn(4)
    outlines = parameters.cells
    drawing = _drawing(parameters)
    stars = draw_population(for_shape, draw_whole(for_shape, outlines.n_cells), drawing)
    states = _states(for_state, outlines, len(stars))
    for state, factor in ROUND.items():
        stars = _rounded(stars, states == state, factor)
    try:
        stars, centres, _ = settle(for_place, stars, drawing)
    except InputError:
        raise InputError(
            f"cells parameters: {len(stars)} cells of {outlines.radius_um[0]} to "
            f"{outlines.radius_um[-1]} µm find no room; lower cells.n_cells, radius_um or gap_um, "
            "or raise cells.max_overlap or image.shape"
        ) from None
    flat = grid.layer
    shape = flat.shape[1:]
    labels = np.zeros(shape, np.uint16)
    thickness = np.zeros(shape, np.float32)
    nearest, second = np.ones((2, *shape), np.float32)
    for patch in stars.patches(centres, flat):
        box = patch.box[1:]
        distance = patch.on_box(patch.distance, 1.0)[0]
        closer = distance < nearest[box]
        labels[box][closer] = patch.index + 1
        second[box] = np.where(closer, nearest[box], np.minimum(second[box], distance))
        np.minimum(nearest[box], distance, out=nearest[box])
        thickness[box] += _dome(distance)
    if outlines.meet == "press":  # 1 where two are equally near, as at a free border
        nearest += 1 - second
        thickness = _dome(nearest)
    dome = _dome(nearest)
    if outlines.processes[1] > 0:
        spread = np.sqrt(stars.semi_axes_um[:, 1:].prod(axis=1)) * (states < DIVIDING)
        middles = (centres[:, 1:] - flat.origin[1:]) / flat.spacing[1:]
        places = middles, spread / min(flat.spacing[1:])
        thickness += grow_processes(for_processes, outlines, labels, dome, places, flat.spacing[1:])
    tidied, numbers = tidy(labels[None], 1)
    return _Sheet(tidied[0], dome, thickness, stars.take(numbers - 1), states[numbers - 1])


def _states(rng: Rng, outlines: Outlines, count: int) -> Numbers:
    """Return drawn states (N,) of cells."""
    limits = np.cumsum([outlines.dying, outlines.dividing, outlines.two_nuclei])
    return DYING - np.searchsorted(limits, rng.random(count), side="right")


def _drawing(parameters: Parameters) -> sketches.Parameters:
    """Return the outlines' parameters as the dataset of nuclei packs them in a plane."""
    outlines = parameters.cells
    colonies = parameters.cells.colonies
    return sketches.Parameters(
        image=sketches.Voxels(
            shape=parameters.image.detector.shape[1:],
            spacing_um=parameters.image.detector.spacing[1:],
            margin_um=parameters.image.margin_um,
        ),
        n_nuclei=outlines.n_cells,
        foreground="discs" if colonies[1] > 0 else "image",
        discs=tuple(max(number, 1) for number in colonies),
        disc_radius_um=outlines.colony_um,
        **outlines.model_dump(include=set(Shapes.model_fields)),
    )


def _rounded(stars: Stars, chosen: Bools, factor: float) -> Stars:
    """Return outlines with the chosen ones turned into discs of another size."""
    radius = factor * np.sqrt(stars.axes_um[:, 1:].prod(axis=1, keepdims=True))
    coefficients = stars.coefficients.copy()
    column = chosen[:, None]
    coefficients[chosen, :, 1:] = 0.0
    axes = np.where(column, radius, stars.axes_um)
    whole = np.where(column, radius, stars.semi_axes_um)
    return replace(stars, axes_um=axes, coefficients=coefficients, semi_axes_um=whole)


def _dome(distance: Image) -> Image:
    """Return the height of a cell, 0 to 1, by the distance relative to its border: an ellipsoid."""
    return np.asarray(np.sqrt(np.maximum(1 - distance * distance, 0)), np.float32)


def _cells(
    sheet: _Sheet, heights_um: Doubles, nuclei: Labels, grid: Grid, parameters: Parameters
) -> Labels:
    """Return the cells (Z, Y, X): as high as their domes, and higher over a nucleus."""
    if parameters.image.plane:
        return sheet.labels[None].copy()
    glass = parameters.image.glass_um
    ticks = grid.centres(0)
    top = glass + voxel_values(sheet.labels, heights_um, np.float32) * sheet.dome
    step = np.float32(grid.spacing[0] / 2 + CLEAR_UM)
    for tick, plane in zip(ticks, nuclei, strict=True):
        top[plane > 0] = np.maximum(top[plane > 0], tick + step)
    return np.where(
        (ticks[:, None, None] > glass) & (ticks[:, None, None] < top), sheet.labels, np.uint16(0)
    )


def _poses(
    rng: Rng,
    for_shape: Rng,
    parameters: Parameters,
    grid: Grid,
    sheet: _Sheet,
) -> Poses:
    """Return nuclei deep enough in their cells, turned along them."""
    cores = parameters.nuclei
    count = len(sheet.stars)
    radius = for_shape.uniform(*cores.radius_um, count)
    radius *= np.where(sheet.states == TWO, PART, 1.0)
    ratio = np.sqrt(for_shape.uniform(*cores.elongation, count))
    least = np.stack([radius / ratio / ROOM, np.full(count, cores.depth[0])])
    centres, deep = _middles(
        rng, sheet.labels, placement.depth_um(sheet.labels[None], grid.layer)[0], least, grid
    )
    fit = np.minimum(1, ROOM * deep * ratio / radius)
    heights = for_shape.uniform(*cores.height_um, count) * np.minimum(1, 1.5 * fit) / 2
    axes = np.stack([heights, fit * radius / ratio, fit * radius * ratio], axis=1)
    turn = np.deg2rad(cores.align_deg[1]) * for_shape.uniform(-1, 1, count)
    along = sheet.stars.rotations[:, 1:, 2]
    rotations = about_axis(np.arctan2(-along[:, 0], along[:, 1]) + turn)
    return Poses(centres, axes, rotations, int(np.count_nonzero(fit < 1)))


def _fitted(
    rng: Rng,
    parameters: Parameters,
    labels: Labels,
    grid: Grid,
    states: Numbers,
) -> tuple[Poses, StoredNuclei | None]:
    """Return nuclei that are fitted into their cells, drawn or stored ones."""
    for_size, for_choice, for_place = rng.spawn(3)
    cores, count, stored = parameters.nuclei, len(states), None
    drawn = cores.height_um, cores.radius_um, cores.elongation
    heights, radius, ratio = (for_size.uniform(*limits, count) for limits in drawn)
    parts = np.where(states == TWO, PART, 1.0)
    axes = np.stack([heights / 2, radius / np.sqrt(ratio), radius * np.sqrt(ratio)], axis=1)
    axes *= parts[:, None]
    if cores.phantoms:
        library = stored_library(Path(cores.phantoms))
        stored = draw_stored(for_choice, count, library, brightness_spread=parameters.dyes.spread)
        sizes = stored.semi_axes_um
        axes = sizes * np.sqrt((axes / sizes)[:, 1:].prod(axis=1, keepdims=True))
    poses = placement.poses(
        for_place, cores, labels, grid, axes, parts=parts, rigid=stored is not None
    )
    return poses, stored and stored.posed(poses.semi_axes_um, poses.rotations)


def _nuclei(
    streams: Sequence[Rng],
    parameters: Parameters,
    states: Numbers,
    poses: Poses,
    stored: StoredNuclei | None,
) -> tuple[Bodies, Doubles, Numbers]:
    """Return nuclei and their parts, centres (M, 3) in µm, and numbers of cells (M,)."""
    cores = parameters.nuclei
    owners = np.arange(1, len(states) + 1)
    for_shape, for_mitosis, for_pieces = streams
    centres, axes, rotations = poses.centres_um, poses.semi_axes_um, poses.rotations
    two = states == TWO

    def _draw(stream: Rng, chosen: Bools, mitotic: float) -> Nuclei:
        nuclei = shapes.draw_nuclei(
            stream,
            int(chosen.sum()),
            diameter_um=2.0,
            diameter_spread=0.0,
            axis_spread=0.0,
            roughness=cores.roughness,
            brightness_spread=parameters.dyes.spread,
            contrast=cores.contrast,
            nucleoli=cores.nucleoli,
            mitotic_fraction=mitotic,
        )
        if not mitotic:
            return nuclei.posed(axes[chosen], rotations[chosen])
        size = axes[chosen].prod(axis=1, keepdims=True) ** (1 / 3)
        turned = np.where(
            (nuclei.phase == LATE)[:, None, None], rotations[chosen], nuclei.rotations
        )
        return replace(nuclei, semi_axes_um=nuclei.semi_axes_um * size, rotations=turned)

    def _rest(chosen: Bools) -> Bodies:
        return _draw(for_shape, chosen, 0.0) if stored is None else stored.take(chosen)

    resting = states <= TWO
    dividing = states == DIVIDING
    step = 1.05 * rotations[:, :, 2] * axes[:, 2:]
    parts = [
        (_rest(resting), (centres + step * two[:, None])[resting], owners[resting]),
        (_rest(two), (centres - step)[two], owners[two]),
    ]
    mitotic, places, parent = shapes.divide(
        for_mitosis, _draw(for_mitosis, dividing, 1.0), centres[dividing]
    )
    parts.append((mitotic, places, owners[dividing][parent]))
    dead = states == DYING
    dying = _draw(for_pieces, dead, 0.0)
    for number, owner in enumerate(owners[dead]):
        body = dying.take(np.array([number]))
        pieces, places = debris.fragments(
            for_pieces, body, centres[dead][[number]], share=PIECES, factor=BRIGHT
        )
        parts.append((pieces, places, np.full(len(pieces), owner)))
    parts_alone, middles, of = zip(*parts, strict=True)
    bodies = Mixture(parts_alone)
    all_centres = np.concatenate(middles)
    if parameters.image.plane:
        all_centres[:, 0] = 0.5
    elif not parameters.cells.source:
        all_centres[:, 0] = parameters.image.glass_um + CLEAR_UM + extents_um(bodies)[:, 0]
    return bodies, all_centres, np.concatenate(of)


def _middles(rng: Rng, labels: Labels, depth: Image, least: Doubles, grid: Grid) -> DoublePair:
    """Return places (N, 3) in µm and their depths (N,): at least µm and shares (2, N)."""
    deepest = np.zeros(least.shape[1] + 1, np.float32)
    np.maximum.at(deepest, labels.ravel(), depth.ravel())
    depths = np.maximum(least[0], least[1] * deepest[1:])
    limits = np.append(0, np.minimum(depths, DEEPEST * deepest[1:])).astype(np.float32)
    pool = Pools.of(np.where((labels > 0) & (depth >= limits[labels]), labels, np.uint16(0))[None])
    chosen = pool.draw(rng, np.arange(1, len(deepest)))
    return grid.place_of(chosen), depth[*chosen[:, 1:].T].astype(np.float64)


class Pools(NamedTuple):
    """The voxels of each label, to draw from."""

    voxels: Numbers  # flat indices, label by label
    starts: Numbers  # (N + 2,), of each label in `voxels`
    shape: Shape  # of the labels

    @classmethod
    def of(cls, labels: Labels) -> "Pools":
        """Return the voxels of labels (Z, Y, X)."""
        voxels = np.flatnonzero(labels)
        numbers = labels.ravel()[voxels]
        counts = np.bincount(numbers, minlength=int(numbers.max(initial=0)) + 1)
        voxels = voxels[np.argsort(numbers, kind="stable")]
        return cls(voxels, np.concatenate([[0], np.cumsum(counts)]), labels.shape)

    def draw(self, rng: Rng, labels: Numbers) -> Numbers:
        """Return a voxel (n, 3) for each of some labels (n,), none of them empty."""
        sizes = self.starts[labels + 1] - self.starts[labels]
        places = self.starts[labels] + (rng.random(len(labels)) * sizes).astype(np.int64)
        return np.stack(np.unravel_index(self.voxels[places], self.shape), axis=1)
