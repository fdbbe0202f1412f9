import csv
import os
import signal
from math import nan
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from mistakes import refused
from safetensors.torch import load_file

from cytosuite.contract.manifest import read_card
from cytosuite.errors import InputError
from cytosuite.files import write_json
from cytosuite.folders.splits import Splits
from cytosuite.metrics.evidence import Facts
from cytosuite.training import loop, parts
from cytosuite.training.loop import StoppedError

HELD = "held-out 2 of 8 cases of simulated, real"
W1 = {"every": 3, "metric": "W1", "cases": 1}
ALSO = {**W1, "also": ("W1_by_range", "W1_by_std")}


def _weights(card):
    return load_file(card.with_suffix(".safetensors"))


def _same(first, second):
    one = _weights(first)
    two = _weights(second)
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


def _numbers(cases):
    return {role: len(listed) for role, listed in cases.items()}


def test_two_networks_learn_from_two_roles(toy, settings, tmp_path):
    path = toy(settings(steps=150, report=10, checkpoint=150))
    card = read_card(path)
    assert card.task == "enhance"
    assert {value.dtype for value in _weights(path).values() if value.ndim > 1} == {torch.float16}
    assert set(card.trained["data"]) == {"simulated", "real"}
    assert card.describes == {"images": 8.0, "channel": "nucleus"}
    assert card.parameters == {"network": {"width": 4}}
    rows = _table(tmp_path / "work-m/log.csv")
    assert rows[0] == ["step", "critic", "generator", "rate", "seconds"]
    losses = [float(row[2]) for row in rows[1:]]
    assert losses[-1] < 0.5 * losses[0]


def test_interrupted_and_resumed_is_as_uninterrupted(toy, settings, tmp_path):
    options = settings(ALSO)
    training = toy.measuring
    whole = toy(options, "a", training)
    with pytest.raises(StoppedError, match="after step 4"):
        toy(options, "b", training, say=_interrupting(4))
    assert not (tmp_path / "weights/b.json").exists()
    lines = []
    parts = toy(options, "b", training, say=lines.append)
    assert "resumed after step 4 of 12" in lines
    assert _same(whole, parts)

    assert read_card(whole).scores == read_card(parts).scores
    assert read_card(whole).parameters == read_card(parts).parameters
    for name in ("log.csv", "validation.csv"):
        whole, parts = (_table(tmp_path / f"work-{k}" / name) for k in "ab")
        assert [row[:4] for row in whole] == [row[:4] for row in parts]


def test_curves_of_a_killed_training_are_those_of_one_that_was_not(toy, settings, tmp_path):
    # The checkpoint (step 5) holds the losses since the last line of the log (step 4).

    def killed(cases, options, step):
        if step == 6:
            raise KeyboardInterrupt
        return toy.training.batch(cases, options, step)

    with pytest.raises(KeyboardInterrupt):
        toy(settings(), "b", toy.altered(batch=killed))
    cards = [read_card(toy(settings(), name)) for name in "ab"]
    logs = [_table(tmp_path / f"work-{name}" / "log.csv") for name in "ab"]
    assert [row[:4] for row in logs[0]] == [row[:4] for row in logs[1]]
    assert cards[0].trained["curves"]["critic"] == cards[1].trained["curves"]["critic"]


def test_an_undefined_score_is_never_the_best(toy, settings, monkeypatch):
    values = iter([float("nan"), 1.0, float("nan"), 2.0])
    monkeypatch.setattr(loop, "score", lambda metrics, facts: {metrics[0].name: next(values)})
    assert read_card(toy(settings(W1))).scores == {HELD: {"W1": 1.0}}


@pytest.mark.parametrize("case_s, seen", [(0.5, [2, 3, 3, 3, 3]), (8.0, [2, 2])])
def test_validations_take_no_more_than_their_share(toy, settings, data, monkeypatch, case_s, seen):
    for role, folders in data.items():
        for number in range(4, 9):
            np.save(folders[0] / f"{number}.npy", np.full((12, 12), len(role), np.float32))
    counts = []
    clock = SimpleNamespace(now=0.0)

    def validate(state, cases, options):
        counts.append(len(cases["real"]))
        for _ in cases["real"]:
            clock.now += case_s
            yield next(iter(toy.training.validate(state, cases, options)))

    lines = []
    training = toy.altered(validate=validate)
    monkeypatch.setattr(loop.time, "perf_counter", lambda: clock.now)
    card = read_card(toy(settings({**W1, "cases": 3}), training=training, say=lines.append))
    assert counts == seen
    assert next(iter(card.scores)).startswith(f"held-out {2 * counts[-1]} of 18 cases")
    assert ("validation: 1 of 2 cases, 0 min 08 s left" in lines) is (case_s > 5)


