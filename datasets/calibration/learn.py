"""Learn masks from masks: a recipe of nuclei or cells whose labels are like given label images."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from itertools import count as counter
from itertools import repeat
from math import exp, isfinite, log, sqrt
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

from cytosuite.contract.tasks import LABELS
from cytosuite.datasets.calibration.calibrate import HELD_OUT, need_place, to_toml
from cytosuite.datasets.calibration.compare import Compared, for_json, misplaced
from cytosuite.datasets.calibration.fit import CALM, DAMPING, Simulate, Stack, draw
from cytosuite.datasets.calibration.masks import (
    FEWEST,
    STEPS,
    Floats,
    Look,
    ball,
    compared,
    look,
    mean_distance,
    reach_of,
    read_labels,
)
from cytosuite.datasets.calibration.start import short
from cytosuite.datasets.folder.part import Part
from cytosuite.datasets.physics.harmonics_model import ShapeModel
from cytosuite.datasets.physics.harmonics_model import fit as fit_shapes
from cytosuite.errors import InputError
from cytosuite.files import atomic, digest, write_json
from cytosuite.volume import Volume

DATASETS = ("nuclei", "cells")
LEAST_VOXELS = 20  # of learned shapes
FINEST, HIGHEST_ORDER = 1.5, 10  # voxels of the radius for each degree of shapes: no steps
SLACK = 0.004  # share of outlines in contact that counts as none
MOST, LEAST_DISC = 1.5, 1.5  # largest factor of a round; radius of a colony / of an object
FEW_CUT = 0.05  # share of cut objects up to which objects may lie in a free body
FARTHEST = 1.6  # factor of radii from measured ones: pressed and hidden objects look smaller
SIMPLER = 0.9  # what a distance counts that no colony or body is needed for
TRIAL = 4  # foregrounds are compared after a quarter of the rounds
CLOSER = 0.05  # of `close`, where objects find no room
STEP, CLOSEST, APART = 0.1, -0.7, 1.0  # of `close`: per ln(contact), and its limits
FULL = 0.98  # cover above which there are no colonies to be seen
ANY_DEG = 80.0  # largest turn from which objects lie in any direction
CORE = 0.5  # radius of a nucleus / radius of its cell, which cells alone do not tell
SPREAD_CORE = (0.9, 1.1)


@dataclass(frozen=True, slots=True)
class Frame:
    """What all rounds share: the image, the recipe's dataset and the shapes."""

    dataset: str
    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    shapes: str  # path
    stretch: float
    turn_deg: float


