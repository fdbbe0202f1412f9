"""Makes the helpers of each algorithm's tests importable, and computes in one thread."""

import json
import sys
from hashlib import sha256
from importlib import import_module
from pathlib import Path

import pytest
from safetensors.torch import save_file

from cytosuite.contract.weights import open_model, read_cards
from cytosuite.networks.network import _loaded, tensors_of

HELPED = ("cellpose3d", "cyclegan3d", "diffusion", "view_fusion", "view_fusion/training")
collect_ignore_glob = ["*/stub/*"]  # imported in search of examples, they would stand for the tools
sys.path += [str(Path(__file__).parent / name) for name in HELPED]


@pytest.fixture(autouse=True)
def _all_in_one_thread(one_thread):
    """Compute in one thread."""


@pytest.fixture
def opened(tmp_path):
    """Return a function that writes a card, with the weights of a network, and opens it."""

    def opened(algorithm, task, parameters, network=None):
        card = {
            **{"name": "tiny", "version": "0.1.0", "algorithm": algorithm, "task": task},
            **{"description": "Random.", "authors": "nobody", "license": "Apache-2.0"},
            "describes": {"axes": "ZYX", "spacing": (2.0, 0.8, 0.8)},
            "parameters": parameters,
        }
        if network is not None:
            tensors = {key: each.contiguous() for key, each in tensors_of(network).items()}
            save_file(tensors, path := tmp_path / "tiny.safetensors")
            card |= {"weights": path.name, "sha256": sha256(path.read_bytes()).hexdigest()}
        (tmp_path / "tiny.json").write_text(json.dumps(card))
        return open_model(tmp_path, read_cards(tmp_path, algorithm)[0])

    yield opened
    _loaded.cache_clear()


@pytest.fixture
def stubbed(monkeypatch):
    """Return a function that imports modules of an algorithm with stubs in place of its tool."""
    names = []  # of packages that are imported anew, and forgotten

    def loaded():
        return [name for name in sys.modules if name.startswith(tuple(f"{n}." for n in names))]

    def imported(algorithm, *parts):
        stub, own = Path(__file__).parent / algorithm / "stub", f"cytosuite.algorithms.{algorithm}"
        tools = [path.name for path in stub.iterdir()]
        names.extend([own, *tools])
        for name in [*loaded(), *(tool for tool in tools if tool in sys.modules)]:
            del sys.modules[name]  # its undoing would bring stubs back after the test
        monkeypatch.syspath_prepend(stub)
        return [import_module(f"{own}.{part}") for part in parts]

    yield imported
    for name in [*loaded(), *(tool for tool in names if tool in sys.modules)]:
        del sys.modules[name]
