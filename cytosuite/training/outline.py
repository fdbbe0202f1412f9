"""Fit of a model's outlines, trees or their looseness alone, to annotated images."""

import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import Field
from safetensors.numpy import load_file
from safetensors.numpy import save as packed

from cytosuite.contract.manifest import Count, Described, NotNegative, Whole, read_card
from cytosuite.contract.tasks import IMAGE, LABELS
from cytosuite.contract.weights import Model, open_model, user, write_model
from cytosuite.contract.words import Say
from cytosuite.errors import InputError
from cytosuite.files import FloatDict, IntPair, Json
from cytosuite.metrics.evidence import Facts
from cytosuite.metrics.labels.overlap import overlap
from cytosuite.segmentation.defects import upright
from cytosuite.segmentation.outline import KEY, PREFIX
from cytosuite.segmentation.outline.features import COLUMNS, look, measure
from cytosuite.segmentation.outline.redraw import Trees, redraw
from cytosuite.training.heldout import HeldOut, program
from cytosuite.training.progress import listed
from cytosuite.training.publish import rounded, title
from cytosuite.training.settings import FileSettings, Validation
from cytosuite.training.validate import divided, hold_out, score, wanted_metrics
from cytosuite.volume import Volume
from cytosuite.volume.arrays import Array, Bools, Bytes, Floats, Longs

_SHRINKAGE = 1.0  # added to the curvature of a leaf: one of few samples moves little
_SEEN = 100_000  # samples from which thresholds are taken


class Growth(Described):
    """Settings of the trees."""

    trees: int = Field(40, ge=0, le=1000)  # number of trees; 0 keeps the parent's
    depth: int = Field(6, ge=1, le=8)  # questions of a tree
    rate: float = Field(0.25, gt=0, le=1)  # part of a tree's answer that counts
    bins: int = Field(32, ge=2, le=256)  # parts of equal number of a column's values
    share: float = Field(0.4, gt=0, le=1)  # of the samples, drawn for each tree


def grow(columns: Floats, inside: Bools, weight: Floats, growth: Growth, seed: int) -> Trees:
    """Return trees for the log odds of `inside` (N,), by columns (F, N) and weights (N,).

    Second-order boosting of the logistic loss: Chen and Guestrin, KDD (2016) 785,
    doi:10.1145/2939672.2939785, equations 5 to 7.
    """
    rng = np.random.default_rng(seed)
    count = inside.size
    seen = rng.choice(count, min(count, _SEEN), replace=False)
    inner = np.linspace(0, 1, growth.bins + 1)[1:-1]
    edges = [np.unique(np.quantile(values[seen], inner).astype(np.float32)) for values in columns]
    bins = np.stack(
        [np.searchsorted(e, v).astype(np.uint8) for e, v in zip(edges, columns, strict=True)]
    )
    share = np.clip(np.average(inside, weights=weight), 1e-3, 1 - 1e-3)
    start = np.float32(np.log(share / (1 - share)))
    odds = np.full(count, start, np.float32)
    truth = inside.astype(np.float32)
    shape = (growth.trees, growth.depth)
    feature = np.zeros(shape, np.int32)
    threshold = np.zeros(shape, np.float32)
    value = np.zeros((growth.trees, 2**growth.depth), np.float32)
    for tree in range(growth.trees):
        some = np.flatnonzero(rng.random(count) < growth.share)
        sure = 1 / (1 + np.exp(-odds[some]))
        slope, bend = (
            np.asarray(weight[some] * change, np.float32)
            for change in (sure - truth[some], sure * (1 - sure))
        )
        few = bins[:, some]
        leaf = np.zeros(some.size, np.int64)
        for depth in range(growth.depth):
            column, at = _best(few, leaf << 8, slope, bend, [edge.size for edge in edges])
            feature[tree, depth], threshold[tree, depth] = column, edges[column][at]
            leaf |= (few[column] > at).astype(np.int64) << depth
        size = 2**growth.depth
        value[tree] = -growth.rate * np.bincount(leaf, slope, size)
        value[tree] /= np.bincount(leaf, bend, size) + _SHRINKAGE
        part = slice(tree, tree + 1)
        grown = Trees(feature[part], threshold[part], value[part], np.zeros(1, np.float32))
        odds += grown.odds(columns)
    return Trees(feature, threshold, value, np.array([start], np.float32))


def _best(
    bins: Bytes,
    leaf: Longs,
    slope: Floats,
    bend: Floats,
    counts: Sequence[int],
) -> IntPair:
    """Return column and threshold that, asked in all leaves (times 256), lower the loss most."""
    best = -1.0
    chosen = (0, 0)
    size = (int(leaf.max(initial=0)) >> 8) + 1 << 8
    for column, count in enumerate(counts):
        if not count:  # a constant
            continue
        key = leaf + bins[column]
        low, curve = (
            np.cumsum(np.bincount(key, part, size).reshape(-1, 256), 1) for part in (slope, bend)
        )
        high = low[:, -1:] - low
        rest = curve[:, -1:] - curve
        gain = (low**2 / (curve + _SHRINKAGE) + high**2 / (rest + _SHRINKAGE)).sum(0)[:count]
        at = int(gain.argmax())
        if gain[at] > best:
            best = float(gain[at])
            chosen = (column, at)
    return chosen


