"""Score segmenters on annotated embryos: pooled scores, causes of lost nuclei, folds of embryos.

A model is a card, by path or as ALGORITHM/NAME, or a folder of labels named like the images; names
of images state microscope, embryo and frame: ix71_Emb01_t451. Labels of fewer than 100 voxels are
ignored. Objects are pooled; intervals and differences from the first model are by bootstrap of
embryos. Causes of nuclei without a partner: `object_errors.causes`. Touching nuclei share a voxel's
face with another; an object counts among theirs if it shares most voxels with one. The labels of
CV1000 lie half a voxel off: its images are also moved by half a voxel (cubic spline) before.

With --tune RANGES.toml (a table of each algorithm, parameter = [low, high]) cards are also scored
with parameters chosen for each embryo on every few frames of the others: a random search in the
ranges, then around the best, by the mean of SEG and F1. Predictions and trials are kept in OUT.
"""

import argparse
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from cytosuite.algorithms.cellpose3d.training.cases import Files, find_cases
from cytosuite.benchmark.catalog.catalog import ROOT
from cytosuite.benchmark.cluster.processes import processes
from cytosuite.benchmark.comparison.origin import model_digest
from cytosuite.benchmark.containers.sources import runtime_files
from cytosuite.benchmark.ranking.bootstrap import ENDS, draw_counts
from cytosuite.benchmark.report.section import table
from cytosuite.benchmark.store.pool import Lost
from cytosuite.contract.manifest import ModelCard, merged, read_card
from cytosuite.contract.tasks import IMAGE
from cytosuite.contract.weights import open_model
from cytosuite.errors import InputError
from cytosuite.files import (
    atomic,
    digest,
    file_digest,
    read_json,
    read_toml,
    value_digest,
    write_json,
)
from cytosuite.folders.splits import Splits, divide
from cytosuite.formats import read, write
from cytosuite.metrics.labels.object_errors import CAUSES, causes, object_errors, touching
from cytosuite.metrics.labels.overlap import Overlap, overlap
from cytosuite.metrics.labels.prepare import without_small
from cytosuite.volume import Volume

NAMES = re.compile(r"(?P<microscope>[a-z0-9]+)_(?P<embryo>Emb\d+)_t(?P<frame>\d+)")
POOLED = "ix71"
LEAST = 100  # voxels: smaller labels are marker balls or scraps
REACH = 0.12  # standard deviation of trials around the best, as a share of the range
SCORES = ("SEG", "F1", "F1 at 0.75")
SUMS = ("nuclei", "objects", "seg", "close", *CAUSES)  # per volume; `close`: at an IoU of 0.75

Floats = NDArray[np.float64]
Labels = NDArray[np.integer[Any]]
Result = TypeVar("Result")


class Work(NamedTuple):
    """An image, with the model that finds its nuclei or the folder of their labels."""

    image: Files
    folder: Path  # of the card, or of the labels
    card: ModelCard | None
    out: Path
    moved: bool = False

    def volume(self) -> Volume:
        """Return the image, moved by half a voxel along all axes where it shall be."""
        volume = read(self.image.image)
        if not self.moved:
            return volume
        grey = ndimage.shift(volume.array.astype(np.float32), 0.5, order=3, mode="nearest")
        top = np.iinfo(volume.array.dtype).max
        return replace(volume, array=np.clip(np.rint(grey), 0, top).astype(volume.array.dtype))

    def predicted(self) -> Labels:
        """Return the labels that the model finds."""
        assert self.card is not None
        program = import_module(f"cytosuite.algorithms.{self.card.algorithm}.predict")
        found = program.predict({IMAGE.slug: self.volume()}, open_model(self.folder, self.card))
        labels: Labels = found["instance-labels"].array
        return labels

    def place(self, suffix: str, *more: object) -> Path:
        """Return the file of a result, by the digests of model, sources and image."""
        assert self.card is not None
        own, image = self.card, file_digest(self.image.image)
        facts = [model_digest(own), sources(own.algorithm), image, self.moved, *more]
        name = f"{self.image.name}-{value_digest(facts)[:12]}{suffix}"
        return self.out / own.algorithm / own.name / name

    def labels(self) -> Labels:
        """Return the labels in the folder, or those of the model, kept in a file."""
        if self.card is None:
            return read(self.folder / self.image.image.name).array
        if not (path := self.place(".tif")).is_file():
            write(path, self.volume().like(self.predicted()))
        return read(path).array


@cache
def sources(algorithm: str) -> str:
    """Return the digest of the files that an algorithm runs by, without weights."""
    return digest((p for p in runtime_files(ROOT, algorithm) if "weights" not in p.parts), ROOT)


