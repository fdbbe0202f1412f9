import json
from types import SimpleNamespace

import cards
import numpy as np
import pytest
import torch
from mistakes import no_model, refused
from numpy.testing import assert_allclose, assert_array_equal
from safetensors.torch import load_file
from torch.testing import assert_close

from cytosuite.contract.weights import Model
from cytosuite.networks import network as module
from cytosuite.networks.network import (
    Lazy,
    VoxelNorm,
    exact,
    folded,
    load_once,
    predict_tiles,
    put_tensors,
    reused_memory,
    tensors_of,
    unfolded,
)
from cytosuite.volume import memory

TILING = {"multiple": (4, 8, 8), "tile": (16, 32, 32), "halo": (2, 4, 4)}


def _network(seed=0):
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))


def _model(folder, network):
    return cards.model(
        folder, {k: v for k, v in tensors_of(network).items() if v.is_floating_point()}
    )


def test_written_weights_come_back_without_counters_and_others_are_refused(tmp_path):
    network = _network(0)
    other = _network(1)
    path = _model(tmp_path, network).weights
    put_tensors(other, load_file(path), path)
    for name, value in tensors_of(network).items():
        assert torch.equal(tensors_of(other)[name], value)
    tensors = tensors_of(network)
    wide = {**tensors, "0.weight": torch.zeros(4, 9)}
    refused(r"0\.weight: expected [\d x]+, found 4 x 9", put_tensors, other, wide, tmp_path)
    odd = {**tensors, "1.bias": torch.full((4,), torch.nan)}
    refused("1.bias holds NaN, as of a training that", put_tensors, other, odd, tmp_path)
    del tensors["1.bias"]
    refused(r"1\.bias: expected \d+, found none", put_tensors, other, tensors, tmp_path)


def test_a_network_is_loaded_once_until_weights_or_arguments_change(tmp_path):
    calls = []

    def load(arguments, path):
        calls.append((json.dumps(arguments), path.name))
        return _network()

    module._loaded.cache_clear()
    first = _model(tmp_path, _network(0))
    second = _model(tmp_path, _network(1))
    one = load_once(first, {"width": 1}, load)
    assert load_once(first, {"width": 1}, load) is one
    assert load_once(first, {"width": 2}, load) is not one
    assert load_once(second, {"width": 1}, load) is not one
    assert len(calls) == 3
    no_model(
        "card tiny: it names no weights; train a model", load_once, Model(cards.card()), {}, load
    )
    module._loaded.cache_clear()


class Recorder:
    def __init__(self):
        self.shapes = []

    def __call__(self, image):
        self.shapes.append(tuple(image.shape))
        assert torch.is_inference_mode_enabled()
        first = image[:, :1]
        second = image[:, 1:]
        return torch.cat([first + second, first - second, 99 * first], 1)


def flags():
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.backends.cudnn.deterministic,
        torch.backends.cudnn.allow_tf32,
        torch.is_inference_mode_enabled(),
    )


@pytest.mark.parametrize("device, strict", [("cpu", False), ("cuda", True)])
def test_a_gpu_computes_by_deterministic_kernels_and_only_within(device, strict):
    before = flags()
    with exact(device):
        assert flags() == (strict, strict, True, False, True)
        with exact(device):
            pass
        assert flags() == (strict, strict, True, False, True)
    assert flags() == before


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch without oneDNN")
def test_small_volumes_are_convolved_as_large_ones():
    network = torch.nn.Sequential(
        torch.nn.Conv3d(3, 4, 3, stride=(1, 2, 2), padding=1, dilation=(2, 1, 1)),
        torch.nn.ConvTranspose3d(4, 2, 3, stride=2, padding=1, output_padding=1),
    ).requires_grad_(False)
    values = torch.randn(1, 3, 6, 8, 10)
    with exact("cpu"), torch.autograd.profiler.profile(use_device=None) as seen:
        answer = network(values)
    assert not [event.name for event in seen.function_events if "slow" in event.name]
    assert_close(answer, network(values))


@pytest.mark.parametrize(
    "layer, values",
    [
        (torch.nn.Conv3d(1, 2, 3, padding="same"), torch.ones(1, 1, 4, 4, 4)),
        (torch.nn.Conv3d(1, 2, 3), torch.ones(1, 4, 4, 4)),
        (torch.nn.Conv3d(1, 2, 3).double(), torch.ones(1, 1, 4, 4, 4).double()),
    ],
)
def test_other_convolutions_are_those_of_torch(layer, values):
    with exact("cpu"):
        answer = layer(values)
    assert torch.equal(answer, layer(values).detach())


def image(shape=(2, 9, 50, 61)):
    return np.random.default_rng(0).uniform(0.5, 1, shape).astype(np.float32)


