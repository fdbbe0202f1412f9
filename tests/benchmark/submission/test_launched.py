"""The platform's own launcher runs what is handed in."""

import shutil
import socket
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from house import printed, ran

from cytosuite.benchmark.catalog.places import ROOT
from cytosuite.benchmark.engines.docker import DockerEngine
from cytosuite.benchmark.engines.images.blueprints import (
    by_name,
    evaluation_blueprint,
    write_tarball,
)
from cytosuite.benchmark.engines.images.build import Builder
from cytosuite.benchmark.engines.outcome import Limits
from cytosuite.benchmark.submission.rehearsal import INSTALL, PROGRAM, launch
from cytosuite.files import read_json, visible_files, write_json, write_text
from tests.hostile.tally import digests

# A case is named by its one file; one named late sleeps, and then writes where it should not.
LATE = """
import os, socket, sys, time
from pathlib import Path
from cytosuite.container import serve
source, target = (Path(os.environ[name]) for name in ("SOURCE", "TARGET"))
class Program:
    def run_case(self):
        name = next(source.iterdir()).name
        time.sleep(3 if name == "late" else 0)
        target.mkdir(exist_ok=True)
        (target / name).write_text(name)
        return {"warnings": []}
serve(Program(), socket.create_server(("127.0.0.1", int(os.environ["PORT"]))))
"""
shim = pytest.mark.skipif(find_spec("sagemaker_shim") is None, reason=f"needs {INSTALL}")


@shim
def test_the_launcher_goes_on_after_a_case_over_its_limit(tmp_path):
    source, target, buckets = (tmp_path / name for name in ("input", "output", "buckets"))
    target.mkdir()
    for name in ("first", "late", "third"):
        write_text(buckets / "in" / name / name, name)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    program = Path(shutil.copy(PROGRAM, tmp_path))
    (tmp_path / "packages").symlink_to(Path(find_spec("sagemaker_shim").origin).parents[1])
    config = {"User": "", "Entrypoint": [sys.executable, "-c", LATE]}
    write_json(
        buckets / "request.json",
        {"api": "invoke", "seconds": {"first": 60, "late": 1, "third": 60}, "config": config},
    )
    words = {
        "INPUT_PATH": source,
        "OUTPUT_PATH": target,
        "LINKED_INPUT_PARENT": tmp_path / "linked",
        "WRITABLE_DIRECTORIES": "",
        "POST_CLEAN_DIRECTORIES": "",
        "SET_EXTRA_GROUPS": "false",
        "USER_WEBSERVER_PORT": port,
    }
    words = {f"GRAND_CHALLENGE_COMPONENT_{name}": str(value) for name, value in words.items()}
    words |= {"SOURCE": str(source), "TARGET": str(target), "PORT": str(port)}
    words |= {"PYTHONPATH": str(ROOT)}
    printed(ran(sys.executable, program, **words))
    results = read_json(buckets / "results.json")
    results.pop("reached")  # of port 4743
    assert results == {"first": [0, ""], "late": [1, "Time limit exceeded"], "third": [0, ""]}
    assert [*digests(buckets / "out")] == ["first/first", "third/third"]


@shim
@pytest.mark.docker
@pytest.mark.slow
def test_the_launcher_runs_the_evaluation(client, base, segmented, evaluated, tmp_path):
    assert base
    image = Builder(client, ROOT).build_image(evaluation_blueprint(ROOT))
    engine = DockerEngine(client, image=lambda *_: image)
    folder = tmp_path / "launched"
    files = by_name(visible_files(segmented.truth), segmented.truth)
    (folder / "in").mkdir(parents=True)
    write_tarball(folder / "in/ground_truth.tar.gz", files)
    inputs = {"submission": segmented.submission}
    results = launch(engine, "watershed", Limits(), inputs, {"submission": 300}, folder, "exec")
    assert results == {"submission": [0, ""]}
    _, expected = evaluated(segmented)
    assert read_json(folder / "out/submission/metrics.json") == expected
    assert expected["aggregates"]["SEG"]["mean"] == 1
