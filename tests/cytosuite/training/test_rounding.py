import os
import signal
from dataclasses import replace
from math import inf, nan

import pytest
import torch
from safetensors.torch import load_file

from cytosuite.manifest import read_card
from cytosuite.training import loop, parts
from cytosuite.training.loop import StoppedError, begin
from cytosuite.training.parts import ROUNDING, Parts, precision
from cytosuite.training.rounding import rounding


class _Wrong(torch.autograd.Function):
    """The identity, with a wrong gradient in bfloat16."""

    @staticmethod
    def forward(context, values, factor):
        context.factor = factor if values.dtype == torch.bfloat16 else 1.0
        return values

    @staticmethod
    def backward(context, gradient):
        return gradient * context.factor, None


def _training(toy, factor):
    """Return the toy in the precision of the state, with gradients that bfloat16 may spoil."""

    def step(state, batch, settings):
        generator, critic = state.modules["generator"], state.modules["critic"]
        with state.autocast():
            fake = _Wrong.apply(generator(batch["simulated"]), factor).float()
            judged = (critic(fake.detach()) ** 2 + (critic(batch["real"]) - 1) ** 2).mean()
        state.update("critic", judged)
        fooled = (fake.mean() - batch["real"].mean()) ** 2
        state.update("generator", fooled)
        return {"critic": judged, "generator": fooled}

    return replace(toy.training, step=step)


@pytest.fixture
def fast(monkeypatch):
    """Let any processor take bfloat16."""
    monkeypatch.setattr(parts, "precision", lambda device: torch.bfloat16)


def _weights(card):
    return load_file(card.with_suffix(".safetensors")).items()


def _same(one, two):
    return all(torch.equal(value, dict(_weights(two))[name]) for name, value in _weights(one))


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize(
    ("factor", "off"), [(-1.0, "200% off"), (inf, "not finite"), (nan, "not finite")]
)
def test_wrong_gradients_in_bfloat16_are_left_for_float32(toy, settings, monkeypatch, factor, off):
    lines = []
    card = toy(settings(), "a", _training(toy, factor), say=lines.append)
    assert read_card(card).trained["device"] in lines
    assert f"cpu, torch.float32: gradients in torch.bfloat16 are {off}" in lines
    monkeypatch.setattr(parts, "precision", lambda device: torch.float32)
    exact = toy(settings(), "b", _training(toy, factor))
    assert read_card(exact).trained["device"] == "cpu, torch.float32"
    assert _same(card, exact)


@pytest.mark.usefixtures("fast")
def test_sound_gradients_stay_in_bfloat16_and_the_comparison_leaves_no_trace(
    toy, settings, monkeypatch
):
    found = toy(settings(), "a", _training(toy, 1.0))
    assert read_card(found).trained["device"] == "cpu, torch.bfloat16"
    monkeypatch.setattr(loop, "rounding", lambda *_: 0.0)
    assert _same(found, toy(settings(), "b", _training(toy, 1.0)))


@pytest.mark.usefixtures("fast")
def test_a_resumed_training_keeps_its_precision(toy, settings, monkeypatch):
    given, spoilt = settings(), _training(toy, -1.0)
    whole = toy(given, "a", spoilt)

    def interrupt(line):
        if line.startswith("step 4/"):
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(StoppedError, match="after step 4"):
        toy(given, "b", spoilt, say=interrupt)
    monkeypatch.setattr(loop, "rounding", None)  # compared once
    parts_of_it = toy(given, "b", spoilt)
    assert _same(whole, parts_of_it)
    assert "200%" in read_card(parts_of_it).trained["device"]


class _Deep(torch.nn.Module):
    """A convolution of volumes behind which nothing passes at first."""

    def __init__(self):
        super().__init__()
        self.deep = torch.nn.Conv3d(8, 8, 3, padding=1)
        self.tail = torch.nn.Conv3d(8, 8, 1)
        torch.nn.init.zeros_(self.tail.weight)
        self.to(memory_format=torch.channels_last_3d)

    def forward(self, values):
        return self.tail(self.deep(values))


def _volumes(toy, turn=1):
    """Return the training of a network of volumes, that takes a step in every turn."""

    def build(settings) -> Parts:
        network = _Deep()
        return {"generator": network}, {"adam": torch.optim.Adam(network.parameters(), lr=1.0)}

    def step(state, batch, settings):
        with state.autocast():
            made = state.modules["generator"](batch["image"])
        lost = (made.float() - batch["target"]).square().mean()
        if (state.step + 1) % turn == 0:
            state.update("adam", lost)
        return {"lost": lost.detach()}

    return replace(toy.training, build=build, step=step)


@pytest.mark.skipif(precision("cpu") == torch.float32, reason="computes in float32")
@pytest.mark.parametrize("turn", [1, 2])
def test_layers_of_two_planes_are_found_behind_weights_that_are_0(toy, settings, turn):
    torch.manual_seed(0)
    given, training = settings(), _volumes(toy, turn)
    for planes in (2, 4):
        batch = {name: torch.randn(1, 8, planes, 8, 8) for name in ("image", "target")}
        state = begin(training, given, None, "cpu")
        found = rounding(training, given, state, batch)
        assert (found < 0.1) if planes > 2 else not found <= ROUNDING
        assert not state.modules["generator"].tail.weight.any()
