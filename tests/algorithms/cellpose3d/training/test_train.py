import csv
import hashlib
import json
import os
import signal

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from training_data import cells_folder, chain_folder, real_folder, simulated_folder

from cytosuite.algorithms.cellpose3d.network import load as load_network
from cytosuite.algorithms.cellpose3d.training.settings import Settings
from cytosuite.algorithms.cellpose3d.training.train import TRAINING, load
from cytosuite.errors import InputError
from cytosuite.files import read_toml
from cytosuite.manifest import parse, read_card
from cytosuite.training.command import main
from cytosuite.training.loop import StoppedError, begin, take_step, train
from cytosuite.training.parts import DivergedError
from cytosuite.weights import open_model

TOML = """
[network]
widths = [4, 6, 8]
[schedule]
steps = 6
report = 2
checkpoint = 3
[patches]
shape = [16, 16, 16]
[card]
description = "A test."
authors = "nobody"
license = "Apache-2.0"
[card.parameters]
tau = 0.2
"""


@pytest.fixture
def settings(tmp_path):
    path = tmp_path / "train.toml"
    path.write_text(TOML)
    return parse(path, read_toml(path), Settings)


@pytest.fixture
def data(tmp_path):
    return simulated_folder(tmp_path / "data")


def _train(settings, folder, card, **options):
    work = card.parent / f"work-{card.stem}"
    return train(TRAINING, settings, {"images": [folder]}, card, work=work, **options)


def _weights(card):
    return load_file(card.with_suffix(".safetensors"))


def _batch(data, settings, step):
    cases = {"images": load(data, "images", settings)}
    return TRAINING.batch(cases, settings, step)


def test_the_loss_falls_on_one_fixed_patch(data, settings):
    longer = settings.with_schedule(steps=60, learning_rate=1e-2)
    batch = _batch(data, longer, 3)
    assert batch["target"][:, 0].any()
    state = begin(TRAINING, longer, None, "cpu")
    totals = [float(take_step(TRAINING, longer, state, batch)["total"].detach()) for _ in range(60)]
    assert sum(totals[-5:]) < 0.6 * sum(totals[:5])


def test_a_training_writes_weights_card_and_log(data, settings, tmp_path):
    lines = []
    path = _train(settings, data, tmp_path / "m.json", say=lines.append)
    card = read_card(path)
    model = open_model(path.parent, card)
    assert card.trained["data"] == {"images": ["f" * 64]}
    assert (card.trained["steps"], card.trained["cases"]) == (6, {"images": 2})
    assert card.parameters == {"network": {"widths": [4, 6, 8], "fold": 2}, "tau": 0.2}
    assert (card.task, card.scores) == ("segment", {})
    assert card.describes["spacing"] == (2.0, 0.8, 0.8)
    assert (card.describes["axes"], card.describes["channel"]) == ("ZYX", "nucleus")
    assert 5 < card.describes["diameter_um"] < 9
    assert card.sha256 == hashlib.sha256(model.weights.read_bytes()).hexdigest()
    assert {value.dtype for value in _weights(path).values() if value.ndim > 1} == {torch.float16}
    fields = load_network(card.parameters["network"], model.weights)(torch.zeros(1, 1, 8, 16, 16))
    assert torch.isfinite(fields).all()
    with (tmp_path / "work-m" / "log.csv").open() as stream:
        rows = list(csv.reader(stream))
    assert rows[0] == ["step", "total", "level", "flow", "heat", "rate", "seconds"]
    assert [row[0] for row in rows[1:]] == ["2", "4", "6"]
    assert any("s/step" in line and "left" in line for line in lines)


@pytest.mark.parametrize("at", [2, 4])
def test_interrupted_and_resumed_is_as_uninterrupted(data, settings, tmp_path, at):
    def press_ctrl_c(line):
        if line.startswith(f"step {at}/"):
            os.kill(os.getpid(), signal.SIGINT)

    whole = _train(settings, data, tmp_path / "a.json")
    with pytest.raises(StoppedError, match=f"after step {at}"):
        _train(settings, data, tmp_path / "b.json", say=press_ctrl_c)
    assert not (tmp_path / "b.json").exists()
    parts = _train(settings, data, tmp_path / "b.json")
    assert read_card(whole).sha256 == read_card(parts).sha256
    other = _train(settings.with_schedule(seed=1), data, tmp_path / "c.json")
    assert read_card(whole).sha256 != read_card(other).sha256


def test_fine_tuning_starts_from_the_parent_and_records_it(data, settings, tmp_path):
    parent = _train(settings, data, tmp_path / "m.json")
    real = real_folder(tmp_path / "real")
    slow = settings.with_schedule(steps=1, learning_rate=1e-9)
    child = _train(slow, real, tmp_path / "n.json", parent=parent)
    card = read_card(child)
    assert card.trained["parent"] == {"name": "m", "sha256": read_card(parent).sha256}
    assert len(card.trained["data"]["images"][0]) == 64
    for name, value in _weights(parent).items():
        if value.ndim > 1:
            torch.testing.assert_close(_weights(child)[name], value, atol=1e-3, rtol=1e-2)
    wider = Settings.model_validate({**slow.model_dump(), "network": {"widths": [8, 6, 8]}})
    with pytest.raises(InputError, match=r"m\.json: expected the network"):
        _train(wider, real, tmp_path / "o.json", parent=parent)


