import json
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from cytosuite.benchmark.commands.console import console
from cytosuite.benchmark.commands.data import need
from cytosuite.benchmark.containers.daemon import explained, find_image, is_podman
from cytosuite.benchmark.containers.images import image_tag
from cytosuite.benchmark.engines import gpu_check
from cytosuite.benchmark.engines.docker import DockerEngine
from cytosuite.benchmark.engines.gpu_check import check_gpu
from cytosuite.benchmark.engines.process import ProcessEngine
from cytosuite.errors import InputError

A = "GPU-aaaa-1"
NO_DRIVER = 'could not select device driver "" with capabilities: [[gpu]]'


class FakeDaemon:
    """A daemon with one image; its containers do not start if there is an error."""

    def __init__(self, error="", podman=False):
        self.made, self.error = [], error
        self.images = SimpleNamespace(get=lambda tag: SimpleNamespace(id="sha256:1", attrs={}))
        self.containers = SimpleNamespace(create=self._create, list=lambda **_: [])
        self.podman = podman

    def info(self):
        return {}

    def version(self):
        return {"Components": [{"Name": "Podman Engine" if self.podman else "Engine"}]}

    def _create(self, image, command, **given):
        from docker.errors import APIError

        def start():
            raise APIError("500 Server Error", explanation=self.error)

        self.made.append(given)
        return SimpleNamespace(id="c", start=start, remove=lambda **_: None)


def engine(error="", **more):
    return DockerEngine(FakeDaemon(error, **more), "cuda", image=lambda *_: "sha256:1")


@pytest.mark.parametrize(
    ("podman", "expected"),
    [
        (False, {"DeviceIDs": [A], "Capabilities": [["gpu"]], "Driver": ""}),
        (True, {"DeviceIDs": [f"nvidia.com/gpu={A}"], "Capabilities": [], "Driver": "cdi"}),
    ],
)
def test_a_container_asks_for_one_gpu_by_its_name(machine, podman, expected):
    machine(A, "GPU-bbbb-2")
    found = engine(NO_DRIVER, podman=podman)
    with pytest.raises(InputError):
        check_gpu(found, ["cellpose3d"])
    ((asked,),) = [made["device_requests"] for made in found.client.made]
    assert json.loads(json.dumps(asked)).items() >= {**expected, "Count": 0}.items()


def test_the_check_has_the_limits_of_a_container(machine):
    machine(A)
    found = engine(NO_DRIVER)
    with pytest.raises(InputError):
        check_gpu(found, ["cellpose3d"])
    (made,) = found.client.made
    assert (made["network_mode"], made["read_only"], made["cap_drop"]) == ("none", True, ["ALL"])
    assert made["entrypoint"][:2] == ["python3", "-c"]


def toolkit_missing(machine):
    """a container with a GPU: the Docker daemon says: could not select device driver "" with capabilities: [[gpu]]; the NVIDIA Container Toolkit is missing: install nvidia-container-toolkit, run `nvidia-ctk runtime configure --runtime=docker`, restart Docker, or run with DEVICE=cpu"""
    machine(A)
    check_gpu(engine(NO_DRIVER), ["cellpose3d"])


def description_missing(machine):
    """a container with a GPU: the Docker daemon says: setting up CDI devices: unresolvable CDI devices nvidia.com/gpu=GPU-aaaa-1; the machine has no description of this GPU: run `nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml`, or run with DEVICE=cpu"""
    machine(A)
    error = f"setting up CDI devices: unresolvable CDI devices nvidia.com/gpu={A}"
    check_gpu(engine(error, podman=True), ["cellpose3d"])


def no_driver(machine):
    """DEVICE=cuda: the NVIDIA driver finds no GPU on this machine; look at `nvidia-smi`, use a machine with one, or run with DEVICE=cpu"""
    machine()
    check_gpu(engine(), ["watershed", "cellpose3d"])


@pytest.mark.parametrize(
    "mistake",
    [toolkit_missing, description_missing, no_driver],
    ids=lambda mistake: mistake.__name__,
)
def test_mistakes_are_one_line(mistake, machine):
    with pytest.raises(InputError) as error:
        mistake(machine)
    assert str(error.value) == mistake.__doc__


