import io
import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from mistakes import refused

from cytosuite.contract.manifest import parse, read_card
from cytosuite.files import read_toml
from cytosuite.files.working import alone
from cytosuite.training import command, loop
from cytosuite.training.command import by_role, main, training_of
from cytosuite.training.publish import ALGORITHMS
from cytosuite.training.validate import wanted_metrics


def test_folders_get_their_roles():
    roles = ("simulated", "real")
    assert by_role(["a/b"], roles) == {"simulated": [Path("a/b")]}
    assert by_role(["real=x", "simulated=y=z", "real=w"], roles) == {
        "real": [Path("x"), Path("w")],
        "simulated": [Path("y=z")],
    }
    assert by_role(["/well=A1/x"], roles) == {"simulated": [Path("/well=A1/x")]}
    refused("--data rael=x: expected a role among simulated, real", by_role, ["rael=x"], roles)


def test_one_folder_may_hold_all_roles():
    def halves(folder):
        return {"real": folder / "A", "simulated": folder / "B"} if folder.name == "all" else {}

    roles = ("simulated", "real")
    assert by_role(["all", "real=x"], roles, halves) == {
        "real": [Path("all/A"), Path("x")],
        "simulated": [Path("all/B")],
    }
    assert by_role(["other"], roles, halves) == {"simulated": [Path("other")]}
    assert by_role(["real=all"], roles, halves) == {"real": [Path("all")]}


@pytest.fixture
def words(toy, tmp_path, data, monkeypatch):
    """Return the words of a training of two steps of the toy."""
    monkeypatch.setattr(command, "training_of", lambda name: toy.training)
    (tmp_path / "own.toml").write_text("schedule.steps = 2")
    words = ["toy", "--settings", str(tmp_path / "own.toml"), "--out", str(tmp_path / "out")]
    words += ["--work", str(tmp_path / "work"), "--name", "m"]
    return words + [f"--data={role}={folder}" for role, (folder,) in data.items()]


def test_settings_that_are_no_toml_are_translated_with_a_note(
    toy, words, tmp_path, monkeypatch, capsys
):
    def translate(path, data):
        assert data.keys() == {"simulated", "real"}
        return {"schedule": {"steps": int(path.read_text())}}, ["epochs became steps"]

    training = toy.altered(translate=translate)
    monkeypatch.setattr(command, "training_of", lambda name: training)
    (tmp_path / "old.hjson").write_text("3")
    words += ["--settings", str(tmp_path / "old.hjson")]
    assert main([*words, "--check"]) == 0
    assert capsys.readouterr().out == ""
    assert main(words) == 0
    assert capsys.readouterr().out.splitlines()[0] == "note: epochs became steps"
    assert read_card(tmp_path / "out/m.json").trained["steps"] == 3
    monkeypatch.setattr(command, "training_of", lambda name: toy.training)
    refused(r"old\.hjson: expected TOML", main, words)


def test_trainings_are_found_by_the_name_of_the_algorithm():
    assert training_of("cellpose3d").algorithm == "cellpose3d"
    for name in ("watershed", "nothing"):
        refused(f"algorithms/{name}: no algorithm that is trained", training_of, name)


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=f"{path.parts[-3]}-{path.stem}")
        for path in sorted(ALGORITHMS.glob("*/training/*.toml"))
        if path.name != command.OUTLINE
    ],
)
def test_settings_in_the_folder_of_a_training_are_allowed_with_a_validation_that_happens(path):
    settings = parse(path, read_toml(path), training_of(path.parts[-3]).settings)
    assert settings.validation.every <= settings.schedule.steps or path.stem.endswith("_style")
    assert not settings.validation.every or wanted_metrics(settings.validation)


@pytest.mark.parametrize("name", ["cellpose3d", "cyclegan3d", "diffusion", "view_fusion"])
def test_gains_shifts_and_biases_do_not_decay(name):
    training = training_of(name)
    settings = read_toml(ALGORITHMS / name / "training" / training.default)
    settings["schedule"]["weight_decay"] = 0.5
    modules, optimisers = training.build(training.settings.model_validate(settings))
    groups = [group for optimiser in optimisers.values() for group in optimiser.param_groups]
    for group in groups:
        assert {weight.ndim > 1 for weight in group["params"]} == {group["weight_decay"] == 0.5}
    count = sum(len([*module.parameters()]) for module in modules.values())
    assert sum(len(group["params"]) for group in groups) == count


def test_the_command_needs_data_and_a_name(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["cellpose3d", "--data", "x"])
    assert "--name" in capsys.readouterr().err
    places = ["--name", "m", "--out", str(tmp_path), "--work", str(tmp_path)]
    refused("learns from images, found none; give each as role=", main, ["cellpose3d", *places])
    refused("nowhere: no such file", main, ["watershed", "--settings", "nowhere", *places])


