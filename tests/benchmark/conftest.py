"""A tiny dataset and an engine that runs functions instead of containers."""

import sys
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace

import numpy as np
import nvidia
import pytest
from participants import one_reader
from toys import answers, dataset_of, made_in, squares

from cytosuite.benchmark.catalog import models
from cytosuite.benchmark.catalog.models import algorithms
from cytosuite.benchmark.catalog.packages import need_packages
from cytosuite.benchmark.engines.outcome import Limits, Outcome, StartError
from cytosuite.benchmark.runs.data.recipe import Recipe
from cytosuite.datasets.sample import Sample
from cytosuite.formats import read, write
from cytosuite.volume import Volume

__all__ = ["answers", "dataset_of"]


@pytest.fixture(scope="session", autouse=True)
def reader():
    """Let one process read the outputs of all runs."""
    with one_reader():
        yield


def _sample(number, annotated):
    """Return an image of `number` bright squares and their labels."""
    labels = np.zeros((4, 24, 24), np.uint16)
    for label in range(1, number + 1):
        labels[1:3, 4 * label : 4 * label + 3, 5:9] = label
    image = Volume((labels > 0).astype(np.uint16) * 100, (2.0, 0.5, 0.5), "ZYX", {"channel": "x"})
    truth = {"instance-labels": image.like(labels)} if annotated else {}
    said = {"squares": number, "all alike": "yes"} | ({"parity [2]": number % 2} if number else {})
    return Sample({"microscopy-image": image} | truth, conditions=said)


@pytest.fixture
def make_dataset(tmp_path):
    """Return a function that makes a dataset with so many objects in its cases."""

    def make(*numbers, annotated=True, fingerprint="f" * 64):
        makers = tuple((f"case_{n}", partial(_sample, n, annotated)) for n in numbers)
        recipe = Recipe("squares", "Squares", "tiny", "segment", 0, fingerprint, makers)
        return made_in(tmp_path / "datasets", recipe)

    return make


@pytest.fixture
def dataset(make_dataset):
    """Return a dataset of three annotated cases with one, two and three objects."""
    return make_dataset(1, 2, 3)


@pytest.fixture
def watershed():
    """Return the manifest of an algorithm."""
    return algorithms()["watershed"]


@pytest.fixture
def volumes_alone(monkeypatch):
    """Leave cellpose3d without its models of planes."""
    every = models.cards_of

    def cards_of(name, named):
        planes = "YX" if name == "cellpose3d" else ""
        return [card for card in every(name, named) if card.describes.get("axes") != planes]

    monkeypatch.setattr(models, "cards_of", cards_of)


class FakeEngine:
    """Runs `behave(image, output folder)` for each case, which may return an Outcome."""

    name, api, client, voice, notes, files = "fake", "invoke", None, "", (), False

    def __init__(self, behave, identity="1"):
        self.behave = behave
        self.calls = []
        self._identity = identity
        self.starts = True
        self.models = {}
        self.externals = {}

    def identity(self, algorithm):
        return self._identity

    def on_gpu(self, algorithm):
        return False

    def prepare(self, algorithms, base_image=None):
        for name in algorithms:
            need_packages(name)

    @contextmanager
    def session(self, algorithm, workspace, limits, api):
        if not self.starts:
            raise StartError(f"{algorithm} did not start: no reason")
        yield SimpleNamespace(startup_seconds=0.5, predict=self._predict)

    def _predict(self, case_input, output, log, shown=lambda _: None):
        (path,) = (case_input / "images/microscopy-image").iterdir()
        self.calls.append(path.stem)
        log.write_text("a line of the log\n")
        shown(0.5)
        return self.behave(read(path), output) or Outcome("ok", 0.25, 10**6, 0)


def write_labels(image, output, labels):
    """Write an output as an algorithm does."""
    write(output / "images/instance-labels/any.tif", image.like(labels))


def perfect(image, output):
    """Segment the squares exactly."""
    write_labels(image, output, squares(image))


def bright(image, output):
    """Take all that is bright as one object."""
    write_labels(image, output, (image.array > 0).astype(np.uint16))


@pytest.fixture
def engine():
    """Return an engine whose algorithm is perfect."""
    return FakeEngine(perfect)


@pytest.fixture(scope="session")
def fakes():
    """Return what tests need to make engines of their own."""
    return SimpleNamespace(
        Engine=FakeEngine,
        perfect=perfect,
        bright=bright,
        write_labels=write_labels,
        limits=Limits(),
    )


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Return a function that gives this machine GPUs, or a driver that fails with an error."""
    import pynvml

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    locks = tmp_path / "locks"
    locks.mkdir()
    monkeypatch.setattr("cytosuite.benchmark.engines.gpu.LOCKS", locks)

    def make(*cards, error=None):
        library = nvidia.FakeNvml(
            pynvml, [{"uuid": card} if isinstance(card, str) else card for card in cards], error
        )
        monkeypatch.setitem(sys.modules, "pynvml", library)
        return library

    return make
