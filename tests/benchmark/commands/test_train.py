import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from mistakes import refused
from rich.console import Console

from cytosuite.benchmark.catalog import places
from cytosuite.benchmark.commands import train as training
from cytosuite.benchmark.options.train import TrainOptions
from cytosuite.errors import InputError
from cytosuite.formats import write
from cytosuite.volume import Volume


@pytest.fixture
def folder(tmp_path):
    """Return a small annotated folder."""
    array = np.zeros((4, 8, 8), np.uint16)
    array[1:3, 2:6, 2:6] = 1
    for name in ("images", "labels"):
        write(tmp_path / "mine" / name / "a.tif", Volume(array, (1.0, 1.0, 1.0), "ZYX"))
    return tmp_path / "mine"


def _train(
    monkeypatch,
    code,
    dataset="spheroid",
    algorithm="cellpose3d",
    *,
    refused=0,
    checks=None,
    **options,
):
    """Train with a process that ends with a code; return card, arguments and data of the process."""
    calls, checks, data = [], [] if checks is None else checks, []
    told = b"a warning\ncytosuite: the reason\n"

    class Process:
        def __init__(self, words, **_):
            checks.append(words)
            calls.append(words)
            self.returncode = refused or code
            self.stderr = io.BytesIO(told if refused else b"checked\n" + told)

        def communicate(self, given):
            data.extend(json.loads(given or b"[]"))
            return None, self.stderr.read()

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def kill(self):
            pass

    monkeypatch.setattr(training.subprocess, "Popen", Process)
    wanted = TrainOptions(algorithm=algorithm, dataset=str(dataset), name="mine", **options)
    card = training.train(wanted, Console(file=io.StringIO()))
    return card, calls[0], data


def _given(words):
    """Return the data of a training's command."""
    return [words[place + 1] for place, word in enumerate(words) if word == "--data"]


RECIPE = (
    'dataset = "spheroid"\ntitle = "Small"\n[parameters]\n'
    "image = { shape = [16, 64, 64], spacing_um = [2, 0.5, 0.5] }\ntissue = { n_nuclei = 4 }\n"
)


def test_the_training_gets_the_users_own_folder(monkeypatch, folder):
    card, words, data = _train(monkeypatch, 0, folder, steps=3)
    assert words[:4] == [sys.executable, "-m", "cytosuite.training.command", "cellpose3d"]
    assert _given(words) == data == [str(folder)]
    assert words[words.index("--steps") + 1] == "3"
    assert "--seed" not in words  # that of the settings holds
    assert card.parts[-3:] == ("weights", "cellpose3d", "mine.json")


@pytest.mark.parametrize(
    "options",
    [
        {"data_root": Path("/own"), "group": "data/image"},
        {"seed": 5},
        {"splits": Path("/own.toml")},
    ],
)
def test_list_root_group_seed_and_parts_go_to_the_training(monkeypatch, tmp_path, options):
    path = tmp_path / "x_train.csv"
    path.write_text("a.h5;b.h5\n")
    _, words, data = _train(monkeypatch, 0, path, **options)
    assert data == [str(path)]
    for name, value in options.items():
        assert words[words.index(f"--{name.replace('_', '-')}") + 1] == str(value)


def test_simulated_data_are_made_first_and_roles_are_kept(monkeypatch, tmp_path, folder):
    recipe = tmp_path / "small.toml"
    recipe.write_text(f"{RECIPE}[parameters.output]\nsteps = true\n")
    more = [f"real={folder}"]
    runs = tmp_path / "runs"
    _, _, (simulated, real) = _train(
        monkeypatch, 0, f"simulated={recipe}", data=more, cases=2, runs=runs, workers=1
    )
    assert simulated.startswith(f"simulated={runs / 'datasets'}")
    assert real == f"real={folder}"


@pytest.mark.parametrize(
    ("code", "error", "exit_code"),
    [
        (2, InputError, 2),
        (1, training.TrainingError, 1),
        (-9, training.TrainingError, 1),
        (130, training.InterruptedTrainingError, 130),
    ],
)
def test_a_training_that_fails_is_an_error(monkeypatch, folder, capfd, code, error, exit_code):
    with pytest.raises(error, match="the reason$") as caught:
        _train(monkeypatch, code, folder)
    assert caught.value.exit_code == exit_code
    assert "a warning\n" in capfd.readouterr().err


