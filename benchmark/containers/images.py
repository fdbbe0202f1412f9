"""Tags of the algorithms' images, digests of their sources, and the images they stand on."""

import re
from pathlib import Path
from typing import Literal, TypeAlias

from cytosuite import __version__
from cytosuite.benchmark.containers.sources import runtime_files
from cytosuite.files import digest

Device: TypeAlias = Literal["cpu", "cuda"]
BASE_FILE = "docker/base.Dockerfile"
FROM = re.compile(r"(?mi)^\s*(?:FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?|COPY\s.*?--from=(\S+))")


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


def foreign_images(text: str) -> list[str]:
    """Return the images of others that a Dockerfile starts from or copies from.

    Parameters
    ----------
    text : str
        Of the Dockerfile. Stages of its own, ``scratch`` and the base that `Builder` passes as
        ``BASE`` are none; an ``ARG`` before counts with its default.

    Examples
    --------
    >>> foreign_images("FROM ${BASE}")
    []
    """
    text = re.sub(r"\\\s*\n", " ", text)
    defaults = dict(re.findall(r"(?mi)^\s*ARG\s+(\w+)=(\S+)", text))
    stages, found = {"scratch"}, []
    for start, stage, source in FROM.findall(text):
        given = start or source
        name = re.sub(r"\$\{?(\w+)\}?", lambda part: defaults.get(part[1], part[0]), given)
        unknown = "$" in name or given in {"$BASE", "${BASE}"} or name.isdigit()
        if not unknown and name.lower() not in stages:
            found.append(name)
        stages.add(stage.lower())
    return list(dict.fromkeys(found))


def lock(root: Path, device: Device) -> Path:
    """Return the path of the list of locked packages for a device."""
    return root / "docker" / f"requirements-{device}.txt"
