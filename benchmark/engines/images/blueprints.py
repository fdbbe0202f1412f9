"""How images are built: tags, files, bases, digests, images of others; files packed as tar."""

import io
import re
import shutil
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field
from pathlib import Path
from stat import S_IXUSR
from typing import IO, NamedTuple

from zlib_ng.gzip_ng import GzipNGFile

from cytosuite import __version__
from cytosuite.benchmark.catalog.packages import (
    ROOMS,
    Base,
    Device,
    lock,
    lock_files,
    needed_base,
    reached,
    runtime_files,
)
from cytosuite.contract.manifest import read_algorithm
from cytosuite.files import Paths, TextMap, TextPair, Texts, atomic, digest, frozen, visible_files

Files = Mapping[str, Path | bytes | None]

# Fixed, independent of the host's umask: a container reads the files as another user. Programs
# have the mode of folders.
FOLDER_MODE = 0o755
FILE_MODE = 0o644
LEVEL = 6  # of zlib-ng: 2 % larger than zlib's, in a third of the time
ALGORITHM_LABEL = "org.cytosuite.algorithm"
JUDGING = "cytosuite.benchmark.submission.judging"
METRICS = "metrics"  # in the library
BASE_FILE = "docker/base.Dockerfile"
PACKAGES_FILE = "docker/packages.py"
FROM = re.compile(r"(?mi)^\s*(?:FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?|COPY\s.*?--from=(\S+))")


def by_name(paths: Iterable[Path], root: Path) -> Paths:
    """Return files by their names relative to a folder."""
    return {path.relative_to(root).as_posix(): path for path in paths}


def pack(files: Files) -> IO[bytes]:
    """Return files, bytes and empty folders (None) as a temporary tar of fixed bytes."""
    stream = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    folders = {folder.as_posix() for name in files for folder in Path(name).parents} - {"."}
    entries: Files = {**dict.fromkeys(folders), **files}
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in sorted(entries.items(), key=lambda entry: entry[0]):
            if content is None:
                archive.addfile(entry_of(name, FOLDER_MODE, tarfile.DIRTYPE))
            elif isinstance(content, bytes):
                entry = entry_of(name, FILE_MODE, tarfile.REGTYPE, len(content))
                archive.addfile(entry, io.BytesIO(content))
            else:
                status = content.stat()
                mode = FOLDER_MODE if status.st_mode & S_IXUSR else FILE_MODE
                with content.open("rb") as file:
                    archive.addfile(entry_of(name, mode, tarfile.REGTYPE, status.st_size), file)
    stream.seek(0)
    return stream


@contextmanager
def gzipped(path: Path) -> Iterator[GzipNGFile]:
    """Yield a stream that becomes a ``.gz`` of equal bytes for equal contents, or is absent."""
    with (
        atomic(path) as temporary,
        temporary.open("wb") as sink,
        GzipNGFile("", "wb", LEVEL, sink, mtime=0) as stream,  # type: ignore[no-untyped-call]
    ):
        yield stream


def write_tarball(path: Path, files: Files) -> None:
    """Write files as a ``.tar.gz``, complete or absent; equal contents give equal bytes."""
    with gzipped(path) as stream, pack(files) as archive:
        shutil.copyfileobj(archive, stream, 2**20)


def entry_of(name: str, mode: int, kind: bytes, size: int = 0) -> tarfile.TarInfo:
    """Return a tar entry without any property of the host: owner and time are zero."""
    entry = tarfile.TarInfo(name)
    entry.mode, entry.type, entry.size = mode, kind, size
    return entry


def image_tag(algorithm: str, device: Device = "cpu") -> str:
    """Return the tag of an algorithm's image."""
    return f"cytosuite/{algorithm}:{__version__}" + ("" if device == "cpu" else f"-{device}")