@pytest.mark.parametrize(
    "validation, message",
    [
        ({**W1, "metric": "SEG"}, "SEG needs truth and prediction, which the validation of this"),
        ({"every": 3}, "validation needs every, metric and cases together"),
    ],
)
def test_explains_a_validation_that_cannot_be(toy, settings, validation, message):
    with pytest.raises((InputError, ValueError), match=message):
        toy(settings(validation))


def test_training_goes_on_from_a_parent(toy, settings):
    parent = toy(settings())
    child = toy(settings(steps=1, learning_rate=1e-12), "n", parent=parent)
    assert read_card(child).trained["parent"]["name"] == "m"
    for name, value in _weights(parent).items():
        torch.testing.assert_close(_weights(child)[name], value)


def test_the_card_describes_its_own_training(toy, settings, data, monkeypatch):
    monkeypatch.setattr("cytosuite.training.publish.user", lambda: "A. Somebody")
    (data["simulated"][0] / "cases").mkdir()  # as of a run: nobody alters them
    write_json(
        data["simulated"][0] / "dataset.json",
        {"name": "spheroid", "size": "mini", "seed": 0, "fingerprint": "f"},
    )
    plain = settings(W1, steps=6).with_card(description="", authors="")
    card = read_card(toy(plain))
    of = "spheroid/mini, real"
    assert card.description == f"Trained for 6 steps on 6 cases of {of}, from random weights."
    assert card.authors == "A. Somebody"
    assert card.trained["data"]["simulated"] == ["f"]  # its fingerprint
    assert list(card.scores) == [f"held-out 2 of 8 cases of {of}"]
    assert "cytosuite" not in card.model_dump_json().replace("cytosuite.", "")
    assert read_card(toy(plain.with_card(authors="B."), "n")).authors == "B."


def test_a_card_without_held_out_cases_has_no_score(toy, settings, data):
    for folders in data.values():
        for path in sorted(folders[0].glob("*.npy"))[1:]:
            path.unlink()
    lines = []
    assert read_card(toy(settings({**W1, "cases": 0.3}), say=lines.append)).scores == {}
    assert any(line.startswith("a single case: none is held out") for line in lines)


def test_measured_parameters_win_over_a_parents_and_yield_to_the_settings(toy, settings):
    parent = toy(settings().with_card(parameters={"light": 1.0, "tau": 0.2, "k": 3}))
    lines = []
    chosen = settings(W1).with_card(parameters={"tau": 0.4})
    seen = []

    def measure(cases, options):
        seen.append(_numbers(cases))
        return {"light": 1.5, "tau": 0.9}

    def validate(state, cases, options):
        seen.append(options.card.parameters)
        return toy.training.validate(state, cases, options)

    training = toy.altered(measure=measure, validate=validate)
    card = read_card(toy(chosen, "n", training, parent=parent, say=lines.append))
    merged = {"light": 1.5, "tau": 0.4, "k": 3}
    old = {"light": 1.0, "tau": 0.2, "k": 3}  # of the parent, which is scored with them at the end
    assert seen == [{"simulated": 3, "real": 3}, *[merged] * 5, old]
    assert card.parameters == {"network": {"width": 4}, **merged}
    assert {"measured: light", "from m: k kept, tau by the settings"} <= set(lines)


def test_cases_are_prepared_once_with_the_measured_parameters_without_held_out_ones(toy, settings):
    seen = []
    drawn = []

    def prepare(cases, options):
        seen.append((_numbers(cases), set(options.card.parameters)))
        return {role: images[:2] for role, images in cases.items()}

    def batch(cases, options, step):
        drawn.append(_numbers(cases))
        return toy.training.batch(cases, options, step)

    training = toy.altered(**toy.measured, prepare_cases=prepare, batch=batch)
    card = read_card(toy(settings(W1), training=training))
    assert seen == [({"simulated": 3, "real": 3}, {"light", "images"})]
    assert drawn == [{"simulated": 2, "real": 2}] * 12
    assert card.trained["cases"] == drawn[0]


def _validating(toy, values, seen=None):
    """Return a training whose validations have these W1."""
    values = iter(values)

    def validate(state, cases, options):
        outputs = [np.full((2, 2), next(values))]

        def real():
            if seen is not None:
                seen.append(state.step)
            return [np.zeros((2, 2))]

        yield Facts({"prediction": lambda: np.uint8(outputs[0])})
        yield Facts({"real:arrays": real, "synthetic:arrays": lambda: outputs})

    return toy.altered(validate=validate)