def sums_of(found: Overlap, group: NDArray[np.bool_] | None = None) -> list[float]:
    """Return `SUMS` of all nuclei, or of those in a group (T,)."""
    truth, objects = object_errors(found)[0], found.prediction_sizes.size
    if group is None:
        group = np.ones(found.truth_sizes.size, bool)
    else:
        order = np.lexsort((found.shared, found.prediction_index))
        most = order[np.diff(found.prediction_index[order], append=-1) != 0]
        objects = np.count_nonzero(group[found.truth_index[most]])
    close, why = np.count_nonzero(truth.iou[group] >= 0.75), causes(found)[group]
    numbers = [np.count_nonzero(why == cause) for cause in CAUSES]
    return [float(n) for n in (why.size, objects, truth.seg[group].sum(), close, *numbers)]


def scores(sums: Floats) -> Floats:
    """Return `SCORES` (..., 3) of sums (..., 9)."""
    nuclei, objects, seg, close, found = np.moveaxis(sums, -1, 0)[:5]
    both = (nuclei + objects) / 2
    with np.errstate(invalid="ignore"):
        return np.stack([seg / nuclei, found / both, close / both], axis=-1)


def compared(work: Work, labels: Labels) -> tuple[Overlap, NDArray[np.bool_]]:
    """Return the overlap of truth and labels, and which nuclei (T,) touch."""
    truth, prediction = without_small(read(work.image.labels).array, labels, LEAST)
    found = overlap(truth, prediction)
    return found, np.isin(found.truth_labels, touching(truth))


def judged(work: Work) -> dict[str, list[float]]:
    """Return the sums of an image by group."""
    found, touch = compared(work, work.labels())
    both = {"all": sums_of(found), "touching": sums_of(found, touch)}
    return {"moved": both["all"]} if work.moved else both


class Once:
    """A function of image and network that answers the same pair once, for many trials."""

    def __init__(self, work: Callable[..., Any]) -> None:
        self.work, self.image, self.network, self.answer = work, np.zeros(0), None, None

    def __call__(self, image: NDArray[Any], network: Any, *rest: Any) -> Any:  # noqa: ANN401
        """Return the answer, the last one if it was to the same."""
        if network is not self.network or not np.array_equal(image, self.image):
            self.image, self.network, self.answer = image, network, self.work(image, network, *rest)
        return self.answer


def changed(card: ModelCard, trial: Mapping[str, Any]) -> ModelCard:
    """Return a card with the parameters of a trial."""
    return card.model_copy(update={"parameters": merged(card.parameters, trial)})


def tried(work: Work, trials: Sequence[Mapping[str, Any]]) -> list[list[float]]:
    """Return the sums of an image by the parameters of each trial, kept in a file."""
    assert work.card is not None
    if not (path := work.place(".json", trials)).is_file():
        program = import_module(f"cytosuite.algorithms.{work.card.algorithm}.predict")
        if isinstance(fields := getattr(program, "predict_fields", Once), type(tried)):
            program.predict_fields = Once(fields)
        works = (work._replace(card=changed(work.card, trial)) for trial in trials)
        write_json(path, [sums_of(compared(work, each.predicted())[0]) for each in works])
    rows: list[list[float]] = read_json(path)
    return rows


