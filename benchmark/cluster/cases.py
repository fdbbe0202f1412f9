"""Cases on a worker: run from plain values, on its own machine, chunk by chunk."""

import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from cytosuite.benchmark.cluster.dask_pool import say
from cytosuite.benchmark.containers.locks import Device
from cytosuite.benchmark.data.dataset import Case
from cytosuite.benchmark.engines.choose import choose
from cytosuite.benchmark.engines.collect import clear, clear_abandoned
from cytosuite.benchmark.engines.external import ExternalImage
from cytosuite.benchmark.engines.outcome import Engine, Limits, Outcome
from cytosuite.benchmark.runs.plan import Job, is_done, job_key
from cytosuite.benchmark.runs.record import Record, read_record
from cytosuite.benchmark.runs.run import REFUSALS, run_job
from cytosuite.contract.tasks import TASKS
from cytosuite.contract.words import Api
from cytosuite.errors import InputError
from cytosuite.files.working import private_session

TOPIC = "cytosuite-cases"  # of the words of workers
SETTLE_S = 2.0
ENDINGS = ("killed", "non-zero exit", "missing output", "engine error")  # of a job that is ended
SEEN_S = 60.0  # until a file of another node is in sight: what a network file system remembers


@dataclass(frozen=True, slots=True)
class Chunk:
    """Cases of one job for one worker; the job itself names none, they may be 100,000."""

    job: Job
    cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True)
class Circumstances:
    """All that a worker needs to make the engine of the runner anew, as plain values."""

    engine: str  # its name; never ``auto``
    device: Device  # ``cpu`` or ``cuda``
    task: str  # name of the task
    limits: Mapping[str, Limits]  # of a case, by algorithm
    apis: Mapping[str, Api]  # ``invoke`` or ``exec``, by algorithm
    models: Mapping[str, Path] = field(default_factory=dict)
    externals: Mapping[str, ExternalImage] = field(default_factory=dict)  # containers of others
    voice: str = ""  # as of `DockerEngine`
    scratch: Path | None = None  # folder on the disk of a node; without it, of temporary files

    def start(self) -> Engine:
        """Return the engine on this machine."""
        engine, _ = choose(self.engine, self.device)
        engine.models = self.models
        engine.externals, engine.voice = self.externals, self.voice
        return engine


@dataclass(frozen=True, slots=True)
class ChunkResult:
    """Records of a chunk, and its time."""

    records: tuple[Record, ...]  # of all its cases
    seconds: float  # of the whole chunk [s]
    ran: int  # cases that were run: others were there already, of a worker that ended


@dataclass(frozen=True, slots=True)
class Refusal:
    """A node that cannot run a chunk, before a case of it was begun."""

    node: str  # name of the machine, as Slurm calls it
    reason: str  # one line with the name of the node


def run_chunk(circumstances: Circumstances, chunk: Chunk) -> ChunkResult | Refusal:
    """Run the cases of a chunk that have no result yet, each as a local run does."""
    begin = time.monotonic()
    try:
        with _at_node(circumstances.engine):
            engine = _ready(circumstances, chunk)
    except InputError as error:
        return Refusal(_node(), str(error))
    with _at_node(circumstances.engine):
        left = _run(circumstances, chunk, engine)
    folder = chunk.job.folder
    records = tuple(found for case in chunk.cases if (found := read_record(folder / case.name)))
    return ChunkResult(records, time.monotonic() - begin, left)


def _ready(circumstances: Circumstances, chunk: Chunk) -> Engine:
    """Return the engine, if it would give the results of the runner."""
    job, name = chunk.job, chunk.job.algorithm.name
    _wait_for(chunk.cases[0].folder)
    engine = circumstances.start()
    if job_key(job.fingerprint, name, engine) != job.key:
        raise InputError(
            f"{name} is another one there, by its sources, weights or image; install this version "
            "of cytosuite, or load this image (docker save, docker load)"
        )
    return engine


def _run(circumstances: Circumstances, chunk: Chunk, engine: Engine) -> int:
    """Run the cases that have no result; return their number."""
    job, name = chunk.job, chunk.job.algorithm.name
    left = tuple(
        case for case in chunk.cases if not is_done(job.folder / case.name, job.key, retry=True)
    )

    def report(algorithm: str, case: str, status: str) -> None:
        """Say the end of a case."""
        say(TOPIC, (algorithm, case, status))

    with _workspace(circumstances.scratch) as folder:
        run_job(
            replace(job, missing=left),
            TASKS[circumstances.task],
            engine,
            circumstances.limits[name],
            circumstances.apis[name],
            report,
            keep_going=True,  # the runner sees the first cases of all chunks
            workspace=folder,
            settle=_settle,
        )
    return len(left)


def _settle(outcome: Outcome) -> None:
    """Wait after a failure that the end of a job may cause: the worker ends then, too."""
    if outcome.status in ENDINGS and outcome.exit_code not in REFUSALS:
        time.sleep(SETTLE_S)


@contextmanager
def _at_node(engine: str) -> Iterator[None]:
    """Name this machine in the errors of the block, and the way to bring it a missing image."""
    try:
        yield
    except InputError as error:
        reason = str(error)
        if "missing; build it" in reason:
            way = f"{engine} save IMAGE | ssh NODE {engine} load"
            reason = f"{reason} on the runner, and bring it there: {way}"
        raise InputError(f"node {_node()}: {reason}") from None


def _node() -> str:
    """Return the name of this machine, as Slurm calls it."""
    return os.environ.get("SLURMD_NODENAME") or os.uname().nodename


def _wait_for(folder: Path) -> None:
    """Wait until a folder is in sight, as a network file system may show it later."""
    deadline = time.monotonic() + SEEN_S
    while not folder.is_dir():
        if time.monotonic() > deadline:
            raise InputError(
                f"{folder} is not there; give RUNS, a folder that all nodes see by the same path"
            )
        time.sleep(0.5)


@contextmanager
def _workspace(scratch: Path | None) -> Iterator[Path]:
    """Make a folder on the disk of this machine; those of workers that were killed are removed."""
    home = scratch or Path(tempfile.gettempdir())
    clear_abandoned(home)
    folder = private_session(home)
    try:
        yield folder / "session"
    finally:
        clear(folder)