def test_further_scores_are_those_of_the_published_step(toy, settings, tmp_path):
    seen = []
    lines = []
    options = settings({**W1, "also": ("prediction_count", "W1", "W1_by_std")})
    path = toy(options, training=_validating(toy, [3, 1, 2, 5], seen), say=lines.append)
    assert seen == [3, 6, 9, 12]  # one reading for all metrics
    # Without any contrast of the real images W1_by_std is undefined.
    assert read_card(path).scores == {HELD: {"W1": 1.0, "prediction_count": 1.0}}
    rows = _table(tmp_path / "work-m/validation.csv")
    assert rows[:2] == [["step", "W1", "prediction_count", "W1_by_std"], ["3", "3", "1", "nan"]]
    assert [row[1] for row in rows[1:]] == ["3", "1", "2", "5"]
    scored = "W1 3, prediction_count 1, W1_by_std nan of held-out cases, in "
    assert any(line.startswith(scored) for line in lines)
    assert "W1_by_std: too little in the held-out cases to measure it by" in lines
    counts = read_card(path).trained["curves"]["prediction_count"]
    assert counts == {"3": 1.0, "6": 1.0, "9": 1.0, "12": 1.0}
    picture = ElementTree.parse(tmp_path / "work-m/curves.svg")
    assert len([part for part in picture.iter() if part.tag.endswith("}g")]) == 3


def test_no_better_score_for_long_ends_the_training(toy, settings, tmp_path):
    lines = []
    options = settings({**W1, "patience": 2}, steps=40)
    path = toy(options, training=_validating(toy, [3, 2, 2.5, 2]), say=lines.append)
    card = read_card(path)
    assert card.trained["stopped_early"] is True
    assert card.trained["steps"] == 6
    assert card.scores == {HELD: {"W1": 2.0}}
    rows = _table(tmp_path / "work-m/validation.csv")
    assert [row[0] for row in rows] == ["step", "3", "6", "9", "12"]
    assert "stopped early: no better score in the last 2 validations" in lines
    # What was over is over, also for one that was killed before its card was written.
    path.unlink()
    assert read_card(toy(options, training=_validating(toy, []))).trained["stopped_early"] is True
    ends = toy(settings({**W1, "patience": 2}), "n", _validating(toy, [3, 2, 2.5, 2.5]))
    assert "stopped_early" not in read_card(ends).trained


def test_without_steps_the_measured_parameters_are_the_model(toy, settings, tmp_path):
    toy(settings(W1), "m", toy.measuring)
    (tmp_path / "weights/m.json").unlink()  # its log must not become that of the next
    (tmp_path / "weights/m.safetensors").unlink()
    path = toy(settings(ALSO, steps=0).with_card(description=""), "m", toy.measuring)
    card = read_card(path)
    assert card.description == "Measured on 6 cases of simulated, real."
    assert (card.weights, card.sha256) == (None, None)
    assert list(path.parent.iterdir()) == [path]
    assert set(card.parameters) == {"light", "images"}
    assert card.trained["steps"] == 0
    assert set(card.scores[HELD]) == {"W1", "W1_by_range", "W1_by_std"}
    assert {tuple(curve) for curve in card.trained["curves"].values()} <= {("0",)}


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
        generator = state.modules["generator"]
        critic = state.modules["critic"]
        with state.autocast():
            fake = _Wrong.apply(generator(batch["simulated"]), factor).float()
            judged = (critic(fake.detach()) ** 2 + (critic(batch["real"]) - 1) ** 2).mean()
        state.update("critic", judged)
        fooled = (fake.mean() - batch["real"].mean()) ** 2
        state.update("generator", fooled)
        return {"critic": judged, "generator": fooled}

    return toy.altered(step=step)


@pytest.fixture
def fast(monkeypatch):
    """Let any processor take bfloat16."""
    monkeypatch.setattr(parts, "precision", lambda device: torch.bfloat16)


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("factor, off", [(-1.0, "200% off"), (nan, "not finite")])
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
@pytest.mark.parametrize("sides, sound", [((2, 8, 8), False), ((3, 8, 8), True)])
def test_a_kernel_longer_than_its_volume_takes_float32(toy, settings, sides, sound):
    layer = torch.nn.Conv3d(1, 1, 3, padding=1)

    def step(state, batch, settings):
        if state.precision == torch.float32:  # the other one may end the process
            layer(torch.zeros(1, 1, *sides))
        return _training(toy, 1.0).step(state, batch, settings)

    card = toy(settings(), "a", toy.altered(step=step))
    assert (read_card(card).trained["device"] == "cpu, torch.bfloat16") == sound


