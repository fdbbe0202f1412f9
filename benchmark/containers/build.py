"""Build the images of the algorithms."""

import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from benchmark.containers.base import build_base
from benchmark.containers.builder import Say, quiet, remove_untagged, run_build
from benchmark.containers.context import Files, by_name
from benchmark.containers.daemon import Client, need_docker
from benchmark.containers.images import (
    SOURCE_LABEL,
    Device,
    dockerfile,
    image_digest,
    image_state,
    image_tag,
)
from benchmark.containers.sources import runtime_files
from cytosuite.errors import InputError
from cytosuite.manifest import read_algorithm

ALGORITHM_LABEL = "org.cytosuite.algorithm"


def build(
    client: Client,
    root: Path,
    algorithm: str,
    *,
    device: Device = "cpu",
    base_image: str | None = None,
    force: bool = False,
    say: Say = quiet,
) -> str:
    """Build the image of an algorithm, and the base image before it if necessary.

    Parameters
    ----------
    client : docker.DockerClient
        Of the daemon that builds; the build has no network.
    root : Path
        The checkout. A Dockerfile in the algorithm's folder is used instead of the common one.
    algorithm : str
        Its name.
    device : str
        ``cpu`` or ``cuda``.
    base_image : str, optional
        See `benchmark.containers.base.build_base`.
    force : bool
        Build even if the image is current.
    say : callable
        Gets short lines of progress; the builder's whole output is in ``runs/build``.

    Returns
    -------
    str
        The tag.

    Raises
    ------
    InputError
        If there is no such algorithm, or the daemon or the build fails.
    """
    manifest = read_algorithm(root / "algorithms" / algorithm / "algorithm.toml")
    tag = image_tag(algorithm, device)
    if not force and image_state(client, root, algorithm, device) == "current":
        say(f"{tag} is current")
        return tag
    base = build_base(client, root, device=device, base_image=base_image, say=say)
    revision, created = _commit(root)
    arguments = {
        "BASE": base,
        "ALGORITHM": algorithm,
        "VERSION": manifest.version,
        "REVISION": revision,
        "CREATED": created,
    }
    files: Files = {
        "Dockerfile": dockerfile(root, algorithm),
        f"weights/{algorithm}": None,  # the Dockerfile copies it, also without weights
        **by_name(runtime_files(root, algorithm), root),
    }
    labels = {SOURCE_LABEL: image_digest(root, algorithm, device), ALGORITHM_LABEL: algorithm}
    run_build(client, root, tag, files, arguments, labels, say)
    remove_untagged(client, f"{ALGORITHM_LABEL}={algorithm}")
    say(f"{tag} is built")
    return tag


def build_all(
    root: Path,
    names: Iterable[str],
    device: Device,
    say: Say,
    base_image: str | None = None,
) -> None:
    """Build the images of these algorithms that are not current, see :func:`build`.

    Raises
    ------
    InputError
        If no daemon answers, or a build fails.
    """
    client = need_docker()
    for name in names:
        build(client, root, name, device=device, base_image=base_image, say=say)


def ensure_images(
    client: Client,
    root: Path,
    names: Iterable[str],
    say: Say,
    device: Device = "cpu",
    base_image: str | None = None,
) -> None:
    """Build missing images; refuse stale ones.

    Raises
    ------
    InputError
        If an image is stale, with the command that builds it anew, or a build fails.
    """
    states = {name: image_state(client, root, name, device) for name in names}
    if stale := [name for name, state in states.items() if state == "stale"]:
        raise InputError(
            f"built from other sources than the checkout's: image of {', '.join(stale)}; run "
            f"`make {' '.join(f'build-{name}' for name in stale)}`"
        )
    for name, state in states.items():
        if state == "missing":
            build(client, root, name, device=device, base_image=base_image, say=say)


def _commit(root: Path) -> tuple[str, str]:
    """Return hash and time of the checkout's commit; unknown and now outside git."""
    done = subprocess.run(
        ["git", "-C", str(root), "log", "-1", "--format=%H %cI"],
        capture_output=True,
        text=True,
        check=False,
    )
    revision, _, created = done.stdout.strip().partition(" ")
    if done.returncode or not created:
        return "unknown", datetime.now(UTC).isoformat(timespec="seconds")
    return revision, created
