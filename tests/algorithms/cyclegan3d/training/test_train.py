from functools import partial

import numpy as np
import pytest
import torch
from mistakes import refused
from numpy.testing import assert_array_equal
from sketches import SPACING
from training_data import moves
from trainings import cases_of, short, written
from unpaired import real_folder, simulated, simulated_dataset

from cytosuite.algorithms.cyclegan3d.predict import Parameters, predict, prepared
from cytosuite.algorithms.cyclegan3d.training.train import (
    TRAINING,
)
from cytosuite.algorithms.cyclegan3d.translate import scaling_of
from cytosuite.contract.manifest import parse, read_card
from cytosuite.contract.weights import open_model
from cytosuite.denoising.camera import CameraModel, light_of
from cytosuite.formats import read, write
from cytosuite.training.loop import begin, complete, take_step, train
from cytosuite.volume import Volume

ROLES = ("simulated", "real")
JUDGES = {"judge_real", "judge_simulated"}
_settings = partial(short, "cyclegan3d")


@pytest.fixture
def data(tmp_path):
    """Return folders by role."""
    return written("cyclegan3d", tmp_path)


def _begun(data, settings):
    return cases_of("cyclegan3d", data, settings), begin(TRAINING, settings, None, "cpu")


def _stepped(settings, data, steps=2):
    """Return the state after some steps, and the losses of each."""
    cases, state = _begun(data, settings)
    batches = [TRAINING.batch(cases, settings, number) for number in range(steps)]
    return state, [take_step(TRAINING, settings, state, batch) for batch in batches]


ALL = "cycle identity structure"
CAMERA = {"gain": 2.0, "offset": 10.0, "read_noise": 1.0}


@pytest.mark.parametrize(
    "changes, names",
    [
        ({}, ALL),
        ({"loss": {"structure": 0}}, "cycle identity"),
        ({"judge": {"norm": "instance"}, "checkpointing": True}, ALL),
        ({"images": {"scale": "dtype"}, "network": {"norm": "instance", "residual": False}}, ALL),
        ({"images": {"scale": "style"}, "loss": {"keep": "levels"}}, ALL),
        ({"images": {"scale": "light"}, "camera": CAMERA}, ALL),
        ({"network": {"noise": 1}, "loss": {"keep": "labels"}}, f"{ALL} reader"),
    ],
    ids=str,
)
def test_losses_are_finite_and_only_those_that_are_asked_for(changes, names, data):
    state, losses = _stepped(_settings(**changes), data)
    for terms in losses:
        assert set(terms) == {*names.split(), "fool_real", "fool_simulated", "judge"}
        assert all(torch.isfinite(value) for value in terms.values())
        assert not any(value.requires_grad for value in terms.values())
    assert ("reader" in state.modules) == ("reader" in names)
    assert state.modules["forward"].checkpointing is changes.get("checkpointing", False)


def test_each_optimiser_moves_its_own_networks_alone(data, monkeypatch):
    settings = _settings(loss={"keep": "labels"})
    owners = {
        "generators": {"forward", "backward"},
        "judges": JUDGES,
        "reader": {"reader"},
    }
    cases, state = _begun(data, settings)
    moved = moves(monkeypatch, state)
    for number in range(2):
        batch = {k: torch.from_numpy(v) for k, v in TRAINING.batch(cases, settings, number).items()}
        TRAINING.step(state, batch, settings)
        state.step += 1
        assert moved == owners


def test_judges_learn_in_every_second_step_where_that_is_asked_for(data, monkeypatch):
    settings = _settings(loss={"judge_every": 2})
    cases, state = _begun(data, settings)
    moved = moves(monkeypatch, state)
    for number in range(4):
        losses = take_step(TRAINING, settings, state, TRAINING.batch(cases, settings, number))
        assert losses["judge"] > 0
        assert moved.pop("judges", set()) == (JUDGES if number % 2 else set())


def test_pools_hold_the_translations_of_their_domain(data):
    settings = _settings(loss={"pool": 3})
    state, _ = _stepped(settings, data, 2)
    batch = TRAINING.batch(cases_of("cyclegan3d", data, settings), settings, 0)
    for role, source in zip(ROLES[::-1], ROLES, strict=True):
        pool = state.modules[f"pool_{role}"]
        assert int(pool.count) == 2
        expected = torch.from_numpy(batch[source][0])  # the first translation is the identity
        torch.testing.assert_close(pool.kept[0].float(), expected, atol=2e-3, rtol=1e-2)


