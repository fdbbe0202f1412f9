"""Measure what a cluster adds to a case and gains by a second worker, and the scheduler's memory.

Usage: python performance/cluster.py [speed] [idle] [--cases 10000] [--turns 3]

`speed`: 40 spheroids by watershed on two workers and on one, each with a single thread, in turns.
`idle`: 10,000 cases of an algorithm that does nothing, on a cluster and without it, by the same
code. Workers are processes of this machine; the scheduler lies in the process of the runner, as
with Slurm.
"""

import argparse
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cytosuite.benchmark.catalog.catalog import algorithms
from cytosuite.benchmark.cluster.cases import Circumstances
from cytosuite.benchmark.cluster.dask_pool import DaskPool
from cytosuite.benchmark.cluster.opened import OpenCluster
from cytosuite.benchmark.cluster.processes import processes
from cytosuite.benchmark.cluster.site import ClusterSite
from cytosuite.benchmark.cluster.spread import spread
from cytosuite.benchmark.data.dataset import Case, prepare
from cytosuite.benchmark.data.recipe import DataRequest, recipe
from cytosuite.benchmark.engines.external import ExternalImage
from cytosuite.benchmark.engines.outcome import Engine, Limits, Outcome, Session, Shown
from cytosuite.benchmark.engines.process import ProcessEngine
from cytosuite.benchmark.runs.plan import Job, job_key, plan
from cytosuite.benchmark.runs.run import run_job
from cytosuite.contract.tasks import TASKS
from cytosuite.contract.words import Api

NAME, TASK = "watershed", "segment"
CHUNK_S = 600.0
GIB = 1.0  # of a case


@dataclass
class IdleEngine:
    """An engine that does nothing: it refuses each case, as an algorithm may."""

    models: Mapping[str, Path] = field(default_factory=dict)
    name: str = "idle"
    externals: Mapping[str, ExternalImage] = field(default_factory=dict)
    api: Api = "invoke"
    client: None = None
    voice: str = ""
    notes: tuple[str, ...] = ()
    startup_seconds: float = 0.0

    def prepare(self, algorithms: Collection[str], base_image: str | None = None) -> None:
        """Need nothing."""

    def check_gpu(self, algorithm: str) -> None:
        """Need no GPU."""

    def identity(self, algorithm: str) -> str:
        """Return a constant."""
        return algorithm

    @contextmanager
    def session(
        self,
        algorithm: str,  # noqa: ARG002 - of the protocol, as those below
        workspace: Path,  # noqa: ARG002
        limits: Limits,  # noqa: ARG002
        api: Api,  # noqa: ARG002
    ) -> Iterator[Session]:
        """Start nothing."""
        yield self

    def predict(
        self,
        case_input: Path,  # noqa: ARG002
        output: Path,  # noqa: ARG002
        log: Path,  # noqa: ARG002
        shown: Shown = lambda _: None,  # noqa: ARG002
    ) -> Outcome:
        """Refuse the case, which is then the cause: the algorithm is not given up."""
        return Outcome("non-zero exit", 0.0, None, 2, "nothing was done")


@dataclass(frozen=True, slots=True)
class IdleCircumstances(Circumstances):
    """Circumstances of a run of the idle engine."""

    def start(self) -> Engine:
        """Return the idle engine."""
        return IdleEngine()


@contextmanager
def workers(number: int, home: Path) -> Iterator[DaskPool]:
    """Yield so many workers with one core each, once all of them are there."""
    site = ClusterSite(workers=number, cores=1, scratch=home / "scratch")
    with OpenCluster("local", site, home / "cluster", lambda _: None) as cluster:
        pool = cluster.pool(GIB)
        pool.client.wait_for_workers(number)
        yield pool


