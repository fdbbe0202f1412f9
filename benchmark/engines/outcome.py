"""Engine, session and outcome: the interface between the runner and the ways to run algorithms."""

import shutil
import signal
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Literal, Protocol, TypeAlias, get_args

from cytosuite.errors import CytosuiteError, InputError
from cytosuite.formats import header
from cytosuite.imagefiles import image_files
from cytosuite.volume import Header

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
Api = Literal["invoke", "exec"]
Shown: TypeAlias = Callable[[float], None]  # takes the share of a case that is done
Ending: TypeAlias = tuple[Status, str]  # a status, and its reason in one line

STATUSES: tuple[Status, ...] = get_args(Status)
# The algorithm may not be the cause: the next run tries such cases again.
PASSING: frozenset[Status] = frozenset({"time-out", "killed", "engine error"})
HEALTH_S = 300.0  # longest start of a server, as on the platform
OUTPUT_GIB = 4.0  # of a case whose image is not large
SMALL_BYTES, BYTES_PER_VOXEL = 2**28, 16  # of a case's files; 8 are a number without compression
GRACE_S = 5  # between SIGTERM and SIGKILL, as on the platform
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class StartError(CytosuiteError):
    """An algorithm does not start: its cases cannot run; other algorithms are not affected."""

    exit_code = 1


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of the resources of one case.

    Parameters
    ----------
    memory_gib : float
        Memory [GiB].
    timeout_s : float
        Wall-clock time [s].
    cpus : float
        Processor cores.
    pids : int
        Processes and threads.
    output_gib : float
        Sum of all files in the output folder [GiB].
    """

    memory_gib: float = 8.0
    timeout_s: float = 3600.0
    cpus: float = 2.0
    pids: int = 512
    output_gib: float = OUTPUT_GIB

    def grown(self, case_input: Path, place: Path) -> "Limits":
        """Return the limits with room for the outputs of a large image.

        Parameters
        ----------
        case_input : Path
            The case's input folder: four times its pixels may be written, as labels of 32 bits
            and an image of floats of an image of 16 bits need it.
        place : Path
            Folder of the output: no more than its disk has free.
        """
        pixels = sum(prod(found.shape) * found.dtype.itemsize for found in _headers(case_input))
        wanted = min(4 * pixels, shutil.disk_usage(place).free) / 2**30
        enough = wanted <= max(self.output_gib, OUTPUT_GIB)  # less than usual is meant so
        return self if enough else replace(self, output_gib=wanted)

    def within(self, voxels: int) -> "Limits":
        """Return the limits with no more output than an image of so many voxels needs, if any."""
        needed = (SMALL_BYTES + BYTES_PER_VOXEL * voxels) / 2**30
        return replace(self, output_gib=min(self.output_gib, needed)) if voxels else self

    @property
    def environment(self) -> dict[str, str]:
        """Variables that limit the threads of numerical libraries, at least one."""
        return dict.fromkeys(THREADS, str(max(1, int(self.cpus))))

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


@dataclass(frozen=True, slots=True)
class GpuUse:
    """Use of a GPU by one case.

    Parameters
    ----------
    name : str
        Of the product.
    memory : int or None
        Peak in bytes, beyond what was in use before the start of the algorithm; None where it
        cannot be measured.
    utilisation, busiest : float or None
        Mean and maximum of the time in which the GPU computed [%]; of instances of a divided GPU
        the driver does not know it.
    """

    name: str
    memory: int | None
    utilisation: float | None
    busiest: float | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of running one case, before its output is validated.

    Parameters
    ----------
    status : str
        One of `STATUSES`.
    seconds : float
        Wall-clock time of the case without start-up.
    peak_memory : int or None
        Bytes, None where it cannot be measured.
    exit_code : int or None
        Of the process, None where it still runs.
    message : str
        The reason: last line of stderr, or the limit that was exceeded.
    gpu : GpuUse or None
        None without a GPU.
    """

    status: Status
    seconds: float
    peak_memory: int | None
    exit_code: int | None
    message: str = ""
    gpu: GpuUse | None = None


def voxels_of(case_input: Path) -> int:
    """Return the voxels of all images in the input folder of a case."""
    return sum(prod(found.shape) for found in _headers(case_input))


def _headers(case_input: Path) -> Iterator[Header]:
    """Yield the geometry of each image in the input folder of a case."""
    for path in image_files(case_input / "images", deep=True):
        with suppress(InputError):  # the algorithm says it
            yield header(path)


def ending(code: int | None, line: str) -> Ending:
    """Return status and reason of a program that has ended by itself.

    Parameters
    ----------
    code : int or None
        Exit code: 128 + n, or -n, if signal n ended the program; None if it is not known.
    line : str
        Last line of stderr.

    Returns
    -------
    status : str
        One of `STATUSES`.
    message : str
        Empty for ``ok``.

    Examples
    --------
    >>> ending(137, "")
    ('killed', 'ended by SIGKILL')
    """
    if code is None:
        return "engine error", "the exit code is not known"
    if code == 0:
        return "ok", ""
    if code == 4:  # the container caught a MemoryError
        return "out of memory", line
    number = -code if code < 0 else code - 128
    if 0 < number < signal.NSIG:
        known = number in set(signal.Signals)
        return "killed", f"ended by {signal.Signals(number).name if known else f'signal {number}'}"
    return "non-zero exit", line or f"exit code {code} without a message"


class Session(Protocol):
    """One algorithm, started and ready for case after case."""

    @property
    def startup_seconds(self) -> float:
        """Time until the algorithm was ready [s]."""

    def predict(
        self, case_input: Path, output: Path, log: Path, shown: Shown = lambda _: None
    ) -> Outcome:
        """Run one case.

        Parameters
        ----------
        case_input : Path
            The case's input folder; it is not written to.
        output : Path
            An empty folder of the runner for the output files of the case.
        log : Path
            File to which the algorithm's stdout and stderr are added.
        shown : callable
            Called with the share of the case that is done, in [0, 1], when the algorithm says it.
        """


class Engine(Protocol):
    """A way to run algorithms in isolation; `models` are the cards that a user names for some."""

    name: str
    models: Mapping[str, Path]

    @property
    def guests(self) -> Collection[str]:
        """Names of the algorithms that are containers of others, without sources here."""

    def identity(self, algorithm: str) -> str:
        """Return an identifier of the program that runs; a new one makes results stale."""

    def session(
        self, algorithm: str, workspace: Path, limits: Limits, api: Api
    ) -> AbstractContextManager[Session]:
        """Start an algorithm.

        Parameters
        ----------
        algorithm : str
            Its name.
        workspace : Path
            A folder for the engine's own use.
        limits : Limits
            Of each case.
        api : str
            ``invoke``: start once, then case by case; ``exec``: one process per case.
        """
