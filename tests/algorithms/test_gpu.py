"""All networks with their shipped weights: their operations, and their answers on a real GPU."""

import importlib
import time
import warnings

import numpy as np
import pytest

from cytosuite.benchmark.catalog.contract import example
from cytosuite.benchmark.catalog.models import algorithms
from cytosuite.benchmark.catalog.places import ROOT
from cytosuite.contract.tasks import TASKS
from cytosuite.contract.weights import open_model, read_cards
from cytosuite.metrics import seg
from cytosuite.volume import Volume, merged

torch = pytest.importorskip("torch")
from torch.nn.modules.conv import _ConvNd  # noqa: E402 - torch may be missing
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

from cytosuite.networks import network  # noqa: E402

ALGORITHMS = algorithms()
CARDS = [
    pytest.param(name, card, id=f"{name}-{card.name}")
    for name in ALGORITHMS
    for card in read_cards(ROOT / "weights" / name, name)
    if card.weights and "network" in card.parameters
]
ONE_OF_A_KIND = list({(p.values[0], p.values[1].describes.get("axes")): p for p in CARDS}.values())
# Without a deterministic kernel on a GPU in this direction, or at all, by the documentation of
# torch.use_deterministic_algorithms (those that only their gradients lack are left out).
LOTTERY = {
    "bincount", "cumsum", "cumsum_", "histc", "kthvalue", "median", "nanmedian", "put_",
    "scatter_reduce", "scatter_reduce_", "index_reduce_", "resize_", "_embedding_bag",
}  # fmt: skip


def answer(name, card):
    """Return the outputs of an algorithm with one of its models for the example of its contract."""
    network._loaded.cache_clear()
    axes = str(card.describes.get("axes", "ZYX"))
    inputs = {
        slug: merged(
            [
                Volume(
                    volume.array,
                    tuple(card.describes.get("spacing", volume.spacing))[-volume.array.ndim :],
                    volume.axes,
                    volume.metadata,
                )
            ]
            * (1 + axes.startswith("C"))
        )
        for slug, volume in example(ALGORITHMS[name], axes.removeprefix("C")).items()
    }
    predict = importlib.import_module(f"cytosuite.algorithms.{name}.predict").predict
    begin = time.perf_counter()
    outputs = predict(inputs, open_model(ROOT / "weights" / name, card))
    network._loaded.cache_clear()
    return outputs, time.perf_counter() - begin


class Operations(TorchDispatchMode):
    """Collects the names of all operations in its block."""

    def __init__(self):
        super().__init__()
        self.names = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.names.add(function.overloadpacket.__name__)
        return function(*args, **(kwargs or {}))


def test_there_are_networks():
    assert {param.values[0] for param in CARDS} >= {"cellpose3d", "view_fusion", "diffusion"}


@pytest.mark.parametrize("name, card", ONE_OF_A_KIND)
def test_every_convolution_is_one_of_monai(name, card):
    path = open_model(ROOT / "weights" / name, card).weights
    load = importlib.import_module(f"cytosuite.algorithms.{name}.predict").load
    parts = list(load(card.parameters["network"], path).modules())
    blocks = [part for part in parts if type(part).__module__.startswith("monai.")]
    inside = {part for block in blocks for part in block.modules()}
    assert {part for part in parts if isinstance(part, _ConvNd)} <= inside


@pytest.mark.slow
@pytest.mark.parametrize("name, card", ONE_OF_A_KIND)
def test_every_operation_has_a_deterministic_kernel(name, card):
    with Operations() as operations:
        answer(name, card)
    assert any("conv" in operation for operation in operations.names)
    assert not operations.names & LOTTERY


def test_an_operation_of_the_lottery_is_noticed():
    with torch.inference_mode(), Operations() as operations:
        torch.ones(3).cumsum(0)
    assert operations.names & LOTTERY == {"cumsum"}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name, card", CARDS)
def test_a_gpu_repeats_itself_and_agrees_with_the_cpu(name, card, monkeypatch, record_property):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of an operation without a deterministic kernel
        # Light that differs by rounding is counted with other draws: light itself is compared.
        monkeypatch.setattr(
            "cytosuite.denoising.camera.CameraModel.expose", lambda _camera, level, _seed: level
        )
        (first, _), (second, seconds) = answer(name, card), answer(name, card)
    with monkeypatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: False)
        expected, on_cpu = answer(name, card)
    record_property("seconds_gpu", seconds)
    record_property("seconds_cpu", on_cpu)
    for socket in TASKS[ALGORITHMS[name].task].outputs:
        if socket.slug not in expected or socket.is_file:
            continue
        ours, again, theirs = (outputs[socket.slug].array for outputs in (first, second, expected))
        assert np.array_equal(ours, again)
        if socket.kind == "labels":
            assert seg(theirs, ours) > 0.95
        else:
            span = float(theirs.max()) - float(theirs.min())
            np.testing.assert_allclose(
                ours.astype(np.float64), theirs.astype(np.float64), atol=max(1.0, 0.02 * span)
            )
