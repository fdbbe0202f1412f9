import csv
import json
import os
import signal
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from cytosuite.errors import InputError
from cytosuite.manifest import read_card
from cytosuite.metrics.evidence import Facts
from cytosuite.training import loop, publish
from cytosuite.training.loop import StoppedError, begin, take_step

HELD = "held-out 2 of 8 cases of simulated, real"
W1 = {"every": 3, "metric": "W1", "cases": 1}


def _weights(card):
    return load_file(card.with_suffix(".safetensors"))


def _same(first, second):
    one, two = _weights(first), _weights(second)
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def _table(path):
    with path.open() as stream:
        return list(csv.reader(stream))


def _interrupting(at):
    """Return a receiver of progress lines that presses Ctrl-C when a step is reported."""

    def say(line):
        if line.startswith(f"step {at}/"):
            os.kill(os.getpid(), signal.SIGINT)

    return say


def test_two_networks_learn_from_two_roles(toy, settings, tmp_path):
    card = read_card(toy(settings(steps=150, report=10, checkpoint=150)))
    assert card.task == "enhance"
    assert card.trained["cases"] == {"simulated": 4, "real": 4}
    assert set(card.trained["data"]) == {"simulated", "real"}
    assert card.describes == {"images": 8.0, "channel": "nucleus"}
    assert card.parameters == {"network": {"width": 4}}
    rows = _table(tmp_path / "work-m" / "log.csv")
    assert rows[0] == ["step", "critic", "generator", "rate", "seconds"]
    losses = [float(row[2]) for row in rows[1:]]
    assert losses[-1] < 0.5 * losses[0]


def test_only_the_published_network_is_published(toy, settings):
    names = sorted(_weights(toy(settings())))
    assert names == ["0.bias", "0.weight", "2.bias", "2.weight"]


@pytest.mark.parametrize("at", [4, 8])
@pytest.mark.parametrize("validation", [None, W1])
def test_interrupted_and_resumed_is_as_uninterrupted(toy, settings, tmp_path, at, validation):
    given = settings(validation)
    whole = toy(given, "a")
    with pytest.raises(StoppedError, match=f"after step {at}"):
        toy(given, "b", say=_interrupting(at))
    assert not (tmp_path / "weights" / "b.json").exists()
    lines = []
    parts = toy(given, "b", say=lines.append)
    assert f"resumed after step {at} of 12" in lines
    assert _same(whole, parts)
    assert read_card(whole).sha256 == read_card(parts).sha256
    assert read_card(whole).scores == read_card(parts).scores
    for name, columns in (("log.csv", 4), ("validation.csv", 2)) if validation else ():
        whole, parts = (_table(tmp_path / f"work-{k}" / name) for k in "ab")
        assert [row[:columns] for row in whole] == [row[:columns] for row in parts]


def test_the_weights_depend_on_the_seed_alone(toy, settings):
    first, again, other = toy(settings(), "a"), toy(settings(), "b"), toy(settings(seed=1), "c")
    assert _same(first, again)
    assert not _same(first, other)


def test_the_best_weights_by_validation_are_published(toy, settings, tmp_path):
    values, kept = iter([3.0, 2.5, 1.0, 2.0]), {}

    def validate(state, cases, given):
        kept[state.step] = {name: v.clone() for name, v in state.average.named_parameters()}
        real, made = [np.zeros((2, 2))], [np.full((2, 2), next(values))]
        yield Facts({"real:arrays": lambda: real, "synthetic:arrays": lambda: made})

    path = toy(settings(W1), training=replace(toy.training, validate=validate))
    card = read_card(path)
    assert card.trained["steps"] == 9
    assert card.scores == {HELD: {"W1": pytest.approx(1.0)}}
    for name, value in kept[9].items():
        published = value.half() if value.ndim > 1 else value
        assert torch.equal(_weights(path)[name], published)
    rows = _table(tmp_path / "work-m" / "validation.csv")
    assert rows[0] == ["step", "W1"]
    assert [(int(step), float(value)) for step, value in rows[1:]] == [
        (3, 3.0),
        (6, 2.5),
        (9, 1.0),
        (12, 2.0),
    ]


@pytest.mark.parametrize(("metric", "best"), [("W1", 1.0), ("W1_by_std", None)])
def test_an_undefined_score_is_never_the_best(toy, settings, monkeypatch, metric, best):
    values = iter([float("nan"), 1.0, float("nan"), 2.0] if best else [float("nan")] * 4)
    monkeypatch.setattr(loop, "score", lambda metric, facts: next(values))
    card = read_card(toy(settings({**W1, "metric": metric})))
    assert card.scores == ({HELD: {metric: best}} if best else {})


def test_held_out_cases_are_not_trained_on(toy, settings):
    seen = []

    def batch(cases, given, step):
        seen.append({role: len(found) for role, found in cases.items()})
        return toy.training.batch(cases, given, step)

    card = read_card(toy(settings(W1), training=replace(toy.training, batch=batch)))
    assert {tuple(each.items()) for each in seen} == {(("simulated", 3), ("real", 3))}
    assert card.trained["cases"] == {"simulated": 3, "real": 3}
    assert card.scores[HELD]["W1"] > 0


