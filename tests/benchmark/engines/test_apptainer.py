"""The engine of Apptainer: its arguments as values, and runs by a program that stands in for it."""

import json
import os
import shutil
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from cytosuite.benchmark.containers.build import SOURCE_LABEL
from cytosuite.benchmark.containers.images import image_digest
from cytosuite.benchmark.engines import apptainer, process
from cytosuite.benchmark.engines.apptainer import ApptainerEngine, find_apptainer
from cytosuite.benchmark.engines.choose import choose
from cytosuite.benchmark.engines.hardening import Host
from cytosuite.benchmark.engines.outcome import Limits
from cytosuite.errors import InputError
from cytosuite.formats import read
from cytosuite.tasks import TASKS

SEGMENT = TASKS["segment"]
STAND_IN = Path(__file__).with_name("stand_in.py").read_text()
HOST = Host(False, frozenset(os.sched_getaffinity(0)), frozenset(), os.getuid(), os.getgid())
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
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return a function that puts the program on the path, and gives the folder of images."""
    images = tmp_path / "images, of us"
    images.mkdir()
    monkeypatch.setenv("SIF", str(images))
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("APPTAINER_BIND", "/etc")

    def install(app=process.PACKAGE.parent, version="1.2.5"):
        text = STAND_IN.replace("@APP@", str(app)).replace("@VERSION@", version)
        program = tmp_path / "bin" / "apptainer"
        program.write_text(f"#!{sys.executable}\n{text}")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        return images

    return install


def make_image(images, algorithm="watershed", digest=None):
    """Write what the program takes for an image, with its labels."""
    digest = image_digest(apptainer.ROOT, algorithm) if digest is None else digest
    (images / f"{algorithm}.sif").write_text(json.dumps({SOURCE_LABEL: digest}))


@pytest.fixture
def start(tmp_path, install):
    """Return a function that starts a session of an algorithm with some behaviour."""
    app = tmp_path / "app"
    real = process.ROOT
    # Its links to the rooms are relative: they lead to those of the copy.
    shutil.copytree(real / "cytosuite", app / "cytosuite", symlinks=True)
    (app / "weights").symlink_to(real / "weights")
    folder = app / "algorithms" / "watershed"
    folder.mkdir(parents=True)
    (folder / "algorithm.toml").symlink_to(real / "algorithms" / "watershed" / "algorithm.toml")

    def start(behaviour="", **limits):
        (folder / "predict.py").write_text(PREDICT.replace("BEHAVIOUR", behaviour))
        images = install(app)
        make_image(images)
        engine = ApptainerEngine(images, HOST)
        return engine.session("watershed", tmp_path / "workspace", Limits(**limits), "exec")

    return start


@pytest.fixture
def predict(tmp_path, dataset):
    """Return a function that runs one case in a session, and gives outcome and folder."""
    count = 0

    def predict(session, number=0):
        nonlocal count
        count += 1
        output = tmp_path / f"output{count}"
        output.mkdir()
        case = dataset.cases[number].input(SEGMENT)
        return session.predict(case, output, tmp_path / "log"), output

    return predict


@pytest.mark.slow
def test_a_case_goes_in_by_mounts_and_comes_back(tmp_path, start, predict, dataset):
    before = sorted(tmp_path.joinpath("datasets").rglob("*"))
    with start() as session:
        outcome, output = predict(session)
        assert (outcome.status, outcome.exit_code, outcome.message) == ("ok", 0, "")
        assert outcome.peak_memory > 10**7  # of the child, not of the program that started it
        assert "looking at (4, 24, 24)" in (tmp_path / "log").read_text()
        (path,) = (output / "images" / "instance-labels").iterdir()
        assert read(path).array.max() == 1
        assert predict(session, 1)[0].status == "ok"
    assert not (tmp_path / "workspace").exists()
    assert sorted(tmp_path.joinpath("datasets").rglob("*")) == before


HOSTILE = {
    "(OUTPUT / 'link').symlink_to('/etc/passwd')": ("bad output", "link: a link"),
    "os.mkfifo(OUTPUT / 'pipe')": ("bad output", "pipe: a pipe"),
    "(OUTPUT / 'a\\nb').write_text('')": ("bad output", "no printable UTF-8"),
    "os.truncate(os.open(OUTPUT / 'big', os.O_CREAT | os.O_WRONLY), 2**22)": (
        "non-zero exit",
        "File too large",
    ),
    "[(OUTPUT / f'{n}').write_bytes(bytes(2**20)) for n in range(8)]; time.sleep(9)": (
        "bad output",
        "output limit of 0.00195312 GiB exceeded",
    ),
    "(Path(os.environ['HOME']) / 'a').write_bytes(bytes(2**10)); os._exit(3)": (
        "non-zero exit",
        "looking at (4, 24, 24)",
    ),
    "os.kill(os.getpid(), signal.SIGKILL)": ("killed", "ended by SIGKILL"),
    "time.sleep(99)": ("time-out", "time limit of 15 s exceeded"),
    "[subprocess.Popen(['sleep', '9']) for _ in range(99)]; time.sleep(9)": (
        "non-zero exit",
        "limit of 90 processes and threads exceeded",
    ),
    "more = 'import time; b = b\"x\" * 2**29; time.sleep(9)'; "
    "subprocess.run([sys.executable, '-c', more])": (
        "out of memory",
        "memory limit of 0.4 GiB exceeded",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("behaviour", HOSTILE)
def test_a_hostile_program_costs_its_case_alone(start, predict, behaviour):
    hostile = f"if image.array.sum() == 2400: {behaviour}"
    limits = {"memory_gib": 0.4, "timeout_s": 60.0, "pids": 90, "output_gib": 2 / 1024}
    if HOSTILE[behaviour][0] == "time-out":
        limits["timeout_s"] = 15.0
    with start(hostile, **limits) as session:
        outcome, output = predict(session)
        status, message = HOSTILE[behaviour]
        assert outcome.status == status
        assert message in outcome.message
        assert not any(path.is_file() for path in output.rglob("*")) or status == "bad output"
        assert predict(session, 1)[0].status == "ok"


@pytest.mark.slow
def test_the_scratch_of_a_case_is_bounded_and_gone_with_it(tmp_path, start, predict):
    hungry = "tmp = Path(os.environ['HOME']); assert not list(tmp.iterdir()); "
    hungry += "more = 7 * (image.array.sum() == 2400); "
    hungry += "[(tmp / f'{n}').write_bytes(bytes(2**26)) for n in range(more)]; time.sleep(more)"
    with start(hungry, memory_gib=0.41) as session:
        assert predict(session)[0].status == "out of memory"
        assert predict(session, 1)[0].status == "ok"


@pytest.mark.slow
def test_a_failure_of_apptainer_is_tried_again(tmp_path, start, predict):
    with start() as session:
        (tmp_path / "images, of us" / "watershed.sif").unlink()
        outcome, _ = predict(session)
    assert outcome.status == "engine error"
    assert outcome.message.startswith("FATAL: could not open image")


@pytest.mark.long
@pytest.mark.slow
def test_a_benchmark_scores_as_with_plain_processes(tmp_path, install):
    make_image(install())
    for engine in ("process", "apptainer"):
        words = f"benchmark spheroid --size mini --cases 2 --algorithm watershed --engine {engine}"
        program = [sys.executable, "-m", "cytosuite.benchmark", *words.split()]
        environment = {k: v for k, v in os.environ.items() if k != "APPTAINER_BIND"}
        subprocess.run(
            [*program, "--runs", tmp_path / "runs", "--run", engine],
            cwd=process.PACKAGE.parent,
            env=environment,
            check=True,
            timeout=300,
        )
    scores = [
        pd.read_csv(tmp_path / "runs" / name / "report" / "scores.csv").drop(
            columns=["seconds", "peak_memory"]
        )
        for name in ("process", "apptainer")
    ]
    pd.testing.assert_frame_equal(*scores)
    report = (tmp_path / "runs" / "apptainer" / "report" / "report.md").read_text()
    assert "no system call filter" in report


def test_a_server_is_refused(tmp_path):
    engine = ApptainerEngine(tmp_path, HOST)
    with (
        pytest.raises(InputError, match="a container per case: API=exec, not invoke"),
        engine.session("watershed", tmp_path / "workspace", Limits(), "invoke"),
    ):
        pass


def test_an_image_of_the_checkout_is_found_and_its_content_is_its_identity(install):
    images = install()
    make_image(images)
    engine, sentence = choose("apptainer")
    assert engine.images == images
    assert "apptainer" in sentence
    first = engine.identity("watershed")
    assert engine.identity("watershed") == first
    (images / "watershed.sif").write_text((images / "watershed.sif").read_text() + " ")
    assert engine.identity("watershed") != first  # of another size
    text = (images / "watershed.sif").read_text()
    (images / "watershed.sif").write_text(" " + text.rstrip())
    assert engine.identity("watershed") != first  # of another beginning, and the same size


def _missing(images):
    """watershed.sif: no image of watershed; make it with `make build-watershed && docker save"""


def _stale(images):
    """watershed.sif: made from other sources than the checkout's; make it with `make build-"""
    make_image(images, digest="0" * 64)


def _without_labels(images):
    """watershed.sif: expected labels, found"""
    (images / "watershed.sif").write_text("3")


def _unreadable(images):
    """apptainer inspect --json --labels"""
    (images / "watershed.sif").write_text("{")


@pytest.mark.parametrize("mistake", [_missing, _stale, _without_labels, _unreadable])
def test_explains(install, mistake):
    images = install()
    mistake(images)
    with pytest.raises(InputError) as caught:
        ApptainerEngine(images, HOST).identity("watershed")
    assert mistake.__doc__ in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_the_remedy_names_the_commands_for_that_device(install):
    engine = replace(ApptainerEngine(install(), HOST), device="cuda")
    with pytest.raises(InputError) as caught:
        engine.need("cellpose3d")
    for part in ("make build-cellpose3d DEVICE=cuda", "-cuda --output", "cellpose3d-cuda.sif"):
        assert part in str(caught.value)


@pytest.mark.parametrize("version", ["1.1.9", "0.9", "none"])
def test_an_old_apptainer_is_refused(install, version):
    install(version=version)
    with pytest.raises(InputError, match="expected Apptainer 1.2 or later, found"):
        find_apptainer()


def test_without_apptainer_there_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="no program apptainer on this machine; install Apptainer"):
        find_apptainer()
