"""List the steps of a build of images, and check all that can be checked without building."""

import subprocess
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cytosuite.benchmark.containers.context import by_name
from cytosuite.benchmark.containers.dockerfile import mistakes, parse
from cytosuite.benchmark.containers.images import (
    BASE_FILE,
    Blueprint,
    algorithm_blueprint,
    base_files,
    base_tag,
    first_image,
)
from cytosuite.benchmark.containers.locks import Base, Device
from cytosuite.errors import InputError, plain
from cytosuite.files import read_text

CHECK_S = 1800
Say = Callable[[str], None]


def dry_run(
    root: Path, algorithms: Iterable[str], device: Device, base_image: str | None, say: Say
) -> None:
    """List the steps of the build of some algorithms.

    Parameters
    ----------
    root : Path
        The checkout.
    algorithms : iterable of str
        Their names.
    device : str
        ``cpu`` or ``cuda``.
    base_image : str or None
        Image with Python to build upon, in place of that in ``docker/base.Dockerfile``.
    say : callable
        Gets the lines: of each image tag, base, files and digest, and of each locked wheel its
        size in the package index, which is asked but hands out nothing.

    Raises
    ------
    InputError
        If a Dockerfile has a mistake, or the index lacks a wheel or has another one. All are said
        before.
    """
    images = [algorithm_blueprint(root, name, device) for name in algorithms]
    kinds = sorted({"slim", *(image.base for image in images)}, key=lambda kind: kind != "slim")
    rehearsal = _Rehearsal(root, base_image, say)
    for kind in kinds:
        rehearsal.base(kind)
    for image in images:
        rehearsal.image(image)
    if rehearsal.count:
        raise InputError(f"the build would fail; mistakes, see above: {rehearsal.count}")


@dataclass
class _Rehearsal:
    """A build that only lists its steps, and counts the mistakes."""

    root: Path
    base_image: str | None
    say: Say
    count: int = 0

    def base(self, kind: Base) -> None:
        """Say how a base is built."""
        start = self.base_image or first_image(self.root)
        start = start if kind == "slim" else base_tag(self.root, "slim")[0]
        locks = [path for path in base_files(self.root, kind) if path.suffix == ".txt"]
        self.say(f"{base_tag(self.root, kind)[0]}: on {start}")
        self.say(f"  locks: {', '.join(path.name for path in locks)}")
        names = {f"wheelhouse/{kind}/{name}" for name in self.wheels("--base", kind)}
        names |= {f"wheelhouse/{kind}"} | set(by_name(locks, self.root / "docker"))
        given = {"BASE_IMAGE": start, "KIND": kind}
        self.dockerfile(self.root / BASE_FILE, names, given)

    def image(self, image: Blueprint) -> None:
        """Say how the image of an algorithm is built."""
        context = image.context(self.root)
        size = sum(path.stat().st_size for path in context.values() if isinstance(path, Path))
        self.say(f"{image.tag}: on {base_tag(self.root, image.base)[0]}, {image.reason}")
        digest = image.digest(self.root)
        self.say(f"  {len(context)} files, {size / 1e6:.1f} MB, digest {digest[:12]}")
        names = set(context)
        if image.packages is not None:
            place = image.packages.parent.relative_to(self.root).as_posix()
            names |= {f"{place}/wheels/{name}" for name in self.wheels("--folder", place)}
        given = {"BASE": base_tag(self.root, image.base)[0], **image.arguments}
        given |= dict.fromkeys(("VERSION", "REVISION", "CREATED"), "known")
        self.dockerfile(image.dockerfile, names, given)

    def dockerfile(self, path: Path, names: Collection[str], given: Mapping[str, str]) -> None:
        """Say whether a Dockerfile is well."""
        text = read_text(path)
        place = path.relative_to(self.root)
        steps = parse(text)
        found = mistakes(text, names, given)
        self.say(f"  {place}: {len(steps)} instructions, {len(found)} mistakes")
        for line in found:
            self.mistake(f"{place}, {line}")

    def wheels(self, *options: str) -> list[str]:
        """Say all wheels of a lock with their sizes, and return their names."""
        words = [sys.executable, str(self.root / "docker" / "wheelhouse.py"), "--check", *options]
        done = subprocess.run(words, capture_output=True, text=True, timeout=CHECK_S, check=False)
        lines = done.stdout.splitlines()
        for line in lines:
            self.say(f"  {plain(line)}")
        for line in done.stderr.splitlines():
            self.mistake(line)
        return [name for line in lines if (name := line.partition(":")[0]).endswith(".whl")]

    def mistake(self, line: str) -> None:
        """Say a mistake and count it."""
        self.count += 1
        self.say(f"  mistake: {plain(line)}")
