"""Calibrate a simulator to a folder of real images: a recipe, its record and a table."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cytosuite.errors import InputError
from cytosuite.files import atomic, digest, write_json
from cytosuite.volume import Volume
from datasets.calibration.compare import Row, as_text, compare, facts_of, mean_scores
from datasets.calibration.fit import Fit, Pair, Simulate, draw, fit, statistics_of
from datasets.calibration.measure import Statistics, measure
from datasets.calibration.simulator import simulator
from datasets.calibration.start import Start, start
from datasets.calibration.toml_text import to_toml
from datasets.calibration.unannotated import segment
from datasets.folder.collect import collect
from datasets.folder.load import load

Say = Callable[[str], None]
Stacks = list[tuple[Volume, NDArray[np.integer]]]
Draw = Callable[[Path, Stacks, Stacks], None]

LABELS = "instance-labels"
MARGIN = 0.25
HELD_OUT = 1_000_003  # seeds of the stacks that a fit is judged by, apart from those of the fit
GROWS = -0.002  # dimming per µm below which the objective is taken to be on the other side


class Real(NamedTuple):
    """The real stacks; `turned` says whether z was turned over."""

    names: list[str]
    images: list[Volume]
    labels: list[NDArray[np.integer] | None]
    digest: str
    turned: bool
    statistics: Statistics


def calibrate(
    dataset: str,
    real: Path,
    out: Path,
    *,
    rounds: int = 10,
    cases: int = 6,
    seed: int = 0,
    pattern: str = "*",
    spacing: tuple[float, ...] | None = None,
    say: Say = lambda _: None,
    draw_strip: Draw | None = None,
) -> Path:
    """Fit a simulator to a folder of real images and write the recipe.

    Parameters
    ----------
    dataset : str
        The simulator's name (``spheroid``).
    real : Path
        Folder with ``images/`` and, better, ``labels/``; the images have one voxel size.
    out : Path
        The recipe, ``.toml``. With the same stem: ``.json`` (measured statistics, digest of the
        files, table before and after), ``.md`` (the table) and ``.png`` (see `draw_strip`).
    rounds, cases, seed : int
        Number of rounds, stacks simulated in each, and the seed of all chance.
    pattern : str
        Names of the images to use, without suffix (``ix71_*``). Where some are annotated, only
        these; else objects are found by threshold in real and simulated images alike.
    spacing : tuple of float, optional
        µm per voxel (z, y, x), in place of the values in the files.
    say : callable
        Receives lines of progress.
    draw_strip : callable, optional
        Writes a picture of real above simulated stacks: path, real and simulated stacks.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    InputError
        If no image has such a name or one is not 3D, or voxel sizes differ or are not known.
    """
    if out.suffix != ".toml":
        raise InputError(f"{out}: a recipe ends with .toml, found {out.suffix!r}")
    simulate = simulator(dataset)
    found = _read(real, pattern, spacing)
    measured = found.statistics
    begin = start(measured, found.images, MARGIN)
    say(f"{len(found.names)} stacks, {measured.annotated} annotated")
    for note in (*measured.notes, *begin.notes):
        say(f"note: {note}")
    effort = {"rounds": rounds, "cases": cases, "seed": seed}
    fitted = fit(measured, begin, simulate, **effort, margin=MARGIN, say=say)
    count = max(cases, len(found.names))
    seeds = range(seed + HELD_OUT, seed + HELD_OUT + count)
    before = _defaults(simulate, begin, seeds)
    after, refused = draw(simulate, fitted.parameters, seeds)
    if refused:
        say(f"note: {refused} of {count} draws from the recipe were refused; lower its gap_um")
    earlier = statistics_of(measured, before, None) if before else None
    later = statistics_of(measured, after, begin.fixed["camera.offset"])
    rows = compare(measured, earlier, later)
    _write(dataset, real.resolve().name, out, found, begin, fitted, later, rows, seed)
    if draw_strip is not None:
        stacks = [(image, labels.array) for image, labels in after]
        draw_strip(out.with_suffix(".png"), _shown(found), stacks)
    first, last = mean_scores(rows)
    say(f"likeness to the real stacks: {first:.2f} before, {last:.2f} after")
    say(f"recipe: {out}")
    return out


def _read(folder: Path, pattern: str, spacing: tuple[float, ...] | None) -> Real:
    """Return the real stacks whose names match, light dimming along z as in a simulation."""
    items = [i for i in collect(folder).items if fnmatchcase(i.name, pattern)]
    if not items:
        raise InputError(f"{folder}: no image is named like {pattern!r}")
    annotated = [item for item in items if LABELS in item.files]
    items = annotated or items  # labels found by threshold are another ruler
    samples = [load(item, spacing) for item in items]
    images = [sample.volume("microscopy-image") for sample in samples]
    for item, image in zip(items, images, strict=True):
        if image.axes != "ZYX" or min(image.shape) < 8:
            raise InputError(
                f"{item.image}: a calibration needs 3D stacks of at least 8 voxels along each "
                f"axis, found {image.axes} of {image.shape}"
            )
        if image.spacing_is_assumed:
            raise InputError(f"{item.image}: the file gives no voxel size; give it (spacing)")
        if not np.allclose(image.spacing, images[0].spacing, rtol=0.02):
            raise InputError(
                f"{item.image}: voxels of {image.spacing} µm, those of {items[0].image.name} have "
                f"{images[0].spacing}; calibrate one kind of images at a time (pattern)"
            )
    labels = [
        sample.volume(LABELS).array if LABELS in sample.sockets else None for sample in samples
    ]
    files = [path for item in items for path in (item.image, *item.files.values())]
    measured = measure(images, labels)
    turned = measured.median("dimming") < GROWS
    if turned:
        images = [replace(image, array=image.array[::-1]) for image in images]
        labels = [None if label is None else label[::-1] for label in labels]
        measured = measure(images, labels)
        note = "light grows along z: stacks were turned over, the objective at the first plane"
        measured = replace(measured, notes=(*measured.notes, note))
    names = [item.name for item in items]
    return Real(names, images, labels, digest(files, folder), turned, measured)


def _defaults(simulate: Simulate, begin: Start, seeds: Sequence[int]) -> list[Pair]:
    """Return stacks of the simulator's defaults with the real voxels, none if these are refused."""
    image = {
        name.removeprefix("image."): value
        for name, value in begin.fixed.items()
        if name.startswith("image.")
    }
    for tissue in ({}, {"n_nuclei": [10, 40]}, {"outline": "fill", "n_nuclei": "auto"}):
        try:
            return draw(simulate, {"image": image, "tissue": tissue}, seeds)[0]
        except InputError:
            continue
    return []


