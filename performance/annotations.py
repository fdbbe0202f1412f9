"""Scores by the number of annotated images: of a model fine-tuned on them, and of random weights.

A model is trained on images drawn by its seed, the first of those of larger numbers, from a parent
or from random weights, with the parent's crops and parameters. Objects of the test folder are
pooled. Rows that stand in ``OUT/scores.csv`` are not made again; the parent is that of 0 images.
"""

import argparse
import csv
import sys
from collections.abc import Sequence
from glob import escape
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import numpy as np
import torch

from cytosuite.algorithms.cellpose3d.predict import predict
from cytosuite.algorithms.cellpose3d.training.train import TRAINING
from cytosuite.contract.manifest import merged, parse, read_card
from cytosuite.contract.tasks import IMAGE
from cytosuite.contract.weights import open_model
from cytosuite.errors import InputError
from cytosuite.figures.svg import COLOURS, Axis, axis_around, document, label, line
from cytosuite.files import read_toml
from cytosuite.folders.colours import read_grey
from cytosuite.folders.masks import read_labels
from cytosuite.folders.splits import SplitRule, Splits
from cytosuite.metrics import f1, seg
from cytosuite.metrics.labels.overlap import concatenate, overlap
from cytosuite.training.command import FINETUNE, inherited
from cytosuite.training.loop import train
from cytosuite.training.nuclei.cases import Files, find_cases
from cytosuite.training.progress import write_rows
from cytosuite.training.publish import ALGORITHMS
from cytosuite.training.settings import Validation

STARTS = {"fine-tuned": FINETUNE, "from scratch": "planes.toml"}  # settings by start
WIDTH, HEIGHT, LEFT = 520, 300, 56  # px
STYLE = "text { font: 13px sans-serif } .grid { stroke: #ddd }"


class Row(NamedTuple):
    """Scores of a model."""

    start: str
    images: int
    seed: int
    steps: int
    SEG: float
    F1: float


def trained(
    own: tuple[str, int, int, int], names: Sequence[str], given: argparse.Namespace
) -> Path:
    """Return the card of a new model: its start, number of images, seed and steps."""
    start, count, seed, steps = own
    path = ALGORITHMS / "cellpose3d" / "training" / STARTS[start]
    parent, stem = read_card(given.parent), "-".join(map(str, own)).replace(" ", "-")
    drawn = np.random.default_rng(seed).permutation(names)[:count]
    rules = [SplitRule(part="train", match=escape(name)) for name in drawn]
    rest = [SplitRule(part="test", match="*")] if count < len(names) else []
    content = merged(inherited(parent, TRAINING.settings), read_toml(path))
    kept = {key: value for key, value in parent.parameters.items() if key != "network"}
    content |= {"card": {"parameters": kept}, "validation": Validation().model_dump()}
    settings = parse(path, content, TRAINING.settings).with_schedule(steps=steps, seed=seed)
    settings = settings.with_files(splits=Splits(rules=(*rules, *rest)))
    card, work = given.out / "models" / f"{stem}.json", given.out / "work" / stem
    begin = given.parent if start == "fine-tuned" else None
    return train(TRAINING, settings, {"images": [given.train]}, card, work=work, parent=begin)


def scores(card: Path, items: Sequence[Files]) -> tuple[float, float]:
    """Return SEG and F1 of a model on images, their objects pooled."""
    model, tables = open_model(card.parent, read_card(card)), []
    for item in items:
        found = predict({IMAGE.slug: read_grey(item.image)}, model)["instance-labels"]
        tables.append(overlap(read_labels(item.labels).array, found.array))
    return seg.of(concatenate(tables)), f1.of(concatenate(tables))


def figure(rows: Sequence[Row]) -> str:
    """Return SEG by the number of images: means as lines, seeds as dots, the parent dashed."""
    counts = sorted({row.images for row in rows if row.images})
    across, up = Axis(counts[0], counts[-1], log=True), axis_around(row.SEG for row in rows)

    def place(images: float, value: float) -> tuple[str, str]:
        at = WIDTH * across.position(images), HEIGHT * (1 - up.position(value))
        return f"{at[0]:.1f}", f"{at[1]:.1f}"

    parts = [label("", f"{WIDTH / 2}", f"{HEIGHT + 42}", "annotated images")]
    parts += [label("", "-30", "-8", "SEG", "start")]
    parts += [label("", place(n, 0)[0], f"{HEIGHT + 20}", str(n)) for n in counts]
    for y, tick in ((place(1, tick)[1], tick) for tick in up.ticks()):
        parts += [line("grid", ("0", f"{WIDTH}"), (y, y)), label("", "-6", y, f"{tick:.3g}", "end")]
    ends: list[tuple[float, str]] = []  # places of the names, top first
    for colour, start in zip(COLOURS, STARTS, strict=False):
        own = [row for row in rows if row.start == start]
        seen = sorted({row.images for row in own if row.images})
        means = [place(n, fmean(row.SEG for row in own if row.images == n)) for n in seen]
        points = " ".join(map(",".join, means))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}"/>')
        (x, y), dots = means[-1], [place(row.images, row.SEG) for row in own if row.images]
        ends.append((float(y), f'x="{x}" dx="6" fill="{colour}">{start}'))
        parts += [f'<circle cx="{x}" cy="{y}" r="2.5" fill="{colour}"/>' for x, y in dots]
        for y in (place(1, row.SEG)[1] for row in own if not row.images):
            parts.append(f'<path d="M0 {y}H{WIDTH}" stroke="{colour}" stroke-dasharray="5 4"/>')
    free = 0.0
    for height, text in sorted(ends):
        parts.append(f'<text y="{max(height, free):.1f}" {text}</text>')
        free = max(height, free) + 15
    box = (LEFT + WIDTH + 100, HEIGHT + 80)
    inside = f'<g transform="translate({LEFT} 30)">{"".join(parts)}</g>'
    return document([inside], (f"{box[0]}", f"{box[1]}"), box, STYLE)


def main() -> int:
    """Make the missing rows, and write table and figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("train", "test", "parent", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    for name, default in (("numbers", "1,2,4,8,16,32,100"), ("seeds", "0,1"), ("steps", "1000")):
        parser.add_argument(f"--{name}", default=default)
    given = parser.parse_args()
    torch.set_num_threads(1)
    numbers, seeds = ([*map(int, text.split(","))] for text in (given.numbers, given.seeds))
    names, items = sorted(item.name for item in find_cases(given.train)), find_cases(given.test)
    if not 0 < min(numbers) <= max(numbers) <= len(names):
        raise InputError(f"--numbers: expected 1 to {len(names)} images of {given.train}")
    table, rows, steps = given.out / "scores.csv", list[Row](), int(given.steps)
    if table.is_file():
        with table.open(encoding="utf-8", newline="") as stream:
            for start, n, k, m, *found in [*csv.reader(stream)][1:]:
                rows.append(Row(start, int(n), int(k), int(m), *map(float, found)))
    wanted = [(start, n, seed, steps) for n in numbers for seed in seeds for start in STARTS]
    for own in [("fine-tuned", 0, 0, 0), *wanted]:
        if own not in [row[:4] for row in rows]:
            card = trained(own, names, given) if own[1] else given.parent
            rows.append(Row(*own, *scores(card, items)))
            write_rows(table, [Row._fields, *([*map(str, row)] for row in rows)])
            print(rows[-1], flush=True)
    shown = [row for row in rows if row[:4] in {("fine-tuned", 0, 0, 0), *wanted}]
    (given.out / "scores.svg").write_text(figure(shown), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
