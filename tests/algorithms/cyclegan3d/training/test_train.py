import os
import signal

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from unpaired import SHAPE, SPACING, real_folder, simulated, simulated_dataset

from cytosuite.algorithms.cyclegan3d.intensity import to_network
from cytosuite.algorithms.cyclegan3d.network import Architecture
from cytosuite.algorithms.cyclegan3d.network import load as load_network
from cytosuite.algorithms.cyclegan3d.parameters import Parameters
from cytosuite.algorithms.cyclegan3d.predict import classical, predict
from cytosuite.algorithms.cyclegan3d.training.settings import Settings
from cytosuite.algorithms.cyclegan3d.training.train import TRAINING, build, load, step
from cytosuite.algorithms.cyclegan3d.translate import translate
from cytosuite.errors import InputError
from cytosuite.formats import read, write
from cytosuite.manifest import parse, read_card
from cytosuite.normalise import Target
from cytosuite.training.loop import StoppedError, begin, complete, take_step, train
from cytosuite.volume import Volume
from cytosuite.weights import open_model

TARGET = {"mean": 200.0, "sd": 25.0, "dtype": "uint16"}
ROLES = ("simulated", "real")


def _settings(**given):
    """Return settings of a short training of tiny networks; sections are merged."""
    base = {
        "network": {"widths": [4, 6], "blocks": 1, "fold": 2},
        "judge": {"widths": [4, 6], "norm": "spectral"},
        "crops": {"shape": [8, 16, 16], "batch": 1, "alike": 2},
        "loss": {"pool": 2},
        "schedule": {"steps": 6, "report": 2, "checkpoint": 3, "learning_rate": 2e-3},
        "card": {
            "description": "A test.",
            "authors": "nobody",
            "license": "Apache-2.0",
            "parameters": {"target": TARGET, "guard": "off"},
        },
    }
    merged = {name: {**base.get(name, {}), **section} for name, section in given.items()}
    return Settings.model_validate({**base, **merged})


@pytest.fixture
def data(tmp_path):
    """Return folders by role."""
    return {
        "simulated": [simulated_dataset(tmp_path / "simulated")],
        "real": [real_folder(tmp_path / "real")],
    }


def _cases(data, settings):
    return {role: load(data[role][0], role, settings) for role in ROLES}


def _train(settings, data, card, **options):
    return train(TRAINING, settings, data, card, work=card.parent / f"w-{card.stem}", **options)


def _weights(module):
    return {name: value.detach().clone() for name, value in module.named_parameters()}


def _moved(before, module):
    return any(not torch.equal(before[name], value) for name, value in module.named_parameters())


def _stepped(settings, data, steps=2):
    """Return the state after some steps, and the losses of each."""
    cases, state = _cases(data, settings), begin(TRAINING, settings, None, "cpu")
    batches = [TRAINING.batch(cases, settings, number) for number in range(steps)]
    return state, [take_step(TRAINING, settings, state, batch) for batch in batches]


ALL = "cycle identity structure"


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({}, ALL),
        ({"loss": {"identity": 0}}, "cycle structure"),
        ({"loss": {"structure": 0}}, "cycle identity"),
        ({"loss": {"structure": 0, "keep": "labels"}}, "cycle identity"),
        ({"loss": {"keep": "labels"}}, f"{ALL} reader"),
        ({"loss": {"pool": 0, "soft": 0}}, ALL),
        ({"network": {"norm": "instance", "residual": False}}, ALL),
        ({"judge": {"norm": "instance"}, "checkpointing": True}, ALL),
        ({"images": {"scale": "dtype"}}, ALL),
        ({"images": {"scale": "style"}, "loss": {"keep": "levels"}}, ALL),
        ({"crops": {"batch": 2}}, ALL),
        ({"network": {"noise": 1}, "loss": {"keep": "labels"}}, f"{ALL} reader"),
    ],
    ids=str,
)
def test_losses_are_finite_and_only_those_that_are_asked_for(given, names, data):
    sections = {name: section for name, section in given.items() if name != "checkpointing"}
    checkpointing = given.get("checkpointing", False)
    settings = _settings(**sections).model_copy(update={"checkpointing": checkpointing})
    state, losses = _stepped(settings, data)
    for found in losses:
        assert set(found) == {*names.split(), "fool_real", "fool_simulated", "judge"}
        assert all(torch.isfinite(value) for value in found.values())
        assert not any(value.requires_grad for value in found.values())
    assert ("reader" in state.modules) == ("reader" in names)
    assert state.modules["forward"].checkpointing is checkpointing


