"""How many annotated stacks outlines need: SEG by their number, of the same embryo and of others.

A model (a card without outlines) finds the nuclei of all stacks once. Every second stack of each
embryo is for the test alone; trees learn from stacks drawn among its other ones, or among those
of all other embryos, or from all of these and only their looseness from its other ones. Names and
small labels as in `embryos.py`; objects of all embryos are pooled.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import numpy as np
from annotations import Row, figure
from embryos import LEAST, NAMES, POOLED

from cytosuite.benchmark.catalog.places import ROOT
from cytosuite.benchmark.cluster.processes import processes
from cytosuite.contract.manifest import read_card
from cytosuite.contract.weights import open_model
from cytosuite.errors import InputError
from cytosuite.folders.masks import Source
from cytosuite.metrics import f1, seg
from cytosuite.metrics.labels.overlap import Overlap, concatenate, overlap
from cytosuite.metrics.labels.prepare import without_small
from cytosuite.segmentation.outline.redraw import redraw
from cytosuite.segmentation.outline.trees import Trees
from cytosuite.training.images import find_images
from cytosuite.training.outline import (
    Example,
    OutlineSettings,
    Samples,
    fitted_looseness,
    grow,
    sample,
    segmented,
)
from cytosuite.training.progress import write_rows

STARTS = ("the same embryo", "other embryos", "looseness of the same")
SETTINGS = OutlineSettings()


class Stack(NamedTuple):
    """An annotated stack, the nuclei found in it, and their samples."""

    embryo: str
    case: Example
    samples: Samples
    test: bool


def stack(place: tuple[Path, Source, bool], model: str) -> Stack:
    """Return a stack of an image, its labels, and whether it is for the test."""
    image, labels, test = place
    card = Path(model) if model.endswith(".json") else ROOT / "weights" / f"{model}.json"
    own = open_model(card.parent, read_card(card))
    volume, truth = SETTINGS.files.read(image), SETTINGS.files.labels(labels).array
    case = Example(image, volume, truth, segmented(own.card.algorithm, volume, own))
    name = NAMES.fullmatch(image.stem)
    samples = sample(case, SETTINGS.voxels, crc32(image.stem.encode()))
    return Stack(name["embryo"] if name else "", case, samples, test)


def grown(stacks: Sequence[Stack], seed: int) -> Trees:
    """Return the trees of stacks."""
    columns, inside, weight, _ = zip(*(each.samples for each in stacks), strict=True)
    known = np.concatenate(columns, 1), np.concatenate(inside), np.concatenate(weight)
    return grow(*known, SETTINGS.outline, seed)


def drawn(case: Example, trees: Trees | None, looseness: float) -> Overlap:
    """Return the overlap of an image's nuclei with true ones, drawn by trees or as found."""
    found, spacing = case.found, case.volume.spacing
    if trees is not None:
        found = redraw(found, case.volume.array, spacing, trees, looseness)
    return overlap(*without_small(case.truth, found, LEAST))


def judged(wanted: tuple[str, int, int], stacks: Sequence[Stack]) -> Row:
    """Return the scores of a start, a number of stacks and a seed, nuclei of all embryos pooled."""
    start, count, seed = wanted
    tables = []
    for embryo in sorted({each.embryo for each in stacks}):
        own, others = (
            [each for each in stacks if not each.test and (each.embryo == embryo) == same]
            for same in (True, False)
        )
        known = others if start == STARTS[1] else own
        order = np.random.default_rng(seed).permutation(len(known))[:count]
        some, looseness = [known[number] for number in order], SETTINGS.looseness
        trees = grown(others if start == STARTS[2] else some, seed) if count else None
        if trees and start == STARTS[2]:
            looseness = fitted_looseness([each.case for each in some], trees)
        tests = [each.case for each in stacks if each.test and each.embryo == embryo]
        tables += [drawn(case, trees, looseness) for case in tests]
    pooled = concatenate(tables)
    return Row(start, count, seed, 0, seg.of(pooled), f1.of(pooled))


def main() -> int:
    """Write table and figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    for name, default in (("same", "1,2,4"), ("others", "1,2,4,8,16,32"), ("seeds", "0,1")):
        parser.add_argument(f"--{name}", default=default)
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    items = [item for folder in given.data for item in find_images(folder, ["*"])]
    items = [item for item in items if item.image.name.startswith(POOLED)]
    places = sorted((item.image, item.files.get("instance-labels")) for item in items)
    tests = [(image, labels, number % 2 == 1) for number, (image, labels) in enumerate(places)]
    run = processes(given.workers)
    found = dict(run.each(partial(stack, model=given.model), tests))
    stacks = [own for _, own in sorted(found.items()) if isinstance(own, Stack)]
    if len(stacks) < len(tests):
        raise InputError(f"expected {len(tests)} stacks, found {len(stacks)}: a process was ended")
    numbers = [[*map(int, text.split(","))] for text in (given.same, given.others, given.seeds)]
    wanted = [(STARTS[1], 0, 0)]
    for start, own in zip(STARTS, (*numbers[:2], numbers[0]), strict=True):
        wanted += [(start, number, seed) for number in own for seed in numbers[2]]
    rows = []
    for row in wanted:
        rows.append(judged(row, stacks))
        write_rows(given.out / "scores.csv", [Row._fields, *([*map(str, row)] for row in rows)])
        print(rows[-1], flush=True)
    drawn = figure(rows, STARTS, "annotated stacks")
    (given.out / "scores.svg").write_text(drawn, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
