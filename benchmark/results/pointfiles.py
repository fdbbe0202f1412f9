"""Files of points that `score` compares: truth and prediction by name, voxel size, cells."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from cytosuite.benchmark.results.facts import once
from cytosuite.benchmark.results.points import write_point_scores
from cytosuite.contract.points import Points
from cytosuite.errors import InputError
from cytosuite.folders.points import point_files, read_annotated
from cytosuite.folders.sides import named, partners
from cytosuite.formats import header
from cytosuite.metrics.evidence import Facts
from cytosuite.metrics.points.matching import matched_points


@dataclass(frozen=True)
class PointCase:
    """The points of one case."""

    name: str
    truth: Points
    prediction: Points | None
    cells: Any  # label image, None where it is not known
    radius_um: float | None

    @property
    def facts(self) -> Facts:
        """Return the facts of metrics: both sides, voxel size, radius, and cells where known."""
        assert self.prediction is not None  # a case without one has no facts
        facts: dict[str, Any] = {
            "truth": self.truth.array,
            "prediction": self.prediction.array,
            "spacing": self.truth.spacing,
            "radius_um": self.radius_um,
            **({} if self.cells is None else {"labels": self.cells}),
        }
        return Facts({name: partial(facts.get, name) for name in facts})

    def write(self, path: Path) -> None:
        """Write class, partner and distance of each point."""
        truth = self.truth
        answer = self.prediction or Points(np.zeros((0, len(truth.spacing))), truth.spacing)
        pairs = matched_points(truth.array, answer.array, truth.spacing, self.radius_um)
        write_point_scores(path, pairs, truth, answer, self.cells)


@dataclass(frozen=True, kw_only=True)
class PointSettings:
    """Options of a comparison of points."""

    image: Path | None = None  # images, which tell the voxel size
    spacing: tuple[float, ...] | None = None  # µm, in place of theirs
    cells: Path | None = None  # label images of cells
    group: str = ""  # of labels in HDF5
    radius_um: float | None = None


def point_cases(
    truth: Path, prediction: Path, settings: PointSettings
) -> Iterator[PointCase] | None:
    """Yield the points of each case; None where the truth is something else."""
    true, answers = point_files(truth), point_files(prediction)
    if not true:
        return None
    if truth.is_file() and prediction.is_file():
        answers = dict(zip(true, answers.values(), strict=False))
    if not answers.keys() & true.keys():
        problem = f"no points are named like those of {truth}"
        raise InputError(f"{prediction}: {problem}, for example {next(iter(true))}.json")
    inside = truth / "images"
    room = inside if settings.image is None and inside.is_dir() else settings.image
    return _cases(true, answers, replace(settings, image=room))


def _cases(
    true: Mapping[str, Path], answers: Mapping[str, Path], settings: PointSettings
) -> Iterator[PointCase]:
    images, cells = (images_by_name(room, true) for room in (settings.image, settings.cells))
    for name, path in true.items():
        spacing = settings.spacing or (header(images[name]).spacing if name in images else None)
        if spacing is None:
            raise InputError(f"{path}: its voxel size is not known: give --image, or --spacing")
        prediction = read_annotated(answers[name], spacing) if name in answers else None
        labels = once(cells[name], settings.group)().array if name in cells else None
        truth = read_annotated(path, spacing)
        yield PointCase(name, truth, prediction, labels, settings.radius_um)


def images_by_name(path: Path | None, true: Mapping[str, Path]) -> dict[str, Path]:
    """Return images by their case; a single file belongs to the only case."""
    if path is None:
        return {}
    if path.is_file():
        return dict.fromkeys(true, path) if len(true) == 1 else {}
    return partners(true, path, named(path))