@dataclass(frozen=True, slots=True)
class State:
    """Where the fitted parameters stand."""

    foreground: str
    density: Floats  # quantiles, objects per µm² (µm³) of the image and its margin
    radii_um: Floats  # quantiles
    case_spread: float
    shrinkage: float
    close: float  # above 0 the gap / mean radius, below 0 minus the share of overlap
    margin_um: float
    discs: float
    disc_um: float
    width: tuple[float, float]

    def counts(self, frame: Frame) -> Floats:
        """Return quantiles of the number of objects in the image and its margin."""
        lengths = np.multiply(frame.shape, frame.spacing) + 2 * self.margin_um
        return np.asarray((self.density * lengths.prod()).round().clip(1))

    def parameters(self, frame: Frame) -> dict[str, Any]:
        """Return the parameters of the recipe."""
        counts, deep = self.counts(frame).astype(int).tolist(), sqrt(self.discs)
        radii = [short(radius) for radius in self.radii_um]
        same = {
            "radius_um": radii,
            "case_spread": short(self.case_spread),
            "shrinkage": short(self.shrinkage),
            "elongation": 1.0,  # that of the shapes
            "turn_deg": short(frame.turn_deg),
            "shapes": frame.shapes,
            "gap_um": short(max(self.close, 0.0) * float(np.exp(np.log(radii).mean()))),
            "max_overlap": short(max(-self.close, 0.0)),
        }
        image = {"shape": list(frame.shape), "spacing_um": [short(step) for step in frame.spacing]}
        image |= {"margin_um": short(self.margin_um)}
        discs = [max(round(self.discs + way * deep), 1) for way in (-1, 1)]
        if frame.dataset == "cells":
            colonies = {"colonies": discs, "colony_um": short(self.disc_um)}
            own = colonies if self.foreground == "discs" else {}
            core = [short(CORE * way * radii[len(radii) // 2]) for way in SPREAD_CORE]
            cells = {"n_cells": counts, **same, **own}
            return {"image": image, "cells": cells, "nuclei": {"radius_um": core}}
        places: dict[str, dict[str, Any]] = {
            "image": {},
            "discs": {"discs": discs, "disc_radius_um": short(self.disc_um)},
            "ellipsoid": {"width": [short(end) for end in self.width]},
        }
        stretch = {} if len(frame.shape) == 2 else {"stretch": short(frame.stretch)}
        found = {**image, "n_nuclei": counts, "foreground": self.foreground}
        return {**found, **places[self.foreground], **same, **stretch}

    def recipes(self, frame: Frame, rng: np.random.Generator, cases: int) -> list[dict[str, Any]]:
        """Return the parameters of cases, evenly drawn from all that differs between cases."""
        even = [((rng.permutation(cases) + 0.5) / cases).tolist() for _ in range(2)]
        counts, found = self.counts(frame), []
        for share, chance in zip(*even, strict=True):
            count = float(np.interp(share, np.linspace(0, 1, counts.size), counts))
            factor = exp(self.case_spread * NormalDist().inv_cdf(chance))
            factor *= (float(np.median(counts)) / count) ** self.shrinkage
            one = replace(
                self,
                density=self.density[:2] * 0 + round(count) / (counts[0] / self.density[0]),
                radii_um=self.radii_um * factor,
                case_spread=0.0,
                shrinkage=0.0,
            )
            found.append(one.parameters(frame))
        return found


@dataclass(frozen=True, slots=True)
class Task:
    """A fit: the real look, and how to simulate one."""

    real: Look
    reach_um: float
    frame: Frame
    simulate: Simulate
    cases: int
    seed: int

    def look(self, stacks: Sequence[Stack]) -> Look:
        """Return the look of simulated labels."""
        return look([labels for labels, _ in stacks], self.reach_um, self.real.shrinkage)

    def fit(self, state: State, rounds: int) -> State:
        """Return the state after rounds of corrections; InputError if it finds no room."""
        for number in range(rounds):
            rng, first = np.random.default_rng([self.seed, number]), number * self.cases
            recipes = state.recipes(self.frame, rng, self.cases)
            seeds = [self.seed + 1000 * (first + case) for case in range(self.cases)]
            try:
                stacks, refused = draw(self.simulate, recipes, seeds)
            except InputError:
                state = closer(state)
                continue
            damping = DAMPING / (1 + max(0.0, number - rounds / 2) / CALM)
            state = self.turned(state, self.look(stacks), damping)
            if refused:
                state = closer(state)
        return state

    def turned(self, state: State, found: Look, damping: float) -> State:
        """Return a state corrected by the differences of two looks."""
        real = self.real

        def factor(wanted: float, there: float) -> float:
            """Return the damped factor between two numbers."""
            known = isfinite(wanted) and isfinite(there) and wanted > 0 and there > 0
            return float(np.clip(wanted / there, 1 / MOST, MOST)) ** damping if known else 1.0

        step = np.log(real.radii_um / found.radii_um).clip(-log(MOST), log(MOST))
        first = real.radii_um * self.frame.stretch ** (-1 / len(self.frame.shape))
        radii = (state.radii_um * np.exp(damping * step)).clip(first / FARTHEST, first * FARTHEST)
        contact = log((real.contact + SLACK) / (found.contact + SLACK))
        close = state.close - STEP * damping * float(np.clip(contact, -1, 1))
        changed: dict[str, Any] = {}
        if state.foreground == "discs":
            hidden = [-log(1 - min(side.cover, FULL)) for side in (real, found)]
            longest = max(np.multiply(self.frame.shape, self.frame.spacing))
            size = state.disc_um * factor(real.thickness_um, found.thickness_um)
            least = LEAST_DISC * exp(real.level)
            changed["discs"] = max(state.discs * factor(*hidden), 1.0)
            changed["disc_um"] = min(max(size, least), longest)
        elif state.foreground == "ellipsoid":
            wide = factor(float(real.extents.mean()), float(found.extents.mean()))
            changed["width"] = tuple(min(end * wide, 1.0) for end in state.width)
        return replace(
            state,
            density=state.density * factor(real.density.mean(), found.density.mean()),
            radii_um=np.maximum.accumulate(radii) if np.isfinite(step).all() else state.radii_um,
            close=min(max(close, CLOSEST), APART),
            **changed,
        )

    def drawn(self, state: State, count: int, seed: int) -> tuple[State, list[Stack]]:
        """Return labels of a recipe, of nuclei that are closer where they found no room."""
        seeds = range(seed, seed + count)
        while True:
            try:
                stacks, refused = draw(self.simulate, repeat(state.parameters(self.frame)), seeds)
            except InputError:
                if state.close <= CLOSEST:
                    raise
                refused = count
            if not refused or state.close <= CLOSEST:
                return state, stacks
            state = closer(state)


def closer(state: State) -> State:
    """Return a state of objects that need less room."""
    return replace(state, close=max(state.close - CLOSER, CLOSEST))


def simulator(dataset: str) -> Simulate:
    """Return a function that simulates labels, twice, from parameters and a seed."""
    module = import_module(f"cytosuite.datasets.{dataset}.generate")  # slow
    quiet = {"sketch": False, "companions": False} if dataset == "nuclei" else {}

    def simulate(parameters: Mapping[str, Any], seed: int) -> Stack:
        sample = module.generate(np.random.default_rng(seed), {**parameters, **quiet})
        labels = sample.volume(LABELS.slug)
        return labels, labels.array

    return simulate


def learn(
    dataset: str,
    place: Path,
    out: Path,
    *,
    rounds: int = 12,
    cases: int = 12,
    seed: int = 0,
    pattern: str = "*",
    spacing: tuple[float, ...] | None = None,
    part: Part | None = None,
    recursive: bool = False,
    say: Callable[[str], None] = lambda _: None,
    step: Callable[[int, int, str], None] = lambda *_: None,
    draw_strip: Callable[[Path, list[Stack], list[Stack]], None] | None = None,
) -> Path:
    """Fit nuclei or cells to label images, write recipe, shapes, record, table; return its path."""
    beside = out.with_name(f"{out.stem}_shapes.json")
    need_place(out, beside)
    items, images = read_labels(place, pattern, spacing, part, recursive=recursive)
    if dataset == "cells" and images[0].axes != "YX":
        raise InputError(
            f"{items[0].image}: cells stand on glass and are learned from planes (YX), found "
            f"{images[0].axes}; take nuclei, or project the labels"
        )
    reach = reach_of(images)
    real = look(images, reach)
    objects = sum(len(table["cut"]) for table in real.tables)
    say(f"{len(images)} label images, {objects} objects")
    model, frame = _shapes(dataset, place, images, real)
    done, count = counter(1), max(2 * cases, len(images))
    plain = simulator(dataset)
    states = _starts(real, frame, reach)
    few = max(rounds // TRIAL, 1)
    total = (len(states) * (few + 1) + rounds) * cases + 2 * count

    def counted(parameters: Mapping[str, Any], number: int) -> Stack:
        step(min(next(done), total), total, "fitting")
        return plain(parameters, number)

    with tempfile.TemporaryDirectory() as folder:
        frame = replace(frame, shapes=str(Path(folder) / beside.name))
        model.write(Path(frame.shapes))
        task = Task(real, reach, frame, counted, cases, seed)
        state = task.fit(_best(task, states, few, say), rounds)
        state, after = task.drawn(state, count, seed + HELD_OUT)
        before = _defaults(task, range(seed + HELD_OUT, seed + HELD_OUT + count))
    rows = compared(real, task.look(after))
    earlier = {row.name: row.distance for row in compared(real, before)} if before else {}
    named = state.parameters(replace(frame, shapes=beside.name))
    model.write(beside)
    files = [item.image for item in items]
    facts = {"folder": place.resolve().name, "files": [item.name for item in items]}
    facts |= {"sha256": digest(files, place if place.is_dir() else place.parent), "seed": seed}
    _write(dataset, out, named, facts | {"rounds": rounds}, rows, earlier)
    if draw_strip:
        draw_strip(out.with_suffix(".png"), _shown(images), _shown([own for own, _ in after]))
    for line in misplaced(rows):
        say(f"warning: poor fit: {line}")
    return out


def _shapes(
    dataset: str, place: Path, images: Sequence[Volume], real: Look
) -> tuple[ShapeModel, Frame]:
    """Return the shape model and the frame of a fit; InputError for too few whole objects."""
    first, values = images[0], real.values()
    voxels = values["size"] / np.prod(first.spacing)
    whole = int(np.count_nonzero(voxels >= LEAST_VOXELS))
    if whole < FEWEST:
        raise InputError(
            f"{place}: masks are learned from at least {FEWEST} objects of {LEAST_VOXELS} voxels "
            f"that touch no face of their image, found {whole}; give more labels"
        )
    heights = np.concatenate([table["height"] for table in real.tables])
    stretch = exp(float(np.nanmedian(heights))) if first.axes == "ZYX" else 1.0
    turn = min(2 * float(np.nanmedian(values["turn_deg"])), 90.0) if first.axes == "YX" else 90.0
    flat = (first.spacing[0] / stretch, *first.spacing[1:])
    radius = (float(np.nanmedian(voxels)) / ball(len(flat))) ** (1 / len(flat))
    order = min(max(int(radius / FINEST), 2), HIGHEST_ORDER)
    model = fit_shapes(
        (replace(own, spacing=flat) for own in images), order=order, min_voxels=LEAST_VOXELS
    )
    shape = tuple(np.median([own.shape for own in images], axis=0).astype(int).tolist())
    turn = turn if turn < ANY_DEG else 180.0
    return model, Frame(dataset, shape, first.spacing, "", stretch, turn)


def _starts(real: Look, frame: Frame, reach_um: float) -> list[State]:
    """Return a first state for each foreground that objects may lie in."""
    values, lengths = real.values(), np.multiply(frame.shape, frame.spacing)
    radii = real.radii_um * frame.stretch ** (-1 / len(lengths))
    cut = float(values["cut"].mean())
    hidden = -log(1 - min(real.cover, FULL))
    disc = (len(lengths) + 1) * real.thickness_um - reach_um  # mean depth in a disc: radius / 3
    disc = max(disc, LEAST_DISC * exp(real.level)) if isfinite(disc) else float(lengths.max())
    discs = max(hidden * float(lengths.prod()) / (ball(len(lengths)) * disc ** len(lengths)), 1.0)
    density = np.quantile(real.density, np.linspace(0, 1, STEPS + 1))
    low, high = np.quantile(real.extents, [0.1, 0.9]).clip(0.01, 1).tolist()
    margin = 1.2 * float(radii[-1]) if cut > 0 else 0.0
    start = State(
        *("image", density, radii, real.case_spread, real.shrinkage, 0.0),
        *(margin, discs, disc, (low, high)),
    )
    found = [start]
    if real.cover < FULL:
        found.append(replace(start, foreground="discs"))
    if cut < FEW_CUT and frame.dataset == "nuclei":
        found.append(replace(start, foreground="ellipsoid", margin_um=0.0))
    return found


def _best(task: Task, states: Sequence[State], rounds: int, say: Callable[[str], None]) -> State:
    """Return the state, after a few rounds, of the foreground most like the real labels."""
    found: list[tuple[float, State]] = []
    for start in states:
        try:
            state = task.fit(start, rounds)
            state, stacks = task.drawn(state, task.cases, task.seed)
        except InputError as error:
            say(f"foreground {start.foreground}: {error}")
            continue
        distance = mean_distance(compared(task.real, task.look(stacks)))
        say(f"foreground {start.foreground}: W1 / std {distance:.2f} from the real labels")
        found.append((distance * (SIMPLER if start.foreground == "image" else 1), state))
    if not found:
        raise InputError("objects lie too densely to be packed; give labels that fill less")
    return min(found, key=lambda pair: pair[0])[1]


def _defaults(task: Task, seeds: Sequence[int]) -> Look | None:
    """Return the look of the dataset's defaults in the same image, None if they find no room."""
    image = {"shape": list(task.frame.shape), "spacing_um": list(task.frame.spacing)}
    wanted = {"image": image} if task.frame.dataset == "cells" else image
    try:
        return task.look(draw(task.simulate, repeat(wanted), seeds)[0])
    except InputError:
        return None


def _shown(images: Sequence[Volume]) -> list[Stack]:
    """Return labels with a grey value for each object, for a picture."""
    return [(own.like((own.array * 67 % 191 + 64) * (own.array > 0)), own.array) for own in images]


def _write(
    dataset: str,
    out: Path,
    parameters: Mapping[str, Any],
    facts: Mapping[str, Any],
    rows: Sequence[Compared],
    earlier: Mapping[str, float],
) -> None:
    """Write the recipe, its record and its table."""
    count, poor = len(facts["files"]), misplaced(rows)
    recipe = {"dataset": dataset, "title": f"Like {facts['folder']}"}
    text = f"Learned from {count} label images ({facts['files'][0]}, ...)."
    recipe |= {"description": text, "cases": 8, "parameters": parameters}
    head = [
        f"Learned from {count} label images of {facts['folder']}: numbers, sizes and closeness in",
        "rounds of simulation; lists are quantiles. Record, table and picture lie beside.",
        *(f"Poor fit: {line}" for line in poor),
    ]
    lines = ["| property | real | simulated | W1 / std, defaults | simulated | real halves |"]
    lines.append("|---|---|---|---|---|---|")
    for row in rows:
        cells = [" / ".join(f"{v:.3g}" for v in part) for part in (row.real, row.simulated)]
        moved = (earlier.get(row.name, float("nan")), row.distance, row.floor)
        cells += [f"{value:.2f}" for value in moved]
        lines.append(f"| {row.meaning} | " + " | ".join(cells) + " |")
    table = [{**row._asdict(), "before": earlier.get(row.name)} for row in rows]
    with atomic(out) as temporary:
        temporary.write_text(to_toml(recipe, {}, head), encoding="utf-8")
    write_json(out.with_suffix(".json"), {**facts, "poor": poor, "table": for_json(table)})
    with atomic(out.with_suffix(".md")) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
