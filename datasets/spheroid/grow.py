"""Grow a spheroid: nuclei at their places in the tissue, of which some divide and some die."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from cytosuite.errors import InputError
from datasets.physics import debris, mitosis
from datasets.physics.bodies import Bodies, Mixture
from datasets.physics.grid import Array
from datasets.physics.packing import pack
from datasets.physics.placement import count_for, scatter, subcultures
from datasets.physics.region import Region
from datasets.physics.shapes import Nuclei, align
from datasets.spheroid.draw import Drawn, of_kind
from datasets.spheroid.outline import Outline, outline
from datasets.spheroid.parameters import Parameters
from datasets.spheroid.populate import (
    Library,
    Population,
    libraries,
    populate,
    shares,
    typical_volume,
)
from datasets.spheroid.spheroid import Ellipsoids, Numbers, Spheroid

LOOSEN = 0.93  # a volume fraction that cannot be packed is tried again this much lower
FEW = (0.15, 0.015)  # and below 10 nuclei as low as this, plus that for each nucleus
FLAT = 1.5  # longest to shortest axis of a flat nucleus, at least
AROUND = 1.15  # bodies and blobs lie in the tissue and this much beyond

Groups = list[tuple[int, int, Region]]  # kind, number of nuclei, the ball that holds them


def grow(rng: np.random.Generator, parameters: Parameters, drawn: Drawn) -> Spheroid:
    """Return a spheroid in the middle of the image with its nuclei at their places.

    Parameters
    ----------
    rng : numpy Generator
    parameters : Parameters
    drawn : dict of str to float
        Values of this case, see `datasets.spheroid.draw.draw_values`.

    Raises
    ------
    InputError
        If the nuclei cannot even be packed at the lower end of `volume_fraction` (or of a few
        nuclei); the drawn value is lowered towards it in steps of `LOOSEN`.
    """
    stored = libraries(parameters)
    for_outline, for_nuclei, for_places, for_changes, for_debris = rng.spawn(5)
    fraction, least = drawn["volume_fraction"], _least_fraction(parameters, drawn)
    while True:
        rngs = (for_outline, for_nuclei)
        room, found, groups = _people(rngs, parameters, drawn, stored, fraction)
        try:
            found, centres = _place(
                for_places, parameters, drawn["gap_um"], room.living, found, groups
            )
            break
        except InputError:
            given = room.fixed and "n_nuclei" in drawn
            if fraction <= least or given or parameters.tissue.arrangement == "random":
                raise
        fraction = max(fraction * LOOSEN, least)
    found = [_aligned(p, c, parameters, room.living) for p, c in zip(found, centres, strict=True)]
    parts, places, owners, dying = _change(for_changes, found, centres)
    others = _debris(for_debris, parameters, drawn, room, dying)
    return Spheroid(
        parts=parts,
        centres_um=places,
        owners=owners,
        ellipsoids=_ellipsoids(found, centres),
        debris=tuple(bodies for bodies, _ in others),
        debris_um=tuple(points for _, points in others),
        blobs=_blobs(for_debris, parameters, drawn, room),
        outline=room,
        volume_fraction=sum(p.volume_um3 for p in found) / room.living.volume_um3,
    )


def _least_fraction(parameters: Parameters, drawn: Drawn) -> float:
    """Return the lowest volume fraction that is tried.

    A few nuclei cannot fill a ball, however they lie: one of them at most half of it and only when
    it is round, and each has half a gap to the surface.
    """
    low = parameters.tissue.volume_fraction[0]
    return min(low, FEW[0] + FEW[1] * drawn.get("n_nuclei", np.inf))


def _people(
    rngs: tuple[np.random.Generator, np.random.Generator],
    parameters: Parameters,
    drawn: Drawn,
    stored: Sequence[Library],
    fraction: float,
) -> tuple[Outline, list[Population], Groups]:
    """Return tissue, nuclei, and the balls of subcultures."""
    for_outline, for_nuclei = rngs
    kinds = parameters.all_kinds()
    diameters = [of_kind(drawn, parameters, kind, "diameter_um") for kind in kinds]
    sizes = [
        typical_volume(kind, diameter, library)
        for kind, diameter, library in zip(kinds, diameters, stored, strict=True)
    ]
    weights = np.array([kind.share for kind in kinds])
    mean = float(weights @ sizes / weights.sum())
    wanted = drawn.get("n_nuclei", 0.0) * mean / fraction
    room = outline(for_outline, parameters, drawn, wanted, max(diameters))
    total = int(drawn.get("n_nuclei", 0)) or count_for(room.living, fraction, mean)
    balls = _balls(for_outline, parameters, room.living)
    inside = [(kind, count_for(ball, fraction, sizes[kind]), ball) for kind, ball in balls]
    rest = shares(for_nuclei, parameters, max(total - sum(count for _, count, _ in inside), 0))
    for kind, count, _ in inside:
        rest[kind] += count
    found = populate(for_nuclei, parameters, drawn, rest, stored)
    volume = sum(population.volume_um3 for population in found) / fraction
    factor = 1.0 if room.fixed else (volume / room.living.volume_um3) ** (1 / 3)
    groups = [(kind, count, ball.scaled(factor, room.centre_um)) for kind, count, ball in inside]
    return room.of_volume(volume), found, groups


def _balls(
    rng: np.random.Generator, parameters: Parameters, living: Region
) -> list[tuple[int, Region]]:
    """Return the balls of the subcultures, each with the number of its kind."""
    names = [kind.name for kind in parameters.all_kinds()]
    numbers: list[int] = []
    widths: list[float] = []
    heights: list[float] = []
    for wanted in parameters.subcultures:
        count = int(rng.integers(*wanted.count, endpoint=True))
        numbers += [names.index(wanted.kind)] * count
        widths += rng.uniform(*wanted.diameter_um, count).tolist()
        heights += [wanted.flattening] * count
    return list(zip(numbers, subcultures(rng, living, widths, heights), strict=True))


def _place(
    rng: np.random.Generator,
    parameters: Parameters,
    gap_um: float,
    living: Region,
    found: list[Population],
    groups: Groups,
) -> tuple[list[Population], list[Array]]:
    """Return the nuclei that found a place, and the places of each population."""
    tissue = parameters.tissue
    bodies = Mixture(tuple(part for population in found for part in population.parts))
    axes, rotations = bodies.semi_axes_um, bodies.rotations
    starts = np.cumsum([0, *map(len, found)])
    taken = [0] * len(found)
    homes = []
    rest = living
    for kind, count, ball in groups:
        first = starts[kind] + taken[kind]
        homes.append((np.arange(first, first + count), ball))
        taken[kind] += count
        rest = rest.minus(ball)
    homeless = np.setdiff1d(np.arange(len(bodies)), [i for home, _ in homes for i in home])
    most, limit = tissue.max_overlap, tissue.break_criterion
    if tissue.arrangement == "packed":
        centres = pack(rng, axes, rotations, rest, gap_um=gap_um, max_overlap=most, groups=homes)
        return found, np.split(centres, starts[1:-1])
    centres, placed = np.zeros((len(bodies), 3)), np.zeros(len(bodies), bool)
    for members, region in [*homes, (homeless, rest)]:
        own = (axes[members], rotations[members], region)
        points, chosen = scatter(rng, *own, gap_um=gap_um, max_overlap=most, break_criterion=limit)
        centres[members[chosen]], placed[members[chosen]] = points, True
    spans = zip(found, starts[:-1], starts[1:], strict=True)
    kept = [population.take(np.flatnonzero(placed[a:b])) for population, a, b in spans]
    return kept, [centres[a:b][placed[a:b]] for a, b in pairwise(starts)]


def _aligned(
    population: Population, centres: Array, parameters: Parameters, living: Region
) -> Population:
    """Return a population with its flat nuclei near the surface turned along it."""
    nuclei = population.living
    kind = parameters.all_kinds()[population.kind]
    if not (kind.flat_along_surface and isinstance(nuclei, Nuclei) and len(nuclei)):
        return population
    points, axes = centres[: len(nuclei)], nuclei.semi_axes_um
    flat = axes.max(axis=1) > FLAT * axes.min(axis=1)
    chosen = np.flatnonzero(flat & (living.distance_at(points) > -axes.max(axis=1) * 2))
    turned = align(nuclei, chosen, living.normals_at(points[chosen]))
    return replace(population, living=turned)


def _ellipsoids(found: list[Population], centres: list[Array]) -> Ellipsoids:
    """Return all nuclei as they were packed: of each kind the living, then the dying."""
    bodies = Mixture(tuple(part for population in found for part in population.parts))
    kinds = np.repeat([p.kind for p in found], [len(p) for p in found])
    return Ellipsoids(bodies.semi_axes_um, bodies.rotations, np.concatenate(centres), kinds)


def _change(
    rng: np.random.Generator, found: list[Population], centres: list[Array]
) -> tuple[tuple[Bodies, ...], tuple[Array, ...], Numbers, list[tuple[Nuclei, Array]]]:
    """Return nuclei after division, their places and ellipsoids, and those that die."""
    parts: list[Bodies] = []
    places, owners, dying = [], [], []
    start = 0
    for population, points in zip(found, centres, strict=True):
        living, own = population.living, points[: len(population.living)]
        numbers = np.arange(len(living))
        if isinstance(living, Nuclei):
            living, own, numbers = mitosis.divide(rng, living, own)
        parts.append(living)
        places.append(own)
        owners.append(start + numbers)
        dying.append((population.dying, points[len(population.living) :]))
        start += len(population)
    return tuple(parts), tuple(places), np.concatenate(owners), dying


def _debris(
    rng: np.random.Generator,
    parameters: Parameters,
    drawn: Drawn,
    room: Outline,
    dying: list[tuple[Nuclei, Array]],
) -> list[tuple[Nuclei, Array]]:
    """Return fragments and small bodies with their places."""
    wanted = parameters.debris
    found = [
        debris.fragments(
            rng,
            nuclei,
            points,
            count=wanted.fragments,
            share=wanted.fragment_share,
            factor=wanted.fragment_brightness,
        )
        for nuclei, points in dying
        if len(nuclei)
    ]
    if count := int(drawn["bodies"]):
        typical = np.mean([kind.diameter_um for kind in parameters.all_kinds()])
        low, high = wanted.body_diameter
        bodies = debris.bodies(
            rng,
            count,
            diameter_um=(low * float(typical), high * float(typical)),
            brightness=wanted.body_brightness,
        )
        found.append((bodies, _around(room).draw(rng, count)))
    return found


def _blobs(
    rng: np.random.Generator, parameters: Parameters, drawn: Drawn, room: Outline
) -> debris.Blobs:
    """Return diffuse glow."""
    count, wanted = int(drawn["blobs"]), parameters.debris
    return debris.draw_blobs(
        rng,
        _around(room).draw(rng, count) if count else np.zeros((0, 3)),
        sigma_z_um=wanted.blob_sigma_z_um,
        sigma_xy_um=wanted.blob_sigma_xy_um,
        brightness=wanted.blob_brightness,
    )


def _around(room: Outline) -> Region:
    """Return the tissue and a little of its surroundings."""
    return room.living.scaled(AROUND, room.centre_um)