def test_structure_of_labels_needs_labels_beside_every_image(data):
    settings = _settings(loss={"keep": "labels"})
    twin = TRAINING.load(data["simulated"][0], "simulated", settings)[1].twin
    assert all(item.labels is None for item in TRAINING.load(data["real"][0], "real", settings))
    twin.unlink()
    refused(
        r"s_1\.tif: expected labels beside this image",
        TRAINING.load,
        data["simulated"][0],
        "simulated",
        settings,
    )
    assert len(TRAINING.load(data["simulated"][0], "simulated", _settings())) == 3


def test_planes_are_learned_both_ways_from_planes_and_stacks_and_validated(tmp_path):
    write(tmp_path / "planes/p.tif", plane := Volume(simulated()[0][5], SPACING[1:], "YX"))
    data = {
        "simulated": [simulated_dataset(tmp_path / "simulated"), tmp_path / "planes"],
        "real": [real_folder(tmp_path / "real")],
    }
    settings = _settings(
        network={"dimensions": 2, "padding": "reflect"},
        crops={"shape": [1, 32, 16]},
        validation={"every": 2, "metric": "W1_by_std", "cases": 1},
        both_ways=True,
    )
    lines = []
    path = train(
        TRAINING, settings, data, tmp_path / "m.json", work=tmp_path / "work", say=lines.append
    )
    cards = [read_card(path), read_card(tmp_path / "m-back.json")]
    for card in cards:
        assert card.describes == {"axes": "YX", "spacing": SPACING[1:]}
        image = predict({"microscopy-image": plane}, open_model(tmp_path, card))["enhanced-image"]
        assert (image.shape, image.array.dtype) == (plane.shape, "uint16")
    assert cards[0].scores
    assert not cards[1].scores
    assert cards[0].sha256 != cards[1].sha256
    assert any("5 of 5 images are smaller than 1 x 32 x 16: up to 25%" in line for line in lines)


@pytest.mark.parametrize("scale", ["style", "light"])
def test_volumes_are_learned_as_the_scale_of_the_target_brings_them_there(scale, data):
    options = _settings(images={"scale": scale}, **({"camera": CAMERA} if scale == "light" else {}))
    cases = cases_of("cyclegan3d", data, options)
    settings = complete(TRAINING, options.with_card(parameters={}), cases, None, print)
    parameters = parse("card", settings.card.parameters, Parameters)
    assert (parameters.scale, parameters.network) == (scale, None)
    ready = TRAINING.prepare_cases(cases, settings)
    for role, items in ready.items():
        assert len(items) == len(cases[role])
        for before, item in zip(cases[role], items, strict=True):
            volume = read(item.path)
            image = prepared(volume, parameters) if role == "simulated" else volume.array
            if scale == "light":
                assert item.counts == ()  # light has no counts to dither
            if scale == "light" and role == "real":
                image = light_of(image, CameraModel(**CAMERA))
            expected = scaling_of(image, scale, parameters.target)(image)
            np.testing.assert_allclose(item.image[0], expected.astype(np.float16))
            assert (item.shape, item.spacing) == (before.shape, before.spacing)
    assert TRAINING.prepare_cases(cases, _settings()) is cases


def test_held_out_images_come_with_labels_and_are_compared_with_real_ones(data):
    settings, (image, labels) = _settings(), simulated()
    cases = cases_of("cyclegan3d", data, settings)
    scene = TRAINING.held_out(cases["simulated"][0], 0, settings)
    assert_array_equal(scene.image.array, image)
    assert_array_equal(scene.labels.array, labels)
    for item, volume in zip(cases["real"], TRAINING.real(cases, settings), strict=True):
        assert_array_equal(volume.array, read(item.path).array)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"crops": {"shape": [7, 16, 16]}}, r"multiples of \[2, 4, 4\] .*found \[7, 16, 16\]"),
        ({"crops": {"shape": [2, 16, 16]}}, r"at least \[4, 6, 6\] for these judges"),
        ({"crops": {"batch": 3}}, "hold a batch"),
        ({"loss": {"window": [5, 8, 9]}}, r"loss.window must be odd numbers, found \[5, 8, 9\]"),
        ({"card": {"parameters": {"scale": "dtype"}}}, "card.parameters.scale"),
        (
            {"images": {"scale": "style"}, "network": {"channels": 2}},
            "style is of one channel, found network.channels 2",
        ),
        ({"images": {"scale": "light"}}, "images.scale light needs a table camera"),
        ({"camera": CAMERA}, "no other scale has one"),
    ],
)
def test_impossible_settings_are_refused(changes, message):
    refused(f"train.toml: .*{message}", _settings, **changes)
