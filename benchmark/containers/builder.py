"""Run one build of the Docker daemon: progress as short lines, its whole output in a log."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias

from benchmark.containers.context import Files, pack
from benchmark.containers.daemon import Client, daemon_errors
from cytosuite.errors import InputError

Say: TypeAlias = Callable[[str], None]

STEP = re.compile(r"Step (\d+)/(\d+) ?: ((?:COPY|RUN).{0,50})", re.IGNORECASE)
NO_REASON = ("Step ", " --->", "Removing intermediate", "STEP ", "-->")
BUILD_S = 3600  # a step of a build may print nothing for minutes


def quiet(line: str) -> None:
    """Ignore a line of progress."""
    del line


def run_build(
    client: Client,
    root: Path,
    tag: str,
    files: Files,
    arguments: Mapping[str, str],
    labels: Mapping[str, str],
    say: Say,
) -> None:
    """Build an image without a network.

    Parameters
    ----------
    client : docker.DockerClient
        Of the daemon that builds.
    root : Path
        The checkout; the log is written to ``runs/build`` in it.
    tag : str
        Of the new image.
    files : mapping
        The build context, see `benchmark.containers.context.pack`.
    arguments, labels : mapping of str to str
        Build arguments, and labels of the image.
    say : callable
        Gets one line per step that copies files or runs a program.

    Raises
    ------
    InputError
        If the daemon or a step fails, with the last line of the step and the path of the log.
    """
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


def remove_untagged(client: Client, label: str) -> None:
    """Remove the images with a label that have no tag: a newer build has taken it.

    Raises
    ------
    InputError
        If the daemon fails.
    """
    with daemon_errors("removal of the images before this one"):
        client.images.prune(filters={"dangling": True, "label": label})


def _lines(answer: Iterable[Mapping[str, Any]], tag: str, log: Path) -> Iterator[str]:
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
