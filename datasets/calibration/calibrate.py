"""Calibrate a simulator to a folder of real images: a recipe, its record and a table."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import repeat
from math import isfinite
from pathlib import Path
from types import MappingProxyType
from typing import Any

import tomlkit

from cytosuite.contract.words import Say, Size
from cytosuite.datasets.calibration.compare import (
    Compared,
    as_text,
    compare,
    facts_of,
    likeness,
    poor,
)
from cytosuite.datasets.calibration.fit import (
    DrawStrip,
    draw,
    drawn_first,
    fit,
    nested,
    pace,
    simulator,
    statistics_of,
)
from cytosuite.datasets.calibration.masks import named, need_one_kind
from cytosuite.datasets.calibration.measure import Each, RealStack, Step, counted, in_turn, measure
from cytosuite.datasets.calibration.objects import segment
from cytosuite.datasets.calibration.start import start
from cytosuite.datasets.folder.load import load
from cytosuite.errors import InputError
from cytosuite.files import (
    Entries,
    Json,
    TextMap,
    TextSeq,
    digest,
    need_file,
    rounded,
    write_json,
    write_text,
)
from cytosuite.folders.index import Item, index
from cytosuite.folders.part import Part

LABELS = "instance-labels"
BESIDE = (".json", ".md", ".png")  # files with the stem of the recipe
HEAD = "Calibrated on {} stacks of {}; comments: statistics measured there,"
BESIDE_IT = "median (10 % to 90 %) over stacks. Record, table and picture lie next to this file."
AT_LIMIT = "the parameter {} is at its limit"
# Of the simulator's defaults, until one finds room in the real image.
TISSUES: tuple[Json, ...] = (
    {},
    {"n_nuclei": [10, 40]},
    {"outline": "fill", "n_nuclei": "auto"},
)
HELD_OUT = 1_000_003  # from the seeds of a fit to the seeds of the stacks that it is judged by


def to_toml(recipe: Entries, comments: TextMap, head: TextSeq) -> str:
    """Return a nested mapping as TOML with comments by dotted name; tables follow plain values."""
    lines = [*(f"# {line}\n" for line in head), "\n"] if head else []
    return "".join(lines) + tomlkit.dumps(_native(recipe, "", comments)).lstrip("\n")


def _native(value: object, name: str, comments: TextMap) -> Any:  # noqa: ANN401
    """Return a value as Python's own types with comments, tables after plain values."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        dot = "." if name else ""
        return {key: _native(part, f"{name}{dot}{key}", comments) for key, part in value.items()}
    if isinstance(value, list | tuple):
        value = [_native(part, name, {}) for part in value]
    elif not isinstance(value, str | bool | int | float):
        raise InputError(f"{name}: {value!r} has no form in TOML")
    return tomlkit.item(value).comment(comments[name]) if comments.get(name) else value


