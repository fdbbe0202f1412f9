"""Build the images of the algorithms, and tell whether an image is that of the checkout."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias

from benchmark.containers.context import pack, tree
from benchmark.engines.daemon import Client, daemon_errors, need_docker
from cytosuite import __version__
from cytosuite.errors import InputError
from cytosuite.files import digest
from cytosuite.manifest import read_algorithm

Device: TypeAlias = Literal["cpu", "cuda"]
State: TypeAlias = Literal["missing", "stale", "current"]
Say: TypeAlias = Callable[[str], None]

ALGORITHM_LABEL = "org.cytosuite.algorithm"
SOURCE_LABEL = "org.cytosuite.source-digest"
INPUTS_LABEL = "org.cytosuite.base-inputs"
FROM_LABEL = "org.cytosuite.base-image"
STAGE_LABEL = "org.cytosuite.stage=packages"
BASE_FILE = "docker/base.Dockerfile"
STEP = re.compile(r"Step (\d+)/(\d+) ?: ((?:COPY|RUN).{0,50})", re.IGNORECASE)
BUILD_S = 3600  # a step of a build may be silent for minutes


def _quiet(line: str) -> None:
    """Say nothing."""
    del line


def image_tag(algorithm: str, device: Device = "cpu") -> str:
    """Return the tag of an algorithm's image.

    Examples
    --------
    >>> image_tag("watershed").partition(":")[0]
    'cytosuite/watershed'
    """
    return f"cytosuite/{algorithm}:{__version__}" + ("" if device == "cpu" else f"-{device}")


def source_digest(root: Path, algorithm: str, device: Device = "cpu") -> str:
    """Return the digest of all that decides an algorithm's image.

    Parameters
    ----------
    root : Path
        The checkout.
    algorithm : str
        Its name.
    device : str
        ``cpu`` or ``cuda``: which lock counts.

    Returns
    -------
    str
        SHA-256 over names and contents of the library, the algorithm's folder, its weights, the
        Dockerfiles and the lock; caches and hidden files do not count.
    """
    parts = ["cytosuite", "algorithms/__init__.py", f"algorithms/{algorithm}"]
    parts += [f"weights/{algorithm}", "Dockerfile", BASE_FILE, _lock(device)]
    return digest([root / part for part in parts], root)


def image_state(client: Client, root: Path, algorithm: str, device: Device = "cpu") -> State:
    """Return whether an algorithm's image is there, and whether it is that of the checkout.

    Parameters
    ----------
    client : docker.DockerClient
        Of the daemon that holds the images.
    root, algorithm, device
        As for :func:`source_digest`.

    Returns
    -------
    str
        ``missing``, ``stale`` (built from other sources) or ``current``.

    Raises
    ------
    InputError
        If the daemon fails.
    """
    tag = image_tag(algorithm, device)
    labels = _labels(client, tag)
    if labels is None:
        return "missing"
    same = labels.get(SOURCE_LABEL) == source_digest(root, algorithm, device)
    return "current" if same else "stale"


def build(
    client: Client,
    root: Path,
    algorithm: str,
    *,
    device: Device = "cpu",
    base_image: str | None = None,
    force: bool = False,
    say: Say = _quiet,
) -> str:
    """Build the image of an algorithm, and the base before it where that is needed.

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
        See :func:`build_base`.
    force : bool
        Build even if the image is current.
    say : callable
        Gets short lines of progress; all that the builder says is in ``runs/build``.

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
    labels = {SOURCE_LABEL: source_digest(root, algorithm, device), ALGORITHM_LABEL: algorithm}
    _build(client, root, tag, _context(root, algorithm), arguments, labels, say)
    _prune(client, f"{ALGORITHM_LABEL}={algorithm}")
    say(f"{tag} is built")
    return tag


def build_all(
    root: Path,
    names: Iterable[str],
    device: Device,
    say: Say,
    base_image: str | None = None,
) -> None:
    """Build the images of these algorithms, see :func:`build`; a current one is left.

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
    """Build the images that are missing; refuse those of other sources.

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


