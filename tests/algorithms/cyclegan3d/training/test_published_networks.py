"""With the published settings, networks and a step are the published ones, in plain torch layers.

Source: Bruch et al., PLoS ONE 18 (2023), doi:10.1371/journal.pone.0283828: architecture and losses,
without pools, which a first step leaves out.
"""

import pytest
import torch
from published_generator import Generator
from torch import nn
from torch.nn.functional import l1_loss, mse_loss

from cytosuite.algorithms.cyclegan3d.training.settings import Settings
from cytosuite.algorithms.cyclegan3d.training.train import TRAINING
from cytosuite.contract.manifest import parse
from cytosuite.files import read_toml
from cytosuite.training.parts import State
from cytosuite.training.publish import ALGORITHMS

WIDTH, CYCLE, IDENTITY = 64, 10.0, 0.5
WEIGHTS = (34_111_489, 11_047_873)  # of generator and judge at this width
NARROW = 2
CROP = (16, 32, 36)


def judge(width):
    """Return a PatchGAN with random weights."""
    layers = [nn.Conv3d(1, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
    for inputs, stride in ((width, (1, 2, 2)), (2 * width, (1, 2, 2)), (4 * width, (1, 1, 1))):
        layers.append(nn.Conv3d(inputs, 2 * inputs, 4, stride=stride, padding=1))
        layers += [nn.InstanceNorm3d(2 * inputs), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv3d(8 * width, 1, 4, padding=1))


def learn(to_a, to_b, judge_a, judge_b, a, b):
    """Leave the gradients of the first published step with a real and a simulated crop."""

    def to(answers, value):
        """Return the mean squared distance of answers from a value."""
        return mse_loss(answers, torch.full_like(answers, value))

    fake_a = to_a(b)
    fake_b = to_b(a)
    lost = CYCLE * (l1_loss(to_a(fake_b), a) + l1_loss(to_b(fake_a), b))
    lost = lost + to(judge_a(fake_a), 1.0) + to(judge_b(fake_b), 1.0)
    lost = lost + CYCLE * IDENTITY * (l1_loss(to_a(a), a) + l1_loss(to_b(b), b))
    lost.backward()
    for judged, real, fake in ((judge_a, a, fake_a), (judge_b, b, fake_b)):
        judged.zero_grad()
        (0.5 * (to(judged(real), 1.0) + to(judged(fake.detach()), 0.0))).backward()


def _settings():
    """Return the published settings, so narrow that a step takes a second."""
    values = read_toml(ALGORITHMS / "cyclegan3d/training/published.toml")
    values["crops"] |= {"shape": CROP, "batch": 1}
    values["loss"] |= {"pool": 0, "judge_every": 1, "keep": "correlation"}
    settings = parse("published.toml", values, Settings)
    network = settings.network.model_copy(update={"widths": (NARROW, 2 * NARROW, 4 * NARROW)})
    widths = tuple(NARROW * 2**n for n in range(4))
    judges = settings.judge.model_copy(update={"widths": widths})
    return settings.model_copy(update={"network": network, "judge": judges})


@pytest.mark.slow
def test_gradients_with_the_published_settings_are_the_published_ones(monkeypatch):
    torch.manual_seed(0)
    modules, optimisers = TRAINING.build(_settings())
    theirs = [make(NARROW) for make in (Generator, Generator, judge, judge)]
    names = ("forward", "backward", "judge_real", "judge_simulated")
    pairs = {}
    # In double precision: in single, rounding differs by 0.8 to 1.3 thousandths, by machine.
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    for module in (*modules.values(), *theirs):
        module.double()
    for name, peer in zip(names, theirs, strict=True):
        pairs[name] = list(zip(modules[name].parameters(), peer.parameters(), strict=True))
        with torch.no_grad():
            for weight, other in pairs[name]:
                weight.copy_(other)
    real, simulated = torch.rand((2, 1, 1, *CROP), dtype=torch.float64)
    state = State(modules, optimisers, modules["forward"], "cpu", clip=1e6)
    learn(*theirs, real, simulated)
    monkeypatch.setattr("cytosuite.training.parts.precision", lambda _: torch.float32)
    TRAINING.step(state, {"real": real, "simulated": simulated}, _settings())
    for name, weights in pairs.items():
        largest = max(float(other.grad.abs().max()) for _, other in weights)
        assert largest > 1e-4
        for weight, other in weights:
            assert float((weight.grad - other.grad).abs().max()) < 1e-9 * largest, name


def test_the_published_networks_have_their_weights():
    with torch.device("meta"):
        networks = [Generator(WIDTH), judge(WIDTH)]
        answers = networks[1](torch.zeros(1, 1, 32, 128, 128))
    assert tuple(sum(w.numel() for w in network.parameters()) for network in networks) == WEIGHTS
    assert answers.shape[2:] == (12, 14, 14)