def test_learning_rates_are_relative_to_the_schedule(toy, settings, data):
    given = settings()
    state = begin(toy.training, given, None, "cpu")
    cases = {role: toy.training.load(folders[0], role, given) for role, folders in data.items()}
    for step in range(3):
        take_step(toy.training, given, state, toy.training.batch(cases, given, step))
        rates = {name: o.param_groups[0]["lr"] for name, o in state.optimisers.items()}
        assert rates["generator"] == given.schedule.rate(step)
        assert rates["critic"] == pytest.approx(0.1 * given.schedule.rate(step))


@pytest.mark.parametrize(
    ("validation", "message"),
    [
        ({**W1, "metric": "W7"}, "validation.metric: expected one of .*, found 'W7'"),
        ({**W1, "metric": "SEG"}, "SEG needs truth and prediction, which the validation of this"),
        ({**W1, "cases": 4}, "4 leaves none of the 4 cases of simulated to train on"),
        ({"every": 3}, "validation needs every, metric and cases together"),
    ],
)
def test_explains_a_validation_that_cannot_be(toy, settings, validation, message):
    with pytest.raises((InputError, ValueError), match=message):
        toy(settings(validation))


def test_explains_a_network_without_validation(toy, settings):
    with pytest.raises(InputError, match="toy has no validation; leave it out"):
        toy(settings(W1), training=replace(toy.training, validate=None))


def test_explains_a_missing_role(toy, settings, data):
    with pytest.raises(InputError, match="toy learns from simulated and real, found simulated; "):
        toy(settings(), folders={"simulated": data["simulated"]})


def test_a_checkpoint_of_another_training_is_refused(toy, settings):
    toy(settings())
    with pytest.raises(InputError, match="made with another settings"):
        toy(settings(steps=20))
    toy(settings(steps=20), resume=False)


def test_training_goes_on_from_a_parent(toy, settings):
    parent = toy(settings())
    child = toy(settings(steps=1, learning_rate=1e-12), "n", parent=parent)
    assert read_card(child).trained["parent"]["name"] == "m"
    for name, value in _weights(parent).items():
        torch.testing.assert_close(_weights(child)[name], value)


def test_the_parameters_of_a_parent_are_kept_unless_the_settings_give_them(toy, settings):
    first = settings().with_card(parameters={"tau": 0.2, "li": False, "local_um": 3.0})
    parent, lines = toy(first), []
    own = settings(steps=1).with_card(parameters={"tau": 0.4})
    own = own.with_card(description="")
    child = toy(own, "n", parent=parent, say=lines.append)
    assert read_card(child).description.endswith(" cases of simulated, real, from m.")
    found = read_card(child).parameters
    assert found == {"network": {"width": 4}, "tau": 0.4, "li": False, "local_um": 3.0}
    assert "from m: li, local_um kept, tau by the settings" in lines
    assert read_card(child).trained["parent"] == {"name": "m", "sha256": read_card(parent).sha256}


def test_a_validation_uses_the_parameters_of_the_parent(toy, settings):
    parent = toy(settings().with_card(parameters={"tau": 0.2}))
    seen = []

    def validate(state, cases, given):
        seen.append(given.card.parameters)
        return toy.training.validate(state, cases, given)

    toy(settings(W1), "n", replace(toy.training, validate=validate), parent=parent)
    assert seen == [{"tau": 0.2}] * 4


def test_the_card_describes_its_own_training(toy, settings, data, monkeypatch):
    monkeypatch.setattr(publish, "user", lambda: "A. Somebody")
    (data["simulated"][0] / "dataset.json").write_text(
        json.dumps({"name": "spheroid", "size": "mini", "seed": 0, "fingerprint": "f"})
    )
    plain = settings(W1, steps=6).with_card(description="", authors="")
    card = read_card(toy(plain))
    of = "spheroid/mini, real"
    assert card.description == f"Trained for 6 steps on 6 cases of {of}, from random weights."
    assert card.authors == "A. Somebody"
    assert list(card.scores) == [f"held-out 2 of 8 cases of {of}"]
    assert "cytosuite" not in card.model_dump_json().replace("cytosuite.", "")
    assert read_card(toy(plain.with_card(authors="B."), "n")).authors == "B."


def test_a_card_without_held_out_cases_has_no_score(toy, settings, data):
    for folders in data.values():
        for path in sorted(folders[0].glob("*.npy"))[1:]:
            path.unlink()
    lines = []
    card = read_card(toy(settings({**W1, "cases": 0.3}), say=lines.append))
    assert card.scores == {}
    assert any(line.startswith("a single case: none is held out") for line in lines)


def test_losses_and_scores_are_drawn_and_stand_in_the_card(toy, settings, tmp_path):
    lines = []
    card = read_card(toy(settings(W1), say=lines.append))
    picture = tmp_path / "work-m" / "curves.svg"
    assert f"curves: {picture}" in lines
    names = [text.text for text in ElementTree.parse(picture).iter() if text.tag.endswith("text")]
    assert {"critic", "generator", "W1", "step 4", "step 3", "12"} <= set(names)
    curves = card.trained["curves"]
    assert {name: list(curve) for name, curve in curves.items()} == {
        "critic": ["4", "8", "12"],
        "generator": ["4", "8", "12"],
        "W1": ["3", "6", "9", "12"],
    }
    rows = _table(tmp_path / "work-m" / "log.csv")
    assert [str(value) for value in curves["critic"].values()] == [row[1] for row in rows[1:]]