def calibrate(
    dataset: str,
    real: Path,
    out: Path,
    *,
    rounds: int = 12,
    cases: int = 12,
    seed: int = 0,
    pattern: str = "*",
    spacing: Size | None = None,
    part: Part | None = None,
    recursive: bool = False,
    data_root: Path | None = None,
    say: Say = lambda _: None,
    step: Step = lambda *_: None,
    draw_strip: DrawStrip | None = None,
    each: Each = in_turn,
    workers: int = 1,
) -> Path:
    """Fit a simulator to real images, write recipe, statistics, table, strip; return its path.

    `each` works on stacks side by side, by so many `workers`, which change no byte.
    """
    need_place(out)
    simulate = simulator(dataset)
    say(f"reading {real}")
    matching = named(
        index(real, "segment", recursive=recursive, root=data_root).items, pattern, real
    )
    # labels found by threshold are another ruler
    items = [item for item in matching if LABELS in item.files] or matching
    stacks = _stacks(items, spacing, part or Part())
    statistics = measure(stacks, each=each)
    begin = start(statistics)
    notes = [*statistics.notes, *begin.notes]
    read = digest([path for item in items for path in item.paths], real)  # files may change later
    say(f"{len(stacks)} stacks, {statistics.annotated} annotated")
    for note in notes:
        say(f"note: {note}")
    count = max(2 * cases, len(stacks))
    total = rounds * cases + 2 * count
    pace_s = pace(statistics, begin, simulate, seed)
    duration = f", {pace_s:.2g} s each: about {_duration(pace_s * total / workers)}"
    say(f"{total} stacks to simulate and measure{duration if isfinite(pace_s) else ''}")
    each = counted(each, step, total, "simulating and measuring", turns=2)
    options: Json = {"cases": cases, "seed": seed, "say": say, "each": each}
    fitted = fit(statistics, begin, simulate, rounds=rounds, **options)
    seeds = range(seed + HELD_OUT, seed + HELD_OUT + count)
    image = nested(begin.fixed)["image"]
    before = drawn_first(simulate, [{"image": image, "tissue": t} for t in TISSUES], seeds, each)
    after, refused = draw(simulate, repeat(fitted.parameters), seeds, each)
    if refused:
        say(f"note: {refused} of {count} draws from the recipe were refused; lower its gap_um")
    earlier = statistics_of(statistics, before, None, each) if before else None
    later = statistics_of(statistics, after, begin.fixed["camera.offset"], each)
    rows = compare(statistics, earlier, later)
    misses = [*poor(rows), *map(AT_LIMIT.format, fitted.limits)]
    step(total, total, "")  # refused draws were not measured
    record = {
        "folder": real.resolve().name,
        "files": [item.name for item in items],
        "sha256": read,
        "seed": seed,
        "rounds": len(fitted.misfits),
        "misfits": fitted.misfits,
        "notes": notes,
        "real": facts_of(statistics),
        "simulated": facts_of(later),
        "poor": misses,
    }
    head = [HEAD.format(len(items), record["folder"]), BESIDE_IT, *map("Note: {}".format, notes)]
    made = "Fitted to {} real stacks"
    write_recipe(out, dataset, fitted.parameters, record, made, head, rows, fitted.comments)
    if draw_strip:
        labelled = [(v, segment(v) if labels is None else labels) for v, labels in stacks]
        draw_strip(out.with_suffix(".png"), labelled, after)
    say("likeness to the real stacks: {:.2f} before, {:.2f} after".format(*likeness(rows)))
    for line in misses:
        say(f"warning: poor fit: {line}")
    return out


def need_place(out: Path, *more: Path) -> None:
    """Refuse a name that is no recipe's, or with extras that would replace other files."""
    if out.suffix != ".toml":
        raise InputError(f"{out}: a recipe ends with .toml, found {out.suffix!r}")
    for path in (out, *map(out.with_suffix, BESIDE), *more):
        need_file(path)
        if path.exists() and not out.exists():
            raise InputError(f"{path}: exists already, without {out}; name another one")


def _duration(seconds: float) -> str:
    for unit, length in (("s", 1), ("min", 60)):
        if seconds < 100 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds / 3600:.1f} h"


def _stacks(items: Sequence[Item], spacing: Size | None, part: Part) -> list[RealStack]:
    """Return the images of cases, all of one kind, with their labels."""
    stacks = []
    for item in items:
        sample = load(replace(item, part=part), spacing)
        image = sample.volume("microscopy-image")
        stacks.append((image, sample.volume(LABELS).array if LABELS in item.files else None))
        if image.axes != "ZYX" or min(image.shape) < 8:
            raise InputError(
                f"{item.image}: a calibration needs 3D stacks of at least 8 voxels along each "
                f"axis, found {image.axes} of {image.shape}"
            )
    need_one_kind(items, [image for image, _ in stacks])
    return stacks


def write_recipe(
    out: Path,
    dataset: str,
    parameters: Entries,
    record: Entries,
    made: str,
    head: TextSeq,
    rows: Sequence[Compared],
    comments: TextMap = MappingProxyType({}),
) -> None:
    """Write a recipe with a comment above it and on parameters, its record and its table."""
    recipe = {
        "dataset": dataset,
        "title": f"Like {record['folder']}",
        "description": f"{made.format(len(record['files']))} ({record['files'][0]}, ...).",
        "cases": 8,
        "parameters": parameters,
    }
    above = [*head, *(f"Poor fit: {line}" for line in record["poor"])]
    # The first, as the others may be replaced where it is there.
    write_text(
        out, to_toml(recipe, {f"parameters.{key}": text for key, text in comments.items()}, above)
    )
    table = [row._asdict() for row in rows]
    write_json(out.with_suffix(".json"), rounded({**record, "table": table}, 5))
    write_text(out.with_suffix(".md"), f"{as_text(rows)}\n")
