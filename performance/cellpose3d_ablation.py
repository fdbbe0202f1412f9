"""Measure the contribution of each part of Cellpose3D's inference, on annotated images.

Usage: python performance/cellpose3d_ablation.py FOLDER CARD [CARD ...]

FOLDER holds images/ and labels/, CARD is a model card of cellpose3d. Cards of networks that differ
in their seed alone show the part of chance: every figure stands once for each, in their order.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cytosuite.algorithms.cellpose3d import predict as inference
from cytosuite.algorithms.cellpose3d.fields import Fields, predict_fields
from cytosuite.datasets.folder.collect import collect
from cytosuite.datasets.folder.load import load
from cytosuite.manifest import read_card
from cytosuite.metrics.labels.ctc import det, seg
from cytosuite.metrics.labels.detection import f1_at
from cytosuite.metrics.labels.overlap import Overlap, concatenate, overlap
from cytosuite.network import Forward
from cytosuite.tasks import IMAGE, LABELS
from cytosuite.volume import Volume
from cytosuite.weights import Model, open_model

Image = NDArray[np.float32]

VARIANTS: dict[str, dict[str, Any]] = {
    "as the card says": {},
    "no threshold of the image": {"li": False},
    "and the level cut at 0.1": {"li": False, "tau": 0.1},
    "and the level cut at 0.3": {"li": False, "tau": 0.3},
    "one threshold for the whole image": {"local_weight": 0.0},
    "no level of its own for an object": {"own_weight": 0.0},
    "neither": {"local_weight": 0.0, "own_weight": 0.0},
    "nuclei as long along z as across": {"axial_elongation": 1.0},
    "any contrast": {"min_contrast": 0.0},
    "any mean level": {"min_level": 0.0},
    "any volume": {"min_volume_um3": 0.0},
}
SCORES: dict[str, Callable[[Overlap], float]] = {
    "SEG": seg.of,
    "DET": det.of,
    "F1": lambda table: f1_at(table, 50),
    "F1 at 0.75": lambda table: f1_at(table, 75),
}


class Memory:
    """Predicts fields, each once: no variant changes them."""

    def __init__(self) -> None:
        self._known: dict[bytes, Fields] = {}

    def __call__(self, image: Image, network: Forward, *options: Any) -> Fields:  # noqa: ANN401
        """Return the fields of an image."""
        key = blake2b(image.tobytes() + str(id(network)).encode()).digest()
        if key not in self._known:
            self._known[key] = predict_fields(image, network, *options)
        return self._known[key]


def scores(
    images: Mapping[str, tuple[Volume, Volume]], model: Model, changes: Mapping[str, Any]
) -> list[float]:
    """Return the pooled scores of a model with changed parameters."""
    given = {**model.card.parameters, **changes}
    changed = replace(model, card=model.card.model_copy(update={"parameters": given}))
    tables = []
    for image, labels in images.values():
        found = inference.predict({IMAGE.slug: image}, changed)[LABELS.slug]
        tables.append(overlap(labels.array, found.array))
    pooled = concatenate(tables)
    return [score(pooled) for score in SCORES.values()]


def main(folder: Path, cards: list[Path]) -> None:
    """Print a table, a row per variant."""
    images = {}
    for item in collect(folder).items:
        if LABELS.slug in item.files:
            sample = load(item)
            images[item.name] = (sample.volume(IMAGE.slug), sample.volume(LABELS.slug))
    models = []
    for path in cards:
        card = read_card(path)
        models.append(open_model(path.parent, card))
    setattr(inference, "predict_fields", Memory())  # noqa: B010 - no name that it exports
    print(f"| {len(images)} images | " + " | ".join(SCORES) + " |")
    print("|---|" + "---|" * len(SCORES))
    for name, changes in VARIANTS.items():
        rows = [scores(images, model, changes) for model in models]
        cells = [
            ", ".join(f"{value:.3f}" for value in column) for column in zip(*rows, strict=True)
        ]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
