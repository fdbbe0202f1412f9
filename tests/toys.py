"""Toy runs of every task: datasets made of arrays, and algorithms that are functions."""

from functools import partial

import numpy as np
import pytest

from cytosuite.benchmark.engines.hardening import Host
from cytosuite.benchmark.engines.outcome import Limits
from cytosuite.benchmark.runs.data.dataset import prepare
from cytosuite.benchmark.runs.data.recipe import Recipe
from cytosuite.benchmark.runs.plan import Answerer
from cytosuite.benchmark.runs.record import Record
from cytosuite.benchmark.runs.store.pool import Processes
from cytosuite.datasets.sample import Sample
from cytosuite.files import write_json
from cytosuite.formats import read, write
from cytosuite.volume import Volume

SPACING = (2.0, 0.5, 0.5)
SHAPE = (12, 24, 24)
ALL = frozenset({"CpuCfsQuota", "CPUSet", "MemoryLimit", "SwapLimit", "PidsLimit"})
HOST = Host(rootless=False, cpus=frozenset({0, 1, 2, 3}), can=ALL, uid=1001, gid=100)
LIMITS = Limits(memory_gib=2.0, timeout_s=60.0, cpus=2.0, pids=99, output_gib=0.5)


def labels(seed=0):
    array = np.zeros(SHAPE, np.uint16)
    array[3:9, 3:10, 3:10] = 1
    array[3:9, 13:20, 12 + seed % 3 : 20] = 2
    return array


def image(seed=0, noise=5.0):
    rng = np.random.default_rng(seed)
    clean = 20.0 + 100.0 * (labels(seed) > 0)
    return (clean + rng.normal(0, noise, SHAPE)).astype(np.float32)


def squares(image):
    """Return the labels of bright squares that begin at each fourth row."""
    rows = np.arange(image.shape[1])[None, :, None] // 4
    return ((image.array > 0) * rows).astype(np.uint16)


def made_in(folder, recipe, workers=1):
    """Return a dataset made in a folder."""
    return prepare(recipe, folder, Processes(workers), lambda done, total: None)


def put(path, answer):
    """Write a document of JSON, or an array in voxels of `SPACING`."""
    (write_json if isinstance(answer, dict) else write)(path, _value(answer))


def _value(value):
    """Return a document as it is, an array with axes."""
    if isinstance(value, dict):
        return value
    return Volume(value, SPACING[-value.ndim :], "ZYX"[-value.ndim :])


def _sample(sockets, number):
    """Return a case: each socket is an array, or a function of the case's number."""
    arrays = {slug: make(number) if callable(make) else make for slug, make in sockets.items()}
    return Sample(
        {slug: _value(value) for slug, value in arrays.items()}, conditions={"number": number}
    )


@pytest.fixture
def dataset_of(tmp_path):
    """Return a function that makes a dataset, with real images: names in no order, two formats."""

    def made(cases=3, reference=0, labelled=True, real=image, task="segment", **sockets):
        sockets = {slug.replace("_", "-"): array for slug, array in sockets.items()}
        makers = tuple((f"c{n}", partial(_sample, sockets, n)) for n in range(cases))
        paths = {}
        for n in range(reference):
            path = tmp_path / f"real/r{(3 * n) % 7}{('.tif', '.mha')[n % 2]}"
            drawn = tmp_path / f"drawn/r{n}.tif"
            put(path, real(100 + n))
            put(drawn, labels(100 + n))
            paths[path] = drawn if labelled else None
        recipe = Recipe("toy", "Toys", "tiny", task, 0, "f" * 64, makers, reference=paths)
        return made_in(tmp_path / "datasets", recipe)

    return made


@pytest.fixture
def answers(tmp_path):
    """Return a function that writes the outputs of algorithms: arrays, or the failure's name."""

    def made(dataset, task, place="output.tif", **algorithms):
        answerers = []
        for name, behave in algorithms.items():
            answerers.append(Answerer(name, "1", "key", tmp_path / "run" / name))
            for case in dataset.cases:
                answer = behave(read(case.main(task))) if case.main(task) else behave(None)
                failed = isinstance(answer, str)
                record = Record(
                    algorithm=name, version="1", case=case.name, key="key", seconds=1.0,
                    status=answer if failed else "ok", peak_memory=1000,
                    outputs={} if failed else {task.outputs[0].slug: place},
                )  # fmt: skip
                folder = answerers[-1].folder / case.name
                if not failed:
                    put(folder / place, answer)
                record.write(folder)
        return answerers

    return made