@contextmanager
def watched() -> Iterator[dict[str, float]]:
    """Yield the memory of this process [MiB] at the begin, and at its peak once the block ends."""

    def now() -> float:
        """Return the resident memory [MiB]."""
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    found, done = {"begin": now(), "peak": now()}, threading.Event()

    def look() -> None:
        """Keep the maximum."""
        while not done.wait(0.05):
            found["peak"] = max(found["peak"], now())

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield found
    finally:
        done.set()
        looking.join()


def speed(number: int, turns: int) -> dict[str, float]:
    """Return the seconds for spheroids by one and two workers, and the ratio, as medians.

    Workers are there before the clock starts; the start of the algorithm on each of them counts.
    """
    limits = Limits(memory_gib=GIB, cpus=1.0)
    seconds: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        request = DataRequest("spheroid", "default", cases=number)
        dataset = prepare(recipe(request), home / "data", processes(2), lambda *_: None)
        circumstances = Circumstances(
            "process", "cpu", TASK, {NAME: limits}, {NAME: "invoke"}, scratch=home / "scratch"
        )
        for turn in range(turns):
            for count in seconds:
                jobs = plan(
                    dataset, [algorithms()[NAME]], ProcessEngine(), home / f"{turn}-{count}"
                )
                with workers(count, home) as pool:
                    begin = time.perf_counter()
                    spread(jobs, circumstances, pool, lambda *_: None, chunk_s=CHUNK_S)
                    seconds[count].append(time.perf_counter() - begin)
    one, two = (statistics.median(seconds[count]) for count in (1, 2))
    ratio = statistics.median(a / b for a, b in zip(seconds[1], seconds[2], strict=True))
    return {"one": one, "two": two, "ratio": ratio}


def idle(number: int) -> dict[str, float]:
    """Return seconds per idle case on one worker, two and none, and memory of the runner [MiB].

    ``cpu``: processor time of the runner with the scheduler, by two workers.
    """
    limits, engine = Limits(memory_gib=GIB), IdleEngine()
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "case").mkdir()
        cases = tuple(Case(f"case_{n:05d}", home / "case") for n in range(number))
        key = job_key("0" * 64, NAME, engine)
        circumstances = IdleCircumstances(
            "idle", "cpu", TASK, {NAME: limits}, {NAME: "invoke"}, scratch=home / "scratch"
        )

        def job(word: str) -> Job:
            """Return a job in a folder of its own."""
            return Job(algorithms()[NAME], key, home / word, cases, 0, fingerprint="0" * 64)

        begin = time.perf_counter()
        run_job(job("none"), TASKS[TASK], engine, limits, "invoke", lambda *_: None)
        found["none"] = (time.perf_counter() - begin) / number
        for count in (1, 2):
            with workers(count, home) as pool, watched() as memory:
                begin, busy = time.perf_counter(), time.process_time()
                spread([job(str(count))], circumstances, pool, lambda *_: None, chunk_s=CHUNK_S)
                found[str(count)] = (time.perf_counter() - begin) / number
                found["cpu"] = (time.process_time() - busy) / number
            found |= {f"begin {count}": memory["begin"], f"peak {count}": memory["peak"]}
    return found


def main() -> None:
    """Measure and print what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", choices=["speed", "idle"], default=[])
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--turns", type=int, default=3)
    given = parser.parse_args()
    wanted = given.what or ["speed", "idle"]
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    if "speed" in wanted:
        found = speed(40, given.turns)
        print(
            f"40 spheroids, watershed: {found['one']:.1f} s by one worker, {found['two']:.1f} s by "
            f"two, ratio {found['ratio']:.2f} (medians of {given.turns})"
        )
    if "idle" in wanted:
        found = idle(given.cases)
        print(
            f"{given.cases} cases that do nothing: {1e3 * found['none']:.2f} ms without a cluster, "
            f"{1e3 * found['1']:.2f} ms by one worker, {1e3 * found['2']:.2f} ms by two, "
            f"of which {1e3 * found['cpu']:.2f} ms of processor time are the runner's; with the "
            f"scheduler it has {found['begin 2']:.0f} MiB, at most {found['peak 2']:.0f} MiB"
        )
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
