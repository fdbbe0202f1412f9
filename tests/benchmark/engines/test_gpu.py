import json
import os
import time
from contextlib import contextmanager
from functools import partial
from itertools import chain, repeat
from types import SimpleNamespace

import pynvml
import pytest
from mistakes import refused

from cytosuite.benchmark.commands.data import need
from cytosuite.benchmark.engines import gpu as module
from cytosuite.benchmark.engines.docker import DockerEngine
from cytosuite.benchmark.engines.gpu import Gpu, gpu_facts, gpus, held, metered
from cytosuite.benchmark.engines.images.blueprints import image_tag
from cytosuite.benchmark.engines.images.daemon import explained, find_image
from cytosuite.benchmark.engines.outcome import GpuUse
from cytosuite.benchmark.engines.process import ProcessEngine
from cytosuite.benchmark.engines.sandbox import Sandbox

GIB = 2**30
NO_DRIVER = 'could not select device driver "" with capabilities: [[gpu]]'
A, B, C = "GPU-aaaa-1", "GPU-bbbb-2", "GPU-cccc-3"


def visible(words):
    return {"CUDA_VISIBLE_DEVICES": words}


@pytest.mark.parametrize(
    "words, expected",
    {
        " 1 , 0 ": [B, A],
        "GPU-bb": [B],
        f"{A},{A},0": [A],
        "MIG-2": ["MIG-2"],
        "2": ["MIG-1", "MIG-2"],
    }.items(),
)
def test_the_scheduler_restricts_them(machine, words, expected):
    machine(
        A, B, {"uuid": C, "name": "NVIDIA A100", "parts": [{"uuid": "MIG-1"}, {"uuid": "MIG-2"}]}
    )
    assert [gpu.uuid for gpu in gpus(visible(words))] == expected
    assert [gpu.index for gpu in gpus({})] == [0, 1, 2, 2]
    assert [gpu.environment for gpu in gpus()] == [
        visible(name) for name in (A, B, "MIG-1", "MIG-2")
    ]


def test_gpus_have_name_and_memory_and_one_of_another_job_is_not_counted(machine):
    machine({"uuid": A, "denied": True}, {"uuid": B, "name": "NVIDIA L40", "total": 48 * GIB}, C)
    seen = [Gpu(0, B, "NVIDIA L40", 48 * GIB), Gpu(1, C, "NVIDIA L4", 16 * GIB)]
    assert gpus({}) == seen
    assert gpus(visible("0")) == seen[:1]


class FakeDaemon:
    """A daemon with one image; its containers do not start if there is an error."""

    def __init__(self, error="", podman=False):
        self.made = []
        self.error = error
        self.images = SimpleNamespace(get=lambda tag: SimpleNamespace(id="sha256:1", attrs={}))
        self.containers = SimpleNamespace(create=self._create, list=lambda **_: [])
        self.podman = podman

    def info(self):
        return {}

    def version(self):
        return {"Components": [{"Name": "Podman Engine" if self.podman else "Engine"}]}

    def _create(self, image, command, **options):
        from docker.errors import APIError

        def start():
            raise APIError("500 Server Error", explanation=self.error)

        self.made.append(options)
        return SimpleNamespace(id="c", start=start, remove=lambda **_: None)


def engine(error="", **more):
    return DockerEngine(FakeDaemon(error, **more), device="cuda", image=lambda *_: "sha256:1")


def no_driver(machine):
    """DEVICE=cuda: the NVIDIA driver of this machine is not loaded; load it (modprobe nvidia), or run with DEVICE=cpu"""
    machine(error=pynvml.NVML_ERROR_DRIVER_NOT_LOADED)
    gpus({})


def no_gpu(machine):
    """DEVICE=cuda: the NVIDIA driver finds no GPU on this machine; look at `nvidia-smi`, use a machine with one, or run with DEVICE=cpu"""
    machine()
    gpus({})