def test_the_first_step_of_residual_networks_is_known(data):
    settings = _settings()
    _, losses = _stepped(settings, data, 1)
    assert losses[0]["cycle"] == losses[0]["identity"] == 0
    assert float(losses[0]["structure"]) == pytest.approx(0, abs=0.02)


def test_every_network_learns(data):
    settings = _settings(loss={"keep": "labels"})
    state = begin(TRAINING, settings, None, "cpu")
    before = {name: _weights(module) for name, module in state.modules.items()}
    cases = _cases(data, settings)
    for number in range(2):
        take_step(TRAINING, settings, state, TRAINING.batch(cases, settings, number))
    for name, module in state.modules.items():
        assert _moved(before[name], module) != name.startswith("pool")
    names = [name for name, _ in state.average.named_parameters()]
    assert names == [name for name, _ in state.modules["forward"].named_parameters()]


def test_each_optimiser_moves_its_own_networks_alone(data, monkeypatch):
    settings = _settings(loss={"keep": "labels"})
    owners = {
        "generators": {"forward", "backward"},
        "judges": {"judge_real", "judge_simulated"},
        "reader": {"reader"},
    }
    cases, state = _cases(data, settings), begin(TRAINING, settings, None, "cpu")
    moved, original = {}, type(state).update

    def update(self, optimiser, loss):
        before = {name: _weights(module) for name, module in self.modules.items()}
        gradients = {name: _gradients(module) for name, module in self.modules.items()}
        original(self, optimiser, loss)
        moved[optimiser] = {n for n, each in self.modules.items() if _moved(before[n], each)}
        after = {name: _gradients(module) for name, module in self.modules.items()}
        touched = {name for name in after if not _equal(gradients[name], after[name])}
        assert touched <= owners[optimiser], f"{optimiser} gives gradients to {touched}"

    monkeypatch.setattr(type(state), "update", update)
    for number in range(2):
        batch = {k: torch.from_numpy(v) for k, v in TRAINING.batch(cases, settings, number).items()}
        step(state, batch, settings)
        state.step += 1
        assert moved == owners


def _gradients(module):
    return [None if w.grad is None else w.grad.clone() for w in module.parameters()]


def _equal(one, two):
    """Return whether gradients are the same; none is as good as zero."""
    zero = torch.zeros(1)
    return all(
        torch.equal(*torch.broadcast_tensors(zero if a is None else a, zero if b is None else b))
        for a, b in zip(one, two, strict=True)
    )


def test_judges_learn_in_every_second_step_where_that_is_asked_for(data):
    settings = _settings(loss={"judge_every": 2})
    cases, state = _cases(data, settings), begin(TRAINING, settings, None, "cpu")
    moved = []
    for number in range(4):
        before = {name: _weights(state.modules[f"judge_{name}"]) for name in ROLES}
        losses = take_step(TRAINING, settings, state, TRAINING.batch(cases, settings, number))
        assert losses["judge"] > 0
        moved.append({_moved(before[name], state.modules[f"judge_{name}"]) for name in ROLES})
    assert moved == [{False}, {True}, {False}, {True}]


def test_rates_of_judges_are_relative_to_the_generators(data):
    settings = _settings(loss={"judge_rate": 0.25})
    state, _ = _stepped(settings, data, 1)
    rates = {name: each.param_groups[0]["lr"] for name, each in state.optimisers.items()}
    assert rates["judges"] == pytest.approx(0.25 * rates["generators"])


def test_pools_hold_the_translations_of_their_domain(data):
    settings = _settings(loss={"pool": 3})
    state, _ = _stepped(settings, data, 2)
    batch = TRAINING.batch(_cases(data, settings), settings, 0)
    for role, source in zip(ROLES[::-1], ROLES, strict=True):
        pool = state.modules[f"pool_{role}"]
        assert int(pool.count) == 2
        expected = torch.from_numpy(batch[source][0])  # the first translation is the identity
        torch.testing.assert_close(pool.kept[0].float(), expected, atol=2e-3, rtol=1e-2)


