"""Ground truth of a challenge phase, in the layout of a dataset: what the metrics compare with."""

import unicodedata
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from cytosuite.benchmark.runs.data.dataset import Dataset, cases_in
from cytosuite.contract.manifest import Described, TaskName, parse
from cytosuite.files import TextDict, read_json
from cytosuite.volume import Header
from cytosuite.volume.arrays import Lengths, Shape

FILE = "evaluation.json"


def _plain_name(name: str) -> str:
    """Refuse a name that is none of a single file, and return it as all systems write it."""
    if not name or name in {".", ".."} or "/" in name or not name.isprintable():
        raise ValueError(f"expected the name of a file, found {name[:60]!r}")
    return unicodedata.normalize("NFC", name)


def _inside(path: str) -> str:
    if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        raise ValueError(f"expected a path within the ground truth, found {path[:60]!r}")
    return path


Plain = Annotated[str, AfterValidator(_plain_name)]
Inside = Annotated[str, AfterValidator(_inside)]


class Geometry(Described):
    """Geometry of the main input of a case: outputs must have it."""

    shape: Shape  # along the axes
    spacing: Lengths  # µm per voxel along the spatial axes
    axes: str  # like ZYX
    dtype: str  # of its grey values

    @property
    def header(self) -> Header:
        """The same as a header."""
        return Header(self.shape, np.dtype(self.dtype), self.spacing, self.axes)


class EvaluatedCase(Described):
    """A case, and the name by which a job for it is known."""

    name: Plain  # of the case
    image: Plain  # name under which its input images are uploaded
    geometry: Geometry


class RealImage(Described):
    """A real image that unpaired outputs are compared with."""

    image: Inside  # path of the file
    labels: Inside = ""  # path of the labels of its objects, empty without


class RankedMetric(Described):
    """A metric to rank by, as the settings of the phase take it."""

    metric: str
    path: str  # of the number in metrics.json
    order: Literal["asc", "desc"]  # desc: larger is better

    @property
    def key(self) -> str:
        """Its key in metrics.json."""
        return self.path.split(".")[1]


class Evaluation(Described):
    """``evaluation.json``: a dataset, the task, and the cases of the phase."""

    format: Literal[1] = 1  # version of this file
    cytosuite: str  # version that wrote it
    task: TaskName
    dataset: str  # name of the dataset
    title: str  # its name for readers
    size: str
    fingerprint: str  # digest of all that makes the dataset
    ranked: tuple[RankedMetric, ...]  # metrics to rank by
    cases: tuple[EvaluatedCase, ...] = Field(min_length=1)
    reference: tuple[RealImage, ...] = ()

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        """Refuse two cases of one name, or with images of one name."""
        for names in ([c.name for c in self.cases], [c.image for c in self.cases]):
            if len(set(names)) < len(names):
                twice = next(name for name in names if names.count(name) > 1)
                raise ValueError(f"cases: the name {twice!r} stands twice; each needs its own")
        return self

    @property
    def images(self) -> TextDict:
        """Name of the uploaded images of each case, by its name."""
        return {case.name: case.image for case in self.cases}

    def dataset_in(self, folder: Path) -> Dataset:
        """Return the dataset in the folder of the ground truth."""
        return Dataset(
            self.dataset,
            self.title,
            self.size,
            self.task,
            self.fingerprint,
            None,
            folder,
            cases_in(folder, self.images),
            reference=tuple(folder / real.image for real in self.reference),
            reference_labels={
                folder / real.image: folder / real.labels for real in self.reference if real.labels
            },
        )


def read_evaluation(folder: Path) -> Evaluation:
    """Return the ``evaluation.json`` in the folder of a ground truth, or InputError."""
    path = folder / FILE
    return parse(path, read_json(path), Evaluation)
