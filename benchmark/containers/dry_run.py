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

CHECK_S = 120
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
    layers = {part.tag(root)[0]: part for image in images for part in _stack(image.layer(root))}
    for tag, layer in layers.items():
        start = layer.below.tag(root)[0] if layer.below else base_image or first_image(root)
        locks = (path.name for path in layer.files(root) if path.suffix == ".txt")
        say(f"{tag}: on {start}, locks {', '.join(locks)}")
        dockerfiles.setdefault(root / BASE_FILE, {"BASE_IMAGE": start, "KIND": layer.kind})
    for image in images:
        base, context = image.layer(root).tag(root)[0], image.context(root)
        size = sum(path.stat().st_size for path in context.values() if isinstance(path, Path))
        say(f"{image.tag}: on {base}, {image.reason}")
        say(f"  {len(context)} files, {size / 1e6:.1f} MB, digest {image.digest(root)[:12]}")
        dockerfiles.setdefault(image.dockerfile, {"BASE": base, **image.arguments})
    if _complaints("FROM scratch\n", {}):
        say(f"Dockerfiles are not checked: no builder answers `{' '.join(CHECK)}`")
        return
    for path, arguments in dockerfiles.items():
        if lines := _complaints(path.read_text("utf-8"), arguments):
            for line in lines:
                say(f"  {plain(line)}")
            raise InputError(f"{path}: `{' '.join(CHECK)}` finds mistakes, see above")


def _stack(layer: Layer) -> list[Layer]:
    """Return a layer after those that it stands on."""
    return [*(_stack(layer.below) if layer.below else []), layer]


def _complaints(dockerfile: str, arguments: Mapping[str, str]) -> list[str]:
    """Return the lines of the builder on a Dockerfile that it refuses, else none."""
    words = (word for pair in arguments.items() for word in ("--build-arg", "=".join(pair)))
    try:
        done = subprocess.run(
            [*CHECK, *words, "-"],
            input=dockerfile,
            capture_output=True,
            text=True,
            timeout=CHECK_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return [str(error)]
    if done.returncode == 0:
        return []
    text = f"{done.stdout}\n{done.stderr}"
    return [line for line in text.splitlines() if line.strip()] or [f"exit code {done.returncode}"]