@pytest.fixture
def torch_says(monkeypatch):
    """Return a function that makes torch in a container end with a code and a line."""

    def make(code, line):
        box = SimpleNamespace(exit_code=lambda: code, new_log=lambda: (line, line))

        @contextmanager
        def sandbox(*given):
            yield box

        monkeypatch.setattr(gpu_check, "sandbox", sandbox)

    return make


def test_torch_that_finds_a_gpu_passes(machine, torch_says):
    machine(A)
    torch_says(0, "")
    check_gpu(engine(), ["cellpose3d"])


def test_a_driver_that_is_too_old_is_told(machine, torch_says):
    machine(A)
    torch_says(1, "The NVIDIA driver on your system is too old (found version 11040).\x1b[31m")
    with pytest.raises(InputError) as error:
        check_gpu(engine(), ["cellpose3d"])
    assert str(error.value) == (
        "DEVICE=cuda: torch in the image of cellpose3d finds no GPU (The NVIDIA driver on your "
        "system is too old (found version 11040).\\x1b[31m) although the machine has NVIDIA L4; "
        "update the NVIDIA driver or Docker, or run with DEVICE=cpu"
    )


def test_algorithms_without_networks_need_no_gpu():
    check_gpu(engine(NO_DRIVER), ["watershed"])  # there is no driver here, and no daemon
    options = SimpleNamespace(device="cuda")
    need(ProcessEngine(device="cuda"), options, ["watershed"], console())


def test_a_run_stops_before_images_are_built(machine):
    """No image is asked for: the daemon would have answered."""
    machine()
    options = SimpleNamespace(device="cuda", base_image=None)
    found = engine()
    found.client.images.get = None
    with pytest.raises(InputError, match="finds no GPU on this machine"):
        need(found, options, ["cellpose3d"], console())


@pytest.mark.slow
def test_a_cpu_build_of_torch_is_told(machine):
    torch = pytest.importorskip("torch")
    if torch.version.cuda is not None:
        pytest.skip("torch is its CUDA build")
    machine(A)
    with pytest.raises(InputError) as error:
        check_gpu(ProcessEngine(device="cuda"), ["cellpose3d"])
    assert str(error.value) == (
        "DEVICE=cuda: cellpose3d finds no GPU in a plain process (Torch not compiled with CUDA "
        "enabled) although the machine has NVIDIA L4; install its build for CUDA with `make setup "
        "DEVICE=cuda` or `python docker/wheelhouse.py --device cuda --install`, or run with "
        "DEVICE=cpu"
    )


def test_a_plain_process_without_torch_is_told(machine, monkeypatch):
    machine(A)
    monkeypatch.setattr(gpu_check, "PROBE", "import sys; sys.exit('no module')")
    with pytest.raises(InputError, match=r"finds no GPU in a plain process \(no module\)"):
        check_gpu(ProcessEngine(device="cuda"), ["cellpose3d"])
    monkeypatch.setattr(gpu_check, "PROBE", "import os; print(os.environ['CUDA_VISIBLE_DEVICES'])")
    check_gpu(ProcessEngine(device="cuda"), ["cellpose3d"])


def test_only_words_about_gpus_get_a_remedy():
    assert explained("no space left on device") == "no space left on device"
    assert "nvidia-smi" in explained("nvidia-container-cli: initialization error: driver error")
    assert explained(NO_DRIVER).startswith(NO_DRIVER)


def test_podman_is_known_by_its_version():
    assert is_podman(FakeDaemon(podman=True))
    assert not is_podman(FakeDaemon())
    assert not is_podman(SimpleNamespace(version=dict))


@pytest.mark.gpu
def test_torch_finds_a_real_gpu():
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    check_gpu(ProcessEngine(device="cuda"), ["cellpose3d"])


@pytest.mark.gpu
@pytest.mark.docker
def test_a_container_finds_a_real_gpu(client):
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    if find_image(client, image_tag("cellpose3d", "cuda")) is None:
        pytest.skip("no image: make build-cellpose3d CUDA=1")
    check_gpu(DockerEngine(client, "cuda"), ["cellpose3d"])
