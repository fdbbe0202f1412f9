"""Run algorithms in containers of Apptainer, for clusters without Docker: one container per case.

What Apptainer cannot promise is in `NOTES` and in docs/cluster.md.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from cytosuite.benchmark.catalog import ROOT, workplace
from cytosuite.benchmark.containers.build import SOURCE_LABEL
from cytosuite.benchmark.containers.images import image_digest, image_tag
from cytosuite.benchmark.containers.locks import Device
from cytosuite.benchmark.engines.apptainer_session import Contained, abilities, clean
from cytosuite.benchmark.engines.collect import clear
from cytosuite.benchmark.engines.gpu import held
from cytosuite.benchmark.engines.gpu_use import metered
from cytosuite.benchmark.engines.hardening import Host
from cytosuite.benchmark.engines.outcome import Api, Limits
from cytosuite.benchmark.engines.packages import uses_gpu
from cytosuite.benchmark.engines.process import ProcessSession
from cytosuite.benchmark.models import hand_over, identity_with
from cytosuite.errors import InputError, plain
from cytosuite.files import parse_json

CALL_S = 60.0  # longest answer of Apptainer about itself or an image
LEAST = (1, 2)  # version of Apptainer: earlier ones lack flags
HEAD = 2**15  # bytes of a .sif with its UUID and the list of its parts, and their times
NOTES = (
    "Containers of Apptainer, a new one for each case: its start counts as time of the case.",
    "Apptainer has no system call filter as Docker's; its /tmp is a folder on disk, watched.",
)
WATCHED = (
    "No control groups are delegated: memory and processes are watched 50 times a second, not "
    "limited by the kernel, and processors by the number of threads alone."
)


@dataclass
class ApptainerEngine:
    """Algorithms in containers of Apptainer.

    Parameters
    ----------
    images : Path
        Folder with ``<algorithm>.sif``, see `sif`.
    host : Host
        User, processors, and the limits that control groups enforce.
    device : str
        ``cuda`` uses the images of that device, and gives each session of an algorithm that can use
        it a GPU of its own.
    models : mapping of str to Path
        Cards that the user names, by algorithm.
    """

    images: Path
    host: Host
    device: Device = "cpu"
    models: Mapping[str, Path] = field(default_factory=dict)
    name: str = "apptainer"
    guests: Collection[str] = ()  # containers of others need a daemon that loads them

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the reader of the results."""
        return NOTES if "MemoryLimit" in self.host.can else (*NOTES, WATCHED)

    def identity(self, algorithm: str) -> str:
        """Return the identity of the algorithm's image, and that of its named model.

        An image is known by its beginning, where each build has a new UUID, and its size: its
        gigabytes are not read by every worker.

        Raises
        ------
        InputError
            If the image is missing or was made from other sources.
        """
        path = self.need(algorithm)
        with path.open("rb") as stream:
            head = sha256(stream.read(HEAD)).hexdigest()
        return identity_with(self.models, algorithm, f"{head}, {path.stat().st_size} bytes")

    def need(self, algorithm: str) -> Path:
        """Return the image of an algorithm, which must be there and of the checkout's sources.

        Raises
        ------
        InputError
            With the commands that make it.
        """
        path, tag = sif(self.images, algorithm, self.device), image_tag(algorithm, self.device)
        remedy = f"make it with `{recipe(path, tag, algorithm, self.device)}`"
        if not path.is_file():
            raise InputError(f"{path}: no image of {algorithm}; {remedy}")
        if labels(path).get(SOURCE_LABEL) != image_digest(ROOT, algorithm, self.device):
            raise InputError(f"{path}: made from other sources than the checkout's; {remedy}")
        return path

    @contextmanager
    def session(
        self, algorithm: str, workspace: Path, limits: Limits, api: Api
    ) -> Iterator[ProcessSession]:
        """Start an algorithm; see `cytosuite.benchmark.engines.outcome.Engine`.

        Raises
        ------
        InputError
            If the API is not ``exec``: a server in a container without network hears nobody.
        """
        if api != "exec":
            raise InputError(f"ENGINE=apptainer starts a container per case: API=exec, not {api}")
        image = sif(self.images, algorithm, self.device)
        clear(workspace)
        workspace.mkdir(parents=True, mode=0o700)
        card = self.models.get(algorithm)
        model = hand_over(card, workspace / "model") if card else None
        with ExitStack() as stack:
            stack.callback(clear, workspace)
            on_gpu = self.device == "cuda" and uses_gpu(algorithm)
            gpu = stack.enter_context(held()) if on_gpu else None
            start = Contained(algorithm, workspace, limits, image, self.host, model, gpu)
            session = ProcessSession(algorithm, workspace, limits, api, start)
            session.meter = stack.enter_context(metered(gpu)) if gpu else None
            stack.callback(session.stop)
            session.start()
            yield session


