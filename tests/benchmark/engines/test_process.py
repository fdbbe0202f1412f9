"""The process engine with small algorithms written for the occasion."""

import os
import shutil
import time

import pytest

from cytosuite.benchmark.engines import process
from cytosuite.benchmark.engines.gpu import held
from cytosuite.benchmark.engines.outcome import GpuUse, Limits, StartError
from cytosuite.benchmark.engines.process import ProcessEngine
from cytosuite.formats import read
from cytosuite.tasks import TASKS

pytestmark = pytest.mark.slow

SEGMENT = TASKS["segment"]

PREDICT = """
import os, signal, time
import numpy as np
def predict(inputs, model):
    image = inputs["microscopy-image"]
    print("looking at", image.shape, flush=True)
    BEHAVIOUR
    return {"instance-labels": image.like((image.array > 0).astype(np.uint16))}
AFTER
"""


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Return a function that starts a session of an algorithm with some behaviour."""
    app = tmp_path / "app"
    real = process.ROOT
    # Its links to the rooms are relative: they lead to those of the copy.
    shutil.copytree(real / "cytosuite", app / "cytosuite", symlinks=True)
    (app / "weights").symlink_to(real / "weights")
    folder = app / "algorithms" / "watershed"
    folder.mkdir(parents=True)
    (folder / "algorithm.toml").symlink_to(real / "algorithms" / "watershed" / "algorithm.toml")
    monkeypatch.setattr(process, "ROOT", app)
    monkeypatch.setattr(process, "PACKAGE", app / "cytosuite")

    def start(behaviour="", api="invoke", after="", device="cpu", **limits):
        source = PREDICT.replace("BEHAVIOUR", behaviour).replace("AFTER", after)
        (folder / "predict.py").write_text(source)
        engine = ProcessEngine(device=device)
        return engine.session("watershed", tmp_path / "workspace", Limits(**limits), api)

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
        return session.predict(
            dataset.cases[number].input(SEGMENT), output, tmp_path / "log"
        ), output

    return predict


@pytest.mark.parametrize("api", ["invoke", "exec"])
def test_a_case_is_run_timed_and_logged(tmp_path, start, predict, api):
    with start(api=api) as session:
        outcome, output = predict(session)
        assert (outcome.status, outcome.exit_code, outcome.message) == ("ok", 0, "")
        assert outcome.seconds > 0
        assert outcome.peak_memory > 10**7
        assert (session.startup_seconds > 0) == (api == "invoke")
        assert "looking at (4, 24, 24)" in (tmp_path / "log").read_text()
        (path,) = (output / "images" / "instance-labels").iterdir()
        assert read(path).array.max() == 1
        assert predict(session, 1)[0].status == "ok"
        assert (tmp_path / "log").read_text().count("looking at") == 2  # each case's own words
    assert not (tmp_path / "workspace").exists()


GPU = "print('GPU', repr(os.environ['CUDA_VISIBLE_DEVICES']), flush=True)"


@pytest.mark.parametrize("api", ["invoke", "exec"])
def test_a_process_sees_the_gpu_that_it_holds(tmp_path, start, predict, machine, monkeypatch, api):
    machine("GPU-a", {"uuid": "GPU-b", "used": 2**20, "busy": 30})
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    monkeypatch.setattr(process, "uses_gpu", lambda name: True)
    with start(GPU, api, device="cuda") as session:
        outcome, _ = predict(session)
    assert (outcome.status, outcome.gpu) == ("ok", GpuUse("NVIDIA L4", 0, 30.0, 30))
    assert "GPU 'GPU-b'" in (tmp_path / "log").read_text()
    with held() as gpu:  # free again
        assert gpu.uuid == "GPU-b"


def test_on_the_cpu_a_process_sees_no_gpu(tmp_path, start, predict, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with start(GPU) as session:
        assert predict(session)[0].gpu is None
    assert "GPU ''" in (tmp_path / "log").read_text()


def test_an_algorithm_without_networks_takes_no_gpu(tmp_path, start, predict):
    with start(GPU, device="cuda") as session:  # there is no driver here
        assert predict(session)[0].status == "ok"
    assert "GPU ''" in (tmp_path / "log").read_text()


def test_results_of_a_gpu_are_other_results():
    on = {d: ProcessEngine(device=d).identity("cellpose3d") for d in ("cpu", "cuda")}
    assert on == {"cpu": "process", "cuda": "process-cuda"}
    assert ProcessEngine(device="cuda").identity("watershed") == "process"


@pytest.mark.parametrize("api", ["invoke", "exec"])
def test_an_error_is_a_status_with_its_reason_and_the_next_case_runs(start, predict, api):
    with start("if image.array.sum() == 2400: raise ValueError('too few')", api) as session:
        outcome, _ = predict(session)
        assert (outcome.status, outcome.exit_code) == ("non-zero exit", 1)
        assert outcome.message == "ValueError: too few"
        assert predict(session, 1)[0].status == "ok"


@pytest.mark.parametrize("api", ["invoke", "exec"])
def test_a_crash_costs_that_case_only(start, predict, api):
    crash = "if image.array.sum() == 2400: os.kill(os.getpid(), signal.SIGKILL)"
    with start(crash, api) as session:
        outcome, _ = predict(session)
        assert (outcome.status, outcome.message) == ("killed", "ended by SIGKILL")
        assert predict(session, 1)[0].status == "ok"


@pytest.mark.slow
@pytest.mark.parametrize("api", ["invoke", "exec"])
def test_the_time_limit_ends_a_case(start, predict, api):
    with start("image.array.sum() == 2400 and time.sleep(60)", api, timeout_s=4.0) as session:
        outcome, _ = predict(session)
        assert outcome.status == "time-out"
        assert outcome.message == "time limit of 4 s exceeded"
        assert outcome.seconds < 10
        assert predict(session, 1)[0].status == "ok"


@pytest.mark.slow
def test_the_memory_limit_ends_a_case(start, predict):
    hungry = "hoard = np.ones(2**26 * (image.array.sum() == 2400)); time.sleep(1)"
    with start(hungry, memory_gib=0.4) as session:
        outcome, _ = predict(session)
        assert outcome.status == "out of memory"
        assert outcome.message == "memory limit of 0.4 GiB exceeded"
        assert predict(session, 1)[0].status == "ok"


def test_memory_is_measured_case_by_case(start, predict):
    with start("hoard = np.ones(2**25 * (image.array.sum() == 2400))") as session:
        large = predict(session)[0].peak_memory
        small = predict(session, 1)[0].peak_memory
        assert large - small > 2**27


def test_an_algorithm_that_does_not_start_says_why(start):
    session = start(after="nonsense")
    with pytest.raises(StartError, match="watershed did not start: NameError: name 'nonsense'"):
        session.__enter__()


def test_nothing_is_left_running(start):
    with start() as session:
        pid = session.process.pid
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
    pytest.fail("the server still runs")
