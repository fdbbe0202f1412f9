"""Train cellpose3d on naive, calibrated and enhanced volumes, and score it on real ones.

Usage: python performance/cyclegan3d_segmenters.py REAL [--only ARM] [--seeds 2] [--steps 1200] ...

REAL holds the annotated mouse embryos, images/ and labels/. All arms have the same arrangement of
nuclei (--recipe), the same number of volumes, the same network, settings and steps, and all but
"calibrated, new cameras" train on finished images. They differ in the light alone:

    naive                       optics and camera of the simulator's defaults
    calibrated                  those of the recipe
    enhanced                    calibrated, through cyclegan3d
    calibrated + enhanced       half of the volumes each
    naive, enhanced             naive, through cyclegan3d
    naive, transfer             naive, through the classical transfer
    calibrated, new cameras     light before the camera; each patch gets a camera and stray light
    real, other embryos         the networks of "calibrated", fine-tuned on annotated embryos: a
                                ceiling, as each embryo is judged by a network that has not seen it

"alone": the network's level decides on the foreground; "with threshold": the image's own threshold
as well. All other parameters of the inference are those of embryo-nuclei-3d. The level at which
nuclei end is chosen on simulated volumes of the arm that are kept out of training, of calibrated
ones for embryo-nuclei-3d alone; for fine-tuned networks on the volumes of their training.

Datasets, models, levels and labels stay in --work and are found again by all that made them: after
an interruption, or with further arms and seeds, the same command goes on where it was.
"""

import argparse
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from cellpose3d_ablation import Memory
from cyclegan3d_arms import (
    ARMS,
    CHAIN,
    CHAINED,
    Stack,
    lay_out,
    lay_out_real,
    parameters_of,
    taking_turns,
)
from cyclegan3d_scores import (
    Found,
    groups_of,
    results_of,
    scores,
    sums_of,
    table_of_differences,
    table_of_scores,
    write_rows,
)
from numpy.typing import NDArray
from rich.console import Console

from cytosuite.algorithms.cellpose3d import predict as cellpose3d
from cytosuite.algorithms.watershed import predict as watershed
from cytosuite.benchmark.catalog import ROOT, recipes
from cytosuite.benchmark.commands.data import make, start_engine
from cytosuite.benchmark.commands.options import DataOptions, RunOptions
from cytosuite.benchmark.data.dataset import Dataset
from cytosuite.benchmark.data.recipe import recipe
from cytosuite.benchmark.models import named_models
from cytosuite.datasets.calibration.toml_text import to_toml
from cytosuite.datasets.folder.collect import collect
from cytosuite.datasets.folder.load import load
from cytosuite.errors import InputError
from cytosuite.files import atomic, read_json, read_toml, value_digest, write_json
from cytosuite.formats import read, write
from cytosuite.manifest import read_card
from cytosuite.metrics.labels.overlap import overlap
from cytosuite.tasks import IMAGE, LABELS
from cytosuite.volume import Volume
from cytosuite.weights import Model, open_model

SHIPPED, TRANSFER = "embryo-nuclei-3d", "ix71-style-3d"
SIMULATION_SEED = 100
SMOKE_EVERY = 5  # volume that is segmented to try the experiment
HELD = 6  # volumes of each arm that choose the level
TAUS = (0.005, 0.015, 0.03, 0.06, 0.1, 0.2, 0.3, 0.4, 0.5)
VARIANTS = {"alone": False, "with threshold": True}
SMALLEST = (100, 0)  # voxels of a judged object

CEILING = "real, other embryos"
FOLDS = (("ix71_Emb01", "ix71_Emb02", "cv1000"), ("ix71_Emb05", "ix71_Emb10"))
TUNING = {"--learning-rate": 1e-3}


