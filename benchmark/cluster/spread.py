"""Jobs of a run on the workers of a cluster, until each case has its result."""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from math import ceil
from threading import Lock

from cytosuite.benchmark.cluster.cases import (
    SEEN_S,
    TOPIC,
    Chunk,
    ChunkResult,
    Circumstances,
    Refusal,
    run_chunk,
)
from cytosuite.benchmark.cluster.dask_pool import DaskPool
from cytosuite.benchmark.data.dataset import Case
from cytosuite.benchmark.engines.outcome import Ending, Outcome
from cytosuite.benchmark.runs.plan import Job
from cytosuite.benchmark.runs.record import Record, read_record
from cytosuite.benchmark.runs.run import ALIKE, Report, cause_of, fail, give_up, hopeless
from cytosuite.benchmark.store.pool import Lost, Pool
from cytosuite.errors import InputError

RAISED = "memory raised"  # warning of a record
RAISED_TO = re.compile(rf"{RAISED}: ([0-9.]+) GiB")
UNKNOWN = 4  # cases of a chunk while the time of a case is not known
STARTS = 4.0  # a chunk runs so many times as long as its start, so that the start is a fifth
SHARES = 2  # chunks per worker that are left to share out when the work comes to its end
MOST = 1000  # cases of a chunk: a lost one holds up the end of the run


def chunk_size(
    begun: int, left: int, slots: int, pace: "Pace", most_s: float, *, alone: int = ALIKE
) -> int:
    """Return the number of cases of the next chunk of an algorithm."""
    if begun < alone:
        return 1
    share = ceil(left / (SHARES * slots))
    if pace.case_s is None:
        return min(left, UNKNOWN, share)
    long = max(1, int(most_s / max(pace.case_s, 1e-3)))
    worth = ceil(STARTS * pace.start_s / max(pace.case_s, 1e-3))  # repays its start
    return min(left, MOST, long, max(share, worth))


@dataclass
class Pace:
    """Speed of an algorithm: cases that were run, seconds of all cases and of all starts."""

    cases: int = 0
    seconds: float = 0.0
    start_seconds: float = 0.0
    chunks: int = 0

    @property
    def case_s(self) -> float | None:
        """Mean seconds of a case, None where none was run."""
        return self.seconds / self.cases if self.cases else None

    @property
    def start_s(self) -> float:
        """Mean seconds of a start."""
        return self.start_seconds / max(1, self.chunks)

    def add(self, cases: int, seconds: float, start_s: float) -> None:
        """Count a chunk."""
        self.cases += cases
        self.seconds += max(0.0, seconds - start_s)
        self.start_seconds += start_s
        self.chunks += 1


@dataclass
class JobLeft:
    """Cases of a job that are left, its speed, and the failures of its first cases."""

    job: Job
    cases: list[Case]
    pace: Pace = field(default_factory=Pace)
    begun: int = 0
    causes: dict[str, Ending | None] = field(default_factory=dict)
    halves: list[tuple[Case, ...]] = field(default_factory=list)

    @property
    def first_causes(self) -> list[Ending | None]:
        """Failures of the first cases in the order of the plan, as far as all of them are known."""
        first = [case.name for case in self.job.missing[:ALIKE]]
        return [self.causes[name] for name in first] if self.causes.keys() >= {*first} else []


class Backlog:
    """The cases that are left, cut into chunks as workers become free."""

    def __init__(self, jobs: Sequence[Job], slots: int, chunk_s: float) -> None:
        self.slots, self.chunk_s = slots, chunk_s
        self.left = {job.algorithm.name: JobLeft(job, list(job.missing)) for job in jobs}
        self.given: list[Chunk] = []

    def __bool__(self) -> bool:
        """Return whether cases are left that no chunk holds."""
        return any(found.cases or found.halves for found in self.left.values())

    def __iter__(self) -> Iterator[Chunk]:
        """Yield the next chunk as long as there is one, and remember it in `given`."""
        self.given = []
        while self:
            found = self._next()
            if found.halves:
                cases = found.halves.pop(0)
            else:
                size = chunk_size(
                    found.begun, len(found.cases), self.slots, found.pace, self.chunk_s
                )
                cases, found.cases = tuple(found.cases[:size]), found.cases[size:]
            found.begun += len(cases)
            self.given.append(Chunk(replace(found.job, missing=()), cases))
            yield self.given[-1]

    def _next(self) -> JobLeft:
        """Return the job of the next chunk: halves, then first cases, then the longest job."""
        open_ones = [found for found in self.left.values() if found.cases or found.halves]
        for found in open_ones:
            if found.halves or found.begun < ALIKE:
                return found
        return max(open_ones, key=lambda found: len(found.cases) * (found.pace.case_s or 1e9))

    def split(self, chunk: Chunk) -> bool:
        """Put back a lost chunk in halves; return False for a single case."""
        if len(chunk.cases) == 1:
            return False
        middle = len(chunk.cases) // 2
        self.left[chunk.job.algorithm.name].halves += [chunk.cases[:middle], chunk.cases[middle:]]
        return True

    def put_back(self, chunk: Chunk) -> None:
        """Put back a chunk that was not begun; it is the next one."""
        found = self.left[chunk.job.algorithm.name]
        found.begun -= len(chunk.cases)
        found.halves.insert(0, chunk.cases)

    def drop(self, name: str) -> list[Case]:
        """Remove and return the cases of an algorithm that no chunk holds."""
        found = self.left[name]
        cases = [case for half in found.halves for case in half] + found.cases
        found.cases, found.halves = [], []
        return cases


