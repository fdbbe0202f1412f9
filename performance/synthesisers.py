"""One table of synthesisers: images that each makes of the same real labels.

Usage: python performance/synthesisers.py planes|embryos --test DIR --learn DIR --out DIR
       CARD[:STEPS]...

Folders hold images/ and labels/. Of the labels of --test each card makes images: their realism
beside the real ones, the objects that a watershed finds again, passes of the network and CPU
seconds. Of the labels of --learn it makes those that a segmenter learns from, a short training from
random weights that is the same for all, judged on the real images of --test. Real images, plain
sketches and the classical transfer are further rows; the first card gives sketches their grey
values, images of --learn the transfer its look. Realism of the real ones is the floor: halves
against halves. STEPS are those of the solver in place of the card's. Volumes are used whole: where
a voxel lies counts for some models. A row that stands in OUT is not made again. One thread.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
import torch

from cytosuite.algorithms.cellpose3d.predict import predict as segment
from cytosuite.algorithms.cellpose3d.training.train import TRAINING
from cytosuite.algorithms.cyclegan3d.style import measure_style, transfer
from cytosuite.algorithms.diffusion.predict import LABELS, MADE, predict
from cytosuite.algorithms.watershed.predict import predict as watershed
from cytosuite.contract.manifest import merged, parse, read_card
from cytosuite.contract.tasks import IMAGE
from cytosuite.contract.weights import Model, open_model
from cytosuite.errors import InputError
from cytosuite.files import read_json, read_toml, write_json
from cytosuite.folders.colours import read_grey
from cytosuite.folders.masks import read_labels
from cytosuite.formats import write
from cytosuite.metrics import f1, seg
from cytosuite.metrics.labels.overlap import concatenate, overlap
from cytosuite.metrics.labels.prepare import without_small
from cytosuite.training.heldout import facts_of_sets
from cytosuite.training.loop import train
from cytosuite.training.nuclei.cases import find_cases
from cytosuite.training.publish import ALGORITHMS
from cytosuite.training.validate import metric_named, score
from cytosuite.volume import Volume, seed_of

WEIGHTS = ALGORITHMS.parent / "weights"
SEEDS = (0, 1)  # of segmenters, of which the mean counts
HALVES = 40  # times that the real images are halved for the floor
REAL, PLAIN, CLASSICAL = "real image", "plain sketch", "classical transfer"

Make = Find = Callable[[Volume], Volume]  # labels to an image; an image to labels
Row = dict[str, Any]


class Pair(NamedTuple):
    """A real image and its labels."""

    name: str
    image: Volume
    labels: Volume


class Domain(NamedTuple):
    """A kind of images, and how they are judged."""

    test: tuple[str, int]  # pattern of names, and of these each n-th
    learn: tuple[str, int]
    metrics: tuple[str, ...]
    finder: str  # model of the watershed
    segmenter: str  # model of cellpose3d that lends its parameters
    settings: str  # of its training
    steps: int
    least: int = 0  # voxels: smaller objects are ignored


REALISM = ("W1_by_std", "lateral_spectrum_distance")
DOMAINS = {
    "planes": Domain(("*", 4), ("*", 4), REALISM, "nuclei-2d", "culture-nuclei-2d", "planes", 350),
    "embryos": Domain(
        *(("ix71_Emb05*", 1), ("ix71_Emb0[3467]_t[35]01", 1), (*REALISM, "patch_KID")),
        *("embryo-nuclei-3d", "embryo-nuclei-3d", "embryo", 250, 100),
    ),
}


def pairs(folders: Sequence[Path], chosen: tuple[str, int]) -> list[Pair]:
    """Return each n-th image of folders whose name fits, with labels of its voxel size."""
    known = [own for folder in folders for own in find_cases(folder)]
    found = [own for own in known if Path(own.name).match(chosen[0])]
    if len(found) < 2:
        raise InputError(f"{folders[0]}: expected two images like {chosen[0]}, found {len(found)}")
    items = []
    for own in sorted(found)[:: chosen[1]]:
        image = read_grey(own.image)
        items.append(Pair(own.name, image, image.like(read_labels(own.labels).array)))
    return items


def opened(text: str) -> Model:
    """Return the model CARD, or CARD:STEPS with other steps of the solver."""
    path, _, steps = text.partition(":")
    model = open_model(Path(path).parent, read_card(Path(path)))
    changes = {"process": {"steps": int(steps)}} if steps else {}
    own = merged(model.card.parameters, changes)
    return Model(model.card.model_copy(update={"parameters": own}), model.weights)


def makers(cards: Sequence[str], learn: Sequence[Pair]) -> dict[str, Make]:
    """Return the synthesisers by the names of their rows; real images are made by none."""
    models = [opened(text) for text in cards]
    own = {key: value for key, value in models[0].card.parameters.items() if key != "network"}
    bare = Model(models[0].card.model_copy(update={"parameters": own, "weights": None}))
    style = measure_style([pair.image for pair in learn])

    def made(labels: Volume, model: Model) -> Volume:
        """Return the image by a diffusion model."""
        return predict({LABELS: labels}, model)[MADE]

    def classical(labels: Volume) -> Volume:
        """Return the sketch in the look of the real images."""
        rng = np.random.default_rng(seed_of(labels))
        sketch = made(labels, bare)
        return sketch.like(transfer(sketch.array, sketch.spacing, style, rng))

    found: dict[str, Make] = {PLAIN: partial(made, model=bare), CLASSICAL: classical}
    for model in models:
        steps = model.card.parameters["process"]["steps"]
        title = f"{model.card.name}, {steps} step{'s' * (steps > 1)}"
        found[title] = partial(made, model=model)
    return found


def realism(domain: Domain, real: Sequence[Volume], made: Sequence[Volume]) -> dict[str, float]:
    """Return the distances between two sets of images."""
    metrics = [metric_named(name) for name in domain.metrics]
    return score(metrics, facts_of_sets(real, made))


def floor(domain: Domain, real: Sequence[Volume]) -> dict[str, float]:
    """Return the mean distances of random halves of the real images."""
    rng, half, found = np.random.default_rng(0), len(real) // 2, []
    for own in {frozenset(rng.permutation(len(real))[:half].tolist()) for _ in range(HALVES)}:
        sides = ([image for n, image in enumerate(real) if (n in own) == side] for side in (1, 0))
        found.append(realism(domain, *sides))
    return {name: fmean(each[name] for each in found) for name in domain.metrics}


def objects(find: Find, images: Iterable[Volume], items: Sequence[Pair], least: int) -> list[float]:
    """Return SEG and F1 of the objects that are found in images of the labels, pooled."""
    tables = []
    for image, pair in zip(images, items, strict=True):
        tables.append(overlap(*without_small(pair.labels.array, find(image).array, least)))
    return [seg.of(concatenate(tables)), f1.of(concatenate(tables))]


def finder(predictor: Callable[..., Any], card: Path) -> Find:
    """Return a model as a function from an image to labels."""
    model = open_model(card.parent, read_card(card))
    return lambda image: predictor({IMAGE.slug: image}, model)["instance-labels"]


def learned(domain: Domain, images: list[Volume], items: list[Pair], out: Path) -> list[Find]:
    """Return segmenters that were trained on images of the labels, from random weights."""
    for image, pair in zip(images, items, strict=True):
        for kind, own in (("images", image), ("labels", pair.labels)):
            write(out / "learn" / kind / f"{pair.name}.tif", own)
    path = ALGORITHMS / "cellpose3d" / "training" / f"{domain.settings}.toml"
    theirs = read_card(WEIGHTS / "cellpose3d" / f"{domain.segmenter}.json").parameters
    kept = {key: value for key, value in theirs.items() if key != "network"}
    content = merged(read_toml(path), {"card": {"parameters": kept}})
    settings = parse(path, content | {"validation": {}}, TRAINING.settings)
    settings, found = settings.with_schedule(steps=domain.steps, average=0.99), []
    for seed in SEEDS:
        own, card = settings.with_schedule(seed=seed), out / f"segmenter-{seed}.json"
        train(TRAINING, own, {"images": [out / "learn"]}, card, work=out / f"work-{seed}")
        found.append(finder(segment, card))
    return found


def row_of(domain: Domain, make: Make | None, sets: Sequence[list[Pair]], out: Path) -> Row:
    """Return a row of the table; without a synthesiser that of the real images."""
    test, learn = sets
    real = [pair.image for pair in test]
    made, lent = real, [pair.image for pair in learn]
    cost: Row = {}
    if make is not None:
        made = [make(pair.labels) for pair in test]
        begin = time.process_time()  # the first set was the warm-up
        lent = [make(pair.labels) for pair in learn]
        seconds = time.process_time() - begin
        facts = made[0].metadata
        passes = facts.get("diffusion_evaluations", 0) / facts.get("diffusion_tiles", 1)
        cost = {"passes": passes, "CPU s": 1e6 * seconds / sum(own.array.size for own in lent)}
    find = finder(watershed, WEIGHTS / "watershed" / f"{domain.finder}.json")
    away = floor(domain, real) if make is None else realism(domain, real, made)
    again = objects(find, made, test, domain.least)
    used = [objects(own, real, test, domain.least) for own in learned(domain, lent, learn, out)]
    return {"realism": away, "again": again, "used": used, **cost}


def table(domain: Domain, rows: dict[str, Row]) -> str:
    """Return the rows as Markdown."""
    head = ["images", *domain.metrics, "found again: SEG", "F1", "passes", "CPU s per Mvoxel"]
    head += ["segmenter trained on them: SEG", "F1"]
    lines = [head, ["---"] * len(head)]
    for name, row in rows.items():
        cost = [f"{row['passes']:g}", f"{row['CPU s']:.3g}"] if "passes" in row else ["", ""]
        away = [f"{row['realism'][metric]:.3f}" for metric in domain.metrics]
        again, used = row["again"], map(fmean, zip(*row["used"], strict=True))
        objects = ([f"{value:.3f}" for value in own] for own in (again, used))
        lines.append([name, *away, *next(objects), *cost, *next(objects)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> int:
    """Make the missing rows, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("domain", choices=DOMAINS)
    parser.add_argument("cards", nargs="+", metavar="CARD[:STEPS]")
    for name, number in (("test", "+"), ("learn", "+"), ("out", None)):
        parser.add_argument(f"--{name}", type=Path, required=True, nargs=number)
    given = parser.parse_args()
    torch.set_num_threads(1)
    domain = DOMAINS[given.domain]
    sets = pairs(given.test, domain.test), pairs(given.learn, domain.learn)
    rows: dict[str, Row] = {}
    for name, make in {REAL: None, **makers(given.cards, sets[1])}.items():
        out = given.out / given.domain / name.replace(", ", "-").replace(" ", "-")
        if not (out / "row.json").is_file():
            write_json(out / "row.json", row_of(domain, make, sets, out))
            print(f"{name}: done after {time.process_time():.0f} CPU s", flush=True)
        rows[name] = read_json(out / "row.json")
    print(table(domain, rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
