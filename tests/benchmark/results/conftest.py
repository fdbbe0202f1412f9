"""Toy runs of every task: datasets made of arrays, and algorithms that are functions."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from cytosuite.benchmark.cluster.processes import processes
from cytosuite.benchmark.data.dataset import prepare
from cytosuite.benchmark.data.recipe import Recipe
from cytosuite.benchmark.results.score import score
from cytosuite.benchmark.runs.plan import Answerer
from cytosuite.benchmark.runs.record import Record
from cytosuite.datasets.sample import Sample
from cytosuite.formats import read, write
from cytosuite.volume import Volume

SPACING = (2.0, 0.5, 0.5)
SHAPE = (12, 24, 24)


def labels(seed=0):
    found = np.zeros(SHAPE, np.uint16)
    found[3:9, 3:10, 3:10] = 1
    found[3:9, 13:20, 12 + seed % 3 : 20] = 2
    return found


def image(seed=0, noise=5.0):
    rng = np.random.default_rng(seed)
    clean = 20.0 + 100.0 * (labels(seed) > 0)
    return (clean + rng.normal(0, noise, SHAPE)).astype(np.float32)


def volume(array):
    return Volume(array, SPACING[-array.ndim :], "ZYX"[-array.ndim :])


def sample(sockets, number):
    """Return a case: each socket is an array, or a function of the case's number."""
    arrays = {slug: made(number) if callable(made) else made for slug, made in sockets.items()}
    volumes = {slug: volume(array) for slug, array in arrays.items()}
    return Sample(volumes, conditions={"number": number})


@pytest.fixture
def dataset_of(tmp_path):
    def made(cases=3, reference=0, labelled=True, real=image, **sockets):
        sockets = {slug.replace("_", "-"): array for slug, array in sockets.items()}
        makers = tuple((f"c{n}", partial(sample, sockets, n)) for n in range(cases))
        paths = {}
        for n in range(reference):
            path, drawn = tmp_path / "real" / f"r{n}.tif", tmp_path / "drawn" / f"r{n}.tif"
            write(path, volume(real(100 + n)))
            write(drawn, volume(labels(100 + n)))
            paths[path] = drawn if labelled else None
        recipe = Recipe("toy", "Toys", "tiny", "segment", 0, "f" * 64, makers, reference=paths)
        return prepare(recipe, tmp_path / "datasets", processes(1), lambda done, total: None)

    return made


@pytest.fixture
def answers(tmp_path):
    """Return a function that writes the outputs of algorithms: arrays, or the failure's name."""

    def made(dataset, task, **algorithms):
        jobs = []
        for name, behave in algorithms.items():
            jobs.append(Answerer(name, "1", "key", tmp_path / "run" / name))
            for case in dataset.cases:
                found = behave(read(case.main(task))) if case.main(task) else behave(None)
                failed = isinstance(found, str)
                record = Record(
                    algorithm=name, version="1", case=case.name, key="key", seconds=1.0,
                    status=found if failed else "ok", peak_memory=1000,
                    outputs={} if failed else {task.outputs[0].slug: "output.tif"},
                )  # fmt: skip
                folder = jobs[-1].folder / case.name
                if not failed:
                    write(folder / "output.tif", volume(found))
                record.write(folder)
        return jobs

    return made


@pytest.fixture
def scored(answers):
    def found(dataset, task, **algorithms):
        return score(dataset, task, answers(dataset, task, **algorithms))

    return found


@pytest.fixture
def values():
    def found(scores, algorithm, metric):
        rows = scores.table
        rows = rows[(rows["algorithm"] == algorithm) & (rows["metric"] == metric)]
        return dict(zip(rows["case"], rows["value"], strict=True))

    return found


@pytest.fixture
def toys():
    return SimpleNamespace(labels=labels, image=image)
