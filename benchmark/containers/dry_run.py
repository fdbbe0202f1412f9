"""Say what a build of images would do, without building."""

import subprocess
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from cytosuite.benchmark.containers.images import (
    BASE_FILE,
    Layer,
    algorithm_blueprint,
    first_image,
)
from cytosuite.benchmark.containers.locks import Device
from cytosuite.errors import InputError, plain

CHECK = ("docker", "build", "--check")


def dry_run(
    root: Path,
    algorithms: Iterable[str],
    device: Device,
    base_image: str | None,
    say: Callable[[str], None],
) -> None:
    """Say tags, bases, files and digests; InputError if the builder finds fault with a Dockerfile.

    BuildKit reads Dockerfiles without building (``docker build --check``); other builders do not.
    """
    images = [algorithm_blueprint(root, name, device) for name in algorithms]
    dockerfiles: dict[Path, Mapping[str, str]] = {}
    for tag, layer in {p.tag(root)[0]: p for i in images for p in _stack(i.layer(root))}.items():
        start = layer.below.tag(root)[0] if layer.below else base_image or first_image(root)
        say(f"{tag}: on {start}, packages of {layer.lock.name}")
        dockerfiles.setdefault(root / BASE_FILE, {"BASE_IMAGE": start, "KIND": layer.kind})
    for image in images:
        base = image.layer(root).tag(root)[0]
        say(f"{image.tag}: on {base}, {image.reason}")
        say(f"  {len(image.context(root))} files, digest {image.digest(root)[:12]}")
        dockerfiles.setdefault(image.dockerfile, {"BASE": base, **image.arguments})
    if _complaint("FROM scratch\n", {}):
        say(f"Dockerfiles are not checked: no builder answers `{' '.join(CHECK)}`")
        return
    for path, arguments in dockerfiles.items():
        if line := _complaint(path.read_text("utf-8"), arguments):
            raise InputError(f"{path}: `{' '.join(CHECK)}` finds mistakes: {line}")


def _stack(layer: Layer) -> list[Layer]:
    """Return a layer after those that it stands on."""
    return [*(_stack(layer.below) if layer.below else []), layer]


def _complaint(dockerfile: str, arguments: Mapping[str, str]) -> str:
    """Return the words of the builder on a Dockerfile that it refuses, else none."""
    command = [*CHECK, *(f"--build-arg={name}={value}" for name, value in arguments.items()), "-"]
    try:
        done = subprocess.run(
            command, input=dockerfile, capture_output=True, text=True, check=False
        )
    except OSError as error:
        return str(error)
    return plain(done.stdout + done.stderr) if done.returncode else ""
