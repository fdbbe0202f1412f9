"""Containers that others built, for the commands: found or loaded, and given to the engine."""

from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from cytosuite.benchmark.catalog.models import algorithms, is_tarball, named_models
from cytosuite.benchmark.catalog.places import ROOT
from cytosuite.benchmark.commands.data import start_engine
from cytosuite.benchmark.commands.options.evaluation import RehearseOptions
from cytosuite.benchmark.commands.terminal.console import say
from cytosuite.benchmark.commands.terminal.options import ExternalOptions
from cytosuite.benchmark.engines.external import (
    ExternalImage,
    SocketMapping,
    api_of,
    external_manifest,
    external_names,
    is_archive,
    is_external,
    user_of,
)
from cytosuite.benchmark.engines.images.build import Builder
from cytosuite.benchmark.engines.images.daemon import Client, daemon_errors, find_image
from cytosuite.benchmark.engines.outcome import Engine
from cytosuite.benchmark.submission.checks.archive import anew, read_archive
from cytosuite.benchmark.submission.checks.rules import ARCHITECTURE, RULES
from cytosuite.contract.manifest import AlgorithmManifest, parse
from cytosuite.contract.tasks import TASKS, Task
from cytosuite.errors import InputError, pick
from cytosuite.files import TextSeq, read_toml
from cytosuite.metrics.boards import CONTROLS

LOADED = "cytosuite-external/archive"  # our name: an image without any goes when others are cleaned
LOAD_S = 3600  # an archive of tens of GB


def take_in(
    words: TextSeq,
    taken: TextSeq,
    task: Task,
    engine: Engine,
    options: ExternalOptions,
    console: Console,
) -> list[AlgorithmManifest]:
    """Give the engine the images that a user names, and return their descriptions."""
    if not words:
        return []
    if engine.client is None:
        raise InputError(
            f"{words[0]}: an image of others runs with Docker or podman alone, found the engine "
            f"{engine.name}; start a daemon, or leave the image out"
        )
    mapping = read_sockets(options.sockets, task)
    models = Path(str(options.model)) if is_tarball(options.model) else None
    if models and not models.is_file():
        raise InputError(f"{models}: no such tarball of models")
    externals = {}
    manifests = []
    for word, name in external_names(words, taken).items():
        say(console, f"{name}: {word}")
        image = _image(engine.client, word)
        if (built := image.attrs.get("Architecture")) != ARCHITECTURE:
            say(console, f"{word}: for {built}; uploads: {RULES['image.architecture'].fix}")
        labels = image.labels or {}
        user = user_of(image.attrs)
        api = options.api or api_of(labels, word)
        externals[name] = ExternalImage(
            name, word, str(image.id), api, task, mapping, options.input_format, user, models
        )
        manifests.append(external_manifest(externals[name], labels))
    engine.externals = externals
    if any(external.api == "invoke" for external in externals.values()):
        engine.voice = Builder(
            engine.client,
            ROOT,
            options.device,
            options.base_image,
            partial(say, console),
            engine.name,
        ).base()
    return manifests


def subject(options: RehearseOptions, screen: Console) -> tuple[Engine, AlgorithmManifest]:
    """Return the engine with the image to rehearse, ours or others', and its description."""
    word = options.algorithm
    manifests = algorithms()
    if not is_external(word):
        pick("algorithm", [word], manifests)
    elif not options.task:
        raise InputError(f"{word}: give the TASK of an image of others: {', '.join(TASKS)}")
    ours = [] if is_external(word) else [word]
    need_externals([] if ours else [word], options.sockets)
    engine = start_engine(options, ours, screen, named_models(options.model, ours) if ours else {})
    if engine.client is None:
        raise InputError("a rehearsal runs containers; start Docker, or use ENGINE=podman")
    if ours:
        return engine, manifests[word]
    task = TASKS[str(options.task)]
    (manifest,) = take_in([word], [*manifests, *CONTROLS], task, engine, options, screen)
    return engine, manifest


def need_externals(words: TextSeq, sockets: Path | None) -> None:
    """Refuse a file of sockets without an image of others, which alone has other ones."""
    if sockets is not None and not words:
        raise InputError(
            f"SOCKETS={sockets} is for images of others: ALGORITHM=<image:tag or .tar.gz>"
        )


def read_sockets(path: Path | None, task: Task) -> SocketMapping:
    """Return the sockets of containers of others from a file, our own without it."""
    if path is None:
        return SocketMapping()
    mapping = parse(path, read_toml(path), SocketMapping)
    mapping.fits(task)
    return mapping


def _image(client: Client, word: str) -> Any:  # noqa: ANN401 - of the SDK
    """Return the image of a tag or file, with a program to start."""
    image = _loaded(client, Path(word)) if is_archive(word) else _pulled(client, word)
    config = image.attrs.get("Config") or {}
    if not (config.get("Entrypoint") or config.get("Cmd")):
        raise InputError(f"{word}: expected an image with ENTRYPOINT or CMD, found neither")
    return image


def _pulled(client: Client, tag: str) -> Any:  # noqa: ANN401 - of the SDK
    """Return the image with a tag, from its registry where the daemon does not have it."""
    image = find_image(client, tag)
    if image is None:
        try:
            with daemon_errors(f"pull of {tag}"):
                image = client.images.pull(tag)  # without a tag: latest
        except InputError as error:
            raise InputError(f"no image {tag} on this machine; {error}") from None
    return image


def _loaded(client: Client, path: Path) -> Any:  # noqa: ANN401 - of the SDK
    """Return the image of a file by the id of its content, loaded unless the daemon has it."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected an archive of `docker save`")
    archive = read_archive(path, lambda _: False)
    patience = client.api.timeout
    client.api.timeout = LOAD_S
    try:
        with daemon_errors(f"load of {path}"):
            image = find_image(client, archive.id)
            if image is None:
                loaded = client.images.load(anew(path, archive))
                # A daemon with containerd's store names an image by its manifest instead.
                image = find_image(client, archive.id) or next(iter(loaded), None)
            if image is None:
                raise InputError(f"{path}: expected the image {archive.id}, the daemon loaded none")
            if not image.tags:  # a load that was interrupted left it without a name
                image.tag(LOADED, archive.id.removeprefix("sha256:")[:12])
    finally:
        client.api.timeout = patience
    return image
