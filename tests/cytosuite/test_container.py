"""The container's entry, run as a plain process exactly as an image runs it."""

import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from house import ROOT, passing, ran
from numpy.testing import assert_array_equal
from rasters import away_from

from cytosuite import container
from cytosuite.container import attempt
from cytosuite.contract.interface import write_case
from cytosuite.contract.tasks import TASKS
from cytosuite.errors import RoomError
from cytosuite.files import read_json, write_json
from cytosuite.formats import read, write
from cytosuite.volume import Volume

OUTPUT = Path("images") / "instance-labels"
SLOW = """
import time
def predict(inputs, model):
    print("started", flush=True)
    time.sleep(60)
"""
FORKING = """
import multiprocessing, os, time
def predict(inputs, model):
    worker = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    worker.start()
    worker.terminate()
    worker.join()
    print(worker.exitcode, flush=True)
    raise MemoryError
"""
DOCKERFILE = (ROOT / "docker/base.Dockerfile").read_text()
WALLED = {"CYTOSUITE_ADDRESS": re.search(r"CYTOSUITE_ADDRESS=(\S+)", DOCKERFILE)[1]}
BROKEN = "def predict(inputs, model):\n    raise RuntimeError('something\\nodd')\n"


@pytest.fixture
def case(tmp_path):
    ball = away_from((8, 16, 16), (16, 32, 32), (2, 1, 1)) < 10
    array = (np.random.default_rng(0).poisson(20, ball.shape) + 200 * ball).astype(np.uint16)
    volume = Volume(array, (1.0, 0.5, 0.5), "ZYX", {"channel": "nucleus"})
    write_case(tmp_path / "input", TASKS["segment"], "ball", {"microscopy-image": volume})
    return tmp_path


def _environment(case, **more):
    return {
        **os.environ,
        "CYTOSUITE_ALGORITHM": "watershed",
        "CYTOSUITE_INPUT": str(case / "input"),
        "CYTOSUITE_OUTPUT": str(case / "output"),
        "CYTOSUITE_MODEL": str(ROOT / "weights/watershed"),
        **more,
    }


def _command(name):
    return [sys.executable, "-m", "cytosuite.container", name]


def _last(process):
    return process.stderr.strip().splitlines()[-1]


def _answer(case):
    return read(case / "output" / OUTPUT / "ball.tif")


def _run(case, *, cwd=ROOT, **more):
    return ran(*_command("exec"), cwd=cwd, **_environment(case, **more))


def _checkout(case, source):
    shutil.copytree(ROOT / "cytosuite", case / "app/cytosuite", symlinks=True, ignore=passing)
    folder = case / "app/algorithms/watershed"
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "algorithms/watershed/algorithm.toml", folder)
    (folder / "predict.py").write_text(source)
    return case / "app"


def test_run_writes_the_outputs_of_one_case(case):
    done = _run(case, CYTOSUITE_RECORD=str(case / "record.json"))
    assert (done.returncode, done.stderr) == (0, "")
    labels = _answer(case)
    assert labels.array.max() == 1
    assert labels.spacing == (1.0, 0.5, 0.5)
    record = read_json(case / "record.json")
    assert record["algorithm"] == "watershed"
    assert not record["fallback"]
    assert record["cost"] == sum(record["terms"].values())
    others = {other["model"]: other for other in record["others"]}
    names = {path.stem for path in (ROOT / "weights/watershed").glob("*.json")}
    assert {record["model"], *others} == names
    assert others.pop("nuclei-2d")["broken"] == ["axes"]
    assert all(record["cost"] < sum(other["terms"].values()) for other in others.values())
    assert record["sources"]["channel"] == "json"


def test_a_model_in_use_is_taken_for_its_folder_in_a_mounted_folder_of_models(case):
    models = shutil.copytree(ROOT / "weights/watershed", case / "models")
    card = read_json(models / "nuclei-2d.json") | {"name": "mine", "scores": {}}
    write_json(models / "mine.json", card | {"describes": {"axes": "ZYX"}})
    write_json(models / "use.rules", {"use": [{"model": "mine", "images": {"folder": "/a"}}]})
    environment = {"CYTOSUITE_MODEL": str(models), "CYTOSUITE_RECORD": str(case / "r.json")}
    for folder in ("/a", "/b"):
        assert _run(case, CYTOSUITE_FOLDER=folder, **environment).returncode == 0
        record = read_json(case / "r.json")
        used = folder == "/a"
        assert (record["by"] == "use", record["model"] == "mine") == (used, used)


def test_warnings_on_metadata_and_shapes_stand_in_the_record(case, rng):
    away = np.tile(away_from((4, 20, 20), (8, 40, 40), (2, 0.5, 1)), (1, 3, 3))
    array = (rng.poisson(20, away.shape) + 200 * (away < 60**0.5)).astype(np.uint16)
    volume = Volume(array, (1000.0, 500.0, 500.0), "ZYX", {"channel": "nucleus"})
    shutil.rmtree(case / "input")
    write(case / "input/images/microscopy-image/membrane.tif", volume)
    (case / "input/inputs.json").write_text(
        '[{"socket": {"slug": "microscopy-image"}, "image": {"name": "membrane.tif"}}]'
    )
    done = _run(case, CYTOSUITE_RECORD=str(case / "record.json"))
    assert done.returncode == 0
    record = read_json(case / "record.json")
    kinds = [line.partition(":")[0] for line in record["warnings"]]
    assert kinds[:3] == ["channel contradictory", "voxel size corrected", "objects odd"]
    assert done.stderr.splitlines() == [f"warning: {line}" for line in record["warnings"]]
    assert record["sources"] == {"channel": "json", "spacing": "json"}
    assert read(case / "output" / OUTPUT / "membrane.tif").spacing == (1.0, 0.5, 0.5)


