"""List the steps of a build of images, and check them and their Dockerfiles without building."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from cytosuite.benchmark.containers.images import (
    BASE_FILE,
    PACKAGES_FILE,
    Blueprint,
    Layer,
    algorithm_blueprint,
    base_layer,
    first_image,
)
from cytosuite.benchmark.containers.locks import Base, Device
from cytosuite.errors import InputError, plain
from cytosuite.files import read_text

CHECK_S = 1800
Say = Callable[[str], None]
WORDS = {
    *("ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL"),
    *("MAINTAINER", "ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"),
}
EXPANDED = {"ADD", "COPY", "ENV", "EXPOSE", "FROM", "LABEL", "STOPSIGNAL", "USER", "WORKDIR"}
NAME = re.compile(r"(?<!\\)\$(?:\{(\w+)(?::[-+][^}]*)?\}|(\w+))")
STAGE = re.compile(r"(\S+)(?:\s+AS\s+([a-z][a-z0-9_.-]*))?", re.IGNORECASE)
# Known to the builder without a declaration.
GIVEN = {"HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"}
SHELL_S = 10


def dry_run(
    root: Path, algorithms: Iterable[str], device: Device, base_image: str | None, say: Say
) -> None:
    """Say how images are built, by the index alone; InputError after the last line if one fails."""
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
        layer = base_layer(self.root, kind)
        start = layer.below.tag(self.root)[0] if layer.below else start
        locks = [path for path in layer.files(self.root) if path.suffix == ".txt"]
        self.say(f"{layer.tag(self.root)[0]}: on {start}")
        self.say(f"  locks: {', '.join(path.name for path in locks)}")
        self.packages(layer)
        names = {f"packages/{kind}"}
        given = {"BASE_IMAGE": start, "KIND": kind}
        self.dockerfile(self.root / BASE_FILE, names, given)

    def image(self, image: Blueprint) -> None:
        """Say how the image of an algorithm is built."""
        context = image.context(self.root)
        size = sum(path.stat().st_size for path in context.values() if isinstance(path, Path))
        layer = image.layer(self.root)
        self.say(f"{image.tag}: on {layer.tag(self.root)[0]}, {image.reason}")
        digest = image.digest(self.root)
        self.say(f"  {len(context)} files, {size / 1e6:.1f} MB, digest {digest[:12]}")
        if image.packages is not None:
            self.packages(layer)
        given = {"BASE": layer.tag(self.root)[0], **image.arguments}
        given |= dict.fromkeys(("VERSION", "REVISION", "CREATED"), "known")
        self.dockerfile(image.dockerfile, set(context), given)

    def dockerfile(self, path: Path, names: Collection[str], given: Mapping[str, str]) -> None:
        """Say whether a Dockerfile is well."""
        text = read_text(path)
        place = path.relative_to(self.root)
        steps = parse(text)
        found = mistakes(text, names, given)
        self.say(f"  {place}: {len(steps)} instructions, {len(found)} mistakes")
        for line in found:
            self.mistake(f"{place}, {line}")

    def packages(self, layer: Layer) -> None:
        """Say all packages of a layer, as the package index has them."""
        words = [sys.executable, str(self.root / PACKAGES_FILE), str(layer.lock), "--check"]
        words += ["--below", str(layer.below.lock)] if layer.below else []
        done = subprocess.run(words, capture_output=True, text=True, timeout=CHECK_S, check=False)
        for line in done.stdout.splitlines():
            if line.startswith(" + "):
                self.say(f"  {plain(line[3:])}")
        if done.returncode:
            self.mistake(done.stderr)

    def mistake(self, line: str) -> None:
        """Say a mistake and count it."""
        self.count += 1
        self.say(f"  mistake: {plain(line)}")


class Instruction(NamedTuple):
    """An instruction of a Dockerfile: number of its first line, word in capitals, and the rest."""

    line: int
    word: str
    rest: str


def parse(text: str) -> list[Instruction]:
    """Return the instructions of a Dockerfile, lines that go on joined, without comments."""
    found: list[Instruction] = []
    begin, parts = 0, list[str]()
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip().startswith("#") or (not parts and not line.strip()):
            continue
        begin = begin if parts else number
        parts.append(line.rstrip().removesuffix("\\"))
        if not line.rstrip().endswith("\\"):
            found.append(_instruction(begin, parts))
            parts = []
    return [*found, _instruction(begin, parts)] if parts else found


def mistakes(text: str, files: Collection[str], arguments: Mapping[str, str]) -> list[str]:
    """Return the mistakes in a Dockerfile, a line each; nothing is run."""
    reader = _Reader(files, arguments)
    for step in parse(text):
        reader.read(step)
    if not reader.stages:
        reader.say(1, "expected a stage (FROM), found none")
    for name in sorted(set(arguments) - reader.declared):
        reader.say(1, f"the build gives {name}, but no ARG declares it")
    return reader.found


class _Reader:
    """The mistakes so far, the stages, and the variables of the present one."""

    def __init__(self, files: Collection[str], arguments: Mapping[str, str]) -> None:
        parents = {str(part) for name in files for part in PurePosixPath(name).parents}
        folders = parents - {"."}
        self.files, self.arguments = {*files, *folders}, arguments
        self.found: list[str] = []
        self.stages: list[str] = []
        self.declared: set[str] = set()
        self.outer: dict[str, str] = {}
        self.own: dict[str, str] = {}

    def say(self, line: int, mistake: str) -> None:
        """Note a mistake."""
        self.found.append(f"line {line}: {mistake}")

    def read(self, step: Instruction) -> None:
        """Look at one instruction."""
        if step.word not in WORDS:
            self.say(step.line, f"unknown instruction {step.word}")
            return
        if not step.rest:
            self.say(step.line, f"{step.word} without anything behind it")
            return
        if not self.stages and step.word not in {"ARG", "FROM"}:
            self.say(step.line, f"{step.word} before the first FROM")
        rest = self.expand(step) if step.word in EXPANDED else step.rest
        if step.word == "FROM":
            self.begin(step.line, rest)
        elif step.word == "ARG":
            self.declare(step)
        elif step.word in {"COPY", "ADD"}:
            self.copy(step, rest)
        elif step.word in {"ENV", "LABEL"}:
            self.pairs(step, rest)
        elif step.word in {"RUN", "CMD", "ENTRYPOINT", "SHELL"}:
            self.program(step)

    def expand(self, step: Instruction) -> str:
        """Return the words of an instruction with its variables in place; note unknown ones."""
        known = self.outer if step.word == "FROM" else self.own

        def value(name: re.Match[str]) -> str:
            """Return the value of a variable."""
            word = name[1] or name[2]
            if word not in known and word not in GIVEN:
                self.say(step.line, f"{step.word} uses {word}, which no ARG or ENV declares here")
            return known.get(word, "")

        return NAME.sub(value, step.rest)

    def begin(self, line: int, rest: str) -> None:
        """Begin a stage."""
        found = STAGE.fullmatch(re.sub(r"^(--platform=\S+\s+)", "", rest).strip())
        if found is None:
            self.say(line, f"expected FROM <image> [AS <name>], found {rest!r}")
        self.stages.append((found[2] or "").lower() if found else "")
        self.own = {}

    def declare(self, step: Instruction) -> None:
        """Declare an argument, for this stage or for all FROM."""
        name, _, default = step.rest.partition("=")
        if not re.fullmatch(r"\w+", name):
            self.say(step.line, f"expected ARG <name>[=<value>], found {step.rest!r}")
            return
        self.declared.add(name)
        given = self.arguments.get(name, default.strip("\"'"))
        if self.stages:
            self.own[name] = given or self.outer.get(name, "")
        else:
            self.outer[name] = given

    def copy(self, step: Instruction, rest: str) -> None:
        """Look for the sources of a copy: files of the context, or a stage before."""
        words = _list(rest) or rest.split()
        options = [word for word in words if word.startswith("--")]
        *sources, target = [word for word in words if not word.startswith("--")] or [""]
        origin = next((o.removeprefix("--from=") for o in options if o.startswith("--from=")), None)
        if not sources:
            self.say(step.line, f"expected {step.word} <source>... <target>, found {rest!r}")
        elif len(sources) > 1 and not target.endswith("/"):
            self.say(step.line, f"several files are copied to {target}, which must end with /")
        if origin is not None:
            earlier = self.stages[:-1]
            if origin.isdigit() and int(origin) >= len(earlier):
                self.say(step.line, f"there is no stage {origin} before this one")
            elif origin.lower() == (self.stages or [""])[-1] != "":
                self.say(step.line, f"a stage cannot copy from itself, {origin}")
            return
        for source in sources:
            if "://" not in source and not self._there(source):
                self.say(step.line, f"{source} is not in the build context")

    def _there(self, source: str) -> bool:
        """Return whether a file or folder, or a pattern of names, is in the context."""
        parts = [part for part in source.split("/") if part not in ("", ".")]
        return not parts or any(
            len(own) == len(parts) and all(map(fnmatchcase, own, parts))
            for own in (name.split("/") for name in self.files)
        )

    def pairs(self, step: Instruction, rest: str) -> None:
        """Read ``name=value`` pairs, of which those of ENV are variables from here on."""
        try:
            words = shlex.split(rest)
        except ValueError as error:
            self.say(step.line, f"{step.word}: {error}")
            return
        if "=" not in words[0] and len(words) > 1 and step.word == "ENV":  # the old form
            words = [f"{words[0]}={' '.join(words[1:])}"]
        for word in words:
            name, equals, found = word.partition("=")
            if not equals or not name:
                self.say(step.line, f"expected {step.word} <name>=<value>, found {word!r}")
            elif step.word == "ENV":
                self.own[name] = found

    def program(self, step: Instruction) -> None:
        """Check a program: a JSON list of words, or a script for the shell."""
        if step.rest.startswith("["):
            if _list(step.rest) is None:
                self.say(step.line, f"{step.word}: expected a JSON list of words in double quotes")
        elif step.word == "SHELL":
            self.say(step.line, "SHELL: expected a JSON list of words in double quotes")
        elif step.rest.startswith("--") or "<<" in step.rest:
            self.say(step.line, f"{step.word}: options and here-documents need BuildKit")
        else:
            words = ["sh", "-n", "-c", step.rest]
            done = subprocess.run(
                words, capture_output=True, text=True, timeout=SHELL_S, check=False
            )
            if done.returncode:
                self.say(step.line, f"{step.word}: {' '.join(done.stderr.split())}")


def _instruction(line: int, parts: Sequence[str]) -> Instruction:
    """Return an instruction from its lines."""
    word, *rest = "".join(parts).split(maxsplit=1)
    return Instruction(line, word.upper(), "".join(rest).strip())


def _list(text: str) -> list[str] | None:
    """Return a JSON list of words, None for another text."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    fine = isinstance(found, list) and found and all(isinstance(word, str) for word in found)
    return found if fine else None