@pytest.mark.parametrize(
    "message, options",
    {
        "--name: expected up to 100 letters of a-z 0-9 . _ -, found '../m'": {"name": "../m"},
        "taken.json: a model of this name exists": {"name": "taken"},
        "taken.json: expected a folder, found a file; name another one": {"work": "taken.json"},
        "seed": {"seed": 2**32},
    }.items(),
)
def test_a_wrong_place_or_name_is_refused_before_the_training(tmp_path, options, message):
    (tmp_path / "taken.json").write_text("{}")
    places = {key: tmp_path / options.get(key, key) for key in ("out", "work")}
    options = {"name": "m"} | options | places | ({"out": tmp_path} if options.get("name") else {})
    words = [word for option, value in options.items() for word in (f"--{option}", str(value))]
    refused(re.escape(message), main, ["cellpose3d", "--check", *words])
    assert not (tmp_path / "work").exists()


def test_a_checked_training_waits_for_its_data(words, tmp_path, data, monkeypatch, capsys):
    recipes = [f"--recipe={json.dumps([role, {}])}" for role in data]
    words = [*words[: -len(data)], *recipes, "--wait"]
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert main(words) == 141  # nobody is left to give any
    assert capsys.readouterr().err == command.CHECKED
    answer = json.dumps([f"{role}={folder}" for role, (folder,) in data.items()])
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    assert main(words) == 0
    assert read_card(tmp_path / "out/m.json").trained["cases"] == {"simulated": 4, "real": 4}


def test_a_second_training_of_a_name_is_refused_while_the_first_runs(words, tmp_path):
    with alone(tmp_path / "work"):
        refused("another training is running here; wait for it or give", main, words)
    assert not (tmp_path / "out").exists()
    assert main(words) == 0
    assert sorted(path.name for path in (tmp_path / "work").iterdir() if path.suffix != ".svg") == [
        "checkpoint.pt",
        "log.csv",
    ]


def test_a_training_that_was_killed_between_its_two_models_writes_both(
    toy, words, tmp_path, monkeypatch
):
    further = toy.altered(also={"back": lambda state, cases, settings: (state, settings)})
    monkeypatch.setattr(command, "training_of", lambda name: further)
    write = loop.publish
    left = iter([True, False])

    def killed(*arguments):
        if next(left, True):
            return write(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "publish", killed)
    with pytest.raises(KeyboardInterrupt):
        main(words)
    assert [path.name for path in (tmp_path / "out").glob("*.json")] == ["m-back.json"]
    assert main(words) == 0
    assert {path.name for path in (tmp_path / "out").glob("*.json")} == {"m.json", "m-back.json"}


def test_a_child_has_its_parents_network_the_settings_to_fine_tune_and_the_given_parts(
    toy, words, settings, tmp_path, data, monkeypatch
):
    monkeypatch.setattr(command, "ALGORITHMS", tmp_path / "algorithms")
    changes = {"network": toy.network(width=6), "side": 6}
    parent = toy(settings(steps=1).model_copy(update=changes).with_card(parameters={"tau": 0.5}))
    home = tmp_path / "algorithms/toy/training"
    home.mkdir()
    (home / "train.toml").write_text("schedule.steps = 9\nnetwork.width = 6")
    (home / "finetune.toml").write_text("schedule.steps = 2")
    (tmp_path / "own.toml").write_text('rules = [{ part = "test", match = "*" }]')
    words = [*words[:1], *words[3:], "--from", str(parent)]  # without settings of its own
    assert main([*words, "--work", str(tmp_path / "a"), "--name", "a"]) == 0
    card = read_card(tmp_path / "out/a.json")
    assert (card.parameters["network"], card.trained["steps"]) == ({"width": 6}, 2)
    assert (card.trained["settings"]["side"], card.parameters["tau"]) == (6, 0.5)

    def load(folder, role, settings):
        assert settings.card.parameters == {"tau": 0.5}  # images are read as the parent's were
        return [SimpleNamespace(path=path) for path in folder.glob("*.tif")]

    for path in (path for (folder,) in data.values() for path in folder.glob("*.npy")):
        path.with_suffix(".tif").touch()
    named = toy.altered(load=load)
    monkeypatch.setattr(command, "training_of", lambda name: named)
    words += ["--work", str(tmp_path / "b"), "--name", "b"]
    refused(
        "splits: the rules leave none of 4 images for train",
        main,
        [*words, "--splits", str(tmp_path / "own.toml")],
    )
    (data["real"][0] / "splits.toml").write_text("folds = 1")
    refused("real/splits.toml: the file: expected 3 or more folds", main, [*words, "--check"])