@dataclass(frozen=True)
class Options:
    """Size of the experiment, and its folder."""

    work: Path
    recipe: str
    enhancer: str | None = None  # name or card of the model of cyclegan3d; chosen without it
    volumes: int = 96
    held: int = HELD
    steps: int = 1200
    tuned: int = 400  # steps on real volumes
    seeds: int = 2
    threads: int = 1
    taus: tuple[float, ...] = TAUS
    target: str = "level"


def say(text: str) -> None:
    """Print a line of progress."""
    print(f"  {text}", file=sys.stderr, flush=True)


def dataset_of(name: str, options: Options) -> Dataset:
    """Return the volumes of a set, made where they are missing."""
    path = options.work / "recipes" / f"{name}.toml"
    given = read_toml(recipes().get(options.recipe, Path(options.recipe)))
    with atomic(path) as temporary:
        temporary.write_text(
            to_toml(parameters_of(given, name, options.volumes + options.held)), encoding="utf-8"
        )
    data = DataOptions(
        dataset=str(path), seed=SIMULATION_SEED, workers=options.threads, runs=options.work
    )
    made, run = recipe(data.request()), RunOptions(engine="process")
    console, engine = Console(stderr=True), None
    if made.through:
        chosen = TRANSFER if name.endswith("transfer") else options.enhancer
        engine = start_engine(run, made.through, console, named_models(chosen, [CHAIN]))
    return make(made, data, run, engine, console)


def settings_of(options: Options) -> Path:
    """Return the settings of all trainings: the shipped ones, its parameters for the card."""
    given = read_toml(ROOT / "algorithms" / "cellpose3d" / "training" / "embryo.toml")
    shipped = read_card(ROOT / "weights" / "cellpose3d" / f"{SHIPPED}.json")
    kept = {key: value for key, value in shipped.parameters.items() if key != "network"}
    path = options.work / "settings.toml"
    with atomic(path) as temporary:
        text = to_toml({**given, "validation": {"every": 0}, "card": {"parameters": kept}})
        temporary.write_text(text, encoding="utf-8")
    return path


def trained(
    name: str, folder: Path, seed: int, options: Options, parent: Path | None = None
) -> Model:
    """Return the model of an arm and seed, trained or fine-tuned where it is missing."""
    home = options.work / "weights"
    card = home / f"{name}.json"
    if not card.is_file():
        words = {
            "--data": folder,
            "--name": name,
            "--out": home,
            "--work": options.work / "training" / name,
            "--settings": settings_of(options),
            "--steps": options.tuned if parent else options.steps,
            "--seed": seed,
            "--threads": options.threads,
            **({"--from": parent, **TUNING} if parent else {}),
        }
        command = [sys.executable, "-m", "cytosuite.training.command", "cellpose3d"]
        said = [str(word) for pair in words.items() for word in pair]
        subprocess.run([*command, *said], check=True, stdout=2)  # progress, no table
    return open_model(home, read_card(card))


def with_parameters(model: Model, **changes: Any) -> Model:  # noqa: ANN401 - as in the card
    """Return a model whose card has other parameters."""
    given = {**model.card.parameters, **changes}
    return replace(model, card=model.card.model_copy(update={"parameters": given}))


def labels_of(image: Volume, model: Model) -> NDArray[Any]:
    """Return the labels that a model of cellpose3d or the watershed finds."""
    algorithm = watershed if model.card.algorithm == "watershed" else cellpose3d
    found: NDArray[Any] = algorithm.predict({IMAGE.slug: image}, model)[LABELS.slug].array
    return found


def level_for(model: Model, held: Sequence[Stack], li: bool, taus: Sequence[float]) -> float:
    """Return the level with the best SEG on simulated volumes kept out of training."""
    found = {}
    for tau in taus:
        changed = with_parameters(model, li=li, tau=tau)
        sums = sum(
            sums_of(overlap(truth.array, labels_of(image, changed))) for image, truth in held
        )
        found[tau] = scores(np.asarray(sums)[None])[0]
    return max(found, key=lambda tau: found[tau])