def test_structure_of_labels_needs_labels_beside_every_image(data, tmp_path):
    settings = _settings(loss={"keep": "labels"})
    twin = load(data["simulated"][0], "simulated", settings)[1].twin
    assert all(item.labels is None for item in load(data["real"][0], "real", settings))
    twin.unlink()
    with pytest.raises(InputError, match=r"s_1\.tif: expected labels beside this image"):
        load(data["simulated"][0], "simulated", settings)
    assert len(load(data["simulated"][0], "simulated", _settings())) == 3


def test_labels_are_read_only_where_they_are_kept(data):
    for item in load(data["simulated"][0], "simulated", _settings()):
        assert item.labels is None
        item.twin.write_bytes(b"broken")
    assert load(
        data["simulated"][0], "simulated", _settings(loss={"keep": "labels", "structure": 0})
    )


def test_a_training_writes_a_card_that_translates(data, tmp_path):
    lines = []
    path = _train(_settings(), data, tmp_path / "m.json", say=lines.append)
    card = read_card(path)
    assert (card.algorithm, card.task, card.scores) == ("cyclegan3d", "enhance", {})
    assert card.trained["cases"] == {"simulated": 3, "real": 3}
    assert card.describes["axes"] == "ZYX"
    assert card.describes["spacing"] == SPACING
    assert card.parameters["target"] == TARGET
    assert card.trained["settings"]["loss"]["pool"] == 2
    model = open_model(path.parent, card)
    network = load_network(card.parameters["network"], model.weights)
    arguments = Architecture.model_validate(card.parameters["network"])
    image, _ = simulated(7)
    target = Target.model_validate(card.parameters["target"])
    made, _ = translate(image, network, arguments, "background", target, tile=(96, 256, 256))
    assert (made.shape, made.dtype) == (image.shape, np.uint16)
    assert np.corrcoef(made.ravel(), image.ravel())[0, 1] > 0.5
    header = (tmp_path / "w-m" / "log.csv").read_text().splitlines()[0]
    assert header.startswith("step,fool_real,fool_simulated,cycle,identity,structure,judge")


def test_on_the_scale_of_the_style_volumes_are_learned_after_the_classical_transfer(data, tmp_path):
    given = _settings(images={"scale": "style"})
    cases = _cases(data, given)
    card = given.card.model_copy(update={"parameters": {}})
    settings = complete(TRAINING, given.model_copy(update={"card": card}), cases, None, print)
    parameters = parse("card", settings.card.parameters, Parameters)
    assert (parameters.scale, parameters.network) == ("style", None)
    ready = TRAINING.prepare(cases, settings)
    for role, items in ready.items():
        assert len(items) == len(cases[role])
        for before, item in zip(cases[role], items, strict=True):
            volume = read(item.path)
            image = classical(volume, parameters) if role == "simulated" else volume.array
            expected = to_network(image, "style", target=parameters.target)
            np.testing.assert_allclose(item.image[0], expected.astype(np.float16))
            assert (item.shape, item.spacing) == (before.shape, before.spacing)
    assert TRAINING.prepare(cases, _settings()) is cases


def test_a_training_on_the_scale_of_the_style_writes_a_card_that_refines_the_transfer(
    data, tmp_path
):
    path = _train(_settings(images={"scale": "style"}), data, tmp_path / "m.json")
    model = open_model(path.parent, read_card(path))
    assert model.card.parameters["scale"] == "style"
    image = Volume(simulated(7)[0], SPACING)
    made = predict({"microscopy-image": image}, model)["enhanced-image"]
    assert made.metadata["cyclegan3d_method"] == "network"
    given = {key: v for key, v in model.card.parameters.items() if key not in ("network", "scale")}
    expected = classical(image, parse("card", given, Parameters))
    assert np.corrcoef(made.array.ravel(), expected.ravel())[0, 1] > 0.9


