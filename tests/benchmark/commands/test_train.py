import io
import sys

import numpy as np
import pytest
from rich.console import Console

from benchmark.commands import train as training
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


def _train(monkeypatch, code, algorithm="cellpose3d", data="spheroid", **options):
    """Train with a script that ends with a code; return the card and the script's arguments."""
    calls = []

    class Done:
        returncode = code

    monkeypatch.setattr(training.subprocess, "run", lambda words, **_: calls.append(words) or Done)
    card = training.train(algorithm, data, "mine", console=Console(file=io.StringIO()), **options)
    return card, calls[0]


def test_the_script_gets_the_users_own_folder(monkeypatch, folder):
    card, words = _train(monkeypatch, 0, data=str(folder), options=["--steps", "3"])
    assert words[:3] == [sys.executable, "-m", "algorithms.cellpose3d.training.train"]
    assert words[words.index("--data") + 1] == str(folder)
    assert words[-2:] == ["--steps", "3"]
    assert card.parts[-3:] == ("weights", "cellpose3d", "mine.json")


def test_simulated_data_are_made_first(monkeypatch, tmp_path):
    recipe = tmp_path / "small.toml"
    recipe.write_text(
        'dataset = "spheroid"\ntitle = "Small"\n[parameters]\n'
        "image = { shape = [16, 64, 64], spacing_um = [2, 0.5, 0.5] }\ntissue = { n_nuclei = 4 }\n"
    )
    _, words = _train(monkeypatch, 0, data=str(recipe), cases=2, runs=tmp_path / "runs")
    home = words[words.index("--data") + 1]
    assert home.startswith(str(tmp_path / "runs" / "datasets"))


@pytest.mark.parametrize(
    ("code", "error"), [(2, InputError), (1, training.TrainingError), (-9, training.TrainingError)]
)
def test_a_script_that_fails_is_told(monkeypatch, folder, code, error):
    with pytest.raises(error, match="see above"):
        _train(monkeypatch, code, data=str(folder))


def test_an_algorithm_without_a_script_is_refused(monkeypatch, folder):
    with pytest.raises(InputError, match="no algorithm that is trained called 'watershed'"):
        _train(monkeypatch, 0, algorithm="watershed", data=str(folder))
