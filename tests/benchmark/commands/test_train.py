import io
import json
import sys
from pathlib import Path

import pytest
from mistakes import refused

from cytosuite.benchmark.catalog import places
from cytosuite.benchmark.commands import train as training
from cytosuite.benchmark.commands.options.train import TrainOptions
from cytosuite.errors import InputError


@pytest.fixture
def train(monkeypatch, quiet):
    """Return a function that trains with a process which ends with a code.

    It gives the card, and arguments and data of the process.
    """

    def train(dataset, code=0, *, refused=0, calls=None, **options):
        calls = [] if calls is None else calls
        data = []
        told = b"a warning\ncytosuite: the reason\n"

        class Process:
            def __init__(self, words, **_):
                calls.append(words)
                self.returncode = refused or code
                self.stderr = io.BytesIO(told if refused else b"checked\n" + told)

            def communicate(self, sent):
                data.extend(json.loads(sent or b"[]"))
                return None, self.stderr.read()

            def __enter__(self):
                return self

            def __exit__(self, *_):
                pass

            def kill(self):
                pass

        monkeypatch.setattr(training.subprocess, "Popen", Process)
        arguments = {"algorithm": "cellpose3d", "dataset": str(dataset), "name": "mine"} | options
        return training.train(TrainOptions(**arguments), quiet), calls[0], data

    return train


def _given(words):
    """Return the data of a training's command."""
    return [words[place + 1] for place, word in enumerate(words) if word == "--data"]


def _after(words, flag):
    return words[words.index(flag) + 1]


RECIPE = (
    'dataset = "spheroid"\ntitle = "Small"\n[parameters]\n'
    "image = { shape = [16, 64, 64], spacing_um = [2, 0.5, 0.5] }\ntissue = { n_nuclei = 4 }\n"
)


def test_the_training_gets_the_users_own_folder(planes, train):
    planes = planes.rename(planes.with_name("well=A1"))
    card, words, data = train(planes, steps=3, restart=True)
    assert words[:4] == [sys.executable, "-m", "cytosuite.training.command", "cellpose3d"]
    assert _given(words) == data == [str(planes)]
    assert _after(words, "--steps") == "3"
    assert "--restart" in words
    assert "--seed" not in words  # that of the settings holds
    assert card.parts[-3:] == ("weights", "cellpose3d", "mine.json")


@pytest.mark.parametrize(
    "options",
    [
        {"data_root": Path("/own"), "group": "data/image"},
        {"seed": 5},
        {"splits": Path("/own.toml"), "recursive": True},
    ],
)
def test_list_root_group_seed_and_parts_go_to_the_training(tmp_path, options, train):
    path = tmp_path / "x_train.csv"
    path.write_text("a.h5;b.h5\n")
    _, words, data = train(path, **options)
    assert data == [str(path)]
    assert "--restart" not in words
    assert ("--recursive" in words) == options.pop("recursive", False)
    for name, value in options.items():
        assert _after(words, f"--{name.replace('_', '-')}") == str(value)


def test_simulated_data_are_made_first_and_roles_are_kept(tmp_path, runs, planes, train):
    recipe = tmp_path / "small.toml"
    recipe.write_text(f"{RECIPE}[parameters.output]\nsteps = true\n")
    _, _, (simulated, real) = train(
        f"simulated={recipe}", data=[f"real={planes}"], cases=2, runs=runs, workers=1
    )
    assert simulated.startswith(f"simulated={runs / 'datasets'}")
    assert real == f"real={planes}"


@pytest.mark.parametrize(
    "code, error, exit_code",
    [
        (2, InputError, 2),
        (1, training.TrainingError, 1),
        (-9, training.TrainingError, 1),
        (130, training.InterruptedTrainingError, 130),
    ],
)
def test_a_training_that_fails_is_an_error(planes, capfd, code, error, exit_code, train):
    with pytest.raises(error, match="the reason$") as caught:
        train(planes, code)
    assert caught.value.exit_code == exit_code
    assert "a warning\n" in capfd.readouterr().err


