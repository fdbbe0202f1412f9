"""Engine, session and outcome: the interface between the runner and the ways to run algorithms."""

import shutil
import signal
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from cytosuite.benchmark.catalog.packages import Device, uses_gpu
from cytosuite.contract.words import Api, Say
from cytosuite.errors import CytosuiteError, InputError
from cytosuite.files import Paths, TextDict, Texts, frozen
from cytosuite.formats import header
from cytosuite.formats.imagefiles import image_files
from cytosuite.volume import Header
from cytosuite.volume.memory import GIB

if TYPE_CHECKING:
    from cytosuite.benchmark.engines.external import ExternalImage
    from cytosuite.benchmark.engines.images.daemon import Client

Status = Literal[
    "ok",
    "bad output",
    "missing output",
    "non-zero exit",
    "time-out",
    "out of memory",
    "killed",
    "engine error",
]
Shown = Callable[[float], None]  # takes the share of a case that is done
Look = Callable[[], int | None]  # gives an exit code, None before there is one
Ending = tuple[Status, str]  # a status, and its reason in one line

# The algorithm may not be the cause: the next run repeats these cases.
PASSING: frozenset[Status] = frozenset({"time-out", "killed", "engine error"})
HEALTH_S = 300.0  # longest start of a server on the platform
PATIENCE_S = 900.0  # and here, where a busy machine is no fault of the algorithm
OUTPUT_GIB = 4.0  # of a case with a small image
SMALL_BYTES = 2**28  # of a case's files
BYTES_PER_VOXEL = 16  # of files: a number without compression takes 8
GRACE_S = 5  # between SIGTERM and SIGKILL, as on the platform
VISIBLE = "CUDA_VISIBLE_DEVICES"
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class StartError(CytosuiteError):
    """An algorithm does not start: its cases cannot run; other algorithms are not affected."""

    exit_code = 1


@frozen
class Limits:
    """Limits of the resources of one case."""

    memory_gib: float = 8.0  # memory [GiB]
    timeout_s: float = 3600.0  # wall-clock time [s]
    cpus: float = 2.0  # processor cores
    pids: int = 512  # processes and threads
    output_gib: float = OUTPUT_GIB  # sum of all files in the output folder [GiB]
    folder: str = ""  # of the images, where a model is in use for it

    def grown(self, case_input: Path, place: Path) -> "Limits":
        """Return the limits with room for 32-bit outputs of a large image, if the disk has it."""
        pixels = sum(prod(header.shape) * header.dtype.itemsize for header in _headers(case_input))
        room = min(4 * pixels, shutil.disk_usage(place).free) / GIB
        enough = room <= max(self.output_gib, OUTPUT_GIB)  # less than usual is meant so
        return self if enough else replace(self, output_gib=room)

    def within(self, voxels: int) -> "Limits":
        """Return the limits with no more output than an image of so many voxels needs, if any."""
        needed = (SMALL_BYTES + BYTES_PER_VOXEL * voxels) / GIB
        return replace(self, output_gib=min(self.output_gib, needed)) if voxels else self

    @property
    def environment(self) -> TextDict:
        """Variables that limit the threads of numerical libraries, at least one; the folder."""
        threads = dict.fromkeys(THREADS, str(max(1, int(self.cpus))))
        return threads | ({"CYTOSUITE_FOLDER": self.folder} if self.folder else {})

    @property
    def time_exceeded(self) -> Ending:
        """Ending of a case that ran too long."""
        return "time-out", f"time limit of {self.timeout_s:g} s exceeded"

    @property
    def memory_exceeded(self) -> Ending:
        """Ending of a case that used too much memory."""
        return "out of memory", f"memory limit of {self.memory_gib:g} GiB exceeded"

    @property
    def output_exceeded(self) -> Ending:
        """Ending of a case that wrote too much."""
        return "bad output", f"output limit of {self.output_gib:g} GiB exceeded"