def find_apptainer(device: Device = "cpu", images: Path | None = None) -> ApptainerEngine:
    """Return the engine of the Apptainer on this machine.

    Parameters
    ----------
    device : str
        ``cuda`` for containers with GPUs.
    images : Path, optional
        Folder with images; ``SIF`` of the environment, else ``runs/sif``.

    Raises
    ------
    InputError
        If Apptainer or ``prlimit`` is not installed, or Apptainer is too old.
    """
    for name, package in (("apptainer", "Apptainer 1.2 or later"), ("prlimit", "util-linux")):
        if shutil.which(name) is None:
            raise InputError(f"no program {name} on this machine; install {package}")
    said = _said(["--version"]).strip()
    version = re.search(r"(\d+)\.(\d+)", said)
    if version is None or (int(version[1]), int(version[2])) < LEAST:
        raise InputError(
            f"expected Apptainer {LEAST[0]}.{LEAST[1]} or later, found {plain(said)!r}"
        )
    chosen = images or Path(os.environ.get("SIF") or workplace() / "runs" / "sif")
    can = abilities(os.getuid(), os.environ)
    host = Host(False, frozenset(os.sched_getaffinity(0)), can, os.getuid(), os.getgid())
    return ApptainerEngine(chosen, host, device)


def sif(folder: Path, algorithm: str, device: Device) -> Path:
    """Return the path of an algorithm's image.

    Examples
    --------
    >>> sif(Path("sif"), "watershed", "cuda").as_posix()
    'sif/watershed-cuda.sif'
    """
    return folder / f"{algorithm}{'' if device == 'cpu' else f'-{device}'}.sif"


def recipe(path: Path, tag: str, algorithm: str, device: Device) -> str:
    """Return the commands that make an image, where Docker and Apptainer are."""
    archive = path.with_suffix(".tar")
    make = f"make build-{algorithm}" + ("" if device == "cpu" else f" DEVICE={device}")
    return (
        f"{make} && docker save {tag} --output {archive} && "
        f"apptainer build --force {path} docker-archive://{archive}"
    )


def labels(path: Path) -> dict[str, str]:
    """Return the labels of an image, those of the Docker image it was made from among them.

    Raises
    ------
    InputError
        If Apptainer cannot read it.
    """
    said = _said(["inspect", "--json", "--labels", str(path.resolve())])
    try:
        found = parse_json(said)["data"]["attributes"]["labels"]
        return {str(name): str(value) for name, value in found.items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        raise InputError(f"{path}: expected labels, found {plain(said, 200)!r}") from None


def _said(words: Sequence[str]) -> str:
    """Return the output of a call of Apptainer."""
    try:
        done = subprocess.run(
            ["apptainer", *words],
            capture_output=True,
            env=clean(os.environ),
            timeout=CALL_S,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        reason = plain(error.stderr.decode(errors="replace"), 300)
        raise InputError(f"apptainer {' '.join(words)}: {reason}") from None
    except (subprocess.TimeoutExpired, OSError) as error:
        raise InputError(f"apptainer {' '.join(words)}: {plain(str(error), 300)}") from None
    return done.stdout.decode(errors="replace")
