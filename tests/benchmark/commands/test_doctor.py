"""The doctor: what lacks on a machine is said with its remedy, and only what stops the main job fails."""

import errno
import json
import os
import shutil
from collections import namedtuple
from types import SimpleNamespace

import pytest

from cytosuite.benchmark.catalog.places import ROOT
from cytosuite.benchmark.commands import doctor

Space = namedtuple("Space", "total used free")


@pytest.fixture(autouse=True)
def healthy(monkeypatch):
    """Look at a machine on which all is well, but for containers: plain processes."""
    for name, answer in {
        "engine_name": ("process", "process (for a test)"),
        "_containers": (),
        "extras": {"": ["numpy"], "networks": ["scipy"]},
        "compiled": True,
        "shutil.which": None,
        "free_gib": 32.0,
        "cores": 4,
        "shutil.disk_usage": Space(9e9, 0, 9e9),
    }.items():
        monkeypatch.setattr(f"{doctor.__name__}.{name}", lambda *_, answer=answer: answer)


@pytest.fixture
def signs(cli):
    """Return a function that gives the exit code and the signs of each part, as JSON has them."""

    def look():
        done = cli("doctor --json -")
        value = json.loads(done.stdout)
        assert value["runs"] == (done.exit_code == 0)
        return done.exit_code, {sign["part"]: sign for sign in value["signs"]}

    return look


def test_on_a_healthy_machine_the_main_job_can_run(signs, machine):
    machine()
    code, parts = signs()
    assert code == 0
    assert {part for part, sign in parts.items() if sign["state"] != "ok"} == {"gpu"}
    assert parts["machine"]["found"] == "4 cores, 32.0 GiB of memory free"
    assert "numpy" in parts["packages"]["found"]


@pytest.mark.parametrize("engine, code", [("process", 1), ("docker", 0)])
def test_networks_are_needed_by_plain_processes_alone(signs, monkeypatch, engine, code):
    monkeypatch.setattr(doctor, "engine_name", lambda _: (engine, engine))
    monkeypatch.setattr(
        doctor, "extras", lambda: {"networks": ["scipy", "nowhere"], "own": ["gone"]}
    )
    monkeypatch.setattr(doctor, "install", lambda names: f"pip install {' '.join(names)}")
    exit_code, parts = signs()
    assert exit_code == code
    assert parts["networks"]["found"].startswith("not installed: nowhere (networks as plain")
    assert parts["networks"]["mend"] == "pip install nowhere"
    assert (parts["own"]["state"], parts["own"]["found"]) == ("lacks", "not installed: gone")


def test_a_disk_without_space_and_one_that_refuses_a_file_stop_the_main_job(signs, monkeypatch):
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: Space(9e9, 9e9, 2e8))
    code, parts = signs()
    assert (code, parts["disk"]["state"]) == (1, "FAIL")
    assert "0.2 GB free for" in parts["disk"]["found"]
    assert "--runs" in parts["disk"]["mend"]
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: Space(9e9, 0, 9e9))

    def full(**_):
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(doctor.tempfile, "TemporaryFile", full)
    code, parts = signs()
    assert (code, parts["disk"]["state"], parts["loops"]["state"]) == (1, "FAIL", "lacks")
    assert "cannot be written (Disk quota exceeded)" in parts["disk"]["found"]
    assert "XDG_CACHE_HOME" in parts["loops"]["mend"]


def test_altered_weights_are_named(signs, monkeypatch, tmp_path):
    shutil.copytree(ROOT / "weights/u2net", tmp_path / "u2net")
    monkeypatch.setattr(doctor, "model_homes", lambda: [tmp_path])
    assert signs()[1]["models"]["state"] == "ok"
    weights = min((tmp_path / "u2net").glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1])
    code, parts = signs()
    assert code == 1
    assert f"{weights}: expected SHA-256" in parts["models"]["found"]


def test_a_gpu_that_torch_cannot_use_has_a_remedy(signs, machine, monkeypatch):
    machine("GPU-1")
    monkeypatch.setattr(doctor, "_version", lambda name: "2.9")
    monkeypatch.setattr(
        "cytosuite.benchmark.engines.gpu.PROBE",
        "import sys; sys.exit('Torch not compiled with CUDA enabled')",
    )
    sign = signs()[1]["gpu"]
    assert sign["found"].startswith("1 x NVIDIA L4 (16 GiB), driver 550.54; torch cannot use it:")
    assert "DEVICE=cuda" in sign["mend"]
    monkeypatch.setattr("cytosuite.benchmark.engines.gpu.PROBE", "")
    assert signs()[1]["gpu"]["found"].endswith("driver 550.54; torch computes on it")


def test_engines_of_containers_answer_or_say_why(monkeypatch, tmp_path):
    monkeypatch.undo()
    daemon = SimpleNamespace(
        version=lambda: {"Version": "27.1"},
        info=lambda: {"DockerRootDir": str(tmp_path)},
        close=lambda: None,
    )

    def answers(engine):
        if engine == "docker":
            return daemon
        raise doctor.InputError("no service of podman answers (nothing there); start it")

    monkeypatch.setattr(doctor, "need_docker", answers)
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: Space(9e9, 0, 2e9))
    parts = {sign.part: sign for sign in doctor._containers("docker")}
    assert parts["docker"] == ("docker", "ok", "27.1 answers", "")
    assert parts["images"].found == f"2.0 GB free for {tmp_path}, which needs about 3"
    assert parts["images"].state == "lacks"
    assert parts["podman"][2:] == ("no service of podman answers (nothing there)", "start it")
    assert parts["apptainer"].state == "lacks"
