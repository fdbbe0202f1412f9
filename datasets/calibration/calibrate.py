"""From a folder of real images to a recipe of a simulator, with a record and a picture."""

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
from datasets.calibration.compare import as_text, compare, facts_of, mean_scores
from datasets.calibration.fit import Fit, Simulate, draw, fit
from datasets.calibration.measure import Statistics, measure
from datasets.calibration.picture import strip
from datasets.calibration.simulator import simulator
from datasets.calibration.start import Start, start
from datasets.calibration.toml_text import to_toml
from datasets.calibration.unannotated import segment
from datasets.folder.collect import collect
from datasets.folder.load import load

Say = Callable[[str], None]
Stacks = list[tuple[Volume, NDArray[np.integer]]]
Drawn = tuple[list[tuple[Volume, Volume]], int]

LABELS = "instance-labels"
MARGIN = 0.25
HELD_OUT = 1_000_003  # seeds of the stacks that a fit is judged by, apart from those of the fit
GROWS = -0.002  # dimming per µm below which the objective is taken to be on the other side


class Real(NamedTuple):
    """Real stacks: names, images, given labels, digest of the files, and whether z is turned."""

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
) -> Path:
    """Fit a simulator to a folder of real images and write the recipe.

    Parameters
    ----------
    dataset : str
        The simulator's name (``spheroid``).
    real : Path
        Folder with ``images/`` and, better, ``labels/``; the images have one voxel size.
    out : Path
        The recipe, ``.toml``. Beside it: ``.json``, what was measured, digest of the files, table
        before and after; ``.md``, the table; ``.png``, real above simulated.
    rounds, cases, seed : int
        How often parameters are changed, stacks simulated each time, and the seed of all chance.
    pattern : str
        Which images count, by name without suffix (``ix71_*``). With some annotated, only these;
        with none, objects are found by threshold in real and simulated images alike.
    spacing : tuple of float, optional
        µm per voxel (z, y, x), in place of what the files say.
    say : callable
        Told how it goes.

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
    _introduce(found, begin, say)
    effort = {"rounds": rounds, "cases": cases, "seed": seed}
    fitted = fit(measured, begin, simulate, **effort, margin=MARGIN, say=say)
    count = max(cases, len(found.names))
    seeds = range(seed + HELD_OUT, seed + HELD_OUT + count)
    before, after = _defaults(simulate, begin, seeds), draw(simulate, fitted.parameters, seeds)
    if after[1]:
        say(f"note: {after[1]} of {count} draws from the recipe were refused; lower its gap_um")
    return _write(
        dataset, real, out, found, begin, fitted, _plain(before), _plain(after), seed, say
    )


def _introduce(real: Real, begin: Start, say: Say) -> None:
    """Say what a fit works with."""
    say(f"{len(real.names)} stacks, {real.statistics.annotated} annotated")
    for note in (*real.statistics.notes, *begin.notes):
        say(f"note: {note}")


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


def _defaults(simulate: Simulate, begin: Start, seeds: Sequence[int]) -> Drawn:
    """Return stacks of the simulator's defaults with the real voxels, none if these are refused."""
    image = {
        name.removeprefix("image."): value
        for name, value in begin.fixed.items()
        if name.startswith("image.")
    }
    for tissue in ({}, {"n_nuclei": [10, 40]}, {"outline": "fill", "n_nuclei": "auto"}):
        try:
            return draw(simulate, {"image": image, "tissue": tissue}, seeds)
        except InputError:
            continue
    return [], len(seeds)


def _plain(drawn: Drawn) -> Stacks:
    """Return stacks with their labels as arrays."""
    return [(image, labels.array) for image, labels in drawn[0]]


def _measured(stacks: Stacks, annotated: int, dark: float | None = None) -> Statistics:
    """Return the statistics of simulated stacks, by their labels if the real ones have any."""
    labels = [labels for _, labels in stacks] if annotated else None
    return measure([image for image, _ in stacks], labels, dark=dark)


def _write(
    dataset: str,
    folder: Path,
    out: Path,
    real: Real,
    begin: Start,
    fitted: Fit,
    before: Stacks,
    after: Stacks,
    seed: int,
    say: Say,
) -> Path:
    """Write recipe, record, table and picture."""
    earlier = _measured(before, real.statistics.annotated) if before else None
    later = _measured(after, real.statistics.annotated, begin.fixed["camera.offset"])
    rows = compare(real.statistics, earlier, later)
    first, last = mean_scores(rows)
    name = folder.resolve().name
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
    strip(out.with_suffix(".png"), _shown(real), after)
    write_json(out.with_suffix(".json"), record)
    with atomic(out.with_suffix(".md")) as temporary:
        temporary.write_text(as_text(rows) + "\n", encoding="utf-8")
    with atomic(out) as temporary:
        temporary.write_text(to_toml(recipe, comments, head), encoding="utf-8")
    say(f"likeness to the real stacks: {first:.2f} before, {last:.2f} after")
    say(f"recipe: {out}")
    return out


def _shown(real: Real) -> Sequence[tuple[Volume, NDArray[np.integer]]]:
    """Return real stacks with labels, found by threshold where none are given."""
    return [
        (image, segment(image) if labels is None else labels)
        for image, labels in zip(real.images, real.labels, strict=True)
    ]
