"""Tags of the algorithms' images, and digests of their sources."""

from pathlib import Path
from typing import Literal, TypeAlias

from cytosuite import __version__
from cytosuite.benchmark.containers.sources import runtime_files
from cytosuite.files import digest

Device: TypeAlias = Literal["cpu", "cuda"]
BASE_FILE = "docker/base.Dockerfile"


def image_tag(algorithm: str, device: Device = "cpu") -> str:
    """Return the tag of an algorithm's image.

    Examples
    --------
    >>> image_tag("watershed").partition(":")[0]
    'cytosuite/watershed'
    """
    return f"cytosuite/{algorithm}:{__version__}" + ("" if device == "cpu" else f"-{device}")


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


def dockerfile(root: Path, algorithm: str) -> Path:
    """Return the path of an algorithm's own Dockerfile, or of the common one without it."""
    own = root / "algorithms" / algorithm / "Dockerfile"
    return own if own.is_file() else root / "Dockerfile"


def lock(root: Path, device: Device) -> Path:
    """Return the path of the list of locked packages for a device."""
    return root / "docker" / f"requirements-{device}.txt"
