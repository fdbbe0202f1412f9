import csv
import hashlib
import os
import signal

import pytest
import torch
from safetensors.torch import load_file
from training_data import cells_folder, real_folder, simulated_folder

from algorithms.cellpose3d.training.cases import find_cases, load_cases
from algorithms.cellpose3d.training.checkpoint import begin
from algorithms.cellpose3d.network import load
from algorithms.cellpose3d.training.patches import draw_batch
from algorithms.cellpose3d.training.settings import Settings, read_settings
from algorithms.cellpose3d.training.train import (
    COLUMNS,
    HERE,
    DivergedError,
    StoppedError,
    main,
    take_step,
    train,
)
from cytosuite.errors import InputError
from cytosuite.manifest import read_card
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
[card.describes]
axes = "ZYX"
channel = "nucleus"
[card.parameters]
tau = 0.2
"""


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def settings(tmp_path):
    path = tmp_path / "train.toml"
    path.write_text(TOML)
    return read_settings(path)


@pytest.fixture
def data(tmp_path):
    return simulated_folder(tmp_path / "data")


def _weights(card):
    return load_file(card.with_suffix(".safetensors"))


def _same(first, second):
    one, two = _weights(first), _weights(second)
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def _interrupting(at):
    """Return a receiver of progress lines that presses Ctrl-C when a step is reported."""

    def say(line):
        if line.startswith(f"step {at}/"):
            os.kill(os.getpid(), signal.SIGINT)

    return say


def test_the_loss_falls_on_one_fixed_patch(data, settings):
    longer = settings.with_schedule(steps=60, learning_rate=1e-2)
    cases = load_cases(find_cases(data), longer.patches.shape, longer.flow)
    batch = draw_batch(cases, longer.patches, 0, 3)
    assert batch.target[:, 0].any()
    state = begin(longer, None, "cpu")
    totals = [float(take_step(state, batch, longer, "cpu").total.detach()) for _ in range(60)]
    assert sum(totals[-5:]) < 0.6 * sum(totals[:5])


def test_a_training_writes_weights_card_and_log(data, settings, tmp_path):
    lines = []
    path = train(data, tmp_path / "w", "m", settings, work=tmp_path / "k", say=lines.append)
    card = read_card(path)
    model = open_model(path.parent, card)
    assert card.trained["dataset"] == "f" * 64
    assert (card.trained["steps"], card.trained["volumes"]) == (6, 2)
    assert card.parameters == {"network": {"widths": [4, 6, 8], "fold": 2}, "tau": 0.2}
    assert card.describes["spacing"] == (2.0, 0.8, 0.8)
    assert 5 < card.describes["diameter_um"] < 9
    assert card.sha256 == hashlib.sha256(model.weights.read_bytes()).hexdigest()
    assert {value.dtype for value in _weights(path).values() if value.ndim > 1} == {torch.float16}
    fields = load(card.parameters["network"], model.weights)(torch.zeros(1, 1, 8, 16, 16))
    assert torch.isfinite(fields).all()
    with (tmp_path / "k" / "log.csv").open() as stream:
        rows = list(csv.reader(stream))
    assert rows[0] == list(COLUMNS)
    assert [row[0] for row in rows[1:]] == ["2", "4", "6"]
    assert any("s/step" in line and "left" in line for line in lines)


@pytest.mark.parametrize("at", [2, 4])
def test_interrupted_and_resumed_is_as_uninterrupted(data, settings, tmp_path, at):
    whole = train(data, tmp_path / "a", "m", settings, work=tmp_path / "ka")
    with pytest.raises(StoppedError, match=f"after step {at}"):
        train(data, tmp_path / "b", "m", settings, work=tmp_path / "kb", say=_interrupting(at))
    assert not (tmp_path / "b").exists()
    lines = []
    parts = train(data, tmp_path / "b", "m", settings, work=tmp_path / "kb", say=lines.append)
    assert f"resumed after step {at} of 6" in lines
    assert _same(whole, parts)
    assert read_card(whole).sha256 == read_card(parts).sha256


def test_another_seed_gives_other_weights(data, settings, tmp_path):
    first = train(data, tmp_path / "a", "m", settings, work=tmp_path / "ka")
    other = settings.with_schedule(seed=1)
    assert not _same(first, train(data, tmp_path / "b", "m", other, work=tmp_path / "kb"))


def test_a_checkpoint_of_another_training_is_refused(data, settings, tmp_path):
    train(data, tmp_path / "a", "m", settings, work=tmp_path / "k")
    other = settings.with_schedule(steps=9)
    with pytest.raises(InputError, match="made with another settings"):
        train(data, tmp_path / "a", "m", other, work=tmp_path / "k")
    train(data, tmp_path / "a", "m", other, work=tmp_path / "k", resume=False)


def test_fine_tuning_starts_from_the_parent_and_records_it(data, settings, tmp_path):
    parent = train(data, tmp_path / "a", "m", settings, work=tmp_path / "ka")
    real = real_folder(tmp_path / "real")
    slow = settings.with_schedule(steps=1, learning_rate=1e-9)
    child = train(real, tmp_path / "a", "n", slow, work=tmp_path / "kb", parent=parent)
    card = read_card(child)
    assert card.trained["parent"] == {"name": "m", "sha256": read_card(parent).sha256}
    assert len(card.trained["dataset"]) == 64
    for name, value in _weights(parent).items():
        if value.ndim > 1:
            torch.testing.assert_close(_weights(child)[name], value, atol=1e-3, rtol=1e-2)
    wider = Settings.model_validate({**slow.model_dump(), "network": {"widths": [8, 6, 8]}})
    with pytest.raises(InputError, match=r"m\.json: expected the network"):
        train(real, tmp_path / "a", "o", wider, work=tmp_path / "kc", parent=parent)


def test_the_command_trains_and_names_mistakes_in_one_line(data, settings, tmp_path, capsys):
    given = ["--data", str(data), "--name", "m", "--out", str(tmp_path / "w")]
    given += ["--settings", str(tmp_path / "train.toml"), "--work", str(tmp_path / "k")]
    assert main([*given, "--steps", "2"]) == 0
    assert "written: " in capsys.readouterr().out
    assert main([*given, "--steps", "0"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert main([*given, "--data", str(tmp_path / "nothing")]) == 2
    assert "found no volume" in capsys.readouterr().err


def test_a_training_takes_the_channel_of_its_settings(settings, tmp_path):
    cells = settings.model_copy(update={"channel": "membrane"}).with_schedule(steps=2)
    folder, work = cells_folder(tmp_path / "cells"), tmp_path / "work"
    card = read_card(train(folder, tmp_path / "out", "cells", cells, work=work))
    assert card.trained["settings"]["channel"] == "membrane"
    with pytest.raises(InputError, match="light of the nucleus, found membrane"):
        train(folder, tmp_path / "out", "nuclei", settings, work=work)


def test_settings_name_the_place_of_a_mistake(tmp_path):
    assert read_settings(HERE / "train.toml").patches.shape == (32, 64, 64)
    path = tmp_path / "t.toml"
    path.write_text(TOML.replace("steps = 6", "step = 6"))
    with pytest.raises(InputError, match=r"schedule\.step is not a known key; .*'steps'"):
        read_settings(path)
    path.write_text(TOML.replace("[16, 16, 16]", "[16, 16, 20]"))
    with pytest.raises(InputError, match=r"multiples of \[4, 8, 8\].*found \[16, 16, 20\]"):
        read_settings(path)
    path.write_text(TOML.replace("[16, 16, 16]", "[8, 16, 16]"))
    with pytest.raises(InputError, match="at least 16 along z"):
        read_settings(path)
    with pytest.raises(InputError, match="no such file"):
        read_settings(tmp_path / "none.toml")


def test_a_gradient_that_is_not_finite_ends_the_training(data, settings):
    cases = load_cases(find_cases(data), settings.patches.shape, settings.flow)
    batch = draw_batch(cases, settings.patches, 0, 0)
    batch.image[0, 0, 0, 0, 0] = float("nan")
    state = begin(settings, None, "cpu")
    before = {name: value.clone() for name, value in state.network.named_parameters()}
    with pytest.raises(DivergedError, match="step 1: the gradient is not finite"):
        take_step(state, batch, settings, "cpu")
    assert all(torch.equal(before[k], v) for k, v in state.network.named_parameters())
