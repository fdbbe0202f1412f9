"""Jobs of a run on the workers of a cluster, until each case has its result."""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from threading import Lock

from cytosuite.benchmark.cluster.cases import (
    SEEN_S,
    TOPIC,
    ChunkResult,
    Circumstances,
    Refusal,
    run_chunk,
)
from cytosuite.benchmark.cluster.chunks import Backlog, Chunk
from cytosuite.benchmark.cluster.dask_pool import DaskPool
from cytosuite.benchmark.cluster.pool import Lost, Pool
from cytosuite.benchmark.data.dataset import Case
from cytosuite.benchmark.engines.outcome import Outcome
from cytosuite.benchmark.plan import Job
from cytosuite.benchmark.record import Record, read_record
from cytosuite.benchmark.run import Report, cause_of, fail, give_up, hopeless
from cytosuite.errors import InputError

RAISED = "memory raised"  # warning of a record
RAISED_TO = re.compile(rf"{RAISED}: ([0-9.]+) GiB")


class Told:
    """Reports each end of a case once: by the words of its worker, or with its chunk."""

    def __init__(self, report: Report) -> None:
        self.report, self.known, self._lock = report, set[tuple[str, str]](), Lock()

    def __call__(self, algorithm: str, case: str, status: str) -> None:
        """Report the end of a case, unless it is known."""
        with self._lock:
            if (algorithm, case) not in self.known:
                self.known.add((algorithm, case))
                self.report(algorithm, case, status)

    def hear(self, word: Sequence[str]) -> None:
        """Report the words of a worker."""
        self(*word)


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
    """Run the missing cases of jobs on the workers of a pool.

    Parameters
    ----------
    jobs : sequence of Job
        Of one task and dataset.
    circumstances : Circumstances
        Engine and limits.
    pool : Pool
        The workers.
    report : callable
        Called with algorithm, case and status as soon as a case has ended.
    chunk_s : float
        Longest chunk [s].
    keep_going : bool
        Whether to run all cases of an algorithm whose first ones fail alike.
    remark : callable
        Gets a line on each node that is left out.

    Raises
    ------
    InputError
        If no node can run them, see `run_chunk`.

    Notes
    -----
    A chunk whose workers ended too often is run again in halves; a single case that is lost is a
    failed one with the status ``killed``, which the next run tries again.
    """
    told = Told(report)
    backlog = Backlog(jobs, pool.slots, chunk_s)
    for job in jobs:
        job.folder.mkdir(parents=True, exist_ok=True)
    with _hearing(pool, told):
        while backlog:
            for number, result in pool.each(partial(run_chunk, circumstances), backlog):
                chunk = backlog.given[number]
                if isinstance(result, Refusal):
                    remark(_left_out(pool, result))
                    backlog.put_back(chunk)
                elif isinstance(result, Lost):
                    _lose(backlog, chunk, result, told)
                else:
                    _learn(backlog, chunk, result, told)
                    if not keep_going:
                        _give_up(backlog, chunk, told)
    _wait_for_records(jobs, told)


def _hearing(pool: Pool, told: Told) -> AbstractContextManager[None]:
    """Listen to the workers of a cluster."""
    return pool.hearing(TOPIC, told.hear) if isinstance(pool, DaskPool) else nullcontext()


def _left_out(pool: Pool, refusal: Refusal) -> str:
    """Keep further chunks off a node, and return a line on it.

    Raises
    ------
    InputError
        If there is no other node.
    """
    if not isinstance(pool, DaskPool) or not pool.leave_out(refusal.node):
        raise InputError(refusal.reason)
    return f"{refusal.reason}; the run goes on without this node"


def _lose(backlog: Backlog, chunk: Chunk, lost: Lost, told: Told) -> None:
    """Put back a lost chunk in halves; a case that was alone is a failed one."""
    if not backlog.split(chunk):
        reason = f"{lost.reason}; the logs of the cluster may tell why"
        fail(chunk.job, chunk.cases, Outcome("killed", 0.0, None, None, reason), told)


def _learn(backlog: Backlog, chunk: Chunk, result: ChunkResult, told: Told) -> None:
    """Take in the speed and the failures of a chunk."""
    found = backlog.left[chunk.job.algorithm.name]
    if result.ran:
        start = max((record.startup_seconds for record in result.records), default=0.0)
        found.pace.add(result.ran, result.seconds, start)
    for record in result.records:
        found.causes[record.case] = cause_of(record, record.case, chunk.job)
        told(record.algorithm, record.case, record.status)


def _give_up(backlog: Backlog, chunk: Chunk, told: Told) -> None:
    """Give an algorithm up when its first cases have failed alike; running chunks go on."""
    name = chunk.job.algorithm.name
    found = backlog.left[name]
    if cause := hopeless(found.first_causes, found.job):
        give_up(chunk.job, backlog.drop(name), cause, told)


def rungs(
    jobs: Sequence[Job], cases: Sequence[Case], limits: Mapping[str, float], top: float
) -> Iterator[tuple[float, list[Job]]]:
    """Yield more memory, up to a limit, with the cases that need it, until none does.

    Parameters
    ----------
    jobs : sequence of Job
        That were run.
    cases : sequence of Case
        All of the dataset: those that were out of memory in an earlier run count.
    limits : mapping of str to float
        Memory that a case had at first, by algorithm [GiB].
    top : float
        Most memory of a case [GiB].

    Yields
    ------
    memory : float
        Twice that which did not suffice, `top` at most [GiB].
    jobs : list of Job
        With the cases to run, before the next one is asked for; a remark for their records says
        so.
    """
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
        yield (
            memory,
            [
                _again(job, found, memory, limits[job.algorithm.name], len(cases))
                for job in jobs
                if (found := wanted[memory].get(job.algorithm.name))
            ],
        )


def _again(job: Job, cases: Sequence[Case], memory: float, limit: float, number: int) -> Job:
    """Return a job of the cases that need more memory."""
    remark = f"{RAISED}: {memory:g} GiB, as {limit:g} GiB did not suffice"
    return replace(
        job, missing=tuple(cases), present=max(0, number - len(cases)), remarks=(remark,)
    )


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
