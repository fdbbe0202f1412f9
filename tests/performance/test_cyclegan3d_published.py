"""Our networks with the published settings beside the published ones, in plain torch layers."""

import cyclegan3d as script
import cyclegan3d_published as published
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from cytosuite.algorithms.cyclegan3d.training.train import TRAINING
from cytosuite.training.parts import State

WIDTH, CROP = 4, (16, 32, 36)


def _narrow():
    """Return the published settings, so narrow that a step takes a second."""
    settings = script.settings_of("published.toml", CROP)
    network = settings.network.model_copy(update={"widths": (WIDTH, 2 * WIDTH, 4 * WIDTH)})
    judge = settings.judge.model_copy(update={"widths": tuple(WIDTH * 2**n for n in range(4))})
    return settings.model_copy(update={"network": network, "judge": judge})


def _copied(ours, theirs):
    """Give our network the weights of the other: both hold them in the order of their layers."""
    pairs = list(zip(ours.parameters(), theirs.parameters(), strict=True))
    with torch.no_grad():
        for own, other in pairs:
            own.copy_(other)
    return pairs


@pytest.fixture
def both():
    """Return our modules and optimisers and the published ones with the same weights, paired."""
    torch.manual_seed(0)
    modules, optimisers = TRAINING.build(_narrow())
    theirs = published.CycleGan(WIDTH)
    names = ("forward", "backward", "judge_real", "judge_simulated")
    peers = (theirs.to_a, theirs.to_b, theirs.judge_a, theirs.judge_b)
    pairs = {n: _copied(modules[n], peer) for n, peer in zip(names, peers, strict=True)}
    return modules, optimisers, theirs, pairs


def test_networks_of_the_published_settings_give_the_published_answers(both):
    modules, _, theirs, _ = both
    image = script.crops(0, CROP)
    with torch.no_grad():
        made = theirs.to_a(image)
        torch.testing.assert_close(modules["forward"](image), made, atol=1e-5, rtol=1e-4)
        answers = theirs.judge_a(image)
        torch.testing.assert_close(modules["judge_real"](image), answers, atol=1e-5, rtol=1e-4)
    assert made.shape == image.shape
    assert float(made.std()) > 0.01


@pytest.mark.slow
def test_a_step_with_the_published_settings_has_the_published_gradients(both, monkeypatch):
    modules, optimisers, theirs, pairs = both
    real, simulated = script.crops(1, CROP), script.crops(2, CROP)
    state = State(modules, optimisers, modules["forward"], "cpu", clip=1e6)
    theirs.step(real, simulated)
    monkeypatch.setattr("cytosuite.training.parts.precision", lambda _: torch.float32)
    TRAINING.step(state, {"real": real, "simulated": simulated}, _narrow())
    for name, weights in pairs.items():
        largest = max(float(other.grad.abs().max()) for _, other in weights)
        assert largest > 1e-4
        for own, other in weights:
            gap = float((own.grad - other.grad).abs().max())
            assert gap < 1e-3 * largest, name


@pytest.mark.slow
def test_the_published_networks_have_their_weights_and_operations():
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        whole = published.CycleGan()
        sizes = [sum(w.numel() for w in part.parameters()) for part in whole.parts[1:3]]
        whole.step(torch.zeros(1, 1, 16, 64, 64), torch.zeros(1, 1, 16, 64, 64))
    assert tuple(sizes) == published.WEIGHTS
    assert 1.55e12 < counter.get_total_flops() < 1.65e12
    assert whole.judge_a(torch.zeros(1, 1, 32, 128, 128, device="meta")).shape[2:] == (12, 14, 14)


@pytest.mark.parametrize("share", [0.5, 0.3, 0.0])
def test_half_cut_windows_leave_no_gap(share):
    image = script.crops(0, (20, 33, 31))
    made = published.half_cut(image, lambda part: part, (8, 16, 15), share)
    assert torch.equal(made, image)


def test_half_cut_windows_show_the_statistics_of_each():
    image = torch.zeros(1, 1, 8, 8, 32)
    image[..., 16:] = 1
    made = published.half_cut(image, lambda part: part - part.mean(), (8, 8, 16), 0.5)
    assert made[0, 0, 0, 0, [0, 11, 12, 15, 16, 31]].tolist() == [0, 0, -0.5, -0.5, 0.5, 0]


@pytest.mark.slow
def test_a_larger_step_grows_by_operations_and_voxels():
    fixed = 16 * sum(2 * n for n in published.WEIGHTS) / 2**20
    row = {"weights": 2 * sum(published.WEIGHTS), "TFLOP": 1.0, "cpu": 2.0, "wall": 3.0}
    grown = script.grown({**row, "MiB": fixed + 100}, script.LARGE)
    assert grown["MiB"] == pytest.approx(fixed + 800)
    assert 12.5 < grown["TFLOP"] < 13.5
    assert grown["cpu"] == pytest.approx(2 * grown["TFLOP"])
    assert grown["wall"] == pytest.approx(3 * grown["TFLOP"])