def segmented(
    name: str, model: Model, real: Mapping[str, Stack], held: Sequence[Stack], options: Options
) -> dict[str, dict[str, NDArray[Any]]]:
    """Return the labels of real volumes by variant, found where they are missing.

    The shipped model keeps its own level with the threshold, the watershed has one variant only.
    """
    home = options.work / "labels" / name
    choice = home / "levels.json"
    levels = read_json(choice) if choice.is_file() else {}
    # No variant changes the fields; of one model they take some 400 MB.
    setattr(cellpose3d, "predict_fields", Memory())  # noqa: B010 - no name that it exports
    classical = model.card.algorithm == "watershed"
    found: dict[str, dict[str, NDArray[Any]]] = {}
    for variant, li in VARIANTS.items() if not classical else [("with threshold", True)]:
        if not classical and variant not in levels:
            keeps = model.card.name == SHIPPED and li
            own = model.card.parameters["tau"]
            levels[variant] = own if keeps else level_for(model, held, li, options.taus)
            write_json(choice, levels)
            say(f"{name}, {variant}: level {levels[variant]}")
        chosen = model if classical else with_parameters(model, li=li, tau=levels[variant])
        found[variant] = {}
        for volume, (image, _) in real.items():
            path = home / variant.replace(" ", "-") / f"{volume}.tif"
            if not path.is_file():
                write(path, image.like(labels_of(image, chosen)))
            found[variant][volume] = read(path).array
    return found


def stacks_of(folder: Path) -> dict[str, Stack]:
    """Return the annotated volumes of a folder by name."""
    samples = {item.name: load(item) for item in collect(folder).items if LABELS.slug in item.files}
    if not samples:
        raise InputError(f"{folder}: expected images/ and labels/, found no annotated volume")
    return {name: (s.volume(IMAGE.slug), s.volume(LABELS.slug)) for name, s in samples.items()}


def networks_of(name: str, options: Options) -> tuple[list[Model], list[Stack]]:
    """Return the networks of an arm, by seed, and simulated volumes that they have not seen."""
    arm = ARMS[name]
    say(f"{name}: data")
    datasets = [dataset_of(each, options) for each in arm.sets]
    cases = taking_turns(datasets)
    made_of = [each.fingerprint for each in datasets]
    settings = settings_of(options).read_text(encoding="utf-8")
    key = value_digest([made_of, arm, options.volumes, options.steps, options.target, settings])
    slug = "".join(c if c.isalnum() else "-" for c in name).replace("--", "-").replace("--", "-")
    folder = options.work / "folders" / f"{slug}-{key[:8]}"
    lay_out(cases[: options.volumes], arm, folder, options.target)
    kept = cases[options.volumes :]
    held = [(read(case.path(IMAGE.slug)), read(case.path(LABELS.slug))) for case in kept]
    models = []
    for seed in range(options.seeds):
        say(f"{name}: seed {seed}")
        models.append(trained(f"{folder.name}-{seed}", folder, seed, options))
    return models, held


def arm_of(name: str, real: Mapping[str, Stack], options: Options) -> Found:
    """Return the labels that the networks of an arm find, by seed and variant."""
    models, held = networks_of(name, options)
    return {
        (name, seed): segmented(model.card.name, model, real, held, options)
        for seed, model in enumerate(models)
    }


def ceiling(real: Mapping[str, Stack], options: Options) -> Found:
    """Return the labels that networks find in embryos like those that they were fine-tuned on."""
    found: Found = {}
    for seed, parent in enumerate(networks_of("calibrated", options)[0]):
        labels: dict[str, dict[str, NDArray[Any]]] = {variant: {} for variant in VARIANTS}
        for number, judged in enumerate(FOLDS):
            seen = {name: pair for name, pair in real.items() if not name.startswith(judged)}
            rest = {name: real[name] for name in real.keys() - seen.keys()}
            name = f"real-{number}-{value_digest([sorted(seen), options.tuned, TUNING])[:8]}"
            folder = options.work / "folders" / name
            lay_out_real(seen, folder)
            card = options.work / "weights" / f"{parent.card.name}.json"
            model = trained(f"{name}-{parent.card.name}", folder, seed, options, card)
            held = list(seen.values())
            for variant, part in segmented(model.card.name, model, rest, held, options).items():
                labels[variant] |= part
        found[CEILING, seed] = labels
    return found


