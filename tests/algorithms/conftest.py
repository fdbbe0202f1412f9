"""Makes the helpers of each algorithm's tests importable, and computes in one thread."""

import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import cards
import numpy as np
import pytest

from cytosuite.contract.weights import Model
from cytosuite.networks.network import _loaded, tensors_of
from cytosuite.volume import memory

HELPED = ("", "cellpose3d", "cyclegan3d", "diffusion", "view_fusion", "view_fusion/training")
sys.path += [str(Path(__file__).parent / name) for name in HELPED]


@pytest.fixture
def opened(tmp_path):
    """Return a function that makes a model of a card, a network and more tensors."""

    def opened(algorithm, task, parameters, network=None, more=(), **describes):
        facts = {"algorithm": algorithm, "task": task, "parameters": parameters}
        facts["describes"] = {"axes": "ZYX", "spacing": (2.0, 0.8, 0.8), **describes}
        if network is None:
            return Model(cards.card(**facts))
        return cards.model(tmp_path, {**tensors_of(network), **dict(more)}, **facts)

    yield opened
    _loaded.cache_clear()


@pytest.fixture
def hold_on_disk(monkeypatch, mapped, tight):
    """Return a function that holds the image made of one on disk to that of one in memory."""

    def hold(run, volume):
        expected = run(volume)
        tight()
        monkeypatch.setattr(memory, "SLAB", 3 * volume.array[0].size)
        on_disk = run(replace(volume, array=mapped(volume.array)))
        assert memory.is_mapped(on_disk.array)
        np.testing.assert_array_equal(on_disk.array, expected.array)
        assert on_disk.metadata == expected.metadata

    return hold


@pytest.fixture
def stubbed(monkeypatch):
    """Return a function that imports modules of an algorithm with stubs in place of its tool."""
    names = []  # of packages that are imported anew, and forgotten

    def loaded():
        return [name for name in sys.modules if name.startswith(tuple(f"{n}." for n in names))]

    def imported(algorithm, *parts):
        stub = Path(__file__).parent / algorithm / "stub"
        package = f"cytosuite.algorithms.{algorithm}"
        tools = [path.name for path in stub.iterdir()]
        names.extend([package, *tools])
        for name in [*loaded(), *(tool for tool in tools if tool in sys.modules)]:
            del sys.modules[name]  # its undoing would bring stubs back after the test
        monkeypatch.syspath_prepend(stub)
        return [import_module(f"{package}.{part}") for part in parts]

    yield imported
    for name in [*loaded(), *(tool for tool in names if tool in sys.modules)]:
        del sys.modules[name]