def test_bad_input_is_exit_code_2_and_a_missing_model_3(case):
    (case / "input/images/microscopy-image/ball.tif").write_text("no image")
    done = _run(case)
    assert done.returncode == 2
    assert "cut or broken" in _last(done)
    assert not (case / "output").exists()
    done = _run(case, CYTOSUITE_MODEL=str(case / "none"))
    assert done.returncode == 3
    assert "no model card" in done.stderr


def test_an_error_has_its_code_and_a_last_line(case):
    done = _run(case, cwd=_checkout(case, BROKEN))
    assert done.returncode == 1
    assert _last(done) == "RuntimeError: something odd"
    assert "Traceback" in done.stderr


@pytest.mark.parametrize(
    "raised",
    [
        "torch.cuda.OutOfMemoryError('CUDA out of memory. Tried to allocate 20 GiB. GPU 0 has')",
        "RuntimeError('CUDA error: out of memory')",
        "RuntimeError('CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`')",
    ],
)
def test_a_full_gpu_is_told_from_full_memory(raised, capsys):
    torch = pytest.importorskip("torch")

    def run_case():
        raise eval(raised, {"torch": torch})

    assert attempt(SimpleNamespace(run_case=run_case)) == 4
    line = capsys.readouterr().err
    told = raised.partition("('")[2].partition(". GPU")[0].removesuffix("')")
    assert line == (
        f"out of GPU memory: take a GPU with more, a smaller image, or the CPU ({told})\n"
    )


def test_sigterm_ends_it_at_once_with_nothing_half_written(case):
    process = subprocess.Popen(
        _command("exec"),
        cwd=_checkout(case, SLOW),
        env=_environment(case),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "started\n"
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=1800)
    assert process.returncode == 128 + signal.SIGTERM
    assert errors.strip() == "stopped by SIGTERM before the case was done"
    assert not (case / "output").exists()


def test_workers_of_a_tool_end_by_sigterm_without_python_and_full_memory_has_its_code(case):
    done = _run(case, cwd=_checkout(case, FORKING))
    assert done.stdout == f"{-signal.SIGTERM}\n", done.stderr
    assert done.returncode == 4
    assert _last(done).startswith("out of memory")


class _Server:
    def __init__(self, case):
        self.listener = socket.create_server(("127.0.0.1", 0))
        descriptor = self.listener.fileno()
        self.process = subprocess.Popen(
            _command("invoke"),
            cwd=ROOT,
            env=_environment(case, CYTOSUITE_LISTEN_FD=str(descriptor)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=[descriptor],
        )

    def begin(self, method, path):
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.listener.getsockname()[1], timeout=1800
        )
        connection.request(method, path)
        return connection

    def ask(self, method, path):
        connection = self.begin(method, path)
        answer = connection.getresponse()
        reply = answer.status, answer.read().decode()
        connection.close()
        return reply

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.kill()
        self.process.communicate()
        self.listener.close()


def test_serve_answers_the_platforms_requests(case):
    with _Server(case) as server:
        assert server.ask("GET", "/health") == (200, "ok")
        assert server.ask("GET", "/")[0] == 404
        assert server.ask("POST", "/other")[0] == 404
        invoke = partial(server.ask, "POST", "/invoke")
        assert invoke() == (201, "0")
        served = _answer(case).array
        shutil.rmtree(case / "output")
        assert invoke() == (201, "0")
        path = case / "input/images/microscopy-image/ball.tif"
        whole = path.read_bytes()
        path.write_bytes(whole[:100])
        assert invoke() == (500, "2")
        path.write_bytes(whole)
        shutil.rmtree(case / "output")
        assert invoke() == (201, "0")
        assert_array_equal(_answer(case).array, served)
    shutil.rmtree(case / "output")
    assert _run(case).returncode == 0
    assert_array_equal(_answer(case).array, served)


def test_an_image_that_needs_more_memory_is_no_bad_input(capsys):
    def run_case():
        raise RoomError("a.tif: needs 9 GiB of memory, 2 GiB are free")

    assert attempt(SimpleNamespace(run_case=run_case)) == 4
    assert capsys.readouterr().err == "a.tif: needs 9 GiB of memory, 2 GiB are free\n"


@pytest.mark.parametrize("variable, address", [({}, "127.0.0.1"), (WALLED, "0.0.0.0")])
def test_a_plain_process_binds_the_loopback_device_and_an_image_all(monkeypatch, variable, address):
    monkeypatch.setattr(container, "PORT", 0)
    monkeypatch.setattr(os, "register_at_fork", lambda **_: None)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    for name, value in variable.items():
        monkeypatch.setenv(name, value)

    def stop(listener):
        with listener:
            assert listener.getsockname()[0] == address
        raise SystemExit

    monkeypatch.setattr(container, "serve", lambda _, listener: stop(listener))
    with pytest.raises(SystemExit):
        container.execute("invoke", lambda: None)