def _write(
    dataset: str,
    name: str,
    out: Path,
    real: Real,
    begin: Start,
    fitted: Fit,
    later: Statistics,
    rows: Sequence[Row],
    seed: int,
) -> None:
    """Write recipe, record and table; `name` is that of the folder of real images."""
    recipe = {
        "dataset": dataset,
        "title": f"Like {name}",
        "description": f"Fitted to {len(real.names)} real stacks ({real.names[0]}, ...).",
        "cases": 8,
        "parameters": fitted.parameters,
    }
    notes = [*real.statistics.notes, *begin.notes]
    record = {
        "folder": name,
        "files": real.names,
        "sha256": real.digest,
        "turned_over": real.turned,
        "seed": seed,
        "rounds": len(fitted.misfits),
        "misfits": [
            {key: None if np.isnan(value) else value for key, value in row.items()}
            for row in fitted.misfits
        ],
        "notes": notes,
        "real": facts_of(real.statistics),
        "simulated": facts_of(later),
        "table": [row.facts() for row in rows],
    }
    head = [
        f"Calibrated on {len(real.names)} stacks of {name}; comments: what was measured there,",
        "median (10 % to 90 %) over stacks. Record, table and picture lie beside this file.",
        *(f"Note: {note}" for note in notes),
    ]
    comments = {f"parameters.{key}": text for key, text in fitted.comments.items()}
    write_json(out.with_suffix(".json"), record)
    with atomic(out.with_suffix(".md")) as temporary:
        temporary.write_text(as_text(rows) + "\n", encoding="utf-8")
    with atomic(out) as temporary:
        temporary.write_text(to_toml(recipe, comments, head), encoding="utf-8")


def _shown(real: Real) -> Stacks:
    """Return real stacks with labels, found by threshold where none are given."""
    return [
        (image, segment(image) if labels is None else labels)
        for image, labels in zip(real.images, real.labels, strict=True)
    ]
