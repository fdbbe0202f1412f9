"""Choose the engine: containers of Docker, podman or Apptainer, or plain processes."""

from collections.abc import Callable

from cytosuite.benchmark.catalog import CHECKOUT, need_checkout
from cytosuite.benchmark.containers.daemon import (
    Client,
    daemon_errors,
    find_docker,
    need_docker,
)
from cytosuite.benchmark.containers.locks import Device
from cytosuite.benchmark.engines.apptainer import find_apptainer
from cytosuite.benchmark.engines.docker import DockerEngine
from cytosuite.benchmark.engines.gpu import say
from cytosuite.benchmark.engines.outcome import Engine
from cytosuite.benchmark.engines.process import ProcessEngine
from cytosuite.benchmark.engines.sandbox import remove_orphans
from cytosuite.errors import InputError


def choose(
    wanted: str, device: Device = "cpu", say: Callable[[str], None] = say
) -> tuple[Engine, str]:
    """Return an engine, and the reason for it in one sentence.

    Parameters
    ----------
    wanted : str
        ``docker``, ``podman``, ``apptainer``, ``process``, or ``auto`` for Docker where a daemon
        answers, else processes.
    device : str
        ``cuda`` for containers and processes with a GPU.
    say : callable
        Gets a line while an algorithm waits for one.

    Raises
    ------
    InputError
        If the engine is unknown, or one of containers is asked for and does not answer, or this
        is no checkout.
    """
    plain = ProcessEngine(device=device, say=say)
    if wanted == "process":
        return plain, "engine: process, as asked (plain processes, no isolation)"
    if wanted not in {"auto", "docker", "podman", "apptainer"}:
        known = "auto, docker, podman, apptainer or process"
        raise InputError(f"ENGINE must be {known}, found {wanted!r}")
    if wanted != "auto":
        need_checkout(f"ENGINE={wanted}")
    if wanted == "apptainer":
        return find_apptainer(device), "engine: apptainer (as asked)"
    if wanted != "auto":
        return _contained(need_docker(wanted), device, wanted, say), f"engine: {wanted} (as asked)"
    if not CHECKOUT:
        why = "an installed package, containers are built from a checkout"
        return plain, f"engine: process (plain processes: {why})"
    found = find_docker()
    if isinstance(found, str):
        return plain, f"engine: process (plain processes: no Docker daemon, {found})"
    return _contained(found, device, "docker", say), "engine: docker (a Docker daemon answers)"


def _contained(
    client: Client, device: Device, name: str, say: Callable[[str], None]
) -> DockerEngine:
    """Return the engine of a daemon, once no container of a killed runner writes any more."""
    with daemon_errors("removal of containers that a killed run left"):
        remove_orphans(client)
    return DockerEngine(client, device, name=name, say=say)
