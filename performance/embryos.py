"""Score segmenters on annotated embryos: pooled scores, causes of lost nuclei, folds of embryos.

A model is a card, ALGORITHM/NAME or a path; a path with {embryo} names a card for each, of a model
that was trained on the others. Names of images state microscope, embryo and frame:
ix71_Emb01_t451. Labels of fewer than 100 voxels are ignored. Objects are pooled; intervals, and
gains over the first model, are by bootstrap of embryos. Causes: `object_errors.causes`. Touching
nuclei share a voxel's face with another; an object counts among theirs if it shares most voxels
with one. Labels of CV1000 lie half a voxel off: its images are also moved by half a voxel along
all axes (cubic spline) before they are segmented.

--tune RANGES.toml also scores each card with parameters that are chosen for each embryo on every
few images of the others: a random search in the ranges (one table per algorithm), then around the
best, by the mean of SEG and F1. --oracles also scores each model with a part of the truth: its
partition of the model's foreground, its foreground parted by the model, and outlines moved by the
best distance for each image. Predictions and trials are kept in OUT.
"""

import argparse
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import pandas as pd
from scipy import ndimage

from cytosuite import files
from cytosuite.benchmark.catalog.places import ROOT
from cytosuite.benchmark.cluster.processes import processes
from cytosuite.benchmark.comparison.origin import model_digest
from cytosuite.benchmark.containers.sources import runtime_files
from cytosuite.benchmark.report.section import table
from cytosuite.contract.manifest import ModelCard, merged, read_card
from cytosuite.contract.tasks import IMAGE
from cytosuite.contract.weights import open_model
from cytosuite.errors import InputError
from cytosuite.folders.masks import read_labels
from cytosuite.formats import read, write
from cytosuite.metrics.labels.object_errors import CAUSES, causes, object_errors, touching
from cytosuite.metrics.labels.overlap import Overlap, overlap
from cytosuite.metrics.labels.prepare import without_small
from cytosuite.ranking.bootstrap import DRAWS, draw_counts
from cytosuite.ranking.intervals import ENDS, FEWEST
from cytosuite.training.nuclei.cases import Files, find_cases
from cytosuite.volume import Volume
from cytosuite.volume.arrays import Array, Bools, Doubles, Integers

NAMES = re.compile(r"(?P<microscope>[a-z0-9]+)_(?P<embryo>Emb\d+)_t(?P<frame>\d+)")
POOLED = "ix71"
LEAST = 100  # voxels: smaller labels are marker balls or scraps
REACH = 0.12  # standard deviation of trials around the best, as a share of the range
SCORES = ("SEG", "F1", "F1 at 0.75")
SUMS = ("nuclei", "objects", "seg", "close", *CAUSES)  # per volume; `close`: at an IoU of 0.75

ORACLES = ("true partition", "true foreground", "best looseness")
OFFSETS = np.linspace(-2, 2, 11)  # µm, outwards

Labels = Integers


class Work(NamedTuple):
    """An image and the model that finds its nuclei."""

    image: Files
    folder: Path
    card: ModelCard
    sources: str  # digest of the files that its algorithm runs by
    out: Path
    moved: bool = False  # by half a voxel along all axes
    oracle: str = ""

    def by(self, trial: Mapping[str, Any]) -> "Work":
        """Return the work with other parameters."""
        content = {"parameters": merged(self.card.parameters, trial)}
        return self._replace(card=self.card.model_copy(update=content))

    def place(self, suffix: str, *more: object) -> Path:
        """Return the file of a result, by the digests of model, sources and image."""
        image, own = files.file_digest(self.image.image), self.card
        facts = [model_digest(own), self.sources, image, self.moved, *more]
        name = f"{self.image.name}-{files.value_digest(facts)[:12]}{suffix}"
        return self.out / "predictions" / own.algorithm / own.name / name

    def program(self) -> ModuleType:
        """Return the module of the algorithm."""
        return import_module(f"cytosuite.algorithms.{self.card.algorithm}.predict")

    def predicted(self) -> Volume:
        """Return the labels that the model finds."""
        image = read(self.image.image)
        if self.moved:
            grey = ndimage.shift(image.array.astype(np.float32), 0.5, order=3, mode="nearest")
            top = np.iinfo(image.array.dtype).max
            image = replace(image, array=np.clip(grey.round(), 0, top).astype(image.array.dtype))
        model = open_model(self.folder, self.card)
        found: Volume = self.program().predict({IMAGE.slug: image}, model)["instance-labels"]
        return found

    def sums(self, labels: Labels) -> list[list[float]]:
        """Return `SUMS` of all nuclei and of touching ones."""
        truth, prediction = without_small(read_labels(self.image.labels).array, labels, LEAST)
        found = overlap(truth, prediction)
        return [sums_of(found), sums_of(found, np.isin(found.truth_labels, touching(truth)))]

    def judged(self) -> list[list[float]]:
        """Return `SUMS` of the labels, or of the oracle's with the best SEG; labels are kept."""
        if not (path := self.place(".tif")).is_file():
            write(path, self.predicted())
        labels, truth = read(path), read_labels(self.image.labels).array
        found = with_truth(self.oracle, truth, labels.array, np.array(labels.spacing))
        return max((self.sums(own) for own in found), key=lambda sums: sums[0][2])

    def tried(self, trials: Sequence[Mapping[str, Any]]) -> list[list[float]]:
        """Return `SUMS` of all nuclei by the parameters of each trial; they are kept."""
        if not (path := self.place(".json", trials)).is_file():
            program, known = self.program(), dict[bytes, Any]()
            work = getattr(program, "predict_fields", None)

            def fields(image: Array, *rest: object) -> Any:  # noqa: ANN401
                """Return level and flow, which are the same for all trials."""
                if (key := image.tobytes()) not in known:
                    known[key] = work(image, *rest) if work else None
                return known[key]

            with patch.object(program, "predict_fields", fields, create=True):
                found = [self.sums(self.by(trial).predicted().array)[0] for trial in trials]
            files.write_json(path, found)
        return list(files.read_json(path))