class GpuUse(NamedTuple):
    """Use of a GPU by one case; None where the driver does not know a number."""

    name: str = ""  # of the product; empty without a GPU
    memory: int | None = None
    utilisation: float | None = None
    busiest: float | None = None


@frozen
class Outcome:
    """Result of running one case, before its output is validated."""

    status: Status
    seconds: float = 0.0  # wall-clock time of the case without start-up
    peak_memory: int | None = None  # bytes, None where it cannot be measured
    exit_code: int | None = None  # of the process, None where it still runs
    message: str = ""  # the reason: last line of stderr, or the limit that was exceeded
    gpu: GpuUse = GpuUse()


def voxels_of(case_input: Path) -> int:
    """Return the voxels of all images in the input folder of a case."""
    return sum(prod(header.shape) for header in _headers(case_input))


def _headers(case_input: Path) -> Iterator[Header]:
    """Yield the geometry of each image in the input folder of a case."""
    for path in image_files(case_input / "images", deep=True):
        with suppress(InputError):  # the algorithm says it
            yield header(path)


def ending(code: int | None, line: str) -> Ending:
    """Return status and reason of a program by its exit code (128 + n or -n: signal n)."""
    if code is None:
        return "engine error", "the exit code is not known"
    if code == 0:
        return "ok", ""
    if code == 4:  # the container caught a MemoryError
        return "out of memory", line
    number = -code if code < 0 else code - 128
    if 0 < number < signal.NSIG:
        named = number in set(signal.Signals)
        return "killed", f"ended by {signal.Signals(number).name if named else f'signal {number}'}"
    return "non-zero exit", line or f"exit code {code} without a message"


class Session(Protocol):
    """One algorithm, started and ready for case after case."""

    @property
    def startup_seconds(self) -> float:
        """Time until the algorithm was ready [s]."""

    def predict(
        self, case_input: Path, output: Path, log: Path, shown: Shown = lambda _: None
    ) -> Outcome:
        """Run one case: output and log are added to, `shown` takes the share that is done."""


def say(line: str) -> None:
    """Write a line to the log of this process, its stderr."""
    sys.stderr.write(f"{line}\n")


@dataclass(kw_only=True)
class Engine(ABC):
    """A way to run algorithms in isolation; `cytosuite.benchmark.engines.choose` lists them all."""

    name: str
    device: Device = "cpu"  # ``cuda``: a GPU for each session that can use one
    api: Api = "invoke"  # where the user names none
    models: Paths = field(default_factory=dict)  # cards of the user, by algorithm
    client: "Client | None" = None  # of the daemon; images of others run with one alone
    externals: Mapping[str, "ExternalImage"] = field(
        default_factory=dict
    )  # images of others, by name
    voice: str = ""  # image with Python that makes requests to their servers
    files: bool = False  # whether outputs are files that people have; see `validate.check`
    say: Say = say  # gets a line while a session waits for a GPU

    @property
    def notes(self) -> Texts:
        """Sentences on the engine for the reader of the results."""
        return ()

    def prepare(self, algorithms: Collection[str], base_image: str | None) -> None:  # noqa: B027
        """Build or look for images or packages, if it needs any; InputError if one is not there."""

    def check_gpu(self, algorithm: str) -> None:  # noqa: B027 - some run nothing
        """Let torch compute on a GPU where the algorithm will run; InputError if it cannot."""

    def on_gpu(self, algorithm: str) -> bool:
        """Return whether an algorithm gets a GPU."""
        return self.device == "cuda" and uses_gpu(algorithm)

    @abstractmethod
    def identity(self, algorithm: str) -> str:
        """Return an identifier of the program that runs; a new one makes results stale."""

    @abstractmethod
    def session(
        self, algorithm: str, workspace: Path, limits: Limits, api: Api
    ) -> AbstractContextManager[Session]:
        """Start an algorithm, ``invoke`` once for all cases, ``exec`` for each; else StartError."""
