"""Learn masks from masks: a recipe of nuclei or cells with labels like real label images."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from itertools import repeat
from math import exp, isfinite, log, sqrt
from pathlib import Path
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np

from cytosuite.contract.words import Say
from cytosuite.datasets.calibration.calibrate import HELD_OUT, need_place, write_recipe
from cytosuite.datasets.calibration.compare import poor
from cytosuite.datasets.calibration.fit import (
    DrawStrip,
    Simulate,
    Stack,
    damping,
    draw,
    drawn_first,
    simulator,
)
from cytosuite.datasets.calibration.masks import (
    FEWEST,
    STEPS,
    Look,
    ball,
    compare,
    look,
    mean_distance,
    read_labels,
)
from cytosuite.datasets.calibration.measure import Each, Step, counted, in_turn
from cytosuite.datasets.physics.harmonics_model import ShapeModel
from cytosuite.datasets.physics.harmonics_model import fit as fit_shapes
from cytosuite.errors import InputError
from cytosuite.files import Json, digest, frozen, rounded
from cytosuite.volume import Volume
from cytosuite.volume.arrays import Doubles, Lengths, Rng, Shape

CLOSEST, APART = -0.7, 1.0  # limits of `close`
ALIKE, NARROWER, CLOSER, FEWER = 0.02, 0.8, 0.05, 0.95  # spread of cases, `close`, number
NUMBER = {"nuclei": "n_nuclei", "cells": "n_cells"}
CORE = 0.5  # radius of a nucleus / radius of its cell, which cells alone do not tell
SPREAD_CORE = (0.9, 1.1)
HEAD = "Learned from {} label images of {}: numbers, sizes and closeness in"
BESIDE_IT = "rounds of simulation; lists are quantiles. Record, table and picture lie beside."


@frozen
class Draft:
    """Where the parameters of a recipe stand; the first ones stay as they are measured."""

    dataset: str
    shape: Shape
    spacing: Lengths
    shapes: str  # path
    stretch: float
    turn_deg: float
    foreground: str
    margin_um: float
    density: Doubles  # quantiles, objects per µm² (µm³) of the image and its margin
    radii_um: Doubles  # quantiles
    case_spread: float
    shrinkage: float
    discs: float
    disc_um: float
    width: Lengths
    close: float = 0.0  # above 0 the gap / median radius, below 0 minus the share of overlap

    @property
    def counts(self) -> Doubles:
        """Quantiles of the number of objects in the image and its margin."""
        lengths = np.multiply(self.shape, self.spacing) + 2 * self.margin_um
        return np.asarray((self.density * lengths.prod()).round().clip(1))

    def parameters(self) -> Json:
        """Return the parameters of the recipe, with 4 digits."""
        return dict(rounded(self._parameters(), 4))

    def _parameters(self) -> Json:
        middle = float(np.median(self.radii_um))
        around = sqrt(self.discs)
        image = {"shape": self.shape, "spacing_um": self.spacing, "margin_um": self.margin_um}
        counts = self.counts.astype(int).tolist()
        objects: Json = {
            "radius_um": self.radii_um,
            "case_spread": self.case_spread,
            "shrinkage": self.shrinkage,
            "elongation": 1.0,  # the shapes have it
            "turn_deg": self.turn_deg,
            "shapes": self.shapes,
            "gap_um": max(self.close, 0.0) * middle,
            "max_overlap": max(-self.close, 0.0),
        }
        discs = [max(round(self.discs + way * around), 1) for way in (-1, 1)]
        if self.dataset == "cells":
            colonies = {"colonies": discs, "colony_um": self.disc_um}
            cells = {"n_cells": counts} | objects | (colonies if self.foreground == "discs" else {})
            core = [CORE * way * middle for way in SPREAD_CORE]
            return {"image": image, "cells": cells, "nuclei": {"radius_um": core}}
        places: dict[str, Json] = {
            "image": {},
            "discs": {"discs": discs, "disc_radius_um": self.disc_um},
            "ellipsoid": {"width": self.width},
        }
        image |= {"stretch": self.stretch} if len(self.shape) == 3 else {}
        nuclei = {"image": image, "n_nuclei": counts, "foreground": self.foreground}
        return nuclei | places[self.foreground] | objects

    def cases(self, rng: Rng, number: int) -> list[Json]:
        """Return the parameters of cases, evenly drawn from all that differs between cases."""
        even = [((rng.permutation(number) + 0.5) / number).tolist() for _ in range(2)]
        counts = self.counts
        recipes = []
        for share, chance in zip(*even, strict=True):
            count = round(float(np.interp(share, np.linspace(0, 1, counts.size), counts)))
            factor = exp(self.case_spread * NormalDist().inv_cdf(chance))
            factor *= (float(np.median(counts)) / count) ** self.shrinkage
            recipe = replace(
                self, radii_um=self.radii_um * factor, case_spread=0.0, shrinkage=0.0
            ).parameters()
            recipe.get("cells", recipe)[NUMBER[self.dataset]] = count
            recipes.append(recipe)
        return recipes

    def closer(self) -> "Draft":
        """Return a draft that needs less room: cases more alike, else closer or fewer objects."""
        if self.case_spread > ALIKE:  # large objects in a crowded case
            return replace(self, case_spread=self.case_spread * NARROWER)
        if self.close > CLOSEST:
            return replace(self, close=max(self.close - CLOSER, CLOSEST))
        return replace(self, density=self.density * FEWER)


DATASETS = ("nuclei", "cells")
LEAST_VOXELS = 20  # of learned shapes
FINEST, HIGHEST_ORDER = 1.5, 10  # voxels of the radius for each degree of shapes: no steps
SLACK = 0.004  # share of outlines in contact that counts as none
MOST, LEAST_DISC = 1.5, 1.5  # largest factor of a round; radius of a colony / of an object
FEW_CUT = 0.05  # share of cut objects up to which objects may lie in a free body
FARTHEST = 1.6  # factor of radii from measured ones: pressed and hidden objects look smaller
SIMPLER = 0.9  # factor of a distance without colonies and bodies
TRIAL = 4  # foregrounds are compared after a quarter of the rounds
TRIES = 60  # draws of a recipe, each of a draft that needs less room
STEP = 0.1  # of `close`, per ln(contact)
FULL = 0.98  # cover above which there are no colonies to be seen
ANY_DEG = 80.0  # largest turn from which objects lie in any direction


class Fitting(NamedTuple):
    """A fit: the real look, and how to simulate one."""

    real: Look
    simulate: Simulate
    cases: int
    seed: int
    each: Each

    def look(self, stacks: Sequence[Stack]) -> Look:
        """Return the look of simulated labels."""
        return look([labels for labels, _ in stacks], self.real.reach_um, self.real.shrinkage)

    def fit(self, draft: Draft, rounds: int) -> Draft:
        """Return the draft after rounds of corrections; InputError if it finds no room."""
        for number in range(rounds):
            rng = np.random.default_rng([self.seed, number])
            first = number * self.cases
            recipes = draft.cases(rng, self.cases)
            seeds = [self.seed + 1000 * (first + case) for case in range(self.cases)]
            try:
                stacks, refused = draw(self.simulate, recipes, seeds, self.each)
            except InputError:
                draft = draft.closer()
                continue
            draft = self.turned(draft, self.look(stacks), damping(number, rounds))
            if refused:
                draft = draft.closer()
        return draft

    def turned(self, draft: Draft, simulated: Look, damping: float) -> Draft:
        """Return a draft corrected by the differences of two looks."""
        real = self.real

        def factor(target: float, there: float) -> float:
            """Return the damped factor between two numbers."""
            valid = isfinite(target) and isfinite(there) and target > 0 and there > 0
            return float(np.clip(target / there, 1 / MOST, MOST)) ** damping if valid else 1.0

        step = np.log(real.radii_um / simulated.radii_um).clip(-log(MOST), log(MOST))
        first = real.radii_um * draft.stretch ** (-1 / len(draft.shape))
        radii = (draft.radii_um * np.exp(damping * step)).clip(first / FARTHEST, first * FARTHEST)
        contact = log((real.contact + SLACK) / (simulated.contact + SLACK))
        close = draft.close - STEP * damping * float(np.clip(contact, -1, 1))
        changed: Json = {}
        if draft.foreground == "discs":
            hidden = [-log(1 - min(side.cover, FULL)) for side in (real, simulated)]
            longest = max(np.multiply(draft.shape, draft.spacing))
            size = draft.disc_um * factor(real.thickness_um, simulated.thickness_um)
            least = LEAST_DISC * exp(real.level)
            changed["discs"] = max(draft.discs * factor(*hidden), 1.0)
            changed["disc_um"] = min(max(size, least), longest)
        elif draft.foreground == "ellipsoid":
            wide = factor(float(real.extents.mean()), float(simulated.extents.mean()))
            changed["width"] = tuple(min(end * wide, 1.0) for end in draft.width)
        return replace(
            draft,
            density=draft.density * factor(real.density.mean(), simulated.density.mean()),
            radii_um=np.maximum.accumulate(radii) if np.isfinite(step).all() else draft.radii_um,
            close=min(max(close, CLOSEST), APART),
            **changed,
        )

    def drawn(self, draft: Draft, count: int, seed: int) -> tuple[Draft, list[Stack]]:
        """Return labels of a recipe, of objects that are closer where they found no room."""
        for _ in range(TRIES):
            try:
                stacks, refused = draw(
                    self.simulate, repeat(draft.parameters()), range(seed, seed + count), self.each
                )
            except InputError:
                refused = count
            if not refused:
                return draft, stacks
            draft = draft.closer()
        raise InputError("objects find no room")


def learn(
    dataset: str,
    place: Path,
    out: Path,
    *,
    rounds: int = 12,
    cases: int = 12,
    seed: int = 0,
    say: Say = lambda _: None,
    step: Step = lambda *_: None,
    draw_strip: DrawStrip | None = None,
    each: Each = in_turn,
    **reading: Any,  # noqa: ANN401  (of `read_labels`)
) -> Path:
    """Fit nuclei or cells to label images, write recipe, shapes, record, table; return its path."""
    beside = out.with_name(f"{out.stem}_shapes.json")
    need_place(out, beside)
    items, images = read_labels(place, **reading)
    if dataset == "cells" and images[0].axes != "YX":
        raise InputError(
            f"{items[0].image}: cells stand on glass and are learned from planes (YX), found "
            f"{images[0].axes}; take nuclei, or project the labels"
        )
    real = look(images)
    voxels = real.values()["size"] / np.prod(images[0].spacing)
    whole = int(np.count_nonzero(voxels >= LEAST_VOXELS))
    if whole < FEWEST:
        raise InputError(
            f"{place}: masks are learned from at least {FEWEST} objects of {LEAST_VOXELS} voxels "
            f"that touch no face of their image, found {whole}; give more labels"
        )
    objects = sum(len(table["cut"]) for table in real.tables)
    say(f"label images: {len(images)}, objects: {objects}")
    if empty := int(np.count_nonzero(real.density == 0)):
        say(f"note: {empty} images hold no object; the recipe's hold at least one")
    few = max(rounds // TRIAL, 1)
    count = max(2 * cases, len(images))
    drafts = _starts(dataset, images, real)
    total = (len(drafts) * (few + 1) + rounds) * cases + 2 * count
    model = _shapes(images, drafts[0].stretch, float(np.nanmedian(voxels)))
    each = counted(each, step, total, "simulating")
    held = seed + HELD_OUT
    fitting = Fitting(real, simulator(dataset), cases, seed, each)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / beside.name
        model.write(path)
        draft = _best(fitting, [replace(start, shapes=str(path)) for start in drafts], few, say)
        draft, after = fitting.drawn(fitting.fit(draft, rounds), count, held)
        plain: Json = {"image": {"shape": [*draft.shape], "spacing_um": [*draft.spacing]}}
        before = drawn_first(fitting.simulate, [plain], range(held, held + count), each)
    rows = compare(real, fitting.look(after), fitting.look(before) if before else None)
    files = [item.image for item in items]
    facts: Json = {
        "folder": place.resolve().name,
        "files": [item.name for item in items],
        "seed": seed,
        "rounds": rounds,
        "sha256": digest(files, place if place.is_dir() else place.parent),
        "poor": poor(rows),
    }
    head = [HEAD.format(len(files), facts["folder"]), BESIDE_IT]
    parameters = replace(draft, shapes=beside.name).parameters()
    write_recipe(out, dataset, parameters, facts, "Learned from {} label images", head, rows)
    model.write(beside)
    if draw_strip:
        draw_strip(out.with_suffix(".png"), _shown(images), _shown([labels for labels, _ in after]))
    for line in facts["poor"]:
        say(f"warning: poor fit: {line}")
    return out


def _shapes(images: Sequence[Volume], stretch: float, voxels: float) -> ShapeModel:
    """Return the shape model of objects with this median of voxels, as high as they are wide."""
    radius = (voxels / ball(images[0].array.ndim)) ** (1 / images[0].array.ndim)
    order = min(max(int(radius / FINEST), 2), HIGHEST_ORDER)
    flat = [
        replace(image, spacing=(image.spacing[0] / stretch, *image.spacing[1:])) for image in images
    ]
    return fit_shapes(flat, order=order, min_voxels=LEAST_VOXELS)


def _starts(dataset: str, images: Sequence[Volume], real: Look) -> list[Draft]:
    """Return a first draft for each foreground that objects may lie in."""
    values = real.values()
    spacing = images[0].spacing
    heights = np.concatenate([table["height"] for table in real.tables])
    volume = np.isfinite(heights).any()
    stretch = exp(float(np.nanmedian(heights))) if volume else 1.0
    turn = 180.0 if volume else 2 * float(np.nanmedian(np.append(values["turn_deg"], 45.0)))
    shape = np.median([labels.shape for labels in images], axis=0).astype(int)
    lengths = shape * spacing
    axes = len(spacing)
    radii = real.radii_um * stretch ** (-1 / axes)
    cut = float(values["cut"].mean())
    disc = (axes + 1) * real.thickness_um - real.reach_um  # mean depth in a disc: radius / 3
    disc = max(disc, LEAST_DISC * exp(real.level)) if isfinite(disc) else float(lengths.max())
    hidden = -log(1 - min(real.cover, FULL))
    image = Draft(
        dataset,
        tuple(shape.tolist()),
        spacing,
        shapes="",
        stretch=stretch,
        turn_deg=turn if turn < ANY_DEG else 180.0,
        foreground="image",
        margin_um=1.2 * float(radii[-1]) if cut > 0 else 0.0,
        density=np.quantile(real.density, np.linspace(0, 1, STEPS + 1)),
        radii_um=radii,
        case_spread=real.case_spread,
        shrinkage=real.shrinkage,
        discs=max(hidden * float(lengths.prod()) / (ball(axes) * disc**axes), 1.0),
        disc_um=disc,
        width=tuple(np.quantile(real.extents, [0.1, 0.9]).clip(0.01, 1).tolist()),
    )
    drafts = [image]
    if real.cover < FULL:
        drafts.append(replace(image, foreground="discs"))
    if cut < FEW_CUT and dataset == "nuclei":
        drafts.append(replace(image, foreground="ellipsoid", margin_um=0.0))
    return drafts


def _best(fitting: Fitting, drafts: Sequence[Draft], rounds: int, say: Say) -> Draft:
    """Return the draft, after a few rounds, of the foreground most like the real labels."""
    trials = []
    for start in drafts:
        try:
            draft = fitting.fit(start, rounds)
            draft, stacks = fitting.drawn(draft, fitting.cases, fitting.seed)
        except InputError as error:
            say(f"foreground {start.foreground}: {error}")
            continue
        distance = mean_distance(compare(fitting.real, fitting.look(stacks)))
        say(f"foreground {start.foreground}: W1 / std {distance:.2f} from the real labels")
        trials.append((distance * (SIMPLER if start.foreground == "image" else 1), draft))
    if not trials:
        raise InputError("objects lie too densely to be packed; give labels that fill less")
    return min(trials, key=lambda pair: pair[0])[1]


def _shown(images: Sequence[Volume]) -> list[Stack]:
    """Return labels with a grey value for each object, for a picture."""
    return [
        (image.like((image.array * 67 % 191 + 64) * (image.array > 0)), image.array)
        for image in images
    ]
