"""Weights of torch are converted by a command, not built or exported; models are adopted."""

import json
import shutil

import pytest

from cytosuite.benchmark.catalog import catalog, models, packages
from cytosuite.benchmark.commands import train as weights
from cytosuite.benchmark.commands.train import adopt
from cytosuite.contract.manifest import read_card
from cytosuite.errors import InputError, ModelError


@pytest.fixture
def card(tmp_path):
    """Return the path of a card that names weights of torch."""
    path = tmp_path / "mine.json"
    known = json.loads((catalog.ROOT / "weights" / "watershed" / "nuclei-2d.json").read_text())
    path.write_text(json.dumps(known | {"name": "mine", "weights": "mine.pt", "sha256": "0" * 64}))
    return path


def test_without_torch_the_package_is_named(card, cli, monkeypatch):
    monkeypatch.setattr(packages, "find_spec", lambda name: None if name == "torch" else name)
    with pytest.raises(InputError, match="weights needs .*torch, not installed here: "):
        cli("weights", "x.pt", card)


def test_a_refusal_of_the_conversion_is_that_of_the_command(card, cli, tmp_path, capfd):
    done = cli("weights", tmp_path / "none.pt", card)
    assert done.exit_code == 2
    assert capfd.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("command", ["build", "export"])
def test_weights_of_torch_are_neither_built_nor_exported(command, card, tmp_path, cli, monkeypatch):
    home = tmp_path / "weights" / "watershed"
    home.mkdir(parents=True)
    shutil.move(card, home)
    monkeypatch.setattr(models, "ROOT", tmp_path)
    with pytest.raises(ModelError, match=r"cytosuite weights \S+/mine.pt \S+/mine.json$"):
        cli(command, "watershed")


def test_a_model_is_adopted_by_its_name(card, tmp_path, monkeypatch):
    home = tmp_path / "weights" / "watershed"
    home.mkdir(parents=True)
    own = json.loads(card.read_text()) | {"weights": None, "sha256": None, "adopted": False}
    (home / "mine.json").write_text(json.dumps(own))
    monkeypatch.setattr(weights, "ROOT", tmp_path)
    monkeypatch.setattr(models, "model_homes", lambda: [tmp_path / "weights"])
    monkeypatch.setattr(weights, "algorithms", lambda: {"watershed": None})
    assert adopt("mine") == [home / "mine.json"]
    assert read_card(home / "mine.json").adopted
    with pytest.raises(InputError, match="models are chosen from .*watershed alone"):
        adopt(str(card))
    (home / "mine.json").write_text(json.dumps(own | {"scores": {}}))
    with pytest.raises(InputError, match="it has no scores of images kept out"):
        adopt("mine")
