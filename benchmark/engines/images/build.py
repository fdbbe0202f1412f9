"""Build the images of algorithms and other programs, and the bases that they share."""

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from cytosuite.benchmark.catalog.packages import Base, Device
from cytosuite.benchmark.engines.images.blueprints import (
    BASE_FILE,
    PACKAGES_FILE,
    Blueprint,
    Files,
    Layer,
    algorithm_blueprint,
    base_layer,
    by_name,
    first_image,
    foreign_images,
    pack,
)
from cytosuite.benchmark.engines.images.daemon import Client, daemon_errors, find_image
from cytosuite.contract.words import Say
from cytosuite.errors import InputError, plain
from cytosuite.files import (
    Entries,
    TextDict,
    TextMap,
    TextPair,
    frozen,
    read_text,
    remove,
    value_digest,
)
from cytosuite.files.working import alone

SOURCE_LABEL = "org.cytosuite.source-digest"
INPUTS_LABEL = "org.cytosuite.base-inputs"
FROM_LABEL = "org.cytosuite.base-image"
FROM_ID_LABEL = "org.cytosuite.base-image-id"
FOREIGN_LABEL = "org.cytosuite.from-images"
LAYERS_LABEL = "org.cytosuite.layers"  # inputs of a base and of those below it
UNPINNED_LABEL = "org.cytosuite.unpinned-packages"  # without a checksum in a lock, as JSON
ORIGIN_LABELS = (SOURCE_LABEL, FROM_ID_LABEL, FOREIGN_LABEL, UNPINNED_LABEL)
STEP = re.compile(r"Step (\d+)/(\d+) ?: ((?:COPY|RUN).{0,50})", re.IGNORECASE)
NO_REASON = ("Step ", " --->", "Removing intermediate", "STEP ", "-->")
CHECK = ("docker", "build", "--check")
BUILD_S = 3600  # a step of a build may print nothing for minutes