class Layer(NamedTuple):
    """A base: the packages of a lock upon the layer below, or upon the first image."""

    kind: str  # ``slim``, ``cpu``, ``cuda``, or the name of an image with packages of its own
    lock: Path
    below: "Layer | None"

    def files(self, root: Path) -> list[Path]:
        """Return Dockerfile and script that make it, and the locks of all layers."""
        there = self.below.files(root) if self.below else [root / BASE_FILE, root / PACKAGES_FILE]
        return list(dict.fromkeys([*there, *lock_files(self.lock)]))

    def tag(self, root: Path) -> TextPair:
        """Return its tag, and the digest of its inputs, which the tag names."""
        inputs = digest(self.files(root), root)
        return f"cytosuite/base:{self.kind}-{inputs[:12]}", inputs


def base_layer(root: Path, base: Base) -> Layer:
    """Return a base of many images: ``slim``, or upon it the networks of a device."""
    return Layer(base, lock(root, base), None if base == "slim" else base_layer(root, "slim"))


@frozen
class Blueprint:
    """An image to build on one of our bases, of an algorithm or of another program."""

    name: str  # for messages, and the label by which the image is found
    tag: str  # ``cytosuite/<name>:<version>``
    version: str  # of the program
    dockerfile: Path
    files: tuple[Path, ...]
    base: Base = "slim"  # ``slim``, ``cpu`` or ``cuda``
    reason: str = ""  # of the choice of the base, for the user
    packages: Path | None = None  # lock of its packages beyond the base
    empty: Texts = ()
    arguments: TextMap = field(default_factory=dict)  # for the build
    labels: TextMap = field(default_factory=dict)  # for the build

    def layer(self, root: Path) -> Layer:
        """Return the layer of packages that it stands on."""
        layer = base_layer(root, self.base)
        return Layer(self.name, self.packages, layer) if self.packages else layer

    def digest(self, root: Path) -> str:
        """Return the SHA-256 of names and contents of files, Dockerfiles and locks."""
        return digest(sorted({*self.files, self.dockerfile, *self.layer(root).files(root)}), root)

    def context(self, root: Path) -> Files:
        """Return the build context: all files by name."""
        return {
            "Dockerfile": self.dockerfile,
            **dict.fromkeys(self.empty),
            **by_name(self.files, root),
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
    folder = root / "docker/evaluation"
    core = root / "cytosuite"
    parts = (path.relative_to(root).with_suffix("").parts for path in visible_files(core / METRICS))
    modules = [
        f"{JUDGING}.evaluate",
        f"{JUDGING}.codabench",
        *(".".join(part).removesuffix(".__init__") for part in parts),
    ]
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


def first_image(root: Path) -> str:
    """Return the image that the slim base is built upon, where the user names none."""
    return str(
        re.findall(r"^ARG BASE_IMAGE=(\S+)", (root / BASE_FILE).read_text("utf-8"), re.MULTILINE)[0]
    )


def dockerfile(root: Path, algorithm: str) -> Path:
    """Return the path of an algorithm's own Dockerfile, or of the common one without it."""
    file = root / "algorithms" / algorithm / "Dockerfile"
    return file if file.is_file() else root / "Dockerfile"


def foreign_images(text: str) -> list[str]:
    """Return the images of others that a Dockerfile starts or copies from, by defaults of ARG."""
    text = re.sub(r"\\\s*\n", " ", text)
    defaults = dict(re.findall(r"(?mi)^\s*ARG\s+(\w+)=(\S+)", text))
    stages = {"scratch"}
    images = []
    for start, stage, source in FROM.findall(text):
        origin = start or source
        name = re.sub(r"\$\{?(\w+)\}?", lambda part: defaults.get(part[1], part[0]), origin)
        unknown = "$" in name or origin in {"$BASE", "${BASE}"} or name.isdigit()
        if not unknown and name.lower() not in stages:
            images.append(name)
        stages.add(stage.lower())
    return list(dict.fromkeys(images))
