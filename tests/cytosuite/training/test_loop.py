import csv
import json
import os
import signal
from dataclasses import replace
from itertools import accumulate, chain, repeat
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from cytosuite.errors import InputError
from cytosuite.manifest import read_card
from cytosuite.metrics.evidence import Facts
from cytosuite.training import loop, publish
from cytosuite.training.loop import StoppedError, begin, take_step

HELD = "held-out 2 of 8 cases of simulated, real"
W1 = {"every": 3, "metric": "W1", "cases": 1}
ALSO = {**W1, "also": ("W1_by_range", "W1_by_std")}


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
@pytest.mark.parametrize("validation", [None, W1, ALSO])
def test_interrupted_and_resumed_is_as_uninterrupted(toy, settings, tmp_path, at, validation):
    given, training = settings(validation), toy.measuring
    whole = toy(given, "a", training)
    with pytest.raises(StoppedError, match=f"after step {at}"):
        toy(given, "b", training, say=_interrupting(at))
    assert not (tmp_path / "weights" / "b.json").exists()
    lines = []
    parts = toy(given, "b", training, say=lines.append)
    assert f"resumed after step {at} of 12" in lines
    assert _same(whole, parts)
    assert read_card(whole).sha256 == read_card(parts).sha256
    assert read_card(whole).scores == read_card(parts).scores
    assert read_card(whole).parameters == read_card(parts).parameters
    for name, columns in (("log.csv", 4), ("validation.csv", 4)) if validation else ():
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
    monkeypatch.setattr(loop, "score", lambda metrics, facts: {metrics[0].name: next(values)})
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
    assert seen == [{"tau": 0.2}] * 5  # the last one of the parent itself


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


def test_measured_parameters_win_over_a_parents_and_yield_to_the_settings(toy, settings):
    parent, lines = toy(settings().with_card(parameters={"light": 1.0, "tau": 0.2, "k": 3})), []
    own = settings(W1).with_card(parameters={"tau": 0.4})
    seen = []

    def measure(cases, given):
        seen.append({role: len(found) for role, found in cases.items()})
        return {"light": 1.5, "tau": 0.9}

    def validate(state, cases, given):
        seen.append(given.card.parameters)
        return toy.training.validate(state, cases, given)

    training = replace(toy.training, measure=measure, validate=validate)
    card = read_card(toy(own, "n", training, parent=parent, say=lines.append))
    wanted = {"light": 1.5, "tau": 0.4, "k": 3}
    own = {"light": 1.0, "tau": 0.2, "k": 3}  # of the parent, which is scored with them at the end
    assert seen == [{"simulated": 3, "real": 3}, *[wanted] * 4, own]
    assert card.parameters == {"network": {"width": 4}, **wanted}
    assert {"measured: light", "from m: k kept, tau by the settings"} <= set(lines)


def test_cases_are_prepared_once_with_the_measured_parameters(toy, settings):
    seen, drawn = [], []

    def prepare(cases, given):
        seen.append(given.card.parameters)
        return {role: found[:1] for role, found in cases.items()}

    def batch(cases, given, step):
        drawn.append({role: len(found) for role, found in cases.items()})
        return toy.training.batch(cases, given, step)

    toy(settings(), training=replace(toy.measuring, prepare=prepare, batch=batch))
    assert len(seen) == 1
    assert set(seen[0]) == {"light", "images"}
    assert all(counts == {"simulated": 1, "real": 1} for counts in drawn)


def test_each_validation_leaves_a_picture(toy, settings, tmp_path, data):
    toy(settings(W1, steps=7), training=toy.measuring)
    pictures = tmp_path / "work-m" / "pictures"
    assert sorted(path.name for path in pictures.iterdir()) == [
        "step-000003.png",
        "step-000006.png",
        "step-000007.png",
    ]
    shown = np.asarray(Image.open(pictures / "step-000007.png"))
    assert np.array_equal(shown, np.uint8(np.load(data["real"][0] / "2.npy") * 50))


def _validating(toy, values, seen=None):
    """Return a training whose validations have these W1."""
    values = iter(values)

    def validate(state, cases, given):
        made = [np.full((2, 2), next(values))]

        def real():
            if seen is not None:
                seen.append(state.step)
            return [np.zeros((2, 2))]

        yield Facts({"prediction": lambda: np.uint8(made[0])})
        yield Facts({"real:arrays": real, "synthetic:arrays": lambda: made})

    return replace(toy.training, validate=validate)