def test_many_channels_in_and_out_over_all_tiles():
    values = image()
    network = Recorder()
    answer = predict_tiles(values, network, channels=2, activate=lambda t: 2 * t, **TILING)
    assert_allclose(
        answer.values, 2 * np.stack([values[0] + values[1], values[0] - values[1]]), atol=1e-6
    )
    assert answer.values.dtype == np.float32
    assert answer.tiles == len(network.shapes) > 1
    for shape in network.shapes:
        assert shape[:2] == (1, 2)
        assert all(n % m == 0 for n, m in zip(shape[2:], TILING["multiple"], strict=True))
        assert np.prod(shape[2:]) <= np.prod(TILING["tile"])


@pytest.mark.parametrize("half", [False, True])
def test_a_half_precise_network_is_rounded_and_its_answer_float32(half, monkeypatch):
    monkeypatch.setattr(module, "precision", lambda device: torch.bfloat16)
    network = torch.nn.Conv3d(1, 1, 1)
    torch.nn.init.constant_(network.weight, 1.0)
    torch.nn.init.zeros_(network.bias)
    image = np.full((1, 4, 8, 8), 1 + 2**-12, np.float32)
    answer = predict_tiles(image, network, channels=1, half=half, **TILING).values
    assert answer.dtype == np.float32
    assert np.unique(answer).tolist() == [1.0 if half else 1 + 2**-12]


def test_freed_memory_is_kept_within_and_given_back_after(monkeypatch):
    calls = []
    library = SimpleNamespace(
        mallopt=lambda option, value: calls.append((option, value)),
        malloc_trim=lambda spared: calls.append("trim"),
    )
    monkeypatch.setattr(module.ctypes, "CDLL", lambda name: library)
    with reused_memory():
        with reused_memory():
            pass
        assert calls == [(-1, -1), (-4, 0)]
    assert calls[2:] == [(-1, 2**26), (-3, 2**25), (-4, 2**16), "trim"]
    del library.mallopt
    with reused_memory():
        assert calls[6:] == []


def test_skipped_tiles_are_zero():
    values = image((2, 16, 32, 200))
    network = Recorder()
    values[..., 100:] = 0
    answer = predict_tiles(values, network, channels=1, skip=lambda part: not part.any(), **TILING)
    assert 0 < answer.skipped < answer.tiles
    assert len(network.shapes) == answer.tiles - answer.skipped
    assert not answer.values[..., 100:].any()
    assert answer.values[..., :100].all()


@pytest.mark.parametrize("shape", [(2, 1, 40, 40), (2, 3, 7, 70), (2, 1, 1, 1)])
def test_thin_axes_are_extended_on_both_sides(shape):
    values = image(shape)
    answer = predict_tiles(values, Recorder(), channels=1, **TILING)
    assert_array_equal(answer.values[0], values[0] + values[1])


@pytest.mark.parametrize("fold", [1, 2, 3])
def test_folding_is_undone_and_keeps_squares_together(fold):
    image = torch.randn(2, 3, 2, 6, 12)
    parts = folded(image, fold)
    assert parts.shape == (2, 3 * fold**2, 2, 6 // fold, 12 // fold)
    assert torch.equal(unfolded(parts, fold), image)
    square = image[0, 1, 1, fold : 2 * fold, :fold].reshape(-1)
    assert torch.equal(parts[0, fold**2 : 2 * fold**2, 1, 1, 0], square)


def test_a_voxel_norm_by_hand():
    norm = VoxelNorm(2)
    norm.gain.data[:] = torch.tensor([1.0, 2.0])
    norm.shift.data[:] = torch.tensor([0.0, 0.5])
    answer = norm(torch.tensor([3.0, 4.0]).view(1, 2, 1, 1, 1)).flatten()
    root = (12.5 + 1e-4) ** 0.5
    assert_close(answer, torch.tensor([3 / root, 8 / root + 0.5]))
    assert torch.equal(norm(torch.zeros(1, 2, 1, 1, 1)).flatten(), norm.shift)


@pytest.mark.parametrize("shape", [(2, 9, 50, 61), (2, 3, 40, 7)])
def test_lazy_and_mapped_channels_have_the_answer_of_an_array(shape, mapped, tight):
    values = image(shape)
    expected = predict_tiles(values, Recorder(), channels=2, **TILING)
    tight()
    for channels in (Lazy(shape, lambda box: values[(slice(None), *box)]), mapped(values)):
        answer = predict_tiles(channels, Recorder(), channels=2, **TILING)
        assert_array_equal(answer.values, expected.values)
        assert memory.is_mapped(answer.values)
        assert answer.tiles == expected.tiles
