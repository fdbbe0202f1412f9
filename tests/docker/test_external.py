"""Recipes for tools that cannot be installed here, with a stand-in for each program."""

import os
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from house import ROOT
from rich.console import Console

from cytosuite.benchmark.commands.external import take_in
from cytosuite.benchmark.containers.context import pack
from cytosuite.benchmark.engines.docker import DockerEngine
from cytosuite.benchmark.engines.external import ExternalImage, SocketMapping, write_external_case
from cytosuite.benchmark.engines.outcome import Limits
from cytosuite.benchmark.options.benchmark import BenchmarkOptions
from cytosuite.contract.interface import write_case
from cytosuite.contract.manifest import parse
from cytosuite.contract.tasks import TASKS
from cytosuite.files import read_toml
from cytosuite.formats import read
from cytosuite.volume import Volume

EXTERNAL = ROOT / "docker" / "external"
STAND_IN = Path(__file__).with_name("stand_in.py")
SOCKETS = EXTERNAL / "sockets.toml"
SEGMENT = TASKS["segment"]
ALL = sorted(path.parent.name for path in EXTERNAL.glob("*/run.py"))
OF_THE_USER = ("model/", "model.pt", "pipeline.cppipe")  # files that the recipes name


@pytest.fixture
def case(tmp_path):
    """Return the input of a case with two bright boxes, and these."""
    boxes = np.zeros((24, 30), np.uint16)
    boxes[2:9, 3:9] = boxes[12:20, 15:25] = 100
    image = Volume(boxes, (0.5, 0.5), "YX")
    write_case(tmp_path / "case", SEGMENT, "a", {"microscopy-image": image})
    return tmp_path / "case", boxes > 0


@pytest.fixture
def run(case, tmp_path):
    """Return a function that runs the script of an external image with stand-ins on the path."""
    mapping = parse(SOCKETS, read_toml(SOCKETS), SocketMapping)
    write_external_case(
        tmp_path / "in", case[0], ExternalImage("a", "a", "a", "exec", SEGMENT, mapping)
    )
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, words in (("cellprofiler", [STAND_IN]), ("python", []), ("python3", [])):
        script = " ".join(f"'{word}'" for word in (sys.executable, *words))
        (programs / name).write_text(f'#!/bin/sh\nexec {script} "$@"\n')
        (programs / name).chmod(0o755)
    (programs / "cellpose.py").write_text(STAND_IN.read_text())
    own = {"INPUT": str(tmp_path / "in"), "OUTPUT": str(tmp_path / "out")}
    own |= {"PATH": f"{programs}:{os.environ['PATH']}", "PROGRAM": str(STAND_IN)}
    own |= dict.fromkeys(("PRETRAINED", "PIPELINE"), str(STAND_IN))
    own["PYTHONPATH"] = f"{programs}:{EXTERNAL}"

    def run(external):
        words = [sys.executable, str(EXTERNAL / external / "run.py")]
        return subprocess.run(words, env=own, capture_output=True, text=True, check=False)

    return run


@pytest.mark.parametrize("external", ["cellpose4", "cellprofiler", "mesmer"])
def test_a_tool_gets_its_command_line_and_gives_its_masks(run, case, tmp_path, external):
    done = run(external)
    assert done.returncode == 0, done.stderr
    (path,) = (tmp_path / "out" / "images" / "masks").iterdir()
    np.testing.assert_array_equal(read(path).array > 0, case[1])
    assert read(path).array.max() == 2


def test_a_tool_that_fails_is_named(run, tmp_path):
    (image,) = (tmp_path / "in" / "images" / "microscopy-image").iterdir()
    image.write_bytes(b"half an image")
    done = run("cellprofiler")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "cellprofiler ended with exit code 1"


@pytest.mark.parametrize("external", ALL)
def test_recipes_copy_what_is_there_or_what_the_user_adds(external):
    text = (EXTERNAL / external / "Dockerfile").read_text()
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE)
    sources = {source for words in copied for source in words.split()}
    assert {name for name in sources if not (EXTERNAL / name).exists()} <= {*OF_THE_USER}
    assert f"{external}/run.py" in sources
    assert "USER 1000:1000" in text


@pytest.mark.docker
@pytest.mark.slow
def test_an_image_by_a_recipe_runs_under_the_limits_of_a_benchmark(client, base, case, tmp_path):
    tool = f"FROM {base}\nUSER 0:0\nCOPY cellpose.py /opt/python/\n"
    recipe = (EXTERNAL / "cellpose4" / "Dockerfile").read_bytes()
    script = (EXTERNAL / "cellpose4" / "run.py").read_bytes()
    stages = {
        "cytosuite-external/tool:test": {"Dockerfile": tool.encode(), "cellpose.py": STAND_IN},
        "cytosuite-external/cellpose4:test": {
            "Dockerfile": recipe,
            "case.py": EXTERNAL / "case.py",
            "cellpose4/run.py": script,
            "model/cpsam": b"weights",
        },
    }
    given = {"network_mode": "none", "rm": True, "forcerm": True}
    given["buildargs"] = {"BASE": "cytosuite-external/tool:test"}
    try:
        for tag, files in stages.items():
            with pack(files) as context:
                client.images.build(fileobj=context, custom_context=True, tag=tag, **given)
        engine, said = DockerEngine(client), Console(file=StringIO())
        options = BenchmarkOptions(dataset="spheroid", sockets=SOCKETS)
        (manifest,) = take_in([tag], ["watershed"], SEGMENT, engine, options, said)
        limits = Limits(memory_gib=0.5, timeout_s=60.0, cpus=1.0)
        (out := tmp_path / "out").mkdir()
        with engine.session(manifest.name, tmp_path / "s", limits, "exec") as session:
            outcome = session.predict(case[0], out, tmp_path / "log")
        assert (outcome.status, outcome.message) == ("ok", "")
        (path,) = (out / "images" / "instance-labels").iterdir()
        np.testing.assert_array_equal(read(path).array > 0, case[1])
    finally:
        for tag in reversed(stages):
            client.images.remove(tag, force=True)
