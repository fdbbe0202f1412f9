"""Find the Docker daemon, and turn its errors into one line."""

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cytosuite.errors import InputError, plain

FIND_S = 15.0  # a daemon that does not answer within this time counts as missing
CALL_S = 120.0
PODMAN_SOCKET = Path("podman/podman.sock")

# Messages of daemons that give no GPU to a container, as patterns, with the remedy.
GPU_REMEDIES = {
    r"could not select device driver": "the NVIDIA Container Toolkit is missing: install "
    "nvidia-container-toolkit, run `nvidia-ctk runtime configure --runtime=docker`, restart Docker",
    r"(unresolvable|unknown) CDI device|CDI device injection|nvidia\.com/gpu=": "the machine has "
    "no description of this GPU: run `nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml`",
    r"nvidia-container-(cli|runtime)|libnvidia|\bNVML\b": "the NVIDIA Container Toolkit finds no "
    "driver that fits: look at `nvidia-smi` on the machine of the daemon",
}

Client = Any  # docker.DockerClient: the SDK has no annotations, and is imported on use


def find_docker(host: str | None = None) -> Client | str:
    """Return a client of the daemon at `host` or ``DOCKER_HOST``, or why none answers."""
    try:
        from docker.client import DockerClient
        from docker.errors import DockerException
        from requests import RequestException
    except ImportError as error:
        return f"the Python package {error.name} is not installed"
    place = host or os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if place.startswith("unix://") and (reason := _unreachable(place.removeprefix("unix://"))):
        return f"{place}: {reason}"
    try:
        client = (
            DockerClient(host, timeout=FIND_S) if host else DockerClient.from_env(timeout=FIND_S)
        )
        client.ping()
    except (DockerException, RequestException, OSError, ValueError) as error:
        return f"{place}: {explained(error)}"
    client.api.timeout = CALL_S
    return client


def podman_host() -> str:
    """Return ``CONTAINER_HOST``, or podman's socket: the user's, unless only root's is there."""
    if host := os.environ.get("CONTAINER_HOST"):
        return host
    of_user = Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}") / PODMAN_SOCKET
    shared = Path("/run") / PODMAN_SOCKET
    return f"unix://{shared if shared.exists() and not of_user.exists() else of_user}"


def need_docker(engine: str = "docker") -> Client:
    """Return a client of the daemon of Docker or podman; InputError with remedy without one."""
    if engine == "podman":
        client = find_docker(podman_host())
        remedy = (
            "start it with `systemctl --user start podman.socket` or `podman system service "
            f"--time=0 {podman_host()} &`"
        )
        service = "service of podman"
    else:
        client = find_docker()
        service = "Docker daemon"
        remedy = (
            "start Docker (or docker/start_daemon.sh) or set DOCKER_HOST; benchmark, segment and "
            "apply run without by ENGINE=process"
        )
    if isinstance(client, str):
        raise InputError(f"no {service} answers ({client}); {remedy}")
    return client


def find_image(client: Client, tag: str) -> Any | None:  # noqa: ANN401 - of the SDK
    """Return the image with a tag, None if the daemon does not have it."""
    from docker.errors import ImageNotFound

    with daemon_errors(f"look at {tag}"):
        try:
            return client.images.get(tag)
        except ImageNotFound:
            return None


def is_podman(client: Client) -> bool:
    """Return whether a daemon is podman's service, on any socket."""
    parts = client.version().get("Components") or ()
    return any("podman" in str(part.get("Name", "")).lower() for part in parts)


@contextmanager
def daemon_errors(doing: str) -> Iterator[None]:
    """Turn each error of the daemon inside the block into an InputError of one line."""
    from docker.errors import DockerException
    from requests import RequestException

    try:
        yield
    except (DockerException, RequestException) as error:
        raise InputError(f"{doing}: the Docker daemon says: {explained(error)}") from error


def _unreachable(path: str) -> str:
    """Return why no connection to a Unix socket is possible, empty if it is."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(FIND_S)
        try:
            probe.connect(path)
        except OSError as error:
            return error.strerror or str(error)
    return ""


def explained(error: BaseException) -> str:
    """Return the message of a daemon's error as one line, about GPUs with the remedy."""
    message = plain(str(getattr(error, "explanation", None) or error) or type(error).__name__, 300)
    for words, advice in GPU_REMEDIES.items():
        if re.search(words, message):
            return f"{message}; {advice}, or run with DEVICE=cpu"
    return message
