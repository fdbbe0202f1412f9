"""A tool of others learns in a session of an engine; the runner makes the card."""

import sys
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from mistakes import refused
from safetensors.numpy import load_file

from cytosuite.benchmark.engines.outcome import Engine, Limits, Outcome
from cytosuite.benchmark.runs import learning
from cytosuite.contract.learning import Learned, Learning
from cytosuite.contract.manifest import read_card
from cytosuite.contract.progress import state
from cytosuite.errors import InputError
from cytosuite.files import file_digest, write_text


class Here(Engine):
    """Runs the entry point of a training in this process."""

    def identity(self, algorithm):
        return algorithm

    @contextmanager
    def session(self, algorithm, workspace, limits, api):
        assert api == "exec"
        yield self

    def predict(self, case_input: Path, output: Path, log: Path, shown=None):
        try:
            Learning("watershed", case_input, output).run_case()
        except (InputError, ValueError) as error:
            return Outcome("non-zero exit", 1.0, None, 2, str(error))
        return Outcome("ok", 1.0, None, 0)


@pytest.fixture
def tool(monkeypatch):
    """Let watershed be a tool of others."""
    module = ModuleType("cytosuite.algorithms.watershed.learn")
    seen = {}

    def learn(pairs, settings, scratch):
        nonlocal seen
        (scratch / "own file").write_text("x")
        draw = np.random.random()  # noqa: NPY002 - as tools of others do
        seen |= {"pairs": pairs, "settings": settings, "draw": draw}
        state(tool="tool 1.0")
        return Learned({"level": settings["level"]}, {"w": np.arange(3.0)})

    def convert(file, scratch):
        if file.suffix != ".zip":
            raise InputError(f"{file.name}: no model of the tool")
        return Learned({"level": 1.5}, {"w": np.zeros(2)}, {"axes": "YX"})

    module.learn = learn
    module.convert = convert
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return seen


def test_a_training_gets_all_annotated_cases_but_a_test_and_becomes_a_card(
    tool, dataset, tmp_path, monkeypatch
):
    tested = dataset.cases[0].name
    monkeypatch.setattr(
        type(dataset.cases[0]),
        "conditions",
        lambda case: {"part": "test"} if case.name == tested else {},
    )
    card = tmp_path / "planes.json"
    learning.trained(
        Here(name="here"), "watershed", dataset, card, {"level": 2.0}, Limits(), seed=3, authors="A"
    )
    written = read_card(card)
    pairs = tool["pairs"]
    assert [pair.name for pair in pairs] == [case.name for case in dataset.cases[1:]]
    assert all(pair.image.shape == pair.labels.shape for pair in pairs)
    assert tool["settings"] == {"level": 2.0, "seed": 3}
    assert tool["draw"] == np.random.RandomState(3).random()
    assert written.parameters == {"level": 2.0}
    assert written.describes["axes"] == pairs[0].image.axes
    assert written.trained["tool"] == "tool 1.0"
    assert written.trained["of"] == [f"{dataset.name}/{dataset.size}"]
    assert written.sha256 == file_digest(card.with_suffix(".safetensors"))
    assert load_file(card.with_suffix(".safetensors"))["w"].tolist() == [0, 1, 2]


def _converted(model, home):
    return learning.converted(Here(name="here"), "watershed", model, home)


def test_a_model_of_the_tool_is_converted_once_with_its_digest(tool, tmp_path, monkeypatch):
    model = tmp_path / "Own Model"
    home = tmp_path / "models"
    write_text(model / "config", "x")
    card = _converted(model, home)
    assert card.name.startswith("own-model-")
    assert read_card(card).trained["file"] == "Own Model"
    monkeypatch.setattr(Here, "predict", None)
    assert _converted(model, home) == card


def test_what_the_tool_refuses_leaves_no_card(tool, tmp_path):
    model = tmp_path / "cyto"
    home = tmp_path / "models"
    model.write_text("x")
    with pytest.raises(learning.LearningError, match="non-zero exit: cyto: no model of the tool"):
        _converted(model, home)
    assert not home.exists()


def test_settings_are_those_of_the_tool_with_changes(tmp_path, monkeypatch):
    write_text(tmp_path / "algorithms/watershed/learn.toml", "epochs = 3\nrate = 0.1\n")
    monkeypatch.setattr(learning, "ROOT", tmp_path)
    changes = tmp_path / "own.toml"
    changes.write_text("epochs = 9\nrate = 1\n")
    assert learning.settings_of("watershed", changes) == {"epochs": 9, "rate": 1}
    for text, message in (
        ("epoch = 9", "epoch is not a known key; known keys: epochs, rate"),
        ("epochs = 'many'", "epochs: expected a value like 3, found 'many'; change it"),
        ("rate = nan", "rate: expected a value like 0.1, found nan; change it"),
    ):
        changes.write_text(text)
        refused(message, learning.settings_of, "watershed", changes)