def job_without_gpu(machine):
    """DEVICE=cuda: this process may use no GPU (CUDA_VISIBLE_DEVICES='NoDevFiles'); ask the scheduler for one (Slurm: --gres=gpu:1), unset the variable, or run with DEVICE=cpu"""
    machine(A)
    gpus(visible("NoDevFiles"))


def gpu_that_is_not_there(machine):
    """CUDA_VISIBLE_DEVICES: expected GPUs of this machine (0 GPU-aaaa-1, 1 GPU-bbbb-2), found '2'"""
    machine(A, B)
    gpus(visible("0,2"))


def toolkit_missing(machine):
    """a container with a GPU: the Docker daemon says: could not select device driver "" with capabilities: [[gpu]]; the NVIDIA Container Toolkit is missing: install nvidia-container-toolkit, run `nvidia-ctk runtime configure --runtime=docker`, restart Docker, or run with DEVICE=cpu"""
    machine(A)
    engine(NO_DRIVER).check_gpu("cellpose3d")


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
        no_driver,
        no_gpu,
        job_without_gpu,
        gpu_that_is_not_there,
        toolkit_missing,
        link_in_place_of_a_lock,
        pipe_in_place_of_a_lock,
    ],
)
def test_mistakes_are_one_line(mistake, machine):
    assert str(refused("", mistake, machine)) == mistake.__doc__.format(locks=module.LOCKS)


def test_each_gpu_is_held_once_by_a_lock_for_every_user(machine):
    machine(A, B)
    before = os.umask(0o077)
    with held() as first, held() as second:
        assert {first.uuid, second.uuid} == {A, B}
        modes = {lock.stat().st_mode & 0o777 for lock in module.LOCKS.iterdir()}
    os.umask(before)
    assert modes == {0o444}
    with held() as again:
        assert again.uuid == A


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


def test_a_run_states_the_gpus_of_its_machine(machine):
    machine(A, B)
    assert gpu_facts("cuda") == {"gpus": "2 x NVIDIA L4 (16 GiB)"}
    assert gpu_facts("cpu") == {}
    machine()
    assert gpu_facts("cuda") == {}


@pytest.mark.parametrize(
    "podman, expected",
    [
        (False, {"DeviceIDs": [A], "Capabilities": [["gpu"]], "Driver": ""}),
        (True, {"DeviceIDs": [f"nvidia.com/gpu={A}"], "Capabilities": [], "Driver": "cdi"}),
    ],
)
def test_the_check_asks_for_one_gpu_by_its_name_within_the_walls(machine, podman, expected):
    machine(A, B)
    docker_engine = engine(NO_DRIVER, podman=podman)
    refused("", docker_engine.check_gpu, "cellpose3d")
    (body,) = docker_engine.client.made
    (request,) = body["device_requests"]
    assert json.loads(json.dumps(request)).items() >= {**expected, "Count": 0}.items()
    assert (body["network_mode"], body["read_only"], body["cap_drop"]) == ("none", True, ["ALL"])
    assert body["entrypoint"][:2] == ["python3", "-c"]


def test_torch_in_a_container_passes_or_says_why(machine, monkeypatch):
    machine(A)
    code = 0
    line = ""

    @contextmanager
    def sandbox(*_):
        box = SimpleNamespace(exit_code=lambda: code, new_log=lambda: (line, line))
        box.end = partial(Sandbox.end, box)
        yield box

    monkeypatch.setattr("cytosuite.benchmark.engines.docker.sandbox", sandbox)
    engine().check_gpu("cellpose3d")
    code = 1
    line = "The NVIDIA driver on your system is too old (found version 11040).\x1b[31m"
    error = refused(
        "cellpose3d finds no GPU (The NVIDIA driver on your system is",
        engine().check_gpu,
        "cellpose3d",
    )
    assert str(error).isprintable()


