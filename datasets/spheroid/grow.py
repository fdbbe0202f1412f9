"""Grow a spheroid: nuclei at their places in the tissue; some divide and some die."""

from collections.abc import Sequence
from dataclasses import replace
from math import exp, pi
from pathlib import Path

import numpy as np

from cytosuite.datasets.cells.given import read_cells
from cytosuite.datasets.cells.placement import poses
from cytosuite.datasets.phantoms.library import Library, stored_library
from cytosuite.datasets.phantoms.stored import StoredNuclei, draw_stored
from cytosuite.datasets.physics import debris, shapes, tissue
from cytosuite.datasets.physics.bodies import Mixture, volumes_um3
from cytosuite.datasets.physics.labels import voxel_values
from cytosuite.datasets.physics.packing import ROUNDS, count_for, pack, press, scatter, subcultures
from cytosuite.datasets.physics.shapes import Nuclei, align
from cytosuite.datasets.physics.tissue import Region
from cytosuite.datasets.ranges import draw_whole
from cytosuite.datasets.spheroid.given import GivenCells
from cytosuite.datasets.spheroid.parameters import Drawn, Parameters, of_kind
from cytosuite.datasets.spheroid.sections import Kind
from cytosuite.datasets.spheroid.spheroid import (
    LEAST_INSIDE,
    Labelled,
    Outline,
    PackedNuclei,
    Placed,
    Spheroid,
    outline,
    volume_of,
)
from cytosuite.errors import InputError
from cytosuite.files import FloatMap
from cytosuite.volume import Volume
from cytosuite.volume.arrays import Doubles, Longs, Rng

# Values drawn once per case and kind; the first go to `draw_nuclei` by their names.
SPREADS = ("diameter_spread", "axis_spread", "brightness_spread")
SHAPE = ("diameter_um", *SPREADS, "flat_fraction", "roughness")
DRAWN = (*SHAPE, "chromatin_contrast", "mitotic_fraction", "apoptotic_fraction")
LOOSEN = 0.93  # a volume fraction that cannot be packed is tried again this much lower
FEW_ROUNDS = 40  # for a blastocyst, which then gets more room: faster than more rounds
FULL = 0.35  # volume fraction of a mass that holds no more nuclei
THICK = 0.9  # of the thickness of a layer, at most, are nuclei in it
LEAST_MASS = 0.05  # volume fraction of a blastocyst
LEAST_CORE = 0.05  # of a shell too thin for its nuclei
FEW = (0.15, 0.015)  # and below 10 nuclei as low as this, plus that for each nucleus
FLAT = 1.5  # longest to shortest axis of a flat nucleus, at least
CHOICE = 4  # places for each nucleus among which those in a layer take the farthest
LARGER = "raise nucleus.diameter_um (of views: nucleus_um), or lower tissue.volume_fraction"
AROUND = 1.15  # bodies and blobs lie in the tissue and this much beyond
Parts = tuple[Nuclei | StoredNuclei, ...]  # see `PackedNuclei`
Groups = list[tuple[int, int, Region]]  # kind, number of nuclei, the ball that holds them


def _stored(kind: Kind) -> Library:
    """Return the stored nuclei of a kind."""
    spacing = None if kind.phantoms_um == "auto" else kind.phantoms_um
    return stored_library(Path(kind.phantoms), spacing)


def typical_volume(kind: Kind, diameter_um: float) -> float:
    """Return the mean volume in µm³ of a nucleus of a kind, with the diameter of this case."""
    if kind.phantoms and not kind.phantoms_scaled:
        return float(np.mean([phantom.volume_um3 for phantom in _stored(kind)]))
    return pi / 6 * diameter_um**3 * exp(4.5 * kind.diameter_spread[1] ** 2)


def populate(rng: Rng, parameters: Parameters, drawn: Drawn, counts: Sequence[int]) -> Parts:
    """Return the `counts` nuclei of each kind; a child of `rng` draws each kind."""
    kinds = parameters.all_kinds()
    parts = []
    for kind, count, child in zip(kinds, counts, rng.spawn(len(kinds)), strict=True):
        values = {name: of_kind(drawn, parameters, kind, name) for name in DRAWN}
        dying = int(child.binomial(count, values["apoptotic_fraction"]))
        draw = _from_library if kind.phantoms else _nuclei
        parts.append(draw(child, kind, values, count - dying))
        parts.append(_nuclei(child, kind, values | {"mitotic_fraction": 0.0}, dying))
    return tuple(parts)