def build_base(
    client: Client,
    root: Path,
    *,
    device: Device = "cpu",
    base_image: str | None = None,
    say: Say = _quiet,
) -> str:
    """Build the image which the algorithms share, unless one of the same inputs is there.

    Parameters
    ----------
    client : docker.DockerClient
        Of the daemon that builds; the build has no network.
    root : Path
        The checkout.
    device : str
        ``cpu`` or ``cuda``: which lock, and which wheels.
    base_image : str, optional
        Image with Python 3.11 to build on. By default any base of the same lock and Dockerfile will
        do; if there is none, the default of ``docker/base.Dockerfile``.
    say : callable
        Gets short lines of progress.

    Returns
    -------
    str
        The tag, which names the inputs; ``cytosuite/base:<device>`` is the same image.

    Raises
    ------
    InputError
        If the wheels cannot be collected, the base image cannot be had, or the build fails.
    """
    inputs = digest([root / BASE_FILE, root / _lock(device)], root)
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
    files: dict[str, Path | bytes | None] = {
        "Dockerfile": root / BASE_FILE,
        f"requirements-{device}.txt": root / _lock(device),
        **tree(root / "docker" / "wheelhouse" / device, f"wheelhouse/{device}"),
    }
    arguments = {"BASE_IMAGE": start, "DEVICE": device}
    _build(client, root, tag, files, arguments, {INPUTS_LABEL: inputs, FROM_LABEL: start}, say)
    with daemon_errors(f"tag of {tag}"):
        client.images.get(tag).tag("cytosuite/base", device)
    _prune(client, STAGE_LABEL)
    say(f"{tag} is built")
    return tag


def _context(root: Path, algorithm: str) -> dict[str, Path | bytes | None]:
    """Return what is sent to the builder for an algorithm."""
    own = root / "algorithms" / algorithm / "Dockerfile"
    return {
        "Dockerfile": own if own.is_file() else root / "Dockerfile",
        "algorithms/__init__.py": root / "algorithms" / "__init__.py",
        **tree(root / "cytosuite", "cytosuite"),
        **tree(root / "algorithms" / algorithm, f"algorithms/{algorithm}"),
        **tree(root / "weights" / algorithm, f"weights/{algorithm}"),
    }


def _build(
    client: Client,
    root: Path,
    tag: str,
    files: Mapping[str, Path | bytes | None],
    arguments: Mapping[str, str],
    labels: Mapping[str, str],
    say: Say,
) -> None:
    """Run one build; what it says goes to a log, its steps to `say`."""
    name = re.sub(r"[^a-z0-9._-]+", "-", tag.removeprefix("cytosuite/"))
    log = root / "runs" / "build" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with daemon_errors(f"build of {tag}"), closing(pack(files)) as context:
        answer = client.api.build(
            fileobj=context,
            custom_context=True,
            tag=tag,
            buildargs=dict(arguments),
            labels=dict(labels),
            network_mode="none",
            rm=True,
            forcerm=True,
            decode=True,
            timeout=BUILD_S,
        )
        with log.open("w", encoding="utf-8") as stream:
            for line in _lines(answer, tag, log):
                stream.write(line)
                if step := STEP.match(line):
                    say(f"{tag}: step {step[1]} of {step[2]}: {step[3]}")


def _lines(answer: Iterable[Mapping[str, Any]], tag: str, log: Path) -> Iterator[str]:
    """Yield what the builder says; its error becomes ours."""
    last = ""
    for message in answer:
        if "error" in message:
            yield f"{message['error']}\n"
            reason = " ".join(str(message["error"]).split())[:200]
            raise InputError(f"build of {tag} failed: {last or reason}; all of it is in {log}")
        text = str(message.get("stream", ""))
        if text.strip() and not text.startswith(
            ("Step ", " --->", "Removing intermediate", "STEP ", "-->")
        ):
            last = " ".join(text.split())[:200]
        yield text


def _prune(client: Client, label: str) -> None:
    """Remove images of this label that a build has left without a tag."""
    with daemon_errors("removal of the images before this one"):
        client.images.prune(filters={"dangling": True, "label": label})


def _labels(client: Client, tag: str) -> Mapping[str, str] | None:
    """Return the labels of an image, None if it is not there."""
    from docker.errors import ImageNotFound

    with daemon_errors(f"look at {tag}"):
        try:
            return dict(client.images.get(tag).labels)
        except ImageNotFound:
            return None


def _need_image(client: Client, name: str, say: Say) -> None:
    """Pull an image unless it is there."""
    if _labels(client, name) is not None:
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


def _commit(root: Path) -> tuple[str, str]:
    """Return name and time of the checkout's commit; unknown and now outside git."""
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


def _lock(device: Device) -> str:
    """Return the path of a device's lock in the checkout."""
    return f"docker/requirements-{device}.txt"
