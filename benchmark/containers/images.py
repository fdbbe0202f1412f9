"""Name the algorithms' images, and compare them with the checkout."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeAlias

from benchmark.containers.daemon import Client, daemon_errors
from benchmark.containers.sources import runtime_files
from cytosuite import __version__
from cytosuite.files import digest

Device: TypeAlias = Literal["cpu", "cuda"]
State: TypeAlias = Literal["missing", "stale", "current"]

SOURCE_LABEL = "org.cytosuite.source-digest"
BASE_FILE = "docker/base.Dockerfile"


def image_tag(algorithm: str, device: Device = "cpu") -> str:
    """Return the tag of an algorithm's image.

    Examples
    --------
    >>> image_tag("watershed").partition(":")[0]
    'cytosuite/watershed'
    """
    return f"cytosuite/{algorithm}:{__version__}" + ("" if device == "cpu" else f"-{device}")


def image_state(client: Client, root: Path, algorithm: str, device: Device = "cpu") -> State:
    """Return whether an algorithm's image exists and was built from the checkout's sources.

    Parameters
    ----------
    client : docker.DockerClient
        Of the daemon that holds the images.
    root, algorithm, device
        As for :func:`image_digest`.

    Returns
    -------
    str
        ``missing``, ``stale`` (built from other sources) or ``current``.

    Raises
    ------
    InputError
        If the daemon fails.
    """
    labels = image_labels(client, image_tag(algorithm, device))
    if labels is None:
        return "missing"
    same = labels.get(SOURCE_LABEL) == image_digest(root, algorithm, device)
    return "current" if same else "stale"


def image_digest(root: Path, algorithm: str, device: Device = "cpu") -> str:
    """Return the digest of everything an algorithm's image is built from.

    Parameters
    ----------
    root : Path
        The checkout.
    algorithm : str
        Its name.
    device : str
        ``cpu`` or ``cuda``: decides the lock.

    Returns
    -------
    str
        SHA-256 over names and contents of the algorithm's files at run time, the Dockerfiles and
        the lock of the packages.
    """
    build = [dockerfile(root, algorithm), root / BASE_FILE, lock(root, device)]
    return digest([*runtime_files(root, algorithm), *build], root)


def image_labels(client: Client, tag: str) -> Mapping[str, str] | None:
    """Return the labels of an image, None if there is no such image.

    Raises
    ------
    InputError
        If the daemon fails.
    """
    from docker.errors import ImageNotFound

    with daemon_errors(f"look at {tag}"):
        try:
            return dict(client.images.get(tag).labels)
        except ImageNotFound:
            return None


def dockerfile(root: Path, algorithm: str) -> Path:
    """Return the path of an algorithm's own Dockerfile, or of the common one without it."""
    own = root / "algorithms" / algorithm / "Dockerfile"
    return own if own.is_file() else root / "Dockerfile"


def lock(root: Path, device: Device) -> Path:
    """Return the path of the list of locked packages for a device."""
    return root / "docker" / f"requirements-{device}.txt"
