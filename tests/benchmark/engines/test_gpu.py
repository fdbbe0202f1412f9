import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pynvml
import pytest

from cytosuite.benchmark.engines import gpu as module
from cytosuite.benchmark.engines.gpu import Gpu, gpu_facts, gpus, held, listed, request, slots
from cytosuite.errors import InputError

ROOT = Path(__file__).parents[3]
A, B, C = "GPU-aaaa-1", "GPU-bbbb-2", "GPU-cccc-3"
DIVIDED = {"uuid": C, "name": "NVIDIA A100", "parts": [{"uuid": "MIG-1"}, {"uuid": "MIG-2"}]}


def names(environment=None):
    return [gpu.uuid for gpu in gpus(environment or {})]


def visible(words):
    return {"CUDA_VISIBLE_DEVICES": words}


def test_all_gpus_are_seen_with_their_names_and_memory(machine):
    machine({"uuid": A, "name": "NVIDIA L4", "total": 24 * 2**30}, B)
    assert gpus({}) == [Gpu(0, A, "NVIDIA L4", 24 * 2**30), Gpu(1, B, "NVIDIA L4", 2**34)]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("1", [B]),
        ("1,0", [B, A]),
        (" 0 , 1 ", [A, B]),
        (B, [B]),
        ("GPU-bb", [B]),
        (f"{A},{A},0", [A]),
        ("MIG-2", ["MIG-2"]),
        ("2", ["MIG-1", "MIG-2"]),
    ],
)
def test_the_scheduler_restricts_them(machine, words, expected):
    machine(A, B, DIVIDED)
    assert names(visible(words)) == expected


def test_instances_stand_for_a_divided_gpu(machine):
    machine(A, DIVIDED)
    assert [(gpu.index, gpu.uuid) for gpu in gpus({})] == [(0, A), (1, "MIG-1"), (1, "MIG-2")]


def test_a_gpu_of_another_job_is_not_counted(machine):
    machine({"uuid": A, "denied": True}, B)
    assert gpus(visible("0")) == gpus({}) == [Gpu(0, B, "NVIDIA L4", 2**34)]


def test_names_in_bytes_are_read(machine):
    library = machine(A)
    library.nvmlDeviceGetName = lambda card: b"NVIDIA L4"
    library.nvmlDeviceGetUUID = lambda card: card["uuid"].encode()
    assert gpus({}) == [Gpu(0, A, "NVIDIA L4", 2**34)]


def test_every_gpu_is_a_slot(machine, monkeypatch):
    machine(A, DIVIDED)
    assert slots() == [visible(A), visible("MIG-1"), visible("MIG-2")]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert slots() == [visible(A)]


def test_the_library_is_closed_after_use(machine):
    library = machine(A)
    gpus({})
    with pytest.raises(InputError):
        gpus(visible("7"))
    assert library.open == 0


def no_driver(machine):
    """DEVICE=cuda: there is no NVIDIA driver on this machine (libnvidia-ml.so.1 is not found); install it, or run with DEVICE=cpu"""
    machine(error=pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)
    gpus({})


def driver_that_is_not_loaded(machine):
    """DEVICE=cuda: the NVIDIA driver of this machine is not loaded; load it (modprobe nvidia), or run with DEVICE=cpu"""
    machine(error=pynvml.NVML_ERROR_DRIVER_NOT_LOADED)
    gpus({})


def driver_that_was_updated(machine):
    """DEVICE=cuda: the NVIDIA driver was updated while another is loaded; restart the machine, or run with DEVICE=cpu"""
    machine(error=pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH)
    gpus({})


def driver_that_fails(machine):
    """DEVICE=cuda: the NVIDIA driver says: Unknown Error; look at `nvidia-smi`, or run with DEVICE=cpu"""
    machine(error=pynvml.NVML_ERROR_UNKNOWN)
    gpus({})


def driver_that_fails_later(machine):
    """DEVICE=cuda: the NVIDIA driver says: Unknown Error; look at `nvidia-smi`, or run with DEVICE=cpu"""

    def fail(card):
        raise pynvml.NVMLError(pynvml.NVML_ERROR_UNKNOWN)

    machine(A).nvmlDeviceGetUUID = fail
    gpus({})


def no_gpu(machine):
    """DEVICE=cuda: the NVIDIA driver finds no GPU on this machine; look at `nvidia-smi`, use a machine with one, or run with DEVICE=cpu"""
    machine()
    gpus({})


def job_without_gpu(machine):
    """DEVICE=cuda: this process may use no GPU (CUDA_VISIBLE_DEVICES='NoDevFiles'); ask the scheduler for one (Slurm: --gres=gpu:1), unset the variable, or run with DEVICE=cpu"""
    machine(A)
    gpus(visible("NoDevFiles"))


def empty_list(machine):
    """DEVICE=cuda: this process may use no GPU (CUDA_VISIBLE_DEVICES=''); ask the scheduler for one (Slurm: --gres=gpu:1), unset the variable, or run with DEVICE=cpu"""
    machine(A)
    gpus(visible(""))


