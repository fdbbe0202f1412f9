import re
import sys
import zipfile
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from cytosuite.benchmark.catalog import ROOT
from cytosuite.benchmark.commands import bundle
from cytosuite.benchmark.commands.app import app
from cytosuite.errors import InputError

CARD = ROOT / "weights" / "view_fusion" / "nucleus-study1.json"


@pytest.fixture
def started(monkeypatch):
    """Return the commands of processes, which end with code 3 at once."""
    commands = []

    def run(command, **_):
        commands.append(command)
        return SimpleNamespace(returncode=3)

    monkeypatch.setattr(bundle.subprocess, "run", run)
    return commands


def test_all_models_with_weights_are_bundled_in_another_process(started, tmp_path):
    found = CliRunner().invoke(app, ["bundle", "view_fusion", "--out", str(tmp_path / "new")])
    assert found.exit_code == 3  # that of the process
    ((program, *words),) = started
    assert program == sys.executable
    assert words[:2] == ["-m", "cytosuite.training.bundle"]
    assert words[-2:] == ["--out", str(tmp_path / "new")]
    weights = sorted(path.stem for path in CARD.parent.glob("*.safetensors"))
    assert [re.split(r"[/.]", word)[-2] for word in words[2:-2]] == weights
    assert len(weights) == 10


@pytest.mark.parametrize("model", [CARD.stem, str(CARD)])
def test_a_model_is_named_by_its_card_or_its_path(started, tmp_path, model):
    words = ["bundle", "view_fusion", "--model", model, "--out", str(tmp_path)]
    CliRunner().invoke(app, words)
    assert started[0][3:-2] == [str(CARD)]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["view_fuson"], "no algorithm with networks to bundle called 'view_fuson'; did you mean"),
        (["watershed"], "no algorithm with networks to bundle called 'watershed'"),
        (["diffusion", "--model", "nuclei"], "no model called 'nuclei' of diffusion; nearest:"),
        (["diffusion", "--model", str(CARD)], "expected a model of diffusion, found one of view"),
        (["diffusion", "--model", "no/such.json"], "no/such.json: no such model card"),
        (["diffusion", "--out", __file__], "test_bundle.py: expected a folder, found a file"),
    ],
)
def test_a_mistake_starts_nothing(started, words, line):
    found = CliRunner().invoke(app, ["bundle", *words])
    assert line in str(found.exception)
    assert not started


def test_an_algorithm_without_weights_is_refused(started, tmp_path, monkeypatch):
    monkeypatch.setattr("cytosuite.benchmark.catalog.ROOT", tmp_path)
    home = tmp_path / "weights" / "view_fusion"
    home.mkdir(parents=True)
    (home / "classical.json").write_bytes((CARD.parent / "classical.json").read_bytes())
    with pytest.raises(InputError, match="view_fusion: no model card with weights; train"):
        bundle.chosen_cards("view_fusion", None)


@pytest.mark.slow
def test_a_bundle_is_written_and_a_card_without_weights_is_one_line(tmp_path, capfd):
    words = ["bundle", "view_fusion", "--out", str(tmp_path), "--model"]
    assert CliRunner().invoke(app, [*words, "membrane-study3"]).exit_code == 0
    path = tmp_path / "view_fusion-membrane-study3.zip"
    assert capfd.readouterr().out == f"written: {path}\n"
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
    assert CliRunner().invoke(app, [*words, "classical"]).exit_code == 3
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("cytosuite: ")
    assert "classical.json: a bundle holds a network, but this card has no weights" in line
