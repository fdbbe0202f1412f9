"""Choose the engine: containers where a Docker daemon answers, else plain processes."""

from cytosuite.benchmark.catalog import CHECKOUT, need_checkout
from cytosuite.benchmark.containers.daemon import find_docker
from cytosuite.benchmark.containers.images import Device
from cytosuite.benchmark.engines.docker import DockerEngine
from cytosuite.benchmark.engines.outcome import Engine
from cytosuite.benchmark.engines.process import ProcessEngine
from cytosuite.errors import InputError


def choose(wanted: str, device: Device = "cpu") -> tuple[Engine, str]:
    """Return an engine, and the reason for it in one sentence.

    Parameters
    ----------
    wanted : str
        ``docker``, ``process``, or ``auto`` for the first of them that works.
    device : str
        ``cuda`` for containers with a GPU.

    Raises
    ------
    InputError
        If the engine is unknown, or Docker is asked for and no daemon answers.
    """
    if wanted == "process":
        return ProcessEngine(), "engine: process, as asked (plain processes, no isolation)"
    if wanted not in {"auto", "docker"}:
        raise InputError(f"ENGINE must be auto, docker or process, found {wanted!r}")
    if wanted == "docker":
        need_checkout("ENGINE=docker")
    if not CHECKOUT:
        why = "an installed package, containers are built from a checkout"
        return ProcessEngine(), f"engine: process (plain processes: {why})"
    found = find_docker()
    if not isinstance(found, str):
        why = "as asked" if wanted == "docker" else "a Docker daemon answers"
        return DockerEngine(found, device), f"engine: docker ({why})"
    if wanted == "docker":
        raise InputError(
            f"ENGINE=docker: no Docker daemon answers ({found}); start Docker, "
            "set DOCKER_HOST, or use ENGINE=process"
        )
    return ProcessEngine(), f"engine: process (plain processes: no Docker daemon, {found})"