@frozen
class Builder:
    """Build images on a Docker daemon, without a network; InputError if it or a build fails."""

    client: Client  # of the daemon
    root: Path  # the checkout; the builder's whole output is written to ``runs/build`` in it
    device: Device = "cpu"
    base_image: str | None = None
    say: Say = print  # gets short lines of progress
    engine: str = "docker"  # ``docker`` or ``podman``, for messages
    anew: bool = False

    def state(self, image: Blueprint) -> Literal["missing", "stale", "current"]:
        """Return whether an image exists, and is of these sources and images and built here."""
        built = find_image(self.client, image.tag)
        if built is None:
            return "missing"
        same = built.labels.get(SOURCE_LABEL) == image.digest(self.root)
        if not same or not is_built(self.root, image.tag, built.id):
            return "stale"
        for tag, identity in json.loads(built.labels.get(FOREIGN_LABEL, "{}")).items():
            there = find_image(self.client, tag)
            if there is not None and there.id != identity:
                return "stale"
        return "current"

    def ensure(self, algorithms: Iterable[str]) -> None:
        """Build images that are missing or stale."""
        for name in dict.fromkeys(algorithms):
            image = algorithm_blueprint(self.root, name, self.device)
            if (state := self.state(image)) == "stale":
                self.say(
                    f"{name}: not built here from the checkout's sources, or on an image that has "
                    "changed since: it is built again"
                )
            if state != "current":
                self.build_image(image)

    def build(self, algorithm: str) -> str:
        """Build the image of an algorithm and return its tag, see `build_image`."""
        return self.build_image(algorithm_blueprint(self.root, algorithm, self.device))

    def build_image(self, image: Blueprint) -> str:
        """Build an image, and its base before it if necessary; return the tag."""
        root = self.root
        tag = image.tag
        if not self.anew and self.state(image) == "current":
            self.say(f"{tag} is current")
            return tag
        if image.reason:
            self.say(f"{tag}: on the base {image.base}, {image.reason}")
        revision, created = _commit(root)
        facts = {"VERSION": image.version, "REVISION": revision, "CREATED": created}
        arguments = {"BASE": self._layer(image.layer(root)), **facts, **image.arguments}
        files = image.context(root)
        labels = {SOURCE_LABEL: image.digest(root), **image.labels}
        if foreign := {
            name: str(self._need(name).id)
            for name in foreign_images(image.dockerfile.read_text("utf-8"))
        }:
            labels[FOREIGN_LABEL] = json.dumps(foreign, sort_keys=True)
        before = find_image(self.client, tag)
        identity = self._run(tag, files, arguments, labels)
        if before is not None and before.id != identity:
            self._remove(before.id, tag)
        self.say(f"{tag} is built")
        return tag

    def _remove(self, before: str, tag: str) -> None:
        """Remove the image that had a tag; one that is in use stays, and no build fails by it."""
        try:
            with daemon_errors(f"{tag}: the image before it was not removed"):
                self.client.images.remove(before)
        except InputError as reason:
            self.say(str(reason))

    def base(self, kind: Base = "slim") -> str:
        """Build a base image, unless one of the same inputs exists; return the tag they make."""
        return self._layer(base_layer(self.root, kind))

    def _layer(self, layer: Layer) -> str:
        """Build a layer, see `base`; one program does so at a time, others wait for it."""
        tag, inputs = layer.tag(self.root)
        if self._is_published(inputs):
            return str(self.base_image)
        if base := self._found_base(layer.kind, inputs):
            return base
        with alone(self.root / f"docker/packages/.{layer.kind}"):
            return self._found_base(layer.kind, inputs) or self._built(layer, tag, inputs)

    def _built(self, layer: Layer, tag: str, inputs: str) -> str:
        """Build a layer; its packages come while that below is built."""
        root, kind, below, labels = self.root, layer.kind, layer.below, {INPUTS_LABEL: inputs}
        self.say(f"collecting packages into docker/packages/{kind}")
        with ThreadPoolExecutor(1) as beside:
            unpacked = beside.submit(self._unpack, layer)
            start = self._layer(below) if below else self.base_image or first_image(root)
            image = self._need(start)
            if below:
                labels[FROM_LABEL] = image.labels[FROM_LABEL]
                labels[LAYERS_LABEL] = f"{image.labels.get(LAYERS_LABEL, '')} {inputs}".strip()
            elif LAYERS_LABEL in image.labels:
                raise InputError(
                    f"BASE_IMAGE={start}: a base of other locks, or named by a tag; expected one "
                    "of this version by its digest (name@sha256:...), or an image with Python 3.11"
                )
            else:  # by its digest in a registry, if it comes from one
                identity = next(iter(image.attrs.get("RepoDigests") or ()), image.id)
                labels |= {FROM_LABEL: start, FROM_ID_LABEL: str(identity), LAYERS_LABEL: inputs}
            folder, unpinned = unpacked.result()
        if unpinned:
            labels[UNPINNED_LABEL] = json.dumps(unpinned, sort_keys=True)
        packages = (path for path in folder.rglob("*") if path.is_file())
        files = {"Dockerfile": root / BASE_FILE, **by_name(packages, root / "docker")}
        self._run(tag, files, {"BASE_IMAGE": start, "KIND": kind}, labels)
        remove(folder)  # the image has them
        with daemon_errors(f"tag of {tag}"):
            self.client.images.get(tag).tag("cytosuite/base", kind)
        self.say(f"{tag} is built")
        return tag

    def _is_published(self, inputs: str) -> bool:
        """Return whether the image that the user names is a base of ours with these inputs."""
        if self.base_image is None or "@sha256:" not in self.base_image:
            return False  # a tag may mean another image tomorrow
        return inputs in self._need(self.base_image).labels.get(LAYERS_LABEL, "").split()

    def _unpack(self, layer: Layer) -> tuple[Path, TextDict]:
        """Write the packages of a layer into a folder; return it, and digests of the unpinned."""
        folder = self.root / "docker/packages" / layer.kind
        command = [sys.executable, str(self.root / PACKAGES_FILE), str(layer.lock), str(folder)]
        if layer.below:
            command += ["--below", str(layer.below.lock)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            reason = done.stderr.strip() or f"{PACKAGES_FILE}: exit {done.returncode}"
            raise InputError(reason.splitlines()[-1])
        return folder, dict(line.split() for line in done.stdout.splitlines())

    def _found_base(self, kind: str, inputs: str) -> str | None:
        """Return the tag of a base that was built from these inputs, None without one or `anew`."""
        if self.anew:
            return None
        with daemon_errors("search for the base image"):
            # Podman 4.3 finds nothing by two labels at once. `client.images.list` asks for each
            # image again, and fails if another build has removed one of them in between.
            for image in self.client.api.images(filters={"label": f"{INPUTS_LABEL}={inputs}"}):
                fits = self.base_image in (None, image["Labels"].get(FROM_LABEL))
                for tag in image["RepoTags"] or ():
                    short = f"/{tag}".rpartition("/cytosuite/")[2]
                    named = fits and short.startswith(f"base:{kind}-")
                    if named and is_built(self.root, short, image["Id"]):
                        self.client.api.tag(image["Id"], "cytosuite/base", kind)
                        return str(tag)
        return None

    def _run(self, tag: str, files: Files, arguments: TextMap, labels: TextMap) -> str:
        """Run one build and return the image's id; its output goes to a log, its steps to `say`."""
        log = build_file(self.root, tag, ".log")
        log.parent.mkdir(parents=True, exist_ok=True)
        with daemon_errors(f"build of {tag}"), closing(pack(files)) as context:
            answer = self.client.api.build(
                fileobj=context,
                custom_context=True,
                tag=tag,
                buildargs=dict(arguments),
                labels=dict(labels),
                network_mode="none",
                nocache=self.anew,
                rm=True,
                forcerm=True,
                decode=True,
                timeout=BUILD_S,
            )
            with log.open("w", encoding="utf-8") as stream:
                for line in _lines(answer, tag, log):
                    stream.write(line)
                    if step := STEP.match(line):
                        self.say(f"{tag}: step {step[1]} of {step[2]}: {step[3]}")
            identity = str(self.client.images.get(tag).id)
            remember(self.root, tag, identity)
        return identity

    def _need(self, tag: str) -> Any:  # noqa: ANN401 - of the SDK
        """Return an image, which is pulled unless the daemon has it."""
        image = find_image(self.client, tag)
        if image is None:
            self.say(f"pulling {tag}")
            try:
                with daemon_errors(f"pull of {tag}"):
                    image = self.client.images.pull(tag)
            except InputError as error:
                raise InputError(
                    f"{error}; without an image registry make a base with "
                    "docker/bootstrap_base.sh cytosuite/debian:bookworm and give it as BASE_IMAGE"
                ) from None
        return image


def _lines(answer: Iterable[Entries], tag: str, log: Path) -> Iterator[str]:
    """Yield the builder's output; raise its error as an `InputError`."""
    last = ""
    for message in answer:
        if "error" in message:
            yield f"{message['error']}\n"
            reason = " ".join(str(message["error"]).split())[:200]
            raise InputError(f"build of {tag} failed: {last or reason}; all of it is in {log}")
        text = str(message.get("stream", ""))
        if text.strip() and not text.startswith(NO_REASON):
            last = " ".join(text.split())[:200]
        yield text


def _commit(root: Path) -> TextPair:
    """Return hash and time of the checkout's commit; unknown and now outside git."""
    command = ["git", "-C", str(root), "log", "-1", "--format=%H %cI"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    revision, _, created = done.stdout.strip().partition(" ")
    if done.returncode or not created:
        return "unknown", datetime.now(UTC).isoformat(timespec="seconds")
    return revision, created


def build_file(root: Path, tag: str, suffix: str) -> Path:
    """Return the path of a file about the builds of a tag: ``.log``, or ``.ids``, a line each."""
    name = re.sub(r"[^a-z0-9._-]+", "-", tag.removeprefix("cytosuite/"))
    return root / f"runs/build/{name}{suffix}"


def remember(root: Path, tag: str, identity: str) -> None:
    """Add an image to those that were built here under a tag."""
    if not is_built(root, tag, identity):
        path = build_file(root, tag, ".ids")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as stream:
            stream.write(f"{identity}\n")  # at once: other builders may add theirs


def is_built(root: Path, tag: str, identity: str) -> bool:
    """Return whether an image was built here under a tag, by any daemon."""
    path = build_file(root, tag, ".ids")
    return path.is_file() and identity in read_text(path).splitlines()


def made_from(image: Any) -> str:  # noqa: ANN401 - of the SDK
    """Return the digest of an image's sources and the images under it; its id where not labelled.

    An id differs with each build, by times: results of an image would be lost with it.
    """
    origin = {name: image.labels.get(name) for name in ORIGIN_LABELS}
    if origin[SOURCE_LABEL] and (origin[FROM_ID_LABEL] or origin[FOREIGN_LABEL]):
        return value_digest(origin)
    return str(image.id)


def dry_run(
    root: Path,
    algorithms: Iterable[str],
    device: Device,
    base_image: str | None,
    say: Say,
) -> None:
    """Say tags, bases, files and digests; InputError if the builder finds fault with a Dockerfile.

    BuildKit reads Dockerfiles without building (``docker build --check``); other builders do not.
    """
    images = [algorithm_blueprint(root, name, device) for name in algorithms]
    dockerfiles: dict[Path, TextMap] = {}
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


def _complaint(dockerfile: str, arguments: TextMap) -> str:
    """Return the words of the builder on a Dockerfile that it refuses, else none."""
    command = [*CHECK, *(f"--build-arg={name}={value}" for name, value in arguments.items()), "-"]
    try:
        done = subprocess.run(
            command, input=dockerfile, capture_output=True, text=True, check=False
        )
    except OSError as error:
        return str(error)
    return plain(done.stdout + done.stderr) if done.returncode else ""
