"""How images are built: tags, files, bases, digests, and the images of others they stand on."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cytosuite import __version__
from cytosuite.benchmark.containers.context import Files, by_name
from cytosuite.benchmark.containers.locks import Base, Device, lock, lock_files, needed_base
from cytosuite.benchmark.containers.sources import ROOMS, reached, runtime_files
from cytosuite.contract.manifest import read_algorithm
from cytosuite.files import digest, visible_files

ALGORITHM_LABEL = "org.cytosuite.algorithm"
EVALUATION = "cytosuite.benchmark.submission.judging.evaluate"
METRICS = "metrics"  # in the library
BASE_FILE = "docker/base.Dockerfile"
PIP_FILE = "docker/requirements-pip.txt"
UNPACK_FILE = "docker/unpack.py"
FROM = re.compile(r"(?mi)^\s*(?:FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?|COPY\s.*?--from=(\S+))")


def image_tag(algorithm: str, device: Device = "cpu") -> str:
    """Return the tag of an algorithm's image."""
    return f"cytosuite/{algorithm}:{__version__}" + ("" if device == "cpu" else f"-{device}")


@dataclass(frozen=True, slots=True)
class Blueprint:
    """An image to build on one of our bases, of an algorithm or of another program."""

    name: str  # for messages, and the label by which the image is found
    tag: str  # ``cytosuite/<name>:<version>``
    version: str  # of the program
    dockerfile: Path
    files: tuple[Path, ...]
    base: Base = "slim"  # ``slim``, ``cpu`` or ``cuda``
    reason: str = ""  # of the choice of the base, for the user
    packages: Path | None = None
    empty: tuple[str, ...] = ()
    arguments: Mapping[str, str] = field(default_factory=dict)  # for the build
    labels: Mapping[str, str] = field(default_factory=dict)  # for the build

    def digest(self, root: Path) -> str:
        """Return the SHA-256 of names and contents of files, Dockerfiles, locks and own list."""
        own = [] if self.packages is None else [self.packages, root / PIP_FILE]
        paths = {*self.files, *own, self.dockerfile, *base_files(root, self.base)}
        return digest(sorted(paths), root)

    def context(self, root: Path, wheels: Iterable[Path] = ()) -> Files:
        """Return the build context: all files by name, with those of its own packages."""
        own = [] if self.packages is None else [self.packages, *wheels]
        return {
            "Dockerfile": self.dockerfile,
            **dict.fromkeys(self.empty),
            **by_name(self.files, root),
            **by_name(own, root),
        }


def algorithm_blueprint(root: Path, algorithm: str, device: Device = "cpu") -> Blueprint:
    """Return how an algorithm's image is built, on the slim base or the device's."""
    folder = root / "algorithms" / algorithm
    base, reason = needed_base(root, algorithm, device)
    packages = folder / "requirements.txt"
    return Blueprint(
        name=algorithm,
        tag=image_tag(algorithm, device),
        version=read_algorithm(folder / "algorithm.toml").version,
        dockerfile=dockerfile(root, algorithm),
        files=tuple(runtime_files(root, algorithm)),
        base=base,
        reason=reason,
        packages=packages if packages.is_file() else None,
        empty=(f"weights/{algorithm}",),
        arguments={"ALGORITHM": algorithm},
        labels={ALGORITHM_LABEL: algorithm},
    )


def evaluation_blueprint(root: Path) -> Blueprint:
    """Return how the image is built that judges submissions, with all metrics."""
    folder = root / "docker" / "evaluation"
    core = root / "cytosuite"
    parts = (path.relative_to(root).with_suffix("").parts for path in visible_files(core / METRICS))
    modules = [EVALUATION, *(".".join(part).removesuffix(".__init__") for part in parts)]
    files = {path for path, _ in reached(modules, core, later=True).values()}
    return Blueprint(
        name="evaluation",
        tag=image_tag("evaluation"),
        version=__version__,
        dockerfile=folder / "Dockerfile",
        files=tuple(sorted(root / _place(path, root) for path in files)),
        packages=folder / "requirements.txt",
    )


def _place(path: Path, root: Path) -> Path:
    """Return the place of a file in the checkout, without the links between its rooms."""
    parts = path.relative_to(root).parts
    return Path(*parts[1:]) if parts[:1] == ("cytosuite",) and parts[1] in ROOMS else Path(*parts)


def image_digest(root: Path, algorithm: str, device: Device = "cpu") -> str:
    """Return the digest of everything an algorithm's image is built from, see `Blueprint`."""
    return algorithm_blueprint(root, algorithm, device).digest(root)


def base_files(root: Path, base: Base) -> list[Path]:
    """Return the Dockerfile of a base, the script that unpacks its packages, and their locks."""
    return [root / BASE_FILE, root / UNPACK_FILE, *lock_files(lock(root, base))]


def base_tag(root: Path, base: Base) -> tuple[str, str]:
    """Return the tag of a base, and the digest of its inputs, which the tag names."""
    inputs = digest(base_files(root, base), root)
    return f"cytosuite/base:{base}-{inputs[:12]}", inputs


def first_image(root: Path) -> str:
    """Return the image that the slim base is built upon, where the user names none."""
    text = (root / BASE_FILE).read_text(encoding="utf-8")
    return str(re.findall(r"^ARG BASE_IMAGE=(\S+)", text, re.MULTILINE)[0])


def dockerfile(root: Path, algorithm: str) -> Path:
    """Return the path of an algorithm's own Dockerfile, or of the common one without it."""
    own = root / "algorithms" / algorithm / "Dockerfile"
    return own if own.is_file() else root / "Dockerfile"


def foreign_images(text: str) -> list[str]:
    """Return the images of others that a Dockerfile starts or copies from, by defaults of ARG."""
    text = re.sub(r"\\\s*\n", " ", text)
    defaults = dict(re.findall(r"(?mi)^\s*ARG\s+(\w+)=(\S+)", text))
    stages, found = {"scratch"}, []
    for start, stage, source in FROM.findall(text):
        given = start or source
        name = re.sub(r"\$\{?(\w+)\}?", lambda part: defaults.get(part[1], part[0]), given)
        unknown = "$" in name or given in {"$BASE", "${BASE}"} or name.isdigit()
        if not unknown and name.lower() not in stages:
            found.append(name)
        stages.add(stage.lower())
    return list(dict.fromkeys(found))
