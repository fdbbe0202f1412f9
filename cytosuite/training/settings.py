"""Settings that all trainings share, read from a TOML file."""

from math import cos, pi
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from pydantic import Field, model_validator

from cytosuite.contract.manifest import (
    Count,
    Described,
    NotNegative,
    OpenShare,
    Positive,
    Whole,
    parse,
)
from cytosuite.errors import InputError
from cytosuite.files import Entries, FloatTuple, Json, Texts
from cytosuite.folders.index import FolderIndex, index
from cytosuite.folders.masks import Source, read_labels
from cytosuite.folders.part import read_grey
from cytosuite.folders.splits import Splits
from cytosuite.formats.hdf5 import LABELS_FIRST
from cytosuite.formats.lists import list_of
from cytosuite.networks.tiling import check_crop
from cytosuite.volume import Volume

_FIRST = 1 / 25  # rate of the first step, relative to the highest
_LAST = 1e-4
_RISE, _HALVED, _LONG = 10, 90, 250  # epochs of `halved`


Section = TypeVar("Section", bound=Described)


def altered(section: Section, changes: Entries) -> Section:
    """Return settings with other entries; those that are None stay."""
    return section.model_copy(update={k: v for k, v in changes.items() if v is not None})


class Schedule(Described):
    """Length and speed of a training."""

    steps: Whole = 1500  # batches; 0 for measured parameters alone
    epochs: Whole = 0  # passes over the cases, in place of steps
    optimiser: Literal["adamw", "sgd"] = "adamw"  # sgd with a momentum of 0.9
    learning_rate: Positive = 2e-3  # highest rate of the optimisers
    warm_up: OpenShare = 0.1  # share of the steps with a rising rate
    hold: OpenShare = 0  # share of the steps after it at full rate
    # of the rate after; halving, by epochs, knows no warm_up and hold
    fall: Literal["cosine", "linear", "none", "halving"] = "cosine"
    weight_decay: NotNegative = 1e-3  # of the optimisers
    clip: Positive = 1.0  # largest norm of the gradient
    average: OpenShare = 0.995  # decay of the averaged weights
    seed: int = Field(0, ge=0, le=2**32 - 1)  # of weights, batches and steps
    report: Count = 25  # steps between two lines of the log
    checkpoint: Count = 200  # steps between two checkpoints

    def rate(self, step: int) -> float:
        """Return the learning rate of a step: up along a cosine, held, then down.

        Smith and Topin, SPIE 11006 (2019), doi:10.1117/12.2520589 (one cycle: two cosines).

        >>> schedule = Schedule(steps=11, learning_rate=1.0, warm_up=0.5)
        >>> [round(schedule.rate(step), 3) for step in (0, 5, 10)]
        [0.04, 1.0, 0.0]
        """
        if self.fall == "halving":
            epochs = self.epochs or self.steps
            return halved(step * epochs // max(1, self.steps), epochs, self.learning_rate)
        place = step / max(1, self.steps - 1)
        rise = self.warm_up
        if place < rise:
            return self.learning_rate * (_FIRST + (1 - _FIRST) * (1 - cos(pi * place / rise)) / 2)
        passed = max(0.0, (place - rise) / (1 - rise) - self.hold) / (1 - self.hold)
        left = {"cosine": (1 + cos(pi * passed)) / 2, "linear": 1 - passed, "none": 1.0}[self.fall]
        return self.learning_rate * (_LAST + (1 - _LAST) * left)


def halved(epoch: int, epochs: int, highest: float) -> float:
    """Return the rate of an epoch: up in 10, held, and of more than 250 halved in the last 90.

    That of Cellpose 2 (Pachitariu and Stringer, Nature Methods 19 (2022),
    doi:10.1038/s41592-022-01663-4): every 10 epochs from the ninetieth before the end.

    >>> [halved(epoch, 500, 9.0) for epoch in (0, 1, 9, 409, 410, 420)]
    [0.0, 1.0, 9.0, 9.0, 4.5, 2.25]
    """
    if epoch < _RISE:
        return highest * epoch / (_RISE - 1)
    late = epoch - (epochs - _HALVED) if epochs > _LONG else -1
    return highest if late < 0 else highest / 2 ** (1 + late // _RISE)


class Validation(Described):
    """Scoring of held-out cases in the course of a training."""

    every: Whole = 0  # steps between two validations; 0 for none
    metric: str = ""  # name of the metric that chooses the weights, like SEG
    also: Texts = ()  # further metrics, in the log and the card
    # the training ends after so many without a better score; 0 for never
    patience: Whole = 0
    cases: NotNegative = 0  # held out of each role: a share, or a number from 1
    share: float = Field(0.1, gt=0, le=1)  # of the time, at most; 1 for no bound

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.every and not (self.metric and self.cases):
            raise ValueError("validation needs every, metric and cases together")
        return self


class Card(Described):
    """Entries of the new model's card that its maker gives; all others follow from the training."""

    version: str = "0.1.0"  # of the model
    description: str = ""  # its purpose; data, steps and parent without it
    authors: str = ""  # its makers; the user of git or of the machine without it
    license: str = "NOASSERTION"  # SPDX identifier
    # its images; missing entries come from the data
    describes: dict[str, str | float | FloatTuple] = Field({})
    parameters: Json = Field({})  # of the inference; those that are missing are the parent's


class FileSettings(Described):
    """Places of images in lists and HDF5 files, and the parts of a folder."""

    root: Path | None = Field(None, exclude=True)  # folder in which the names in a list count
    group: str = ""  # dataset in HDF5 files, like data/raw_image
    splits: Splits | None = None  # parts of every folder, in place of its splits.toml
    recursive: bool = Field(False, exclude=True)  # whether sub-folders hold images, too

    def index(self, place: Path, task: str | None = None) -> FolderIndex:
        """Return the images of a folder, or of its list for a training."""
        listed = list_of(place, "train")
        return index(
            listed or place, task, recursive=self.recursive, root=self.root if listed else None
        )

    def read(self, path: Path, *, axes: str = "") -> Volume:
        """Return the image in a file, of colours their mean; see `cytosuite.formats.read`."""
        return read_grey(path, self.group, axes=axes)

    def labels(self, source: Source) -> Volume:
        """Return the labels of an image; InputError for other than whole numbers from 0."""
        volume = read_labels(source, self.group or LABELS_FIRST)
        kind = volume.array.dtype
        least = volume.array.min(initial=0)
        is_whole = kind.kind in "iu"
        if not is_whole or least < 0:
            remedy = "number the objects from 1" if is_whole else "save them as 16-bit integers"
            raise InputError(
                f"{source}: expected labels as whole numbers, 0 for the background, found {kind} "
                f"from {least}; {remedy}"
            )
        return volume


BESIDE = FileSettings()  # images next to their list, the usual names in HDF5 files


class TrainingSettings(Described):
    """Settings of any training; a network adds its own."""

    files: FileSettings = BESIDE
    network: Described
    schedule: Schedule = Schedule()
    validation: Validation = Validation()
    card: Card = Card()

    @model_validator(mode="after")
    def _crops_fit_the_network(self) -> Self:
        """Refuse crops that the network cannot halve as often as it has to."""
        for name in ("crops", "patches"):
            if crops := getattr(self, name, None):
                check_crop(f"{name}.shape", crops.shape, self.network)
        return self

    def with_schedule(self, **changes: float | None) -> Self:
        """Return settings with another schedule; entries that are None stay, steps end epochs."""
        ended = {} if changes.get("steps") is None else {"epochs": 0}
        schedule = dict(altered(self.schedule, {**ended, **changes}))
        return self.model_copy(update={"schedule": parse("schedule", schedule, Schedule)})

    def with_files(self, **changes: Any) -> Self:  # noqa: ANN401 - as the fields of the files
        """Return settings with other files; entries that are None stay."""
        return self.model_copy(update={"files": altered(self.files, changes)})

    def with_card(self, **changes: Any) -> Self:  # noqa: ANN401 - as the fields of the card
        """Return settings with other entries for the card; those that are None stay."""
        return self.model_copy(update={"card": altered(self.card, changes)})


Settings = TypeVar("Settings", bound=TrainingSettings)
