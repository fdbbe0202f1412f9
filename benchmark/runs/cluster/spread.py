"""Cases of a run on the workers of a Dask scheduler, a task each."""

import os
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any
from uuid import uuid4

from distributed import WorkerPlugin, get_worker

from cytosuite.benchmark.catalog.packages import Device
from cytosuite.benchmark.engines.choose import choose
from cytosuite.benchmark.engines.collect import clear
from cytosuite.benchmark.engines.external import ExternalImage
from cytosuite.benchmark.engines.outcome import Limits, Outcome, StartError
from cytosuite.benchmark.runs.cluster.dask_pool import DaskPool
from cytosuite.benchmark.runs.plan import Job, job_key
from cytosuite.benchmark.runs.record import RECORD, Record, read_record
from cytosuite.benchmark.runs.run import (
    REFUSALS,
    Report,
    cause_of,
    fail,
    hopeless,
    started,
)
from cytosuite.benchmark.runs.store.pool import Lost
from cytosuite.contract.tasks import TASKS
from cytosuite.contract.words import Api
from cytosuite.errors import InputError
from cytosuite.files import Paths
from cytosuite.files.working import private_session

SETTLE_S = 2.0
# Statuses that the end of a job may cause, by the algorithm or by the reader of its outputs.
ENDINGS = ("killed", "non-zero exit", "missing output", "bad output", "engine error")
SEEN_S = 60.0  # until a file of another node is in sight: network file systems cache listings


@dataclass(eq=False)
class OpenSession(WorkerPlugin):  # type: ignore[misc]
    """The session of the algorithm that a worker ran last: it starts once, not for each case.

    It holds all that a worker needs to make the engine of the runner anew, as plain values.
    """

    engine: str  # its name; never ``auto``
    device: Device  # ``cpu`` or ``cuda``
    task: str  # name of the task
    limits: Mapping[str, Limits]  # of a case, by algorithm
    apis: Mapping[str, Api]  # ``invoke`` or ``exec``, by algorithm
    models: Paths  # cards of the user, by algorithm
    externals: Mapping[str, ExternalImage]  # containers of others
    voice: str  # as of `DockerEngine`
    name: str = field(default_factory=lambda: f"cytosuite-{uuid4()}")

    def setup(self, worker: Any) -> None:  # noqa: ANN401 - of Dask
        """Note the threads and the folder of a worker that has come."""
        self.threads = worker.state.nthreads
        self.home = Path(worker.local_directory)
        self.stack, self.lock, self.algorithm = ExitStack(), Lock(), ""

    def teardown(self, worker: object) -> None:  # noqa: ARG002 - of the interface
        """End the session."""
        self.stack.close()

    def run(self, job: Job) -> Record:
        """Run the one missing case of a job; return its record."""
        (case,) = job.missing
        wait_for(case.folder)
        with self.lock:
            try:
                if self.algorithm != job.algorithm.name:
                    self.start(job)
                self.run_case(case, settle=_settle)
            except StartError as error:
                fail(job, [case], Outcome("non-zero exit", message=str(error)), lambda *_: None)
        record = read_record(job.folder / case.name)
        assert record is not None
        return record

    def start(self, job: Job) -> None:
        """Start an algorithm, if it is the one of the runner."""
        self.stack.close()
        self.algorithm = ""
        name = job.algorithm.name
        engine, _ = choose(self.engine, self.device)
        engine.models, engine.externals, engine.voice = self.models, self.externals, self.voice
        if job_key(job.fingerprint, name, engine) != job.key:
            raise InputError(
                f"{name} is another one there, by its sources, weights or image; install this "
                "version of cytosuite, or load this image (docker save, docker load)"
            )
        folder = private_session(self.home)
        self.stack.callback(clear, folder)
        limits = replace(self.limits[name], cpus=float(self.threads))
        self.run_case = self.stack.enter_context(
            started(job, TASKS[self.task], engine, limits, self.apis[name], folder / "session")
        )
        self.algorithm = name


def run_case(plugin: str, job: Job) -> Record:
    """Run the case of a job on this worker, by the plugin of the run."""
    try:
        session: OpenSession = get_worker().plugins[plugin]
        return session.run(job)
    except InputError as error:
        raise InputError(f"node {os.uname().nodename}: {error}") from None


def spread(
    jobs: Sequence[Job],
    session: OpenSession,
    pool: DaskPool,
    report: Report,
    *,
    keep_going: bool = False,
) -> None:
    """Run the missing cases of all jobs on workers; a case that ends them all is ``killed``."""
    begun = []
    causes = defaultdict(list)
    given_up = dict[str, Outcome]()

    def pieces() -> Iterator[Job]:
        """Yield a job for each case, but for algorithms that are given up meanwhile."""
        for job in jobs:
            job.folder.mkdir(parents=True, exist_ok=True)
            for case in job.missing:
                if alike := given_up.get(job.algorithm.name):
                    fail(job, [case], alike, report)
                else:
                    begun.append((job, case))
                    yield job._replace(missing=(case,))

    pool.client.register_plugin(session)
    try:
        for number, ended in pool.each(partial(run_case, session.name), pieces()):
            job, case = begun[number]
            name = job.algorithm.name
            outcome: Outcome | Record
            if isinstance(ended, Lost):
                outcome = Outcome("killed", message=ended.reason)
                fail(job, [case], outcome, report)
            else:
                outcome = ended
                report(name, case.name, ended.status)
            causes[name].append(cause_of(outcome, case.name, job))
            if not keep_going and (alike := hopeless(causes[name], job)):
                given_up[name] = alike
    finally:
        with suppress(OSError):  # of a scheduler that has ended
            pool.client.unregister_worker_plugin(session.name)
    for job, case in begun:
        wait_for(job.folder / case.name / RECORD)


def wait_for(path: Path) -> None:
    """Wait until a path is in sight, as a network file system may show it later."""
    deadline = time.monotonic() + SEEN_S
    while not path.exists():
        if time.monotonic() > deadline:
            raise InputError(f"{path} is not there; give RUNS, a folder that all nodes see")
        time.sleep(0.2)


def _settle(outcome: Outcome) -> None:
    """Wait after a failure that the end of a job may cause: the worker ends then, too."""
    if outcome.status in ENDINGS and outcome.exit_code not in REFUSALS:
        time.sleep(SETTLE_S)