def _nuclei(rng: Rng, kind: Kind, values: FloatMap, count: int) -> Nuclei:
    """Return drawn nuclei."""
    return shapes.draw_nuclei(
        rng,
        count,
        brightness=kind.brightness,
        contrast=values["chromatin_contrast"],
        nucleoli=kind.nucleoli,
        **{name: values[name] for name in (*SHAPE, "mitotic_fraction")},
    )


def _from_library(rng: Rng, kind: Kind, values: FloatMap, count: int) -> StoredNuclei:
    nuclei = draw_stored(
        rng,
        count,
        _stored(kind),
        diameter_um=values["diameter_um"] if kind.phantoms_scaled else None,
        diameter_spread=values["diameter_spread"] if kind.phantoms_scaled else 0.0,
        brightness_spread=values["brightness_spread"],
        tilt=kind.phantoms_tilt,
    )
    return replace(nuclei, brightness=nuclei.brightness * kind.brightness)


def grow(rng: Rng, parameters: Parameters, drawn: Drawn) -> Spheroid:
    """Return a spheroid with its nuclei at their places; InputError if they cannot be packed."""
    for_outline, for_nuclei, for_places, for_changes, for_debris = rng.spawn(5)
    cells: GivenCells | None = None
    share: float | None = None
    if parameters.cells.source:
        room, packed, cells = _in_cells((for_outline, for_nuclei, for_places), parameters, drawn)
    else:
        room, packed = _packed((for_outline, for_nuclei, for_places), parameters, drawn)
        if drawn["contact"] > 0 and len(packed.centres_um):
            moved, share = press(
                *(packed.centres_um, packed.bodies.semi_axes_um, packed.bodies.rotations),
                room.living,
                contact=drawn["contact"],
                max_overlap=parameters.tissue.max_overlap,
            )
            packed = replace(packed, centres_um=moved)
    parts = _divided(for_changes, packed)
    others, blobs = _debris(for_debris, parameters, drawn, room, packed)
    return Spheroid(packed, parts, others, blobs, room, cells, share)


def _packed(
    rngs: tuple[Rng, ...], parameters: Parameters, drawn: Drawn
) -> tuple[Outline, PackedNuclei]:
    """Return tissue and nuclei at their places, less dense where they find no room."""
    fraction = drawn["volume_fraction"]
    # A few nuclei cannot fill a ball, however they lie: one of them at most half of it and only
    # when it is round, and each has half a gap to the surface.
    few = FEW[0] + FEW[1] * drawn.get("n_nuclei", np.inf)
    least = min(parameters.tissue.volume_fraction[0], few)
    while True:
        room, parts, groups = _people(rngs[:2], parameters, drawn, fraction)
        try:
            packed = _place(rngs[2], parameters, drawn, room, parts, groups)
        except InputError:
            fixed = room.fixed and "n_nuclei" in drawn
            if parameters.tissue.arrangement == "random":
                raise
            if room.homes and fraction > LEAST_MASS:  # more room for the layer and for the mass
                if room.fixed:
                    wider = drawn["width_um"] / LOOSEN**0.25
                    drawn = drawn | {
                        "width_um": wider,
                        "core": max(drawn["core"] * LOOSEN, LEAST_INSIDE),
                    }
                fraction *= LOOSEN
                continue
            if fraction <= least or fixed:
                if not room.core or drawn["core"] < LEAST_CORE:
                    raise
                drawn = drawn | {"core": drawn["core"] * LOOSEN**2}  # a thicker shell
            fraction = max(fraction * LOOSEN, least)
        else:
            return room, _aligned(packed, parameters, room)


def _in_cells(
    rngs: tuple[Rng, ...], parameters: Parameters, drawn: Drawn
) -> tuple[Outline, PackedNuclei, GivenCells]:
    """Return tissue, nuclei and cells of a user's labels, a nucleus in each."""
    (for_source, for_order), (for_kinds, for_shape) = (rng.spawn(2) for rng in rngs[:2])
    section = parameters.cells
    middle = parameters.middle_um(drawn)
    cells = GivenCells.of(read_cells(for_source, section.source, section.source_um, "ZYX"), middle)
    room = tissue.from_mask(Volume(cells.labels, cells.grid.spacing), middle)
    shares = np.array([kind.share for kind in parameters.all_kinds()])
    counts = for_kinds.multinomial(len(cells), shares / shares.sum())
    parts = populate(for_shape, parameters, drawn, counts.tolist())
    rigid = np.repeat([isinstance(part, StoredNuclei) for part in parts], list(map(len, parts)))
    labels = voxel_values(cells.labels, for_order.permutation(len(cells)) + 1, np.uint16)
    where = (parameters.placement, labels, cells.grid)
    bodies = Mixture(parts)
    placed = poses(rngs[2], *where, bodies.semi_axes_um, rigid=rigid)
    forms = map(bodies.split, (placed.semi_axes_um, placed.rotations))
    posed = tuple(part.posed(*form) for part, *form in zip(parts, *forms, strict=True))
    cells = replace(cells, labels=labels, facts={**cells.facts, "n_shrunk_nuclei": placed.shrunk})
    return Outline(room, None, middle, fixed=True), PackedNuclei(posed, placed.centres_um), cells