Labels = Array

_GRID = np.arange(0.2, 0.86, 0.05).round(2)  # looseness that is tried
_SAME = 0.2  # least IoU of an object with the annotated one that it stands for
_METRICS = Validation(every=1, metric="SEG", also=("F1",), cases=1)


class OutlineSettings(Described):
    """Settings of the fit of a model's outlines."""

    outline: Growth = Growth()
    looseness: float = Field(0.55, gt=0, lt=1)  # with which the new trees draw
    voxels: Count = 8000  # drawn near the objects of an image
    enough: Whole = 150  # objects; with fewer, a parent's trees stay
    # of the inference that differ from the parent's, as trees do their work
    parameters: Json = Field({})
    cases: NotNegative = 0.2  # held out: a share, or a number from 1
    seed: int = Field(0, ge=0, le=2**32 - 1)  # of the drawn voxels
    files: FileSettings = FileSettings()


class Example(NamedTuple):
    """An annotated image with the objects that a model finds before it draws their outlines."""

    path: Path
    volume: Volume
    truth: Labels
    found: Labels

    def redrawn(self, trees: Trees, looseness: float) -> Iterator[Facts]:
        """Yield true and predicted labels, the latter by trees."""
        volume = self.volume
        return self.facts(redraw(self.found, volume.array, volume.spacing, trees, looseness))

    def facts(self, labels: Labels) -> Iterator[Facts]:
        """Yield true and predicted labels."""
        image = self.volume
        return HeldOut({IMAGE.slug: image}, image.like(self.truth)).facts(image.like(labels))


class Samples(NamedTuple):
    """Voxels near the objects of an image, and whether they belong to them."""

    columns: Floats  # (COLUMNS, N)
    inside: Bools  # (N,)
    weight: Floats  # (N,) objects count alike
    objects: int  # that stand for annotated ones


def fit(
    algorithm: str,
    settings: OutlineSettings,
    folders: Sequence[Path],
    card: Path,
    parent: Path,
    authors: str = "",
    say: Say = lambda _: None,
) -> Path:
    """Write a model that draws outlines as in annotated images, else its parent; return the card.

    Few objects change the looseness of a parent's trees alone.
    """
    began = time.perf_counter()
    old = read_card(parent)
    model = open_model(parent.parent, old)
    cases, held = _cases(algorithm, model, settings, folders, say)
    theirs = Trees.read(model.weights, COLUMNS) if KEY in old.parameters else None
    trees, looseness, objects = learnt(cases, settings, theirs)
    source = "trees kept" if trees is theirs else f"{len(trees.value)} new trees"
    say(f"{objects} objects: {source}, looseness {looseness}")
    before = _scored(case.facts(segmented(algorithm, case.volume, model)) for case in held)
    after = _scored(case.redrawn(trees, looseness) for case in held)
    for words, scores in ((f"by {parent.stem}", before), ("with these outlines", after)):
        if held:
            say(f"held-out cases {words}: {listed(scores)}")
    names = ", ".join(map(title, folders))
    count = len(cases) + len(held)
    facts = {
        "images": len(cases),
        "objects": objects,
        "trees": source,
        "settings": settings.model_dump(mode="json", exclude={"files"}),
        "parent": {"name": old.name, "sha256": old.sha256, "scores": before},
        "seconds": round(time.perf_counter() - began, 1),
    }
    weights = load_file(model.weights) if model.weights else {}
    others = {name: w for name, w in weights.items() if not name.startswith(PREFIX)}
    entries = {
        **old.model_dump(mode="json"),
        "name": card.stem,
        "version": "0.1.0",
        "description": f"{old.description} Outlines as in {names}.",
        "authors": authors or user(),
        "parameters": {**old.parameters, **settings.parameters, KEY: looseness},
        "trained": {**old.trained, KEY: facts},
        "scores": {f"held-out {len(held)} of {count} cases of {names}": after} if held else {},
        "baselines": {},
        "adopted": False,  # for the images of its parent, which a choice could not tell apart
        "exact": {},
    }
    write_model(card, entries, packed({**others, **trees.tensors()}))
    say(f"used only by its name, --model {card.stem}")
    return card


