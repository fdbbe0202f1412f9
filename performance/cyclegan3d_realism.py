"""Realism of simulated and translated volumes, and how well translations keep structure.

Usage: python performance/cyclegan3d_realism.py REAL CARD... [--judged PATTERN] [--known PATTERN]

REAL holds annotated mouse embryos, images/ and labels/: those with names like --judged were not
seen by the models, those like --known are compared with them as the floor. Naive and calibrated
volumes (recipes naive_embryo and late_embryo), of another seed than that of the models, pass each
card without its guard. Labels serve the metrics alone.
"""

import argparse
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cytosuite.algorithms.cyclegan3d.predict import predict
from cytosuite.benchmark.data.simulated import simulated
from cytosuite.datasets.folder.collect import collect
from cytosuite.datasets.folder.load import load
from cytosuite.datasets.spheroid.generate import generate
from cytosuite.manifest import read_card
from cytosuite.metrics import metrics_of
from cytosuite.metrics.evidence import Facts
from cytosuite.metrics.realism.scene import Scene
from cytosuite.tasks import IMAGE, LABELS
from cytosuite.training.images import joined, views
from cytosuite.weights import Model, open_model

SEED = 77
SHOWN = 4  # volumes of a set in the picture
RECIPES = {"naive": "spheroid/naive_embryo", "calibrated": "spheroid/late_embryo"}
REALISM = (
    *("object_similarity", "gap_similarity", "outside_similarity", "W1_by_std"),
    *("lateral_spectrum_distance", "axial_spectrum_distance", "edge_degradation"),
    *("patch_KID", "feature_distance"),
)
FIDELITY = (
    *("structure_correlation", "label_AUC_change", "edge_shift_um"),
    *("objects_lost", "objects_invented", "contrast_kept"),
)

Scenes = list[Scene]


def real_scenes(folder: Path, pattern: str) -> Scenes:
    """Return the annotated volumes with names like a pattern."""
    samples = [load(item) for item in collect(folder).items if fnmatch(item.name, pattern)]
    return [Scene(s.volume(IMAGE.slug), s.volume(LABELS.slug).array) for s in samples]


def simulated_scenes(recipe: str, cases: int) -> Scenes:
    """Return volumes of a recipe with their labels."""
    parameters = simulated(recipe, None, settings=["output.steps=false"]).parameters
    streams = np.random.SeedSequence(SEED).spawn(cases)
    samples = [generate(np.random.default_rng(stream), parameters) for stream in streams]
    return [Scene(s.sockets[IMAGE.slug], s.sockets[LABELS.slug].array) for s in samples]


def translated(scenes: Scenes, model: Model) -> Scenes:
    """Return volumes as a card translates them, without its guard."""
    card = model.card.model_copy(update={"parameters": {**model.card.parameters, "guard": "off"}})
    opened = Model(card, model.weights)
    return [
        Scene(predict({IMAGE.slug: scene.image}, opened)["enhanced-image"], scene.labels)
        for scene in scenes
    ]


def values(names: Sequence[str], facts: Facts) -> list[float]:
    """Return the values of metrics of realism."""
    known = {metric.name: metric for metric in metrics_of("realism")}
    return [known[name].of(known[name].evidence.of(facts)) for name in names]


def realism(real: Scenes, synthetic: Scenes) -> list[float]:
    """Return the values of `REALISM`."""
    sources: dict[str, Any] = {}
    for name, scenes in {"real": real, "synthetic": synthetic}.items():
        sources[f"{name}:arrays"] = partial(list, [scene.image.array for scene in scenes])
        sources[f"{name}:volumes"] = partial(list, [scene.image for scene in scenes])
        sources[f"{name}:scenes"] = partial(list, scenes)
    return values(REALISM, Facts(sources))


def fidelity(given: Scenes, made: Scenes) -> list[float]:
    """Return the means of `FIDELITY` over volumes."""
    rows = []
    for before, after in zip(given, made, strict=True):
        known = {
            "prediction": after.image.array,
            "image": before.image.array,
            "labels": before.labels,
            "spacing": before.image.spacing,
        }
        facts = Facts({name: partial(lambda value: value, part) for name, part in known.items()})
        rows.append(values(FIDELITY, facts))
    return [float(value) for value in np.nanmean(rows, 0)]


def table(names: Sequence[str], rows: Mapping[str, Sequence[float]]) -> str:
    """Return named rows of numbers as Markdown."""
    lines = [f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    lines += [f"| {row} | {' | '.join(f'{v:.3f}' for v in found)} |" for row, found in rows.items()]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables, and draw the volumes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("real", type=Path, help="annotated embryos: images/ and labels/")
    parser.add_argument("cards", type=Path, nargs="*", help="model cards of cyclegan3d")
    parser.add_argument("--judged", default="ix71_Emb05_t[345]*", help="names of the judges")
    parser.add_argument("--known", default="ix71_Emb0[12]_t[45]*", help="names of the floor")
    parser.add_argument("--cases", type=int, default=6, help="simulated volumes of each kind")
    parser.add_argument("--picture", type=Path, help="PNG file: a row per set, the real one last")
    given = parser.parse_args(arguments)
    judged = real_scenes(given.real, given.judged)
    sets = {"real, other embryos": real_scenes(given.real, given.known)}
    sources = {name: simulated_scenes(recipe, given.cases) for name, recipe in RECIPES.items()}
    sets |= sources
    kept = {}
    for path, (name, scenes) in product(given.cards, sources.items()):
        row = f"{name}, {path.stem}"
        sets[row] = translated(scenes, open_model(path.parent, read_card(path)))
        kept[row] = fidelity(scenes, sets[row])
    print(table(REALISM, {name: realism(judged, scenes) for name, scenes in sets.items()}))
    if kept:
        print("\n" + table(FIDELITY, kept))
    if given.picture:
        shown = [*sets.values(), judged]
        rows = [joined([views(s.image) for s in scenes[:SHOWN]], 1) for scenes in shown]
        Image.fromarray(joined(rows, 0)).save(given.picture)


if __name__ == "__main__":
    main()
