"""Training by the code of a tool, and models that it wrote: a case of the algorithm's container.

``/input/training.json`` says which: with settings and seed, images and labels of one name in
``images`` and ``labels``; or a file of the tool in ``model``. ``/output`` gets ``learned.json`` and
``learned.safetensors``, from which the runner writes a model card.
"""

import os
import random
import resource
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors.numpy import save

from cytosuite.contract.call import delivered
from cytosuite.contract.progress import gathered, shown
from cytosuite.contract.select import describe
from cytosuite.contract.weights import module_of
from cytosuite.files import Entries, atomic, read_json, write_json
from cytosuite.formats import read
from cytosuite.volume import Volume
from cytosuite.volume.arrays import Array

REQUEST, ANSWER, WEIGHTS = "training.json", "learned.json", "learned.safetensors"
COMMON = ("axes", "channel", "sample", "stain")  # facts that images of a training may share
PART = "learn"  # module of an algorithm with `learn` and `convert`


class Pair(NamedTuple):
    """An annotated image."""

    name: str
    image: Volume
    labels: Volume


class Learned(NamedTuple):
    """A model: parameters and purpose of its card, and its weights."""

    parameters: Entries
    tensors: Mapping[str, Array]
    describes: Mapping[str, Any] = {}


class Learning:
    """A training, or a conversion of a tool's own model, as the one case of a container."""

    def __init__(self, name: str, inputs: Path, outputs: Path) -> None:
        self.inputs, self.outputs = inputs, outputs
        self.request = read_json(inputs / REQUEST)
        self.module = module_of(name, PART, "no tool of others is trained here")

    def run_case(self) -> Entries:
        """Write the learned model, and return a record without warnings."""
        start = time.perf_counter()
        with delivered(self.outputs) as folder:
            with gathered() as facts, shown(), _scratch(folder) as scratch:
                files = sorted((self.inputs / "model").glob("*"))
                if files:  # of the tool
                    learned: Learned = self.module.convert(files[0], scratch)
                else:
                    learned = self._trained(scratch)
            answer = {
                "parameters": dict(learned.parameters),
                "describes": dict(learned.describes),
                "facts": facts.words,
                "seconds": round(time.perf_counter() - start, 1),
                "cpu_seconds": round(cpu_seconds(), 1),
            }
            tensors = {
                name: np.ascontiguousarray(tensor) for name, tensor in learned.tensors.items()
            }
            with atomic(folder / WEIGHTS) as temporary:
                temporary.write_bytes(save(tensors))
            write_json(folder / ANSWER, answer)
        return {"warnings": []}

    def _trained(self, scratch: Path) -> Learned:
        """Return a model that the tool trained."""
        pairs = list(_pairs(self.inputs))
        seed = int(self.request["seed"])
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - of tools that know no other
        facts = [describe(pair.image) for pair in pairs]
        shared = {
            key: facts[0][key]
            for key in COMMON
            if key in facts[0] and all(others.get(key) == facts[0][key] for others in facts)
        }
        learned: Learned = self.module.learn(
            pairs, {**self.request["settings"], "seed": seed}, scratch
        )
        return learned._replace(describes={**shared, **learned.describes})


def _pairs(inputs: Path) -> Iterator[Pair]:
    """Yield images with the labels of their name."""
    for path in sorted((inputs / "images").iterdir()):
        yield Pair(path.name.partition(".")[0], read(path), read(inputs / "labels" / path.name))


@contextmanager
def _scratch(outputs: Path) -> Iterator[Path]:
    """Make a folder on disk, home and working folder of the tool, and remove it."""
    folder = outputs / "scratch"
    folder.mkdir()
    home = os.environ.get("HOME", "/tmp")
    os.environ["HOME"] = str(folder)
    try:
        with chdir(folder):
            yield folder
    finally:
        os.environ["HOME"] = home
        shutil.rmtree(folder)


def cpu_seconds() -> float:
    """Return the processor time of this process and its ended children [s]."""
    uses = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(use.ru_utime + use.ru_stime for use in uses)
