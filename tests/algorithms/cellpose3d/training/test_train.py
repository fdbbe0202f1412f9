import numpy as np
import pytest
import torch
from mistakes import refused
from training_data import simulated_folder

from cytosuite.algorithms.cellpose3d.network import load as load_network
from cytosuite.algorithms.cellpose3d.training.train import (
    TRAINING,
    Settings,
)
from cytosuite.contract.manifest import parse, read_card
from cytosuite.contract.weights import open_model
from cytosuite.files import read_toml
from cytosuite.training.loop import train
from cytosuite.training.publish import ALGORITHMS

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


def test_a_training_writes_weights_card_and_log(data, settings, tmp_path):
    path = _train(settings, data, tmp_path / "m.json")
    card = read_card(path)
    model = open_model(path.parent, card)
    assert (card.trained["data"], card.trained["cases"]) == ({"images": ["f" * 64]}, {"images": 2})
    network = {"dimensions": 3, "widths": [4, 6, 8], "fold": 2}
    assert card.parameters == {"network": network, "tau": 0.2}
    assert (card.task, card.scores) == ("segment", {})
    assert card.describes["spacing"] == (2.0, 0.8, 0.8)
    assert (card.describes["axes"], card.describes["channel"]) == ("ZYX", "nucleus")
    assert 5 < card.describes["diameter_um"] < 9
    fields = load_network(card.parameters["network"], model.weights)(torch.zeros(1, 1, 8, 16, 16))
    assert torch.isfinite(fields).all()
    assert set(card.trained["curves"]) == {"total", "level", "flow", "heat"}


def test_held_out_nuclei_end_where_the_card_cuts_them(tmp_path, settings):
    (case,) = TRAINING.load(simulated_folder(tmp_path, 1), "images", settings)
    scene = TRAINING.held_out(case, 0, settings.with_card(describes={"diameter_um": 7.0}))
    (image,), truth = scene.inputs.values(), scene.truth.array
    seen = np.isin(case.labels, truth[truth > 0])
    np.testing.assert_array_equal(truth > 0, seen & (case.level > 255 * 0.2))
    assert 0 < np.count_nonzero(truth) < np.count_nonzero(case.labels)
    assert (image.spacing, image.metadata) == ((2.0, 0.8, 0.8), {"diameter_um": 7.0})


def test_data_are_checked_before_they_are_simulated(settings, tmp_path):
    learnable = {"output": {"steps": True, "channel": "nucleus"}, "labels": {"style": "visible"}}
    TRAINING.check(learnable, "images", settings)
    refused(f"{tmp_path}: expected images/", TRAINING.check, tmp_path, "images", settings)
    wanted = 'add SET="output.channel=nucleus output.steps=true labels.style=visible"'
    refused(
        wanted, TRAINING.check, {"output": {}, "labels": {"style": "shape"}}, "images", settings
    )


HERE = ALGORITHMS / "cellpose3d" / "training"


def test_the_published_fine_tuning_descends_at_its_own_rates():
    path = HERE / "published_finetune.toml"
    settings = parse(path, read_toml(path), Settings).with_schedule(steps=1000, epochs=500)
    _, optimisers = TRAINING.build(settings)
    (descent,) = optimisers.values()
    assert isinstance(descent, torch.optim.SGD)
    assert {group["momentum"] for group in descent.param_groups} == {0.9}
    assert {group["weight_decay"] for group in descent.param_groups} == {0.0, 1e-5}
    # A list per epoch: 10 rising rates, 400 equal ones, then 10 at each half.
    rates = [0.2 * n / 9 for n in range(10)] + [0.2] * 400
    rates += [0.2 / 2**n for n in range(1, 10) for _ in range(10)]
    found = [settings.schedule.rate(step) for step in range(1000)]
    assert found[::2] == found[1::2] == pytest.approx(rates)
    short = settings.with_schedule(steps=250, epochs=250).schedule
    assert [short.rate(step) for step in range(10, 250)] == [0.2] * 240


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('channel = "membrane"', 'channel = "wall"', "channel.*'membrane' or 'cytoplasm'.*wall"),
        ("steps = 2800", "step = 2800", r"schedule\.step is not a known key; .*'steps'"),
        ("[32, 64, 64]", "[32, 64, 72]", r"multiples of \[8, 16, 16\].*found \[32, 64, 72\]"),
        ("[32, 64, 64]", "[32, 64, 80]", "as long in y as in x"),
        ("[network]", "[network]\ndimensions = 2", "must begin with 1 for a network of planes"),
    ],
)
def test_explains_the_place_of_a_mistake(tmp_path, old, new, message):
    path, text = tmp_path / "t.toml", (HERE / "cells.toml").read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    refused(message, parse, path, read_toml(path), Settings)