def test_an_algorithm_without_a_training_is_refused(planes, train):
    refused(
        "no algorithm that is trained called 'unknown'",
        train,
        planes,
        algorithm="unknown",
    )


def test_a_tool_of_others_is_trained_in_a_session_of_the_engine(
    monkeypatch, tmp_path, runs, planes, quiet
):
    asked = {}
    monkeypatch.setattr(training, "is_tool", lambda name: name == "watershed")
    monkeypatch.setattr(training, "settings_of", lambda name, changes: {"epochs": 3})
    monkeypatch.setattr(training, "start_engine", lambda run, needed, console: needed)
    monkeypatch.setattr(training, "workplace", lambda: tmp_path)

    def trained(engine, name, dataset, card, settings, limits, seed, authors, shown):
        asked.update(engine=engine, cases=len(dataset.cases), settings=settings)
        asked.update(seed=seed, authors=authors)
        refused(
            "mine: another training is running here; wait for it or give another",
            training.train,
            TrainOptions(**options, runs=runs),
            quiet,
        )
        return card

    monkeypatch.setattr(training, "trained", trained)
    options = {"algorithm": "watershed", "dataset": str(planes), "name": "mine", "authors": "A"}
    card = training.train(TrainOptions(**options, runs=runs, seed=4), quiet)
    assert card == tmp_path / "weights/watershed/mine.json"
    assert asked == {
        "engine": ["watershed"],
        "cases": 3,
        "settings": {"epochs": 3},
        "seed": 4,
        "authors": "A",
    }
    for flag, extra in (("steps", {"steps": 0}), ("splits", {"splits": tmp_path})):
        refused(
            f"--{flag} is for our networks; watershed has its",
            training.train,
            TrainOptions(**options, **extra),
            quiet,
        )


def test_parameters_of_the_simulation_can_be_set(tmp_path, runs, planes, train):
    recipe = tmp_path / "small.toml"
    calls = []
    recipe.write_text(RECIPE)
    refused(
        "",
        train,
        f"simulated={recipe}",
        data=[f"real={planes}"],
        refused=2,
        calls=calls,
        changes=["output.steps=true"],
        runs=runs,
    )
    assert not runs.exists()
    (words,) = calls
    role, parameters = json.loads(_after(words, "--recipe"))
    assert (role, parameters["output"]["steps"]) == ("simulated", True)
    assert _given(words) == [f"real={planes}"]


def test_the_device_of_the_environment_reaches_the_training(monkeypatch, cli):
    seen = []
    monkeypatch.setattr(training, "train", lambda options, console: seen.append(options.passed))
    assert cli("train cellpose3d spheroid --name mine", DEVICE="cuda").exit_code == 0
    assert seen[0][seen[0].index("--device") + 1] == "cuda"


def test_a_wheel_trains_into_the_current_folder(monkeypatch, tmp_path, runs, planes, train):
    monkeypatch.setattr(places, "CHECKOUT", False)
    monkeypatch.chdir(tmp_path)
    card, words, _ = train(planes)
    assert card == tmp_path / "weights/cellpose3d/mine.json"
    assert _after(words, "--work") == str(runs / "training/cellpose3d/mine")


def test_the_parent_is_a_model_by_its_name_and_never_another(planes, train):
    _, words, _ = train(planes, start="cells-3d", settings=Path("tissue"))
    home = places.ROOT
    assert _after(words, "--from") == str((home / "weights/cellpose3d/cells-3d.json").resolve())
    assert _after(words, "--settings") == str(home / "algorithms/cellpose3d/training/tissue.toml")
    line = "no settings called 'tisue'; did you mean 'tissue'?"
    refused(line, train, planes, refused=2, settings=Path("tisue"))
    calls = []
    for missing in ("cells-3d-b", str(planes / "cells-3d.json")):
        refused(
            "no model called 'cells-3d-b'.*|no such model card",
            train,
            planes,
            start=missing,
            calls=calls,
        )
    assert calls == []