def with_truth(oracle: str, truth: Labels, labels: Labels, spacing: Doubles) -> list[Labels]:
    """Return labels with that part of the truth, one for each distance of the outlines [µm]."""

    def nearest(own: Labels) -> tuple[Labels, Doubles]:
        """Return the nearest object of each voxel, and its distance."""
        away, where = ndimage.distance_transform_edt(own == 0, spacing, return_indices=True)
        return own[tuple(where)], away

    if oracle == "true partition":
        inside = (labels > 0) & np.isin(labels, labels[truth > 0])
        return [np.where(inside, nearest(truth)[0], 0)]
    if oracle == "true foreground":
        return [np.where(truth > 0, nearest(labels)[0], 0)]
    if oracle == "best looseness":
        near, away = nearest(labels)
        away -= ndimage.distance_transform_edt(labels > 0, spacing)
        return [np.where(away < way, near, 0) for way in OFFSETS]
    return [labels]


def sums_of(found: Overlap, group: Bools | None = None) -> list[float]:
    """Return `SUMS` of all nuclei, or of those in a group (T,)."""
    truth, why, objects = object_errors(found)[0], causes(found), found.prediction_sizes.size
    if group is None:
        group = np.ones(why.size, bool)
    else:
        order = np.lexsort((found.shared, found.prediction_index))
        most = order[np.diff(found.prediction_index[order], append=-1) != 0]
        objects = int(group[found.truth_index[most]].sum())
    numbers = [group.sum(), objects, truth.seg[group].sum(), (truth.iou[group] >= 0.75).sum()]
    return [*map(float, numbers), *(float((why[group] == cause).sum()) for cause in CAUSES)]


def scores(sums: Doubles) -> Doubles:
    """Return `SCORES` (..., 3) of sums (..., 9)."""
    nuclei, objects, seg, close, found = np.moveaxis(sums, -1, 0)[:5]
    both = np.maximum(nuclei + objects, 1) / 2
    return np.stack([seg / np.maximum(nuclei, 1), found / both, close / both], axis=-1)


