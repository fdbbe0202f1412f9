"""Build the base image that all algorithms share: Python and the locked packages."""

import re
import subprocess
import sys
from pathlib import Path

from benchmark.containers.builder import Say, quiet, remove_untagged, run_build
from benchmark.containers.context import by_name
from benchmark.containers.daemon import Client, daemon_errors
from benchmark.containers.images import BASE_FILE, Device, image_labels, lock
from cytosuite.errors import InputError
from cytosuite.files import digest, visible_files

INPUTS_LABEL = "org.cytosuite.base-inputs"
FROM_LABEL = "org.cytosuite.base-image"
STAGE_LABEL = "org.cytosuite.stage=packages"


def build_base(
    client: Client,
    root: Path,
    *,
    device: Device = "cpu",
    base_image: str | None = None,
    say: Say = quiet,
) -> str:
    """Build the base image, unless one of the same inputs exists.

    Parameters
    ----------
    client : docker.DockerClient
        Of the daemon that builds; the build has no network.
    root : Path
        The checkout.
    device : str
        ``cpu`` or ``cuda``: decides the lock and the wheels.
    base_image : str, optional
        Image with Python 3.11 to build upon. Without it, any base of the same lock and Dockerfile
        is used; if there is none, the default of ``docker/base.Dockerfile``.
    say : callable
        Gets short lines of progress.

    Returns
    -------
    str
        The tag, which names the inputs; ``cytosuite/base:<device>`` is the same image.

    Raises
    ------
    InputError
        If the wheels or the image to build upon are not available, or the build fails.
    """
    inputs = digest([root / BASE_FILE, lock(root, device)], root)
    wanted = [f"{INPUTS_LABEL}={inputs}"] + ([f"{FROM_LABEL}={base_image}"] if base_image else [])
    with daemon_errors("search for the base image"):
        for image in client.images.list(filters={"label": wanted}):
            for tag in image.tags:
                if f"/{tag}".rpartition("/cytosuite/")[2].startswith(f"base:{device}-"):
                    image.tag("cytosuite/base", device)
                    return str(tag)
    text = (root / BASE_FILE).read_text(encoding="utf-8")
    start = base_image or re.findall(r"^ARG BASE_IMAGE=(\S+)", text, re.MULTILINE)[0]
    _need_image(client, start, say)
    _collect_wheels(root, device, say)
    tag = f"cytosuite/base:{device}-{inputs[:12]}"
    wheels = visible_files(root / "docker" / "wheelhouse" / device)
    files = by_name([lock(root, device), *wheels], root / "docker")
    files["Dockerfile"] = root / BASE_FILE
    arguments = {"BASE_IMAGE": start, "DEVICE": device}
    run_build(client, root, tag, files, arguments, {INPUTS_LABEL: inputs, FROM_LABEL: start}, say)
    with daemon_errors(f"tag of {tag}"):
        client.images.get(tag).tag("cytosuite/base", device)
    remove_untagged(client, STAGE_LABEL)
    say(f"{tag} is built")
    return tag


def _need_image(client: Client, name: str, say: Say) -> None:
    """Pull an image unless the daemon has it."""
    if image_labels(client, name) is not None:
        return
    say(f"pulling {name}")
    try:
        with daemon_errors(f"pull of {name}"):
            client.images.pull(name)
    except InputError as error:
        raise InputError(
            f"{error}; without an image registry make a base with "
            "docker/bootstrap_base.sh cytosuite/debian:bookworm and give it as BASE_IMAGE"
        ) from None


def _collect_wheels(root: Path, device: Device, say: Say) -> None:
    """Fill the wheelhouse of a device."""
    say(f"collecting wheels into docker/wheelhouse/{device}")
    done = subprocess.run(
        [sys.executable, str(root / "docker" / "wheelhouse.py"), "--device", device],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise InputError(lines[-1] if lines else f"docker/wheelhouse.py: exit {done.returncode}")
