"""Realism and fidelity of images made from labels, against steps and start of the diffusion.

Usage: python performance/diffusion_curves.py CARD REAL [--middle Z,Y,X] [--seeds 1] ...

CARD is a model card of the diffusion (.json) with a network, REAL a folder with images/ and labels/
that it has not seen. An image is made from the labels of each, for several numbers of steps from
the card's start, several starts with the card's steps, the published settings (``ddpm``, 400 steps
from 400) with the same network, and without a network (plain). Patches of both sides are drawn at
the labels. A segmenter finds the labels again in made images and, as the ceiling, in real ones;
SEG, DET and F1 are pooled over images. The realism of the row "real" is that of every second image
beside the others: the floor.

Rows go to curves.csv in --out as they are made and are found again there: after an interruption,
or with more seeds, the same command goes on where it was. curves.md and curves.png are drawn anew.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from functools import partial
from hashlib import sha256
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cyclegan3d import timed
from cyclegan3d_realism import values
from cyclegan3d_scores import scores, sums_of
from cyclegan3d_segmenters import labels_of, stacks_of
from diffusion import ended, our_work
from diffusion_figure import draw_figure
from diffusion_rows import (
    COSTS,
    FIELDS,
    PLAIN,
    PUBLISHED,
    QUALITY,
    REAL,
    REALISM,
    STARTS,
    STEPS,
    Row,
    Setting,
    mean,
    panels,
    read_rows,
    solved,
    table,
    write_rows,
)

from cytosuite.algorithms.diffusion.intensity import sketch_of_labels
from cytosuite.algorithms.diffusion.network import load
from cytosuite.algorithms.diffusion.parameters import Parameters
from cytosuite.algorithms.diffusion.predict import from_sketch
from cytosuite.algorithms.diffusion.synthesise import Conditional, Process
from cytosuite.benchmark.catalog import ROOT
from cytosuite.benchmark.claims import alone
from cytosuite.benchmark.models import named_models
from cytosuite.errors import InputError
from cytosuite.files import atomic, value_digest
from cytosuite.manifest import parameters_of, parse, read_card
from cytosuite.metrics.evidence import Facts
from cytosuite.metrics.labels.overlap import overlap
from cytosuite.metrics.realism.scene import Scene
from cytosuite.network import device, load_once
from cytosuite.volume import Volume
from cytosuite.weights import Model, open_model

SEGMENTERS = {  # cards of planes and of volumes
    "watershed": {"YX": "nuclei-2d", "ZYX": "embryo-nuclei-3d"},
    "cellpose3d": {"ZYX": "embryo-nuclei-3d"},
}

Stacks = Mapping[str, tuple[Volume, Volume]]  # image and labels by name


@dataclass(frozen=True)
class Experiment:
    """All that the rows of a table have in common.

    Parameters
    ----------
    parameters : Parameters
        Of the card, with a network.
    network : callable
        The denoiser.
    stacks : mapping
        Real images and their labels, cut to the part that is looked at.
    segmenter : Model
        Of the watershed or of cellpose3d.
    """

    parameters: Parameters
    network: Conditional
    stacks: Stacks
    segmenter: Model


def settings_of(process: Process) -> list[Setting]:
    """Return the settings that are possible with a card, cheap ones first."""
    steps = [(process.solver, n, process.start) for n in STEPS]
    starts = [(process.solver, process.steps, n) for n in STARTS]
    wanted = [solved(*each) for each in dict.fromkeys(steps + starts)]
    wanted.append(PUBLISHED)
    found = [each for each in wanted if each.steps <= each.start <= process.schedule.length]
    left_out = ", ".join(each.name for each in wanted if each not in found)
    if left_out:
        say(f"left out, more steps than there are: {left_out}")
    return [REAL, PLAIN, *sorted(found, key=lambda each: each.steps)]


def changed(parameters: Parameters, setting: Setting) -> Parameters:
    """Return the parameters of a card for a setting."""
    given = parameters.model_dump(mode="json")
    given["process"] |= {
        "solver": setting.solver,
        "steps": setting.steps,
        "t_start": setting.start,
        "signal": None,
    }
    return parse("card.parameters", given, Parameters)


def made(experiment: Experiment, setting: Setting, seed: int) -> tuple[list[Volume], list[float]]:
    """Return images that are made from labels, and values of `COSTS`."""
    network = None if setting == PLAIN else experiment.network
    parameters = experiment.parameters
    parameters = parameters if network is None else changed(parameters, setting)
    found: list[Volume] = []
    costs = np.zeros(len(COSTS))
    for number, (image, labels) in enumerate(experiment.stacks.values()):
        sketch = sketch_of_labels(labels.array)
        # Images of one seed would share their noise.
        own = seed * len(experiment.stacks) + number
        run = partial(from_sketch, image, sketch, parameters, network, own, device())
        time = timed(lambda run=run: found.append(run()))  # type: ignore[misc]
        passes = int(found[-1].metadata.get("diffusion_evaluations", 0))
        shape = (1,) * (3 - sketch.ndim) + sketch.shape
        voxels = our_work(shape, parameters).voxels if network else 0
        costs += [passes, voxels, *time]
    return found, costs.tolist()


def realism(real: Stacks, other: Stacks) -> list[float]:
    """Return the values of `REALISM` for images with labels; no kernel distance of planes."""
    if not real or not other:
        return [nan] * len(REALISM)
    sources: dict[str, Callable[[], Any]] = {}
    for side, stacks in {"real": real, "synthetic": other}.items():
        images = [as_stack(image) for image, _ in stacks.values()]
        arrays = [image.array for image in images]
        labels = [as_stack(each).array for _, each in stacks.values()]
        sources[f"{side}:arrays"] = partial(list, arrays)
        sources[f"{side}:volumes"] = partial(list, images)
        sources[f"{side}:scenes"] = partial(list, map(Scene, images, labels))
    facts = Facts(sources)
    found = values(REALISM[:2], facts)
    if any(image.axes == "YX" for image, _ in real.values()):
        return [*found, nan]
    try:
        return [*found, *values(REALISM[2:], facts)]
    except InputError as error:
        say(f"patch_KID left out: {error}")
        return [*found, nan]


def as_stack(volume: Volume) -> Volume:
    """Return a plane as a stack of one, which the metrics of spectra take."""
    if volume.axes == "ZYX":
        return volume
    return replace(volume, array=volume.array[None], axes="ZYX", spacing=(1.0, *volume.spacing))


def fidelity(images: Sequence[Volume], experiment: Experiment) -> list[float]:
    """Return the mean label AUC, then pooled SEG, DET and F1 of the segmenter."""
    brighter, sums = [], []
    for image, (_, labels) in zip(images, experiment.stacks.values(), strict=True):
        known = {
            "prediction": image.array,
            "image": sketch_of_labels(labels.array),
            "labels": labels.array,
            "spacing": image.spacing,
        }
        facts = Facts({name: partial(lambda value: value, part) for name, part in known.items()})
        brighter += values(["label_AUC"], facts)
        found = labels_of(image, experiment.segmenter)
        sums.append(sums_of(overlap(labels.array, found)))
    return [mean(brighter), *scores(np.array(sums)).tolist()]


def measured(experiment: Experiment, setting: Setting, seed: int) -> dict[str, float]:
    """Return quality and costs of a setting, by `FIELDS`."""
    stacks = experiment.stacks
    if setting == REAL:
        every = list(stacks.items())
        images, costs = [image for image, _ in stacks.values()], [0.0] * len(COSTS)
        found = realism(dict(every[::2]), dict(every[1::2]))
    else:
        images, costs = made(experiment, setting, seed)
        pairs = zip(images, (labels for _, labels in stacks.values()), strict=True)
        found = realism(stacks, dict(zip(stacks, pairs, strict=True)))
    quality = [*found, *fidelity(images, experiment)]
    return dict(zip((*QUALITY, *COSTS), (*quality, *costs), strict=True))


def completed(experiment: Experiment, path: Path, key: str, seeds: int) -> list[Row]:
    """Return the rows of an experiment, measured where they are missing, and keep all in a file."""
    rows = read_rows(path)
    known = {(row["key"], row["setting"], row["seed"]) for row in rows}
    settings = settings_of(experiment.parameters.process)
    for setting in settings:
        for seed in range(1 if setting == REAL else seeds):
            if (key, setting.name, str(seed)) in known:
                continue
            say(f"{setting.name}, seed {seed}")
            fixed = (key, setting.name, *setting[1:], seed, len(experiment.stacks))
            found = measured(experiment, setting, seed)
            texts = [*map(str, fixed), *(f"{value:.6g}" for value in found.values())]
            rows.append(dict(zip(FIELDS, texts, strict=True)))
            write_rows(path, rows)
    order = {setting.name: number for number, setting in enumerate(settings)}
    wanted = [r for r in rows if r["key"] == key and r["setting"] in order]
    wanted = [r for r in wanted if int(r["seed"]) < seeds]
    return sorted(wanted, key=lambda row: (order[row["setting"]], int(row["seed"])))


def cut(stacks: Stacks, patterns: Sequence[str], middle: Sequence[int], axes: str) -> Stacks:
    """Return the middle of the images with names like a pattern.

    Parameters
    ----------
    stacks : mapping
        Images and labels.
    patterns : sequence of str
        Of names.
    middle : sequence of int
        Most voxels along the last axes; none for whole images.
    axes : {"ZYX", "YX"}
        That the images must have.
    """
    found = {}
    for name, (image, labels) in stacks.items():
        if not any(fnmatch(name, pattern) for pattern in patterns):
            continue
        if image.axes != axes:
            raise InputError(
                f"{name}: expected the axes {axes} of the card, found {image.axes}; choose images "
                "with --names"
            )
        most = [*image.shape, *middle][-len(axes) :] if middle else image.shape
        low = [max(0, n - size) // 2 for n, size in zip(image.shape, most, strict=True)]
        box = tuple(slice(a, a + size) for a, size in zip(low, most, strict=True))
        found[name] = tuple(replace(each, array=each.array[box]) for each in (image, labels))
    if not found:
        raise InputError(f"expected names like {', '.join(patterns)}, found {', '.join(stacks)}")
    return found  # type: ignore[return-value]


def opened(path: Path) -> Model:
    """Return the model of a card."""
    if not path.is_file():
        raise InputError(f"{path}: no such model card; expected <name>.json")
    return open_model(path.parent, read_card(path))


def segmenter_of(algorithm: str, name: str | None, axes: str) -> Model:
    """Return the model that finds labels, by default one for images of the axes."""
    name = name or SEGMENTERS[algorithm].get(axes)
    if name is None:
        raise InputError(f"--segmenter {algorithm}: it has no model for {axes}; choose another")
    return opened(named_models(name, [algorithm])[algorithm])


def say(text: str) -> None:
    """Print a line of progress."""
    print(f"  {text}", file=sys.stderr, flush=True)


def numbers(text: str) -> tuple[int, ...]:
    """Return 2 or 3 positive numbers between commas."""
    found = tuple(int(part) for part in text.split(","))
    if len(found) not in (2, 3) or min(found) < 1:
        raise ValueError(text)
    return found


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    found = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    found.add_argument("card", type=Path, help="model card with a network (.json)")
    found.add_argument("real", type=Path, help="images/ and labels/ that it has not seen")
    found.add_argument("--names", action="append", help="pattern of names without suffix")
    found.add_argument("--middle", type=numbers, default=(), help="most voxels: Z,Y,X or Y,X")
    found.add_argument("--seeds", type=int, default=1)
    found.add_argument("--segmenter", choices=list(SEGMENTERS), default="watershed")
    found.add_argument("--segmenter-model", help="name or path of its card")
    found.add_argument("--threads", type=int, default=1)
    found.add_argument("--out", type=Path, help="folder; runs/diffusion_curves/<card> without it")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is missing, print the table, draw the figure."""
    given = parser().parse_args(arguments)
    if min(given.seeds, given.threads) < 1:
        raise InputError("--seeds and --threads: expected at least 1; give larger numbers")
    torch.set_num_threads(given.threads)
    model = opened(given.card)
    if (other := model.card.algorithm) != "diffusion":
        raise InputError(f"{given.card}: expected a card of diffusion, found one of {other}")
    parameters = parameters_of(model.card, Parameters)
    if parameters.network is None:
        raise InputError(f"{given.card}: expected a card with a network, found none; train one")
    axes = "ZYX" if parameters.network.dimensions == 3 else "YX"
    stacks = cut(stacks_of(given.real), given.names or ["*"], given.middle, axes)
    segmenter = segmenter_of(given.segmenter, given.segmenter_model, axes)
    network = load_once(model, parameters.network.model_dump(mode="json"), load)
    experiment = Experiment(parameters, network, stacks, segmenter)
    cards = [each.card.model_dump(mode="json") for each in (model, segmenter)]
    key = value_digest([cards, [digest_of(*pair) for pair in stacks.values()]])[:16]
    out = given.out or ROOT / "runs" / "diffusion_curves" / model.card.name
    with alone(out):
        rows = completed(experiment, out / "curves.csv", key, given.seeds)
        text = f"{len(stacks)} images, {given.seeds} seeds, labels found by {given.segmenter} "
        text += f"({segmenter.card.name}); costs per image\n\n{table(rows)}\n"
        with atomic(out / "curves.md") as temporary:
            temporary.write_text(text, encoding="utf-8")
        draw_figure(panels(rows, parameters.process), out / "curves.png")
    print(text)


def digest_of(image: Volume, labels: Volume) -> str:
    """Return a digest of an image with its labels."""
    parts = [str((each.spacing, each.shape, each.array.dtype)) for each in (image, labels)]
    return value_digest([*parts, *(sha256(e.array.tobytes()).hexdigest() for e in (image, labels))])


if __name__ == "__main__":
    sys.exit(ended(main))