def drawn(ranges: Mapping[str, Any], number: int, best: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return trials in the ranges, or around the best."""
    rng, trials = np.random.default_rng(len(best)), list[dict[str, Any]]()
    for _ in range(number):
        trials.append({})
        for name, (low, high) in ranges.items():
            value = rng.uniform(low, high)
            if best:
                value = np.clip(rng.normal(best[name], REACH * (high - low)), low, high)
            trials[-1][name] = round(float(value), 4)
    return trials


def all_of(work: Callable[[Work], Any], works: Sequence[Work], workers: int) -> Doubles:
    """Return the result of each work, in order."""
    found = dict(processes(workers).each(work, works))
    return np.array([found[number] for number in range(len(works))])


def chosen(works: Sequence[Work], ranges: Mapping[str, Any], given: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return the parameters with the highest mean of SEG and F1 on some images."""
    if not works:
        raise InputError(f"--every {given.every} leaves no image of the others; give a smaller one")
    best, highest = dict[str, Any](), -1.0
    for number in (given.trials, given.trials // 2):
        trials = drawn(ranges, number, best)
        found = all_of(partial(Work.tried, trials=trials), works, given.workers)
        values = scores(found.sum(axis=0))[:, :2].mean(axis=-1)
        if values.max() > highest:
            best, highest = trials[int(values.argmax())], float(values.max())
    print(f"{highest:.4f} on {len(works)} images by {best}", flush=True)
    return best


def tuned(works: Sequence[Work], known: pd.DataFrame, given: Any) -> list[Work]:  # noqa: ANN401
    """Return works with the parameters that are best on the other embryos."""
    ranges, found = files.read_toml(given.tune).get(works[0].card.algorithm, {}), dict[str, Any]()
    thin = known[known.microscope == POOLED].sort_values(["embryo", "frame"])[:: given.every]
    for embryo in known.embryo.unique():
        print(f"without {embryo}: ", end="")
        others = thin.index[thin.embryo != embryo]
        best = chosen([own for own in works if own.image.name in others], ranges, given)
        found |= dict.fromkeys(known.index[known.embryo == embryo], best)
    return [own.by(found[own.image.name]) for own in works]


def parts(rows: pd.DataFrame, late: int) -> dict[str, pd.DataFrame]:
    """Return the rows of each part of the table."""
    pooled, whole = rows.microscope == POOLED, rows.group == "all"
    masks = {"all": pooled & whole, f"t{late} and later": pooled & whole & (rows.frame >= late)}
    masks["touching"] = pooled & (rows.group == "touching")
    masks |= {name: pooled & whole & (rows.embryo == name) for name in rows.embryo.unique()}
    apart = rows.microscope + ", " + rows.group
    masks |= {name: ~pooled & (apart == name) for name in apart.unique()}
    return {title: rows[mask] for title, mask in masks.items() if rows.nuclei[mask].any()}


def cells(found: Doubles, form: str) -> list[str]:
    """Return scores with intervals, of `SCORES` and their samples, if any (1 + draws, 3)."""
    ends = np.percentile(found, ENDS, axis=0)
    texts = [f" ({a:{form}} to {b:{form}})" * (len(found) > 1) for a, b in zip(*ends, strict=True)]
    return [f"{value:{form}}{own}" for value, own in zip(found[0], texts, strict=True)]


def rows_of(volumes: pd.DataFrame, late: int) -> list[list[str]]:
    """Return a row for each part and model: scores, gains over the first model, counts."""
    rows = []
    for title, part in parts(volumes, late).items():
        first: Doubles | None = None
        for model, own in part.groupby("model", sort=False):
            sums = own.groupby("embryo")[list(SUMS)].sum().to_numpy()
            drawn = draw_counts([""] * len(sums), DRAWS if len(sums) >= FEWEST else 0) @ sums
            found = scores(np.vstack([sums.sum(axis=0), drawn]))
            gains = ["-"] * len(SCORES) if first is None else cells(found - first, "+.3f")
            first = found if first is None else first
            counts = [f"{number:g}" for number in np.delete(sums.sum(axis=0), (2, 3, 4))]
            rows.append([title, f"{model}", *cells(found, ".3f"), *gains, *counts])
    return rows


def works_of(name: str, images: Iterable[Files], known: pd.DataFrame, out: Path) -> list[Work]:
    """Return the works of a model; those of another microscope also moved."""
    place, works = name if name.endswith(".json") else f"{ROOT}/weights/{name}.json", list[Work]()
    paths = {embryo: Path(place.replace("{embryo}", embryo)) for embryo in known.embryo}
    cards = {embryo: read_card(path) for embryo, path in paths.items()}
    run = runtime_files(ROOT, cards[known.embryo.iloc[0]].algorithm)
    sources = files.digest((path for path in run if "weights" not in path.parts), ROOT)
    for image in images:
        embryo = known.embryo[image.name]
        works.append(Work(image, paths[embryo].parent, cards[embryo], sources, out))
        if known.microscope[image.name] != POOLED:
            works.append(works[-1]._replace(moved=True))
    return works


def main() -> int:
    """Score all models; write volumes.csv and scores.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tune", type=Path)
    parser.add_argument("--oracles", action="store_true")
    for name, default in (("trials", 32), ("every", 5), ("late", 401), ("workers", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    images = {own.name: own for folder in given.data for own in find_cases(folder)}
    found = {name: fits.groupdict() for name in images if (fits := NAMES.fullmatch(name))}
    if unfit := images.keys() - found:
        raise InputError(f"{min(unfit)}: expected a name like ix71_Emb01_t451")
    known, rows = pd.DataFrame.from_dict(found, orient="index").astype({"frame": int}), []
    works = {name: works_of(name, images.values(), known, given.out) for name in given.models}
    for name in given.models:
        if given.tune:
            works[f"{name}, tuned"] = tuned(works[name], known, given)
        for oracle in ORACLES if given.oracles else ():
            own = [own._replace(oracle=oracle) for own in works[name] if not own.moved]
            works[f"{name}, {oracle}"] = own
    for name, own in works.items():
        for work, sums in zip(own, all_of(Work.judged, own, given.workers), strict=True):
            groups = ("moved",) if work.moved else ("all", "touching")
            facts = [name, work.image.name, *known.loc[work.image.name]]
            rows += [[*facts, group, *n] for group, n in zip(groups, sums, strict=False)]
    volumes = pd.DataFrame(rows, columns=["model", "image", *known, "group", *SUMS])
    heads = ["nuclei of", "model", *SCORES, *(f"{name} gain" for name in SCORES)]
    text = "\n".join(table([*heads, *SUMS[:2], *CAUSES[1:]], rows_of(volumes, given.late)))
    with files.atomic(given.out / "volumes.csv") as path:
        volumes.to_csv(path, index=False)
    with files.atomic(given.out / "scores.md") as path:
        path.write_text(text + "\n", encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