def gpu_that_is_not_there(machine):
    """CUDA_VISIBLE_DEVICES: expected GPUs of this machine (0 GPU-aaaa-1, 1 GPU-bbbb-2), found '2'"""
    machine(A, B)
    gpus(visible("0,2"))


def word_of_nothing(machine):
    """CUDA_VISIBLE_DEVICES: expected GPUs of this machine (0 GPU-aaaa-1), found ''"""
    machine(A)
    gpus(visible("0,"))


def link_in_place_of_a_lock(machine):
    """{locks}/cytosuite-GPU-aaaa-1.lock: the lock of a GPU cannot be opened: Too many levels of symbolic links"""
    machine(A)
    (module.LOCKS / f"cytosuite-{A}.lock").symlink_to(module.LOCKS / "elsewhere")
    with held():
        pass


def pipe_in_place_of_a_lock(machine):
    """{locks}/cytosuite-GPU-aaaa-1.lock: expected the lock file of a GPU, found something else; remove it"""
    machine(A)
    os.mkfifo(module.LOCKS / f"cytosuite-{A}.lock")
    with held():
        pass


@pytest.mark.parametrize(
    "mistake",
    [
        *(no_driver, driver_that_is_not_loaded, driver_that_was_updated, driver_that_fails),
        *(driver_that_fails_later, no_gpu, job_without_gpu, empty_list, gpu_that_is_not_there),
        *(word_of_nothing, link_in_place_of_a_lock, pipe_in_place_of_a_lock),
    ],
    ids=lambda mistake: mistake.__name__,
)
def test_mistakes_are_one_line(mistake, machine):
    with pytest.raises(InputError) as error:
        mistake(machine)
    assert str(error.value) == mistake.__doc__.format(locks=module.LOCKS)
    assert error.value.exit_code == 2


def test_each_gpu_is_held_once(machine):
    machine(A, B)
    with held() as first, held() as second:
        assert {first.uuid, second.uuid} == {A, B}
    with held() as again:
        assert again.uuid == A


def test_a_process_sees_the_held_one_alone(machine, monkeypatch):
    machine(A, B)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    with held() as gpu:
        assert gpu.environment == visible(B)


def test_the_wait_for_a_free_one_is_told_once(machine, monkeypatch):
    machine(A)
    monkeypatch.setattr(module, "WAIT_S", 0.01)
    monkeypatch.setattr(module, "SAY_S", 0.05)
    said = []

    def hear(line):
        said.append(line)
        first.__exit__(None, None, None)

    first = held()
    first.__enter__()
    with held(hear) as gpu:
        assert gpu.uuid == A
    assert said == ["waiting for a GPU: other runs on this machine use 1 x NVIDIA L4 (16 GiB)"]


def test_a_lock_may_be_of_another_user(machine):
    machine(A)
    before = os.umask(0o077)
    try:
        with held():
            (lock,) = module.LOCKS.iterdir()
            assert lock.stat().st_mode & 0o777 == 0o444
    finally:
        os.umask(before)


HOLDER = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from cytosuite.benchmark.engines import gpu
gpu.LOCKS = Path(sys.argv[2])
lock = gpu._take([gpu.Gpu(0, sys.argv[3], "", 0)], gpu.LOCKS)
print("held" if lock else "not", flush=True)
time.sleep(60)
"""


def test_a_killed_process_frees_its_gpu(machine, monkeypatch):
    machine(A)
    monkeypatch.setattr(module, "WAIT_S", 0.01)
    words = [sys.executable, "-c", HOLDER, str(ROOT), str(module.LOCKS), A]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout.readline() == "held\n"
            assert module._take(gpus({}), module.LOCKS) is None
            other.send_signal(signal.SIGKILL)
            begin = time.monotonic()
            with held() as gpu:
                assert gpu.uuid == A
            assert time.monotonic() - begin < 10
        finally:
            other.kill()


def test_the_request_of_a_container_names_one_gpu():
    gpu = Gpu(0, A, "NVIDIA L4", 2**34)
    assert request(gpu) == {"device_ids": [A], "capabilities": [["gpu"]]}
    assert request(gpu, podman=True) == {"driver": "cdi", "device_ids": [f"nvidia.com/gpu={A}"]}


def test_a_run_states_the_gpus_of_its_machine(machine):
    machine(A, B)
    assert gpu_facts("cuda") == {"gpus": "2 x NVIDIA L4 (16 GiB)"}
    assert gpu_facts("cpu") == {}
    machine()
    assert gpu_facts("cuda") == {}


def test_gpus_are_counted_in_words():
    one, two = Gpu(0, A, "NVIDIA L4", 2**34), Gpu(1, B, "NVIDIA H100", 80 * 2**30)
    assert listed([one, two, one]) == "2 x NVIDIA L4 (16 GiB), 1 x NVIDIA H100 (80 GiB)"
    assert listed([]) == ""
