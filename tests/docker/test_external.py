"""Recipes for tools that cannot be installed here, with a stand-in for each program."""

import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from house import ROOT, printed, ran
from rasters import same
from rich.console import Console

from cytosuite.benchmark.commands.external import take_in
from cytosuite.benchmark.commands.options.benchmark import BenchmarkOptions
from cytosuite.benchmark.engines.docker import DockerEngine
from cytosuite.benchmark.engines.external import ExternalImage, SocketMapping, write_external_case
from cytosuite.benchmark.engines.images.blueprints import pack
from cytosuite.benchmark.engines.outcome import Limits
from cytosuite.benchmark.runs.validate import check
from cytosuite.contract.interface import write_case
from cytosuite.contract.manifest import parse
from cytosuite.contract.tasks import TASKS
from cytosuite.files import read_toml
from cytosuite.formats import read
from cytosuite.volume import Header, Volume

EXTERNAL = ROOT / "docker/external"
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
    write_case(
        tmp_path / "case", SEGMENT, "a", {"microscopy-image": Volume(boxes, (0.5, 0.5), "YX")}
    )
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
    variables = {
        "INPUT": str(tmp_path / "in"),
        "OUTPUT": str(tmp_path / "out"),
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": f"{programs}:{EXTERNAL}",
        **dict.fromkeys(("PROGRAM", "PRETRAINED", "PIPELINE"), str(STAND_IN)),
    }

    def run(external):
        return ran(sys.executable, EXTERNAL / external / "run.py", **variables)

    return run


@pytest.mark.parametrize("external", ["cellpose4", "cellprofiler", "mesmer"])
def test_a_tool_gets_its_command_line_and_gives_its_masks(run, case, tmp_path, external):
    printed(run(external))
    (path,) = (tmp_path / "out/images/masks").iterdir()
    same(read(path).array > 0, case[1])
    assert read(path).array.max() == 2


def test_a_tool_that_fails_is_named(run, tmp_path):
    (image,) = (tmp_path / "in/images/microscopy-image").iterdir()
    image.write_bytes(b"half an image")
    done = run("cellprofiler")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "cellprofiler ended with exit code 1"


TRACKASTRA = {
    "model": """class Trackastra:
    @classmethod
    def from_folder(cls, folder, device):
        assert folder.is_dir()
        return cls()
    def track(self, movie, masks, mode):
        assert movie.shape == masks.shape
        return mode, masks
""",
    "tracking": """import numpy, pandas
def graph_to_ctc(graph, masks):
    masks[2] = numpy.array([0, 2, 1, 4])[masks[2]]
    return pandas.DataFrame([[1, 0, 2, 0], [2, 0, 2, 0], [3, 0, 0, 0], [4, 2, 2, 3]]), masks
""",
}


@pytest.mark.parametrize(
    "external, frame",
    [("laptrack", (20, 90)), ("laptrack", (4, 20, 90)), ("trackastra", (20, 90))],
)
def test_a_tool_links_the_labels_of_each_frame(external, frame, tmp_path):
    """Numbers of two cells change, a third is not seen in the second frame."""
    task = TASKS["track"]
    labels = np.zeros((3, *frame), np.uint16)
    for t, names in enumerate(((1, 2, 3), (1, 2, 0), (2, 1, 3))):
        for cell, name in enumerate(names):
            labels[t, ..., 5:11, 5 + 30 * cell : 11 + 30 * cell] = name
    movie = Volume(labels * 9, (0.5,) * len(frame), "T" + "ZYX"[-len(frame) :])
    case = tmp_path / "case"
    write_case(case, task, "a", {"microscopy-movie": movie, "frame-labels": movie.like(labels)})
    write_external_case(tmp_path / "in", case, ExternalImage(*"aaa", "exec", task))
    (folder := tmp_path / "trackastra").mkdir()
    if external == "trackastra":
        for name, text in TRACKASTRA.items():
            (folder / f"{name}.py").write_text(text)
    else:
        pytest.importorskip("laptrack")
    variables = {"INPUT": f"{tmp_path}/in", "OUTPUT": f"{tmp_path}/out", "WEIGHTS": f"{tmp_path}"}
    variables["PYTHONPATH"] = f"{EXTERNAL}:{tmp_path}"
    printed(ran(sys.executable, EXTERNAL / external / "run.py", **variables))
    geometry = Header(movie.shape, movie.array.dtype, movie.spacing, movie.axes)
    path, table = (check(tmp_path / "out", socket, geometry) for socket in task.outputs)
    tracked = read(path).array
    same(tracked > 0, labels > 0)
    (a, b, c), between, (*ends, late) = tracked[..., 6, 8::30].reshape(3, -1, 3)[:, 0].tolist()
    assert (between, ends) == ([a, b, 0], [a, b])
    rows = f"{a},0,2,0 {b},0,2,0 {c},0,0,0 {late},2,2,{c}"
    assert {*table.read_text().split()[1:]} == {*rows.split()}


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
    stages = {
        "cytosuite-external/tool:test": {"Dockerfile": tool.encode(), "cellpose.py": STAND_IN},
        "cytosuite-external/cellpose4:test": {
            "Dockerfile": (EXTERNAL / "cellpose4/Dockerfile").read_bytes(),
            "case.py": EXTERNAL / "case.py",
            "cellpose4/run.py": (EXTERNAL / "cellpose4/run.py").read_bytes(),
            "model/cpsam": b"weights",
        },
    }
    settings = {"network_mode": "none", "rm": True, "forcerm": True}
    settings["buildargs"] = {"BASE": "cytosuite-external/tool:test"}
    try:
        for tag, files in stages.items():
            with pack(files) as context:
                client.images.build(fileobj=context, custom_context=True, tag=tag, **settings)
        engine = DockerEngine(client)
        said = Console(quiet=True)
        options = BenchmarkOptions(dataset="spheroid", sockets=SOCKETS)
        (manifest,) = take_in([tag], ["watershed"], SEGMENT, engine, options, said)
        limits = Limits(memory_gib=0.5, timeout_s=60.0, cpus=1.0)
        (out := tmp_path / "out").mkdir()
        with engine.session(manifest.name, tmp_path / "s", limits, "exec") as session:
            outcome = session.predict(case[0], out, tmp_path / "log")
        assert (outcome.status, outcome.message) == ("ok", "")
        (path,) = (out / "images/instance-labels").iterdir()
        same(read(path).array > 0, case[1])
    finally:
        for tag in reversed(stages):
            client.images.remove(tag, force=True)