def references(real: Mapping[str, Stack], options: Options) -> Found:
    """Return the labels of the watershed and of the shipped model."""
    made = dataset_of("calibrated", options)
    cases = made.cases[options.volumes :]
    held = [(read(case.path(IMAGE.slug)), read(case.path(LABELS.slug))) for case in cases]
    found: Found = {}
    for algorithm, shown in (("watershed", "watershed"), ("cellpose3d", SHIPPED)):
        home = ROOT / "weights" / algorithm
        model = open_model(home, read_card(home / f"{SHIPPED}.json"))
        key = value_digest([model.card.model_dump(mode="json"), made.fingerprint])[:8]
        found[shown, 0] = segmented(f"{algorithm}-{key}", model, real, held, options)
    return found


def available(named: Sequence[str]) -> list[str]:
    """Return the arms that are wanted: those named, or all for which there is a model."""
    if named:
        return list(named)
    enhancer = any((ROOT / "weights" / CHAIN).glob("*.json"))
    chained = {n for n, arm in ARMS.items() if any(s.endswith(CHAINED) for s in arm.sets)}
    left_out = [name for name in ARMS if name in chained and not enhancer]
    if left_out:
        say(f"left out, since weights/{CHAIN} has no model: {'; '.join(left_out)}")
    return [*(name for name in ARMS if name not in left_out), CEILING]


def options_from(given: argparse.Namespace) -> Options:
    """Return the options of a command line."""
    kept = {name: getattr(given, name) for name in ("recipe", "enhancer", "threads", "target")}
    options = Options(given.work.resolve(), **kept)
    if given.smoke:
        return replace(options, volumes=4, held=1, steps=4, tuned=2, seeds=1, taus=(0.015, 0.1))
    return replace(options, volumes=given.volumes, steps=given.steps, seeds=given.seeds)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    found = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    found.add_argument("real", type=Path, help="annotated embryos: images/ and labels/")
    found.add_argument("--work", type=Path, default=ROOT / "runs" / "segmenters")
    found.add_argument("--only", action="append", default=[], choices=[*ARMS, CEILING], help="arm")
    found.add_argument("--seeds", type=int, default=2)
    found.add_argument("--steps", type=int, default=1200)
    found.add_argument("--volumes", type=int, default=96)
    found.add_argument("--threads", type=int, default=1)
    found.add_argument("--recipe", default="spheroid/late_embryo", help="gives the arrangement")
    found.add_argument("--enhancer", help="name or card of a model of cyclegan3d")
    found.add_argument("--target", choices=("level", "labels"), default="level")
    found.add_argument("--smoke", action="store_true", help="a few steps and volumes, to try it")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables, and write the rows."""
    given = parser().parse_args(arguments)
    options, real = options_from(given), stacks_of(given.real)
    if given.smoke:
        real = dict(list(real.items())[::SMOKE_EVERY])
    found = references(real, options)
    for arm in available(given.only):
        found |= ceiling(real, options) if arm == CEILING else arm_of(arm, real, options)
    truth = {name: labels.array for name, (_, labels) in real.items()}
    results = {smallest: results_of(found, truth, smallest) for smallest in SMALLEST}
    groups = groups_of(list(real))
    for smallest, rows in results.items():
        objects = int(next(iter(rows.values()))[0, :, 0, 1].sum())
        print(f"\n{len(real)} volumes, {objects} objects of {smallest} voxels and more\n")
        print("\n".join([*table_of_scores(rows, groups), "", *table_of_differences(rows, groups)]))
    write_rows(options.work / "scores.csv", results, list(real))


if __name__ == "__main__":
    main()