def _interrupting(at):
    """Return a receiver of lines that presses Ctrl-C when a step is reported."""

    def say(line):
        if line.startswith(f"step {at}/"):
            os.kill(os.getpid(), signal.SIGINT)

    return say


@pytest.mark.parametrize(("keep", "noise"), [("correlation", 1), ("labels", 0)])
def test_interrupted_and_resumed_is_as_uninterrupted(keep, noise, data, tmp_path):
    loss = {"keep": keep, "judge_every": 2, "pool": 2}
    settings = _settings(loss=loss, network={"noise": noise})
    whole = _train(settings, data, tmp_path / "a.json")
    with pytest.raises(StoppedError, match="after step 4"):
        _train(settings, data, tmp_path / "b.json", say=_interrupting(4))
    parts = _train(settings, data, tmp_path / "b.json")
    assert read_card(whole).sha256 == read_card(parts).sha256
    states = [
        torch.load(tmp_path / f"w-{name}" / "checkpoint.pt", weights_only=True) for name in "ab"
    ]
    for name, module in states[0]["modules"].items():
        for key, value in module.items():
            assert torch.equal(value, states[1]["modules"][name][key]), f"{name}.{key}"
    assert int(states[0]["modules"]["pool_real"]["count"]) == 2
    other = _train(settings.with_schedule(seed=1), data, tmp_path / "c.json")
    assert read_card(whole).sha256 != read_card(other).sha256


def test_only_the_forward_generator_is_published(data, tmp_path):
    path = _train(_settings(schedule={"steps": 2}), data, tmp_path / "m.json")
    names = set(load_file(path.with_suffix(".safetensors")))
    assert names == {name for name, _ in build(_settings())[0]["forward"].named_parameters()}


def test_a_folder_without_images_is_refused_before_it_is_read(data, tmp_path):
    settings = _settings(images={"real": ["e_*"]})
    TRAINING.check(data["simulated"][0], "simulated", settings)
    with pytest.raises(InputError, match=r"with names like e_\*"):
        TRAINING.check(data["real"][0], "real", settings)
    TRAINING.check({"any": "parameters"}, "simulated", settings)
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="expected images"):
        TRAINING.check(tmp_path / "none", "simulated", settings)


def _darkened(folder, sign):
    """Write pairs of unpaired domains: `sign` -1 for the dark one, 1 for the bright one."""
    for number in range(4):
        image, _ = simulated(number if sign < 0 else 50 + number, SHAPE)
        grey = 20 + (image.astype(np.float32) - 20) * (0.5 if sign < 0 else 1)
        write(folder / f"{number}.tif", Volume(grey.clip(0, 255).round().astype(np.uint8), SPACING))
    return folder


@pytest.mark.slow
def test_a_trivial_translation_is_learned(tmp_path):
    data = {
        "simulated": [_darkened(tmp_path / "dark", -1)],
        "real": [_darkened(tmp_path / "bright", 1)],
    }
    settings = _settings(
        images={"scale": "dtype"},
        judge={"norm": "none"},
        crops={"shape": [8, 16, 16], "batch": 2},
        schedule={"steps": 250, "learning_rate": 3e-3, "clip": 10.0, "average": 0.9},
    )
    cases, state = _cases(data, settings), begin(TRAINING, settings, None, "cpu")
    for number in range(250):
        take_step(TRAINING, settings, state, TRAINING.batch(cases, settings, number))
    dark = torch.from_numpy(np.stack([item.image[:, :8, :16, :16] for item in cases["simulated"]]))
    with torch.no_grad():
        made = state.average(dark.float()).numpy()
    real = np.stack([item.image for item in cases["real"]]).astype(np.float32)
    given = dark.float().numpy()
    wanted = np.percentile(real, 98) - np.percentile(given, 98)
    assert wanted > 0.3
    assert np.percentile(made, 98) - np.percentile(given, 98) > 0.5 * wanted
    assert np.corrcoef(made.ravel(), given.ravel())[0, 1] > 0.9


def test_the_way_back_takes_no_noise(data):
    state, _ = _stepped(_settings(network={"noise": 2}), data, steps=1)
    inputs = [
        next(state.modules[name].head.parameters()).shape[1] for name in ("forward", "backward")
    ]
    assert inputs == [3 * 4, 1 * 4]