def _people(
    rngs: tuple[Rng, ...], parameters: Parameters, drawn: Drawn, fraction: float
) -> tuple[Outline, Parts, Groups]:
    """Return tissue, nuclei, and the balls of subcultures."""
    for_outline, for_nuclei = rngs
    kinds = parameters.all_kinds()
    diameters = [of_kind(drawn, parameters, kind, "diameter_um") for kind in kinds]
    sizes = list(map(typical_volume, kinds, diameters))
    weights = np.array([kind.share for kind in kinds])
    mean = float(weights @ sizes / weights.sum())
    room = outline(
        for_outline, parameters, drawn, drawn.get("n_nuclei", 0.0) * mean / fraction, max(diameters)
    )
    total = int(drawn.get("n_nuclei", 0)) or count_for(room.living, fraction, mean, LARGER)
    balls = _balls(for_outline, parameters, room.living)
    inside = [(kind, count_for(ball, fraction, sizes[kind], LARGER), ball) for kind, ball in balls]
    rest = max(total - sum(count for _, count, _ in inside), 0)
    counts = for_nuclei.multinomial(rest, weights / weights.sum()).tolist()
    for kind, count, _ in inside:
        counts[kind] += count
    parts = populate(for_nuclei, parameters, drawn, counts)
    volume = volume_of(parts) / fraction
    factor = 1.0 if room.fixed else (volume / room.living.volume_um3) ** (1 / 3)
    groups = [(kind, count, ball.scaled(factor, room.centre_um)) for kind, count, ball in inside]
    return room if room.fixed else room.scaled(factor), parts, groups


def _balls(rng: Rng, parameters: Parameters, living: Region) -> list[tuple[int, Region]]:
    """Return the balls of the subcultures, each with the number of its kind."""
    names = [kind.name for kind in parameters.all_kinds()]
    numbers = []
    widths = []
    heights = []
    for subculture in parameters.subcultures:
        count = draw_whole(rng, subculture.count)
        numbers += [names.index(subculture.kind)] * count
        widths += rng.uniform(*subculture.diameter_um, count).tolist()
        heights += [subculture.flattening] * count
    return list(zip(numbers, subcultures(rng, living, widths, heights), strict=True))


def _place(
    rng: Rng,
    parameters: Parameters,
    drawn: Drawn,
    room: Outline,
    parts: Parts,
    groups: Groups,
) -> PackedNuclei:
    """Return the nuclei that found a place, at their places."""
    tissue = parameters.tissue
    gap_um = drawn["gap_um"]
    ends = np.cumsum([0, *map(len, parts)])
    free = ends[:-1:2].copy()  # of each kind the first nucleus without a home
    homes = []
    rest = room.living
    points = None
    if room.homes:
        _, rest, mass = room.homes
        limits = FULL * mass.volume_um3, THICK * rest.depth_um - gap_um / 2
        homes.append((_innermost(Mixture(parts), drawn["inner"], *limits), mass))
        points = _starts(rng, int(ends[-1]), homes[0], rest)
        parts = _aligned(PackedNuclei(parts, points), parameters, room).parts
    bodies = Mixture(parts)
    axes = bodies.semi_axes_um
    rotations = bodies.rotations
    for kind, count, ball in groups:
        homes.append((np.arange(free[kind], free[kind] + count), ball))
        free[kind] += count
        rest = rest.minus(ball)
    most = tissue.max_overlap
    limit = tissue.break_criterion
    if tissue.arrangement == "packed" or points is not None:
        centres = pack(
            *(rng, axes, rotations, rest),
            gap_um=gap_um,
            max_overlap=most,
            groups=homes,
            rounds=ROUNDS if points is None else FEW_ROUNDS,
            start_um=points,
        )
        return PackedNuclei(parts, centres)
    centres = np.zeros((len(bodies), 3))
    placed = np.zeros(len(bodies), bool)
    homeless = np.setdiff1d(np.arange(len(bodies)), [i for home, _ in homes for i in home])
    for members, region in [*homes, (homeless, rest)]:
        points, chosen = scatter(
            *(rng, axes[members], rotations[members], region),
            gap_um=gap_um,
            max_overlap=most,
            break_criterion=limit,
        )
        centres[members[chosen]], placed[members[chosen]] = points, True
    kept = zip(parts, np.split(placed, ends[1:-1]), strict=True)
    return PackedNuclei(tuple(part.take(mask) for part, mask in kept), centres[placed])