@pytest.mark.usefixtures("fast")
def test_sound_gradients_stay_in_bfloat16_and_the_comparison_leaves_no_trace(
    toy, settings, monkeypatch
):
    path = toy(settings(), "a", _training(toy, 1.0))
    assert read_card(path).trained["device"] == "cpu, torch.bfloat16"
    monkeypatch.setattr(loop, "rounding", lambda *_: 0.0)
    assert _same(path, toy(settings(), "b", _training(toy, 1.0)))


def _named(source, role, settings):
    """Return the names of files in a folder, or in its training list or the given list."""
    lists = [source] if source.is_file() else sorted(source.glob("*_train.csv"))
    return lists[0].read_text().split() if lists else sorted(path.name for path in source.iterdir())


def test_a_validation_list_is_held_out_in_place_of_a_share(toy, settings, data, tmp_path):
    (folder,) = data["simulated"]
    for part, names in {"train": "0.tif 1.tif 2.tif", "val": "3.tif"}.items():
        (folder / f"a_{part}.csv").write_text("\n".join(names.split()))
    training = toy.altered(load=_named)
    lines = []
    train, held = loop._load(training, settings(W1), data, lines.append, tmp_path)
    assert (train["simulated"], held["simulated"]) == (["0.tif", "1.tif", "2.tif"], ["3.tif"])
    assert [len(part["real"]) for part in (train, held)] == [3, 1]
    train, held = loop._load(training, settings(), data, lines.append, tmp_path)
    assert not any(held.values())
    assert f"not read, since validation.every is 0: {folder / 'a_val.csv'}" in lines


def _with_paths(source, role, settings):
    return [SimpleNamespace(path=path) for path in sorted(source.glob("*.tif"))]


def test_images_that_a_training_draws_to_hold_out_are_listed(toy, settings, data, tmp_path):
    (folder,) = data["simulated"]
    (folder / "images").mkdir()
    for name in (b"3.ome.tif", b"4\xe4.ome.tif"):
        (folder / "images" / os.fsdecode(name)).touch()
    data["real"] = [folder]
    training = toy.altered(load=lambda place, *more: _with_paths(place / "images", *more))
    loop._load(training, settings(W1), data, lambda _: None, tmp_path)
    assert (
        _table(tmp_path / "splits.csv")[1:] == [["4%E4.ome", "validate", "drawn", str(folder)]] * 2
    )


@pytest.mark.parametrize("place", ["folder", "settings"])
def test_parts_of_a_folder_are_held_out_and_left_out(toy, settings, data, tmp_path, place):
    (folder,), options, lines = data["simulated"], settings(W1), []
    for path in (*folder.glob("*.npy"), *data["real"][0].glob("*.npy")):
        path.with_suffix(".tif").touch()
    rules = [{"part": "validate", "match": "1"}, {"part": "test", "match": "2"}]
    (folder / "splits.toml").write_text("folds = 9")
    if place == "folder":
        text = (f'{{ part = "{rule["part"]}", match = "{rule["match"]}" }}' for rule in rules)
        (folder / "splits.toml").write_text(f"rules = [{', '.join(text)}]")
        data["real"] = [folder]
    else:
        options = options.with_files(splits=Splits.model_validate({"rules": rules}))
    parts = loop._load(toy.altered(load=_with_paths), options, data, lines.append, tmp_path)
    for role in data:
        train, held = ([case.path.stem for case in part[role]] for part in parts)
        assert (train, held) == (["0", "3"], ["1"])
    assert f"parts of {folder.name}: 2 train, 1 validate, 1 test" in lines
    assert _table(tmp_path / "splits.csv")[1:4] == [
        ["0", "train", "all others", str(folder)],
        ["1", "validate", "1", str(folder)],
        ["2", "test", "2", str(folder)],
    ]


def test_other_rules_make_another_training(toy, settings, data):
    options = settings()
    with pytest.raises(StoppedError):
        toy(options, say=_interrupting(8))
    refused(
        "made with other settings; give the same", toy, options.with_files(splits=Splits(folds=3))
    )
    (data["real"][0] / "splits.toml").write_text("folds = 4")
    refused("made with other data and parts; give the same", toy, options)


def test_epochs_become_steps_by_the_cases_and_the_batch(toy, settings):
    def batch(cases, options, step):
        images = toy.training.batch(cases, options, step)
        return {role: np.concatenate([image] * 3) for role, image in images.items()}

    lines = []
    card = read_card(toy(settings(epochs=2), training=toy.altered(batch=batch), say=lines.append))
    assert "2 epochs of 2 steps: 4 cases, 3 in a batch" in lines
    assert card.trained["steps"] == 4
    assert settings(epochs=2).with_schedule(steps=7).schedule.epochs == 0


def test_a_network_with_an_optimiser_of_its_own_refuses_another(toy, settings):
    refused(r"schedule\.optimiser: toy has its own optimiser", toy, settings(optimiser="sgd"))
