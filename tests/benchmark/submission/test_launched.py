"""The platform's own launcher, and the test script of this year's challenges, run what is handed in."""

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from docker.errors import APIError

from cytosuite.apply import apply
from cytosuite.benchmark.catalog.catalog import algorithms
from cytosuite.benchmark.catalog.places import ROOT
from cytosuite.benchmark.containers.build import Builder
from cytosuite.benchmark.containers.context import by_name, write_tarball
from cytosuite.benchmark.containers.images import evaluation_blueprint, image_tag
from cytosuite.benchmark.engines.docker import DockerEngine
from cytosuite.benchmark.engines.outcome import Limits
from cytosuite.benchmark.submission.checks.preflight import preflight
from cytosuite.benchmark.submission.export import Submission, export
from cytosuite.benchmark.submission.rehearsal import INSTALL, PROGRAM, launch
from cytosuite.contract.client import PORT
from cytosuite.contract.tasks import TASKS
from cytosuite.files import read_json, remove, visible_files
from cytosuite.formats import read

SEGMENT = TASKS["segment"]
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
ASK = """
import sys, urllib.error, urllib.request
try:
    request = urllib.request.Request(sys.argv[2], method=sys.argv[1])
    print(urllib.request.urlopen(request, timeout=300).status)
except urllib.error.HTTPError as error:
    print(error.code)
except OSError:
    print("000")
"""
shim = pytest.mark.skipif(find_spec("sagemaker_shim") is None, reason=f"needs {INSTALL}")


@shim
def test_the_launcher_goes_on_after_a_case_over_its_limit(tmp_path, free_port):
    source, target, buckets = (tmp_path / name for name in ("input", "output", "buckets"))
    target.mkdir()
    for name in ("first", "late", "third"):
        (buckets / "in" / name).mkdir(parents=True)
        (buckets / "in" / name / name).write_text(name)
    program = Path(shutil.copy(PROGRAM, tmp_path))
    place = Path(find_spec("sagemaker_shim").origin).parents[1]
    (tmp_path / "packages").symlink_to(place)
    config = {"User": "", "Entrypoint": [sys.executable, "-c", LATE]}
    seconds = {"first": 60, "late": 1, "third": 60}
    request = {"api": "invoke", "seconds": seconds, "config": config}
    (buckets / "request.json").write_text(json.dumps(request))
    words = {
        "INPUT_PATH": source,
        "OUTPUT_PATH": target,
        "LINKED_INPUT_PARENT": tmp_path / "linked",
        "WRITABLE_DIRECTORIES": "",
        "POST_CLEAN_DIRECTORIES": "",
        "SET_EXTRA_GROUPS": "false",
        "USER_WEBSERVER_PORT": free_port,
    }
    words = {f"GRAND_CHALLENGE_COMPONENT_{name}": str(value) for name, value in words.items()}
    words |= {"SOURCE": str(source), "TARGET": str(target), "PORT": str(free_port)}
    words |= {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, program],
        env=os.environ | words,
        check=False,
        capture_output=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    results = read_json(buckets / "results.json")
    results.pop("reached")  # of port 4743
    assert results == {"first": [0, ""], "late": [1, "Time limit exceeded"], "third": [0, ""]}
    files = sorted(path for path in (buckets / "out").rglob("*") if path.is_file())
    assert [path.relative_to(buckets / "out").as_posix() for path in files] == [
        "first/first",
        "third/third",
    ]


@pytest.fixture
def free_port():
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


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
    write_tarball(folder / "in" / "ground_truth.tar.gz", files)
    inputs, seconds = {"submission": segmented.submission}, {"submission": 300}
    results = launch(engine, "watershed", Limits(), inputs, seconds, folder, "exec")
    assert results == {"submission": [0, ""]}
    _, expected = evaluated(segmented.submission, segmented.truth)
    assert read_json(folder / "out" / "submission" / "metrics.json") == expected
    assert expected["aggregates"]["SEG"]["mean"] == 1


@pytest.fixture
def exported(client, base, tmp_path):
    """Return the id of an exported algorithm, which the daemon has read from its archive."""
    assert base
    manifest, tag = algorithms()["watershed"], image_tag("watershed")
    Builder(client, ROOT).build("watershed")
    made = export(client, Submission(manifest, tag, "invoke"), ROOT, tmp_path / "dist")
    archive = tmp_path / "dist" / made["image"]["file"]
    assert not [found for found in preflight(archive) if found.severity == "error"]
    with archive.open("rb") as stream:
        client.images.load(stream)
    yield made["image"]["id"]
    client.images.remove(made["image"]["id"], force=True)


@contextmanager
def network(client, name):
    """Yield flags of a container, flags of one that asks it, the address, and why it is not its name."""
    try:
        made = client.networks.create(name, internal=True)
    except APIError as error:
        line = f"passed by its loopback device; this daemon makes no bridge: {error.explanation}"
        yield {"network_mode": "none"}, {"network_mode": f"container:{name}"}, "127.0.0.2", line
        return
    try:
        yield {"network": name}, {"network": name}, name, ""
    finally:
        made.remove()


@contextmanager
def running(client, image, *words, **flags):
    """Run a container, and remove it."""
    box = client.containers.run(image, *words, detach=True, **flags)
    try:
        yield box
    finally:
        box.remove(force=True)


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.long  # writes and reads an archive of half a gigabyte, as .ci/users does each time
@pytest.mark.filterwarnings("ignore::cytosuite.apply.DoubtfulModelWarning")
def test_the_script_of_a_challenge_runs_the_exported_algorithm(
    client, base, exported, dataset, tmp_path
):
    """Its steps: label, start, health, and for each case empty folders, POST and files."""
    assert client.images.get(exported).labels["org.grand-challenge.api-method"] == "invoke"
    source, target, _ = folders = [tmp_path / name for name in ("input", "output", "model")]
    for folder in folders:
        folder.mkdir()
        folder.chmod(0o777)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    points = ("/input:ro", "/output", "/opt/ml/model:ro")
    volumes = [f"{folder}:{point}" for folder, point in zip(folders, points, strict=True)]
    name = f"cytosuite-script-{os.getpid()}"
    waiting = ["python3", "-c", "import signal; signal.pause()"]
    with (
        network(client, name) as (flags, others, address, absent),
        running(client, exported, volumes=volumes, tmpfs={"/tmp": ""}, name=name, **flags) as box,
        running(client, base, waiting, **others) as asking,
    ):

        def ask(method, path):
            command = ["python3", "-c", ASK, method, f"http://{address}:{PORT}{path}"]
            return asking.exec_run(command).output.decode().strip()

        for _ in range(100):
            if (status := ask("GET", "/health")) == "200":
                break
            time.sleep(1)
        assert status == "200", box.logs()
        for case in dataset.cases:
            box.exec_run(["/bin/sh", "-c", "rm -rf /output/*"], user="root")
            for path in source.iterdir():
                remove(path)
            shutil.copytree(case.input(SEGMENT), source, dirs_exist_ok=True)
            assert ask("POST", "/invoke") == "201", box.logs()
            box.exec_run(["/bin/sh", "-c", "chmod -R -f o+rX /output/*"], user="root")
            (path,) = (target / "images" / "instance-labels").iterdir()
            expected = apply("watershed", read(case.main(SEGMENT)))["instance-labels"]
            assert np.array_equal(read(path).array, expected.array)
    if absent:
        pytest.skip(absent)
