"""The process engine with small algorithms written for the occasion."""

import sys
import time
from dataclasses import replace

import pytest
from house import ran

from cytosuite.benchmark.engines import process
from cytosuite.benchmark.engines.gpu import held
from cytosuite.benchmark.engines.outcome import GpuUse, Limits, StartError
from cytosuite.benchmark.engines.process import ProcessEngine
from cytosuite.contract.tasks import TASKS

pytestmark = pytest.mark.slow


@pytest.fixture
def start(app, behave, tmp_path, monkeypatch):
    """Return a function that starts a session of an algorithm with some behaviour."""
    monkeypatch.setattr(process, "ROOT", app)
    monkeypatch.setattr(process, "PACKAGE", app / "cytosuite")

    def start(behaviour="", api="invoke", after="", device="cpu", **limits):
        behave(behaviour, after)
        return ProcessEngine(device=device).session(
            "watershed", tmp_path / "workspace", Limits(**limits), api
        )

    return start


@pytest.mark.parametrize("api", ["invoke", "exec"])
def test_a_case_is_run_timed_and_logged(tmp_path, start, succeed, api):
    with start(api=api, cpus=3) as session:
        assert session.call(api)[1].items() >= Limits(cpus=3).environment.items()
        assert succeed(session).seconds > 0
        assert (session.startup_seconds > 0) == (api == "invoke")
        assert (tmp_path / "log").read_text().count("looking at") == 2  # each case's own words
    assert not (tmp_path / "workspace").exists()


GPU = "print('GPU', repr(os.environ['CUDA_VISIBLE_DEVICES']), flush=True)"


def test_a_process_sees_the_gpu_that_it_holds(tmp_path, start, predict, machine, monkeypatch):
    machine("GPU-a", {"uuid": "GPU-b", "used": 2**20, "busy": 30})
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    monkeypatch.setattr("cytosuite.benchmark.engines.outcome.uses_gpu", lambda name: True)
    with start(GPU, device="cuda") as session:
        outcome, _ = predict(session)
    assert (outcome.status, outcome.gpu) == ("ok", GpuUse("NVIDIA L4", 0, 30.0, 30))
    assert "GPU 'GPU-b'" in (tmp_path / "log").read_text()
    with held() as gpu:  # free again
        assert gpu.uuid == "GPU-b"


def test_an_algorithm_without_networks_sees_no_gpu(tmp_path, start, predict, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with start(GPU, device="cuda") as session:  # there is no driver here
        assert predict(session)[0].gpu == GpuUse()
    assert "GPU ''" in (tmp_path / "log").read_text()


def test_plain_processes_load_no_other_engine_and_no_gpu():
    code = "import sys, cytosuite.benchmark.engines.choose as c; c.choose('process'); "
    code += "print(*sorted(sys.modules))"
    room = "cytosuite.benchmark.engines."
    names = ran(sys.executable, "-c", code).stdout.split()
    loaded = {name.removeprefix(room) for name in names if name.startswith(room)}
    of_docker = {"images", "images.daemon"}  # asks whether a daemon answers
    assert loaded - of_docker == {"choose", "collect", "memory", "outcome", "process"}


def test_results_of_a_gpu_are_other_results():
    on = {d: ProcessEngine(device=d).identity("cellpose3d") for d in ("cpu", "cuda")}
    assert on == {"cpu": "process", "cuda": "process-cuda"}
    assert ProcessEngine(device="cuda").identity("watershed") == "process"


ENDS = {
    "raise ValueError('too few')": ("non-zero exit", "ValueError: too few"),
    "os.kill(os.getpid(), signal.SIGKILL)": ("killed", "ended by SIGKILL"),
    "time.sleep(600)": ("time-out", "time limit of 4 s exceeded"),
    "b = np.ones(2**26); time.sleep(1)": ("out of memory", "memory limit of 0.4 GiB exceeded"),
}


@pytest.mark.parametrize("api, first, last", [("exec", 0, 1), ("invoke", 1, 4)])
def test_what_ends_a_case_has_a_reason_and_the_next_one_runs(
    start, predict, tmp_path, api, first, last
):
    program = tmp_path / "program.py"
    limits = {"memory_gib": 0.4} if api == "invoke" else {}
    with start(f"exec(open({str(program)!r}).read())", api, **limits) as session:
        patient = session.limits
        for behaviour in [*ENDS][first:last]:
            program.write_text(behaviour)
            session.limits = replace(patient, timeout_s=4.0) if "600" in behaviour else patient
            outcome, _ = predict(session)
            assert (outcome.status, outcome.message) == ENDS[behaviour]
            assert outcome.exit_code == 1 or api == "invoke"
            assert outcome.seconds < 60
        program.write_text("")
        assert predict(session, 1)[0].status == "ok"


def test_memory_is_measured_case_by_case(start, predict, monkeypatch):
    reset = process.reset_peak
    monkeypatch.setattr(process, "reset_peak", lambda pid: (time.sleep(1), reset(pid)))  # busy
    with start("hoard = np.ones(2**25 * (image.array.sum() == 2400))") as session:
        assert predict(session)[0].peak_memory - predict(session, 1)[0].peak_memory > 2**27


def test_an_algorithm_that_does_not_start_says_why(start):
    session = start(after="nonsense")
    with pytest.raises(StartError, match="watershed did not start: NameError: name 'nonsense'"):
        session.__enter__()


def test_it_tells_its_progress_and_is_ended(tmp_path, start, dataset, monkeypatch):
    monkeypatch.setattr(process, "ASK_S", 0.1)
    seen = []
    (tmp_path / "output").mkdir()
    with start("print('progress 50 %', flush=True); time.sleep(0.5)") as session:
        case = dataset.cases[0].input(TASKS["segment"])
        server = session.process
        session.predict(case, tmp_path / "output", tmp_path / "log", seen.append)
    assert set(seen) == {0.5}
    assert "progress 50 %" in (tmp_path / "log").read_text()
    assert server.returncode is not None