class Told:
    """Reports the end of each case once: from its worker's message, or with its chunk."""

    def __init__(self, report: Report) -> None:
        self.report, self.known, self._lock = report, set[tuple[str, str]](), Lock()

    def __call__(self, algorithm: str, case: str, status: str) -> None:
        """Report the end of a case, unless it is known."""
        with self._lock:
            if (algorithm, case) not in self.known:
                self.known.add((algorithm, case))
                self.report(algorithm, case, status)


def spread(
    jobs: Sequence[Job],
    circumstances: Circumstances,
    pool: Pool,
    report: Report,
    *,
    chunk_s: float,
    keep_going: bool = False,
    remark: Callable[[str], None] = lambda _: None,
) -> None:
    """Run the missing cases on a pool; a lost chunk runs in halves, a lost case is ``killed``."""
    told = Told(report)
    backlog = Backlog(jobs, pool.slots, chunk_s)
    for job in jobs:
        job.folder.mkdir(parents=True, exist_ok=True)
    workers = pool if isinstance(pool, DaskPool) else None
    with workers.hearing(TOPIC, lambda word: told(*word)) if workers else nullcontext():
        while backlog:
            for number, result in pool.each(partial(run_chunk, circumstances), backlog):
                chunk = backlog.given[number]
                if isinstance(result, Refusal):
                    remark(_left_out(pool, result))
                    backlog.put_back(chunk)
                elif isinstance(result, Lost):
                    if not backlog.split(chunk):
                        reason = f"{result.reason}; the logs of the cluster may tell why"
                        fail(
                            chunk.job, chunk.cases, Outcome("killed", 0.0, None, None, reason), told
                        )
                else:
                    _learn(backlog, chunk, result, told)
                    name = chunk.job.algorithm.name
                    left = backlog.left[name]  # running chunks of an algorithm given up go on
                    if not keep_going and (cause := hopeless(left.first_causes, left.job)):
                        give_up(chunk.job, backlog.drop(name), cause, told)
    _wait_for_records(jobs, told)


def _left_out(pool: Pool, refusal: Refusal) -> str:
    """Keep further chunks off a node, and return a line on it."""
    if not isinstance(pool, DaskPool) or not pool.leave_out(refusal.node):
        raise InputError(refusal.reason)
    return f"{refusal.reason}; the run goes on without this node"


def _learn(backlog: Backlog, chunk: Chunk, result: ChunkResult, told: Told) -> None:
    """Take in the speed and the failures of a chunk."""
    found = backlog.left[chunk.job.algorithm.name]
    if result.ran:
        start = max((record.startup_seconds for record in result.records), default=0.0)
        found.pace.add(result.ran, result.seconds, start)
    for record in result.records:
        found.causes[record.case] = cause_of(record, record.case, chunk.job)
        told(record.algorithm, record.case, record.status)


def rungs(
    jobs: Sequence[Job], cases: Sequence[Case], limits: Mapping[str, float], top: float
) -> Iterator[tuple[float, list[Job]]]:
    """Yield more memory, up to a limit, with the cases that need it, until none does."""
    open_ones = {job.algorithm.name: list(cases) for job in jobs}
    while True:
        wanted: dict[float, dict[str, list[Case]]] = {}
        for job in jobs:
            name = job.algorithm.name
            for case in open_ones[name]:
                had = _too_little(read_record(job.folder / case.name), job, limits[name])
                if had is not None and had < top:
                    wanted.setdefault(min(2 * had, top), {}).setdefault(name, []).append(case)
        if not wanted:
            return
        open_ones = {
            name: [case for found in wanted.values() for case in found.get(name, ())]
            for name in open_ones
        }
        memory = min(wanted)
        again = []
        for job in jobs:
            name = job.algorithm.name
            if left := wanted[memory].get(name):
                remark = f"{RAISED}: {memory:g} GiB, as {limits[name]:g} GiB did not suffice"
                present = max(0, len(cases) - len(left))
                again.append(replace(job, missing=tuple(left), present=present, remarks=(remark,)))
        yield memory, again


def _too_little(record: Record | None, job: Job, limit: float) -> float | None:
    """Return the memory that did not suffice for a case [GiB], None where it was not that."""
    if record is None or record.key != job.key or record.status != "out of memory":
        return None
    raised = [float(found[1]) for line in record.warnings if (found := RAISED_TO.match(line))]
    return max([limit, *raised])


def _wait_for_records(jobs: Sequence[Job], told: Told, patience_s: float = SEEN_S) -> None:
    """Wait until the results of workers are in sight, as a file system may show them later."""
    folders = {job.algorithm.name: job.folder for job in jobs}
    deadline = time.monotonic() + patience_s
    for name, case in told.known:
        folder = folders[name] / case
        while not (folder / "record.json").is_file():
            if time.monotonic() > deadline:
                raise InputError(
                    f"{folder}: no result, though a worker has written one; give RUNS, a folder "
                    "that all nodes see by the same path"
                )
            list(folders[name].iterdir())  # makes the client of a file system look
            time.sleep(0.2)