def _innermost(bodies: Mixture, share: float, most_um3: float, thickest_um: float) -> Longs:
    """Return nuclei (n,), ascending: too thick ones and the least flat, a share, up to a volume."""
    thin = bodies.semi_axes_um.min(axis=1)
    order = np.lexsort((bodies.semi_axes_um.prod(axis=1) ** (1 / 3) / thin, thin < thickest_um))
    held = np.searchsorted(np.cumsum(volumes_um3(bodies)[order]), most_um3) + 1
    return np.sort(order[: min(round(share * len(order)), held)])


def _starts(rng: Rng, count: int, inner: tuple[Longs, Region], layer: Region) -> Doubles:
    """Return first places (N, 3), µm: any for inner nuclei, far apart in the layer for others."""
    members, mass = inner
    points = np.zeros((count, 3))
    points[members] = mass.draw(rng, len(members))
    free = layer.draw(rng, CHOICE * count)
    nearest = np.full(len(free), np.inf)
    for body in np.setdiff1d(np.arange(count), members):
        points[body] = free[nearest.argmax()]
        nearest = np.minimum(nearest, ((free - points[body]) ** 2).sum(axis=1))
    return points


def _aligned(packed: PackedNuclei, parameters: Parameters, room: Outline) -> PackedNuclei:
    """Return nuclei with flat living ones near the surface, or all in a layer, turned along it."""
    parts = list(packed.parts)
    living = zip(parameters.all_kinds(), packed.placed[::2], strict=True)
    for number, (kind, (nuclei, points)) in enumerate(living):
        if not (kind.flat_along_surface and isinstance(nuclei, Nuclei) and len(nuclei)):
            continue
        axes = nuclei.semi_axes_um
        if room.homes:
            surface, layer, _ = room.homes
            near = layer.distance_at(points) < 0
        else:
            surface = room.living
            flat = axes.max(axis=1) > FLAT * axes.min(axis=1)
            near = flat & (surface.distance_at(points) > -axes.max(axis=1) * 2)
        chosen = np.flatnonzero(near)
        parts[2 * number] = align(nuclei, chosen, surface.normals_at(points[chosen]))
    return replace(packed, parts=tuple(parts))


def _divided(rng: Rng, packed: PackedNuclei) -> tuple[Labelled, ...]:
    """Return living nuclei after division."""
    return tuple(
        shapes.divide(rng, living, points)[:2] if isinstance(living, Nuclei) else (living, points)
        for living, points in packed.placed[::2]
    )


def _debris(
    rng: Rng,
    parameters: Parameters,
    drawn: Drawn,
    room: Outline,
    packed: PackedNuclei,
) -> tuple[tuple[Placed, ...], debris.Blobs]:
    """Return fragments and small bodies at their places, and diffuse glow."""
    section = parameters.debris
    around = room.living.scaled(AROUND, room.centre_um)
    placed = [
        debris.fragments(
            *(rng, dying, points),
            count=section.fragments,
            share=section.fragment_share,
            factor=section.fragment_brightness,
        )
        for dying, points in packed.placed[1::2]
        if len(dying)
    ]
    if count := int(drawn["bodies"]):
        typical = float(np.mean([kind.diameter_um for kind in parameters.all_kinds()]))
        low, high = section.body_diameter
        bodies = debris.bodies(
            rng,
            count,
            diameter_um=(low * typical, high * typical),
            brightness=section.body_brightness,
        )
        placed.append((bodies, around.draw(rng, count)))
    blobs = debris.draw_blobs(
        rng,
        around.draw(rng, int(drawn["blobs"])),
        sigma_z_um=section.blob_sigma_z_um,
        sigma_xy_um=section.blob_sigma_xy_um,
        brightness=section.blob_brightness,
    )
    return tuple(placed), blobs