def learnt(
    cases: Sequence[Example], settings: OutlineSettings, theirs: Trees | None
) -> tuple[Trees, float, int]:
    """Return trees, their looseness, and the number of objects that they were learnt from."""
    drawn = (sample(case, settings.voxels, settings.seed + n) for n, case in enumerate(cases))
    samples = [part for part in drawn if part]
    if not (objects := sum(part.objects for part in samples)):
        raise InputError(
            f"{cases[0].path.parent}: the model finds none of the annotated objects, so that no "
            "outline can be learned; give another one (--from)"
        )
    if theirs is not None and (objects < settings.enough or not settings.outline.trees):
        return theirs, fitted_looseness(cases, theirs), objects
    if not settings.outline.trees:
        raise InputError("the model has no trees of which the looseness could be fitted alone")
    columns, inside, weight, _ = zip(*samples, strict=True)
    arrays = np.concatenate(columns, 1), np.concatenate(inside), np.concatenate(weight)
    return grow(*arrays, settings.outline, settings.seed), settings.looseness, objects


def sample(case: Example, most: int, seed: int) -> Samples | None:
    """Return at most so many voxels near the objects that stand for annotated ones, or None."""
    found = case.found
    spacing = case.volume.spacing
    common = measure(found, case.volume.array, spacing)
    if common.threshold <= 0:
        return None
    near = look(found, case.volume.array, spacing, common)
    twin = twins(found, case.truth)
    chosen = np.flatnonzero(twin[near.owner] > 0)
    if chosen.size > most:
        chosen = np.sort(np.random.default_rng(seed).choice(chosen, most, replace=False))
    owner = near.owner[chosen]
    inside = case.truth.ravel()[near.voxels[chosen]] == twin[owner]
    weight = 1 / np.maximum(np.bincount(near.owner), 1)[owner]
    weight *= len(weight) / max(weight.sum(), 1e-9)
    objects = int(np.count_nonzero(twin))
    return Samples(near.columns[:, chosen], inside, weight.astype(np.float32), objects)


def twins(found: Labels, truth: Labels) -> Longs:
    """Return the annotated object (n + 1,) of most overlap with each object, 0 without; 1 to 1."""
    table = overlap(found, truth)
    iou = table.iou()
    sizes = [int(labels.max(initial=0)) + 1 for labels in (found, truth)]
    result = np.zeros(sizes[0], np.int64)
    taken = np.zeros(sizes[1], bool)
    for place in np.argsort(-iou, kind="stable"):
        a = table.truth_labels[table.truth_index[place]]
        b = table.prediction_labels[table.prediction_index[place]]
        if iou[place] >= _SAME and not result[a] and not taken[b]:
            result[a], taken[b] = b, True
    return result


def fitted_looseness(cases: Sequence[Example], trees: Trees) -> float:
    """Return the looseness of most SEG, of equal ones the middle."""
    tried = (_scored(case.redrawn(trees, float(value)) for case in cases) for value in _GRID)
    scores = np.array([values["SEG"] for values in tried])
    best = np.flatnonzero(scores >= scores.max() - 1e-9)
    return float(_GRID[best[best.size // 2]])


def _scored(facts: Iterable[Iterable[Facts]]) -> FloatDict:
    """Return pooled scores of cases by metric."""
    return rounded(score(wanted_metrics(_METRICS), chain.from_iterable(facts)))


def segmented(algorithm: str, volume: Volume, model: Model) -> Labels:
    """Return the labels of an image by a model of an algorithm."""
    inputs = upright({IMAGE.slug: volume}, model.card.describes)
    labels: Labels = program(algorithm).predict(inputs, model)[LABELS.slug].array
    return labels


def _cases(
    algorithm: str, model: Model, settings: OutlineSettings, folders: Sequence[Path], say: Say
) -> tuple[list[Example], list[Example]]:
    """Return the cases to learn from and the held-out ones, of splits or by number."""
    learned = []
    held = []
    for folder in folders:
        say(f"segmenting {folder}")
        parts, division = divided(
            folder, list(_segmented(algorithm, model, folder, settings)), settings.files, say
        )
        train = parts.get("train", [])
        validate = parts.get("validate", [])
        if not division and len(train) > 1:
            train, validate = hold_out(train, settings.cases, "images")
        learned += train
        held += validate
    say(f"cases: {len(learned)} to learn from, {len(held)} held out")
    if not held:
        say("no case is held out, so the model has no score")
    return learned, held


def _segmented(
    algorithm: str, model: Model, folder: Path, settings: OutlineSettings
) -> Iterator[Example]:
    """Yield the annotated images of a folder with the objects that a model finds in them."""
    files = settings.files
    parameters = {key: value for key, value in model.card.parameters.items() if key != KEY}
    card = model.card.model_copy(update={"parameters": {**parameters, **settings.parameters}})
    for item in files.index(folder, "segment").labelled(folder):
        path = item.image
        volume = files.read(item.image)
        truth = files.labels(item.files[LABELS.slug]).array
        if truth.shape != volume.shape:
            raise InputError(
                f"{path}: expected labels of the shape {volume.shape}, found {truth.shape}"
            )
        labels = segmented(algorithm, volume, Model(card, model.weights))
        yield Example(path, volume, truth, labels)