def test_an_algorithm_without_a_training_is_refused(monkeypatch, folder):
    refused(
        "no algorithm that is trained called 'unknown'",
        _train,
        monkeypatch,
        0,
        folder,
        algorithm="unknown",
    )


def test_a_tool_of_others_is_trained_in_a_session_of_the_engine(monkeypatch, tmp_path, folder):
    asked = {}
    monkeypatch.setattr(training, "is_tool", lambda name: name == "watershed")
    monkeypatch.setattr(training, "settings_of", lambda name, changes: {"epochs": 3})
    monkeypatch.setattr(training, "start_engine", lambda run, needed, console: needed)
    monkeypatch.setattr(training, "workplace", lambda: tmp_path)

    def trained(engine, name, dataset, card, settings, facts, limits, shown):
        asked.update(engine=engine, cases=len(dataset.cases), settings=settings, facts=facts)
        return card

    monkeypatch.setattr(training, "trained", trained)
    own = {"algorithm": "watershed", "dataset": str(folder), "name": "mine", "authors": "A"}
    options = TrainOptions(**own, runs=tmp_path / "runs", seed=4)
    card = training.train(options, Console(quiet=True))
    assert card == tmp_path / "weights" / "watershed" / "mine.json"
    assert asked == {
        "engine": ["watershed"],
        "cases": 1,
        "settings": {"epochs": 3},
        "facts": {"seed": 4, "authors": "A"},
    }
    for flag, given in (("steps", {"steps": 0}), ("splits", {"splits": tmp_path})):
        refused(
            f"--{flag} is for our networks; watershed has its",
            training.train,
            TrainOptions(**own, **given),
            Console(quiet=True),
        )


def test_parameters_of_the_simulation_can_be_set(monkeypatch, tmp_path, folder):
    recipe, checks = tmp_path / "small.toml", []
    recipe.write_text(RECIPE)
    refused(
        "",
        _train,
        monkeypatch,
        0,
        f"simulated={recipe}",
        data=[f"real={folder}"],
        refused=2,
        checks=checks,
        changes=["output.steps=true"],
        runs=tmp_path / "runs",
    )
    assert not (tmp_path / "runs").exists()
    (words,) = checks
    role, parameters = json.loads(words[words.index("--recipe") + 1])
    assert (role, parameters["output"]["steps"]) == ("simulated", True)
    assert _given(words) == [f"real={folder}"]


def test_the_device_of_the_environment_reaches_the_training(monkeypatch, cli):
    seen = []
    monkeypatch.setattr(training, "train", lambda options, console: seen.append(options.passed))
    given = ["train", "cellpose3d", "spheroid", "--name", "mine"]
    assert cli(*given, DEVICE="cuda").exit_code == 0
    assert seen[0][seen[0].index("--device") + 1] == "cuda"


def test_a_wheel_trains_into_the_current_folder(monkeypatch, tmp_path, folder):
    monkeypatch.setattr(places, "CHECKOUT", False)
    monkeypatch.chdir(tmp_path)
    card, words, _ = _train(monkeypatch, 0, folder)
    assert card == tmp_path / "weights" / "cellpose3d" / "mine.json"
    assert words[words.index("--work") + 1] == str(tmp_path / "runs" / "training" / "mine")


def test_the_parent_is_a_model_by_its_name_and_never_another(monkeypatch, folder):
    _, words, _ = _train(monkeypatch, 0, folder, start="cells-3d", settings=Path("tissue"))
    home = places.ROOT
    parent = home / "weights" / "cellpose3d" / "cells-3d.json"
    assert words[words.index("--from") + 1] == str(parent.resolve())
    own = home / "algorithms" / "cellpose3d" / "training" / "tissue.toml"
    assert words[words.index("--settings") + 1] == str(own)
    calls = []
    for missing in ("cells-3d-b", str(folder / "cells-3d.json")):
        refused(
            "no model called 'cells-3d-b'.*|no such model card",
            _train,
            monkeypatch,
            0,
            folder,
            start=missing,
            checks=calls,
        )
    assert calls == []