def test_further_scores_are_those_of_the_published_step(toy, settings, tmp_path):
    seen, lines = [], []
    given = settings({**W1, "also": ("prediction_count", "W1", "W1_by_std")})
    path = toy(given, training=_validating(toy, [3, 1, 2, 5], seen), say=lines.append)
    assert seen == [3, 6, 9, 12]  # one reading for all metrics
    # Without any contrast of the real images W1_by_std is undefined.
    assert read_card(path).scores == {HELD: {"W1": 1.0, "prediction_count": 1.0}}
    rows = _table(tmp_path / "work-m" / "validation.csv")
    assert rows[:2] == [["step", "W1", "prediction_count", "W1_by_std"], ["3", "3", "1", "nan"]]
    assert [row[1] for row in rows[1:]] == ["3", "1", "2", "5"]
    assert "W1 3, prediction_count 1, W1_by_std nan of held-out cases" in lines
    curves = read_card(path).trained["curves"]
    assert curves["prediction_count"] == {"3": 1.0, "6": 1.0, "9": 1.0, "12": 1.0}
    picture = ElementTree.parse(tmp_path / "work-m" / "curves.svg")
    assert len([part for part in picture.iter() if part.tag.endswith("path")]) == 3


def test_no_better_score_for_long_ends_the_training(toy, settings, tmp_path):
    lines, given = [], settings({**W1, "patience": 2}, steps=40)
    path = toy(given, training=_validating(toy, [3, 2, 2.5, 2]), say=lines.append)
    card = read_card(path)
    assert card.trained["stopped_early"] is True
    assert card.trained["steps"] == 6
    assert card.scores == {HELD: {"W1": 2.0}}
    rows = _table(tmp_path / "work-m" / "validation.csv")
    assert [row[0] for row in rows] == ["step", "3", "6", "9", "12"]
    assert "stopped early: no better score in the last 2 validations" in lines
    # What was over is over, also for one that was killed before its card was written.
    path.unlink()
    assert read_card(toy(given, training=_validating(toy, []))).trained["stopped_early"] is True
    ends = toy(settings({**W1, "patience": 2}), "n", _validating(toy, [3, 2, 2.5, 2.5]))
    assert "stopped_early" not in read_card(ends).trained


def test_patience_counts_on_after_an_interrupt(toy, settings):
    given = settings({**W1, "patience": 3}, steps=40)
    values = [3, 2, *accumulate(chain([3], repeat(1, 50)))]
    whole = toy(given, "a", _validating(toy, values))
    with pytest.raises(StoppedError, match="after step 12"):
        toy(given, "b", _validating(toy, values), say=_interrupting(12))
    parts = toy(given, "b", _validating(toy, values[4:]))
    assert _same(whole, parts)
    first, second = read_card(whole).trained, read_card(parts).trained
    assert first["curves"]["W1"] == second["curves"]["W1"]
    assert list(first["curves"]["W1"]) == ["3", "6", "9", "12", "15"]


@pytest.mark.parametrize("validation", [None, ALSO])
def test_without_steps_the_measured_parameters_are_the_model(toy, settings, tmp_path, validation):
    toy(settings(W1), "m", toy.measuring)
    (tmp_path / "weights" / "m.json").unlink()  # its log must not become that of the next
    (tmp_path / "weights" / "m.safetensors").unlink()
    lines = []
    path = toy(settings(validation, steps=0), "m", toy.measuring, say=lines.append)
    card = read_card(path)
    assert (card.weights, card.sha256) == (None, None)
    assert list(path.parent.iterdir()) == [path]
    assert set(card.parameters) == {"light", "images"}
    assert card.trained["steps"] == 0
    assert "no network is trained" in lines
    scores = card.scores.get(HELD, {})
    assert set(scores) == ({"W1", "W1_by_range", "W1_by_std"} if validation else set())
    assert {tuple(curve) for curve in card.trained["curves"].values()} <= {("0",)}
    of = "6 cases" if validation else "8 cases"
    plain = settings(validation, steps=0).with_card(description="")
    described = read_card(toy(plain, "n", toy.measuring)).description
    assert described == f"Measured on {of} of simulated, real."


def test_remarks_on_the_cases_to_train_on_are_said_once(toy, settings):
    said = []
    remarking = replace(toy.training, remark=lambda cases, _: [f"{len(cases['real'])} real ones"])
    toy(settings(steps=2), training=remarking, say=said.append)
    assert said.count("4 real ones") == 1


def test_explains_that_nothing_is_measured(toy, settings):
    with pytest.raises(InputError, match=r"schedule\.steps: toy measures nothing without a train"):
        toy(settings(steps=0))
