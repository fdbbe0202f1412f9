"""What an engine is, and what it says of one case."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, get_args

from cytosuite.errors import CytosuiteError

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
Api = Literal["serve", "exec"]

STATUSES: tuple[Status, ...] = get_args(Status)
# Not the algorithm's doing, or perhaps not: such cases are tried again by the next run.
PASSING: frozenset[Status] = frozenset({"time-out", "killed", "engine error"})


class StartError(CytosuiteError):
    """An algorithm does not start: none of its cases can run, those of others can."""

    exit_code = 1


@dataclass(frozen=True, slots=True)
class Limits:
    """What one case may use.

    Parameters
    ----------
    memory_gib : float
        Memory, in GiB.
    timeout_s : float
        Wall-clock seconds.
    cpus : float
        Processor cores.
    pids : int
        Processes and threads.
    output_gib : float
        All that is written to the output folder, in GiB.
    """

    memory_gib: float = 8.0
    timeout_s: float = 3600.0
    cpus: float = 2.0
    pids: int = 512
    output_gib: float = 4.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one case went, before its output is looked at.

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
        The reason: last line of stderr, or what the engine saw.
    """

    status: Status
    seconds: float
    peak_memory: int | None
    exit_code: int | None
    message: str = ""


class Session(Protocol):
    """One algorithm, started and ready for case after case."""

    startup_seconds: float

    def predict(self, case_input: Path, output: Path, log: Path) -> Outcome:
        """Run one case.

        Parameters
        ----------
        case_input : Path
            The case's input folder; it is not written to.
        output : Path
            An empty folder of the runner in which the case's files land.
        log : Path
            File for what the algorithm prints.
        """


class Engine(Protocol):
    """A way to run algorithms in isolation."""

    name: str

    def identity(self, algorithm: str) -> str:
        """Return what is run, so that a change of it makes results stale."""

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
            What one case may use.
        api : str
            ``serve``: start once, then case by case; ``exec``: one process per case.
        """
