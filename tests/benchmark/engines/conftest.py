"""Small algorithms written for the occasion, for the engines of processes."""

import shutil

import pytest
from house import passing

from cytosuite.benchmark.engines import process
from cytosuite.contract.tasks import TASKS
from cytosuite.formats import read

PREDICT = """
import os, signal, subprocess, sys, time
from pathlib import Path
import numpy as np
OUTPUT = Path(os.environ["CYTOSUITE_OUTPUT"])
def predict(inputs, model):
    image = inputs["microscopy-image"]
    print("looking at", image.shape, flush=True)
    BEHAVIOUR
    return {"instance-labels": image.like((image.array > 0).astype(np.uint16))}
AFTER
"""


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """Return a copy of the library; its links, which are relative, lead to rooms of the copy."""
    app = tmp_path_factory.mktemp("app")
    real = process.ROOT
    shutil.copytree(real / "cytosuite", app / "cytosuite", symlinks=True, ignore=passing)
    (app / "weights").symlink_to(real / "weights")
    folder = app / "algorithms/watershed"
    folder.mkdir(parents=True)
    (folder / "algorithm.toml").symlink_to(real / "algorithms/watershed/algorithm.toml")
    return app


@pytest.fixture
def behave(app):
    """Return a function that gives the watershed of the copy some behaviour."""

    def behave(behaviour="", after=""):
        folder = app / "algorithms/watershed"
        (folder / "predict.py").write_text(
            PREDICT.replace("BEHAVIOUR", behaviour).replace("AFTER", after)
        )
        shutil.rmtree(folder / "__pycache__", ignore_errors=True)  # written within a second

    return behave


@pytest.fixture
def predict(tmp_path, dataset):
    """Return a function that runs one case in a session, and gives outcome and folder."""
    outputs = []

    def predict(session, number=0):
        outputs.append(tmp_path / f"output{len(outputs)}")
        outputs[-1].mkdir()
        case = dataset.cases[number].input(TASKS["segment"])
        return session.predict(case, outputs[-1], tmp_path / "log"), outputs[-1]

    return predict


@pytest.fixture
def succeed(tmp_path, predict):
    """Return a function that runs two cases, which succeed, and gives the outcome of the first."""

    def succeed(session):
        outcome, output = predict(session)
        assert (outcome.status, outcome.exit_code, outcome.message) == ("ok", 0, "")
        assert outcome.peak_memory > 10**7  # of the child, not of the program that started it
        assert "looking at (4, 24, 24)" in (tmp_path / "log").read_text()
        (path,) = (output / "images/instance-labels").iterdir()
        assert read(path).array.max() == 1
        assert predict(session, 1)[0].status == "ok"
        return outcome

    return succeed