def test_torch_in_a_plain_process_passes_or_says_why(machine, monkeypatch):
    machine(A)
    monkeypatch.setattr(
        module, "PROBE", "import sys; sys.exit('Torch not compiled with CUDA enabled')"
    )
    error = refused("", ProcessEngine(device="cuda").check_gpu, "cellpose3d")
    reason = "no GPU in a plain process (Torch not compiled with CUDA enabled) although the machine"
    assert reason in str(error)
    assert "install its build for CUDA with `make setup DEVICE=cuda`" in str(error)
    monkeypatch.setattr(module, "PROBE", "import os; print(os.environ['CUDA_VISIBLE_DEVICES'])")
    ProcessEngine(device="cuda").check_gpu("cellpose3d")


def test_a_run_looks_for_a_gpu_before_images_are_built_but_not_without_networks(machine):
    options = SimpleNamespace(device="cuda", base_image=None)
    need(ProcessEngine(device="cuda"), options, ["watershed"])  # there is no driver here
    machine()
    docker_engine = engine()
    docker_engine.client.images.get = None  # no image is asked for
    refused("finds no GPU on this machine", need, docker_engine, options, ["cellpose3d"])


def test_only_words_about_gpus_get_a_remedy():
    assert explained("no space left on device") == "no space left on device"
    assert "nvidia-smi" in explained("nvidia-container-cli: initialization error: driver error")
    assert "nvidia-ctk cdi generate" in explained(f"unresolvable CDI devices nvidia.com/gpu={A}")


def series(*values):
    """Return a function that gives these values one after the other, the last one for ever."""
    readings = chain(values, repeat(values[-1]))
    return lambda: next(readings)


def use():
    with metered() as meter, meter.measured(0.001) as usage:
        time.sleep(0.1)
    return usage()


def test_memory_is_the_peak_beyond_what_others_used_before(machine):
    library = machine(
        {"uuid": A, "used": series(2 * GIB, 3 * GIB, 7 * GIB, 4 * GIB), "busy": series(80, 40)}
    )
    usage = use()
    assert (usage.name, usage.memory, usage.busiest) == ("NVIDIA L4", 5 * GIB, 80)
    assert 40 < usage.utilisation < 80
    assert library.open == 0
    machine({"uuid": A, "used": series(5 * GIB, 1 * GIB), "busy": 0})
    assert use().memory == 0  # others gave some back


def test_an_instance_of_a_divided_gpu_has_no_utilisation(machine):
    machine({"uuid": A, "parts": [{"uuid": "MIG-1", "used": series(0, GIB), "name": "A100 1g"}]})
    assert use() == GpuUse("A100 1g", GIB, None, None)


def test_a_driver_that_fails_in_the_middle_costs_the_numbers_alone(machine):
    library = machine({"uuid": A, "busy": 10})
    with metered() as meter, meter.measured(0.001) as usage:

        def fail(card):
            raise library.real.NVMLError(library.real.NVML_ERROR_GPU_IS_LOST)

        library.nvmlDeviceGetMemoryInfo = fail
        library.nvmlDeviceGetUtilizationRates = fail
        time.sleep(0.02)
    assert usage().name == "NVIDIA L4"


def _cuda():
    """Return torch; skip without a GPU."""
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    return torch


@pytest.mark.gpu
def test_a_real_gpu_is_found_and_measured():
    torch = _cuda()
    ProcessEngine(device="cuda").check_gpu("cellpose3d")
    with metered() as meter, meter.measured(0.01) as usage:
        held = torch.ones(2**28, device="cuda")
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            held.mul_(1.0).sum().item()
    assert usage().memory >= 2**30
    assert usage().busiest > 0


@pytest.mark.gpu
@pytest.mark.docker
def test_a_container_finds_a_real_gpu(client):
    _cuda()
    if find_image(client, image_tag("cellpose3d", "cuda")) is None:
        pytest.skip("no image: make build-cellpose3d DEVICE=cuda")
    DockerEngine(client, device="cuda").check_gpu("cellpose3d")