def test_held_out_volumes_are_segmented_and_scored(tmp_path, settings):
    data = simulated_folder(tmp_path / "many", 4)
    validation = {"every": 3, "metric": "SEG", "cases": 1}
    chosen = Settings.model_validate({**settings.model_dump(), "validation": validation})
    card = read_card(_train(chosen, data, tmp_path / "m.json"))
    assert card.trained["cases"] == {"images": 3}
    assert 0 <= card.scores["held-out 1 of 4 cases of many"]["SEG"] <= 1
    rows = (tmp_path / "work-m" / "validation.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["step", "3", "6"]


def test_a_validation_of_perfect_fields_is_perfect(tmp_path, settings, monkeypatch):
    module = TRAINING.validate.__globals__
    cases = {"images": load(simulated_folder(tmp_path), "images", settings)}
    state = begin(TRAINING, settings, None, "cpu")

    def found(fields, image, spacing, parameters):
        case = next(case for case in cases["images"] if case.shape == image.shape)
        labels = np.where(case.level > 255 * parameters.tau, case.labels, 0)
        assert 0 < np.count_nonzero(labels) < np.count_nonzero(case.labels)
        return type("Found", (), {"labels": labels})

    everything = settings.patches.camera.model_copy(update={"visibility": 0.0, "contrast": 0.0})
    patches = settings.patches.model_copy(update={"camera": everything})
    settings = settings.model_copy(update={"patches": patches})
    monkeypatch.setitem(module, "segment", found)
    for facts in TRAINING.validate(state, {"images": cases["images"][:1]}, settings):
        assert (facts.get("truth") == facts.get("prediction")).all()
        assert facts.get("spacing") == (2.0, 0.8, 0.8)


def test_the_command_trains_and_names_mistakes_in_one_line(data, settings, tmp_path, capsys):
    given = ["cellpose3d", "--data", str(data), "--name", "m", "--out", str(tmp_path / "w")]
    given += ["--settings", str(tmp_path / "train.toml"), "--work", str(tmp_path / "k")]
    assert main([*given, "--steps", "2"]) == 0
    assert capsys.readouterr().out.count("written") == 1
    with pytest.raises(InputError, match="m.json: a model of this name exists; give another name"):
        main([*given, "--steps", "2"])
    (tmp_path / "w" / "m.json").unlink()
    with pytest.raises(InputError, match="made with another settings"):
        main([*given, "--steps", "3"])
    with pytest.raises(InputError, match="--threads must be 1 or more, found 0"):
        main([*given, "--steps", "3", "--restart", "--threads", "0"])
    with pytest.raises(InputError, match="no algorithm that is trained"):
        main(["watershed", *given[1:]])
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="no GPU was found"):
            main([*given, "--device", "cuda", "--restart"])


def _checked(tmp_path, *recipes, **more):
    """Return the exit code of a check of data to be simulated."""
    given = ["cellpose3d", "--name", "m", "--out", str(tmp_path / "w"), "--check"]
    for name, value in more.items():
        given += [f"--{name}", str(value)]
    for recipe in recipes:
        given += ["--recipe", json.dumps(["", recipe])]
    return main(given)


def test_data_are_checked_before_they_are_simulated(settings, tmp_path):
    learnable = {"output": {"steps": True, "channel": "nucleus"}, "labels": {"style": "visible"}}
    small = {"settings": tmp_path / "train.toml"}
    assert _checked(tmp_path, learnable, **small) == 0
    assert _checked(tmp_path, None, **small) == 0  # behind a chain nothing is known
    with pytest.raises(InputError, match=f"{tmp_path}: expected cases/"):
        _checked(tmp_path, learnable, data=tmp_path, **small)
    wanted = 'add SET="output.channel=nucleus output.steps=true labels.style=visible"'
    with pytest.raises(InputError, match=wanted):
        _checked(tmp_path, {"output": {}, "labels": {"style": "shape"}}, **small)
    with pytest.raises(InputError, match="learns from images, found none"):
        _checked(tmp_path, **small)
    with pytest.raises(InputError, match="no.json: no such file"):
        _checked(tmp_path, learnable, **{**small, "from": tmp_path / "no.json"})
    assert not (tmp_path / "w").exists()
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="device cuda: no GPU was found here"):
            _checked(tmp_path, learnable, device="cuda", **small)


def test_cells_are_trained_on_their_membranes(settings, tmp_path):
    cells = settings.model_copy(update={"channel": "membrane"}).with_schedule(steps=2)
    folder = cells_folder(tmp_path / "cells")
    card = read_card(_train(cells, folder, tmp_path / "cells.json"))
    assert card.trained["settings"]["channel"] == "membrane"
    assert (card.describes["channel"], card.describes["stain"]) == ("membrane", "membrane")
    with pytest.raises(InputError, match="light of the nucleus, found membrane"):
        _train(settings, folder, tmp_path / "nuclei.json")


def test_a_dataset_behind_a_chain_is_trained_on(settings, tmp_path):
    folder = chain_folder(tmp_path / "chain")
    card = read_card(_train(settings.with_schedule(steps=2), folder, tmp_path / "m.json"))
    assert card.trained["cases"] == {"images": 2}
    assert card.trained["data"] == {"images": ["f" * 64]}
    assert card.describes["spacing"] == (2.0, 0.8, 0.8)


def test_a_gradient_that_is_not_finite_ends_the_training(data, settings):
    batch = _batch(data, settings, 0)
    batch["image"][0, 0, 0, 0, 0] = float("nan")
    state = begin(TRAINING, settings, None, "cpu")
    network = state.modules["network"]
    before = {name: value.clone() for name, value in network.named_parameters()}
    with pytest.raises(DivergedError, match="step 1: the gradient is not finite"):
        take_step(TRAINING, settings, state, batch)
    assert all(torch.equal(before[name], value) for name, value in network.named_parameters())
