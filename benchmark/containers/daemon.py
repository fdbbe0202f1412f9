"""Find the Docker daemon, and turn its errors into one line."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from cytosuite.errors import InputError

FIND_S = 5.0  # a daemon that does not answer within this time counts as missing
CALL_S = 120.0

Client: TypeAlias = Any  # docker.DockerClient: the SDK has no annotations, and is imported on use


def find_docker() -> Client | str:
    """Return a client of the Docker daemon, or the reason why there is none.

    Returns
    -------
    docker.DockerClient or str
        A client that is connected and answers (``DOCKER_HOST`` is honoured; podman's socket serves
        as well), or one line for the user.
    """
    try:
        from docker.client import DockerClient
        from docker.errors import DockerException
        from requests import RequestException
    except ImportError as error:
        return f"the Python package {error.name} is not installed"
    host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if host.startswith("unix://") and (reason := _unreachable(host.removeprefix("unix://"))):
        return f"{host}: {reason}"
    try:
        client = DockerClient.from_env(timeout=FIND_S)
        client.ping()
    except (DockerException, RequestException, OSError, ValueError) as error:
        return f"{host}: {_last(error)}"
    client.api.timeout = CALL_S
    return client


def need_docker() -> Client:
    """Return a client of the Docker daemon.

    Raises
    ------
    InputError
        If there is none, with the reason and the remedy.
    """
    found = find_docker()
    if isinstance(found, str):
        raise InputError(
            f"no Docker daemon answers ({found}); "
            "start one (docker/start_daemon.sh) or set DOCKER_HOST"
        )
    return found


def find_image(client: Client, tag: str) -> Any | None:  # noqa: ANN401 - of the SDK
    """Return the image with a tag, None if the daemon does not have it.

    Raises
    ------
    InputError
        If the daemon fails.
    """
    from docker.errors import ImageNotFound

    with daemon_errors(f"look at {tag}"):
        try:
            return client.images.get(tag)
        except ImageNotFound:
            return None


@contextmanager
def daemon_errors(doing: str) -> Iterator[None]:
    """Turn errors of the daemon inside the block into an `InputError` of one line.

    Parameters
    ----------
    doing : str
        The action, for the message: ``build of cytosuite/base:cpu``.

    Raises
    ------
    InputError
        For every error of the daemon or of the connection to it.
    """
    from docker.errors import DockerException
    from requests import RequestException

    try:
        yield
    except (DockerException, RequestException) as error:
        raise InputError(f"{doing}: the Docker daemon says: {_last(error)}") from error


def _unreachable(path: str) -> str:
    """Return why no connection to a Unix socket is possible, empty if it is."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(FIND_S)
        try:
            probe.connect(path)
        except OSError as error:
            return error.strerror or str(error)
    return ""


def _last(error: BaseException) -> str:
    """Return the message of a daemon's error as one line of bounded length."""
    message = getattr(error, "explanation", None) or str(error) or type(error).__name__
    return " ".join(str(message).split())[:300]