def drawn(ranges: Mapping[str, Any], number: int, best: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return trials in the ranges, or around the best; whole numbers where both ends are."""
    rng, trials = np.random.default_rng(len(best)), list[dict[str, Any]]()
    for _ in range(number):
        trials.append({})
        for name, ends in ranges.items():
            low, high = np.asarray(ends)
            value = rng.uniform(low, high)
            if best:
                value = np.clip(rng.normal(best[name], REACH * (high - low)), low, high)
            whole = low.dtype.kind == "i"
            trials[-1][name] = np.round(value, 0 if whole else 4).astype(low.dtype).tolist()
    return trials


def all_of(work: Callable[[Work], Result], works: Sequence[Work], workers: int) -> list[Result]:
    """Return the result of each work, in order."""
    found = dict(processes(workers).each(work, works))
    return [own for n in range(len(works)) if not isinstance(own := found[n], Lost)]


def chosen(works: Sequence[Work], ranges: Mapping[str, Any], given: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return the parameters with the highest mean of SEG and F1 on some images."""
    best, highest = dict[str, Any](), -1.0
    for number in (given.trials, given.trials // 2):
        trials = drawn(ranges, number, best)
        found = np.array(all_of(partial(tried, trials=trials), works, given.workers))
        values = scores(found.sum(axis=0))[:, :2].mean(axis=-1)
        if values.max() > highest:
            best, highest = trials[int(values.argmax())], float(values.max())
    print(f"{highest:.4f} on {len(works)} images by {best}", flush=True)
    return best


def tuned(works: Sequence[Work], known: pd.DataFrame, given: Any) -> list[Work]:  # noqa: ANN401
    """Return works with the parameters that are best on the other embryos."""
    assert works[0].card is not None
    ranges, found = read_toml(given.tune).get(works[0].card.algorithm, {}), dict[str, Any]()
    thin = known[known.microscope == POOLED].sort_values("frame", ascending=False)
    thin = thin[thin.groupby("embryo").cumcount() % given.every == 0]
    folds = known.embryo.nunique()
    for fold in range(folds):
        beside = {"test": fold, "validate": (fold + 1) % folds}
        splits = Splits.model_validate(
            {"names": NAMES.pattern, "group": "embryo", "folds": folds, **beside}
        )
        placed = divide(splits, {name: {} for name in known.index}, {}, "embryos").placed
        out = {own.name for own in placed if own.part == "test"}
        others = [own for own in works if own.image.name in {*thin.index} - out and not own.moved]
        print(f"without {known.embryo[min(out)]}: ", end="")
        found |= dict.fromkeys(out, chosen(others, ranges, given))
    return [
        own._replace(card=changed(own.card, found[own.image.name])) for own in works if own.card
    ]


def parts(rows: pd.DataFrame, late: int) -> dict[str, pd.DataFrame]:
    """Return the rows of each part of the table."""
    own, rest = rows[rows.microscope == POOLED], rows[rows.microscope != POOLED]
    whole, touch = own[own.group == "all"], own[own.group == "touching"]
    found = {"all": whole, f"t{late} and later": whole[whole.frame >= late], "touching": touch}
    found |= {f"{name}": part for name, part in whole.groupby("embryo")}
    for name, part in rest[rest.group != "touching"].groupby(["microscope", "group"]):
        found[", ".join(name)] = part
    return {title: part for title, part in found.items() if len(part)}


def row(title: str, model: str, found: Floats, sums: Floats, form: str) -> list[str]:
    """Return the cells of `SCORES` and their samples (1 + draws, 3), and of sums (9,)."""
    cells = [title, model]
    low, high = np.nanpercentile(found[1:], ENDS, axis=0)
    for n, value in enumerate(found[0]):
        between = f" ({low[n]:{form}} to {high[n]:{form}})" if high[n] > low[n] else ""
        cells.append(f"{value:{form}}{between}")
    return cells + [f"{n:g}" for n in np.delete(sums, (2, 3, 4))]


def rows_of(volumes: pd.DataFrame, late: int) -> list[list[str]]:
    """Return the cells of each part and model, and of differences from the first."""
    rows = []
    for title, part in parts(volumes, late).items():
        first: tuple[str, Floats, Floats] | None = None
        for model, own in part.groupby("model", sort=False):
            sums = own.groupby("embryo")[list(SUMS)].sum().to_numpy()
            whole = sums.sum(axis=0)
            found = scores(np.vstack([whole, draw_counts([""] * len(sums)) @ sums]))
            rows.append(row(title, f"{model}", found, whole, ".3f"))
            if first is not None:
                name, before, total = first
                rows.append(row(title, f"{model} - {name}", found - before, whole - total, "+.3f"))
            first = first or (f"{model}", found, whole)
    return rows


def works_of(name: str, images: Mapping[str, Files], out: Path) -> list[Work]:
    """Return the works of a model; those of another microscope also moved."""
    place = Path(name) if Path(name).exists() else ROOT / "weights" / f"{name}.json"
    if not place.exists():
        raise InputError(f"{name}: expected a card, ALGORITHM/NAME or a folder of labels")
    card = None if place.is_dir() else read_card(place)
    folder = place if card is None else place.parent
    works = [Work(image, folder, card, out / "predictions") for image in images.values()]
    apart = [own._replace(moved=True) for own in works if not own.image.name.startswith(POOLED)]
    return works + (apart if card else [])


def conditions(names: Sequence[str]) -> pd.DataFrame:
    """Return microscope, embryo and frame of each image; InputError for another name."""
    found = {name: NAMES.fullmatch(name) for name in names}
    if unfit := [name for name, fits in found.items() if not fits]:
        raise InputError(f"{unfit[0]}: expected a name like ix71_Emb01_t451")
    known = pd.DataFrame([fits.groupdict() for fits in found.values() if fits], index=[*found])
    return known.astype({"frame": int})


def main() -> int:
    """Score all models; write volumes.csv and scores.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tune", type=Path)
    for name, default in (("trials", 64), ("every", 4), ("late", 401), ("workers", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    images = {own.name: own for folder in given.data for own in find_cases(folder)}
    known, rows = conditions([*images]), []
    works = {name: works_of(name, images, given.out) for name in given.models}
    for name in given.models if given.tune else ():
        if works[name][0].card:
            works[f"{name} tuned"] = tuned(works[name], known, given)
    for name, own in works.items():
        for work, found in zip(own, all_of(judged, own, given.workers), strict=True):
            facts = [name, work.image.name, *known.loc[work.image.name]]
            rows += [[*facts, group, *sums] for group, sums in found.items()]
    volumes = pd.DataFrame(rows, columns=["model", "image", *known, "group", *SUMS])
    heads = ["nuclei of", "model", *SCORES, *SUMS[:2], *CAUSES[1:]]
    text = "\n".join(table(heads, rows_of(volumes, given.late)))
    with atomic(given.out / "volumes.csv") as path:
        volumes.to_csv(path, index=False)
    with atomic(given.out / "scores.md") as path:
        path.write_text(text + "\n", encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
