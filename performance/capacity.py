"""Print what a large benchmark costs on so many nodes, by a small model with measured constants.

Usage: python performance/capacity.py [--measure] [--write]

`--measure` measures the constants anew, a mini benchmark by each algorithm and 1,000 pieces
through the scheduler, into ``capacity.json`` beside this file; `--write` puts the tables into
``docs/cluster.md``. The model: the run takes as long as its slowest resource (workers, bytes and
files of the shared disk, the runner with its scheduler); plan and report are of the runner alone.
"""

import argparse
import json
import os
import resource
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import inf
from pathlib import Path

import cluster
import report

from cytosuite.benchmark.catalog import algorithms
from cytosuite.benchmark.cluster.processes import processes
from cytosuite.benchmark.data.dataset import Dataset, prepare
from cytosuite.benchmark.data.recipe import DataRequest, recipe
from cytosuite.benchmark.engines.outcome import Engine, Limits
from cytosuite.benchmark.engines.process import ProcessEngine
from cytosuite.benchmark.plan import Job, plan
from cytosuite.benchmark.report import write_report
from cytosuite.benchmark.results.gather import RunFacts, gather
from cytosuite.benchmark.run import run_job
from cytosuite.tasks import TASKS, Task

HERE = Path(__file__).parent
RECORDED, PAGE = HERE / "capacity.json", HERE.parent / "docs" / "cluster.md"
BEGIN, END = "<!-- capacity: performance/capacity.py --write -->\n", "<!-- end of capacity -->\n"
NODES = (1, 8, 64, 256)
MEASURED = ("watershed", "cellpose3d")  # a classical algorithm and a network
CASES, VOXELS = 8, 24 * 96 * 96  # of the mini benchmark, and in each of them
PIECES = 1000  # through the scheduler; their cost does not depend on the number
HOUR, GB = 3600.0, 1e9
SIZES = ("data", "results", "files", "memory of the runner", "report", "more nodes help up to")


@dataclass(frozen=True, slots=True)
class Costs:
    """Measured constants, of spheroids with `voxels` each, by one core.

    Parameters
    ----------
    voxels : float
        Of a case.
    case_s, start_s, score_s : float
        Processor seconds of a case, of a start of an algorithm, of the scoring of a result: means.
    case_bytes, case_files, result_bytes, result_files : float
        Of the data of a case, and of a result, on disk.
    plan_s, word_s, piece_s, row_s : float
        Processor seconds of the runner: to look at a result, per case that a worker reports, per
        chunk through the scheduler, and per result in the report.
    row_bytes, page_bytes : float
        Memory of the runner, and bytes of the report, per result.
    scheduler_mib : float
        Memory of the runner with its scheduler while it sends pieces.
    load : float
        Of the machine on which this was measured.
    """

    voxels: float
    case_s: float
    start_s: float
    score_s: float
    case_bytes: float
    case_files: float
    result_bytes: float
    result_files: float
    plan_s: float
    word_s: float
    piece_s: float
    row_s: float
    row_bytes: float
    page_bytes: float
    scheduler_mib: float
    load: float = 0.0


@dataclass(frozen=True, slots=True)
class Facility:
    """What is assumed of a cluster.

    Parameters
    ----------
    workers : int
        Of a node.
    disk_bytes_s, disk_files_s : float
        Bytes, and new files, per second of the shared disk, by all nodes together.
    chunk_s : float
        Length of a chunk of cases.
    """

    workers: int = 16
    disk_bytes_s: float = 2 * GB
    disk_files_s: float = 5000.0
    chunk_s: float = 600.0


@dataclass(frozen=True, slots=True)
class Work:
    """A benchmark: a number of algorithms on a number of cases of a size."""

    name: str
    cases: int
    algorithms: int
    voxels: float

    @property
    def results(self) -> int:
        """Number of results."""
        return self.cases * self.algorithms


SMALL = Work("100,000 spheroids of 1.2 million voxels", 100_000, 20, 48 * 160 * 160)
LARGE = Work("2,000 volumes of 10 GB (5 billion voxels)", 2_000, 20, 5e9)


@dataclass(frozen=True, slots=True)
class Hours:
    """Hours of a run by its resources, and of what comes before and after.

    Parameters
    ----------
    workers, disk, files, runner : float
        Of the resources, each as if it were alone.
    rest : float
        Of plan, scoring by the workers, and report.
    """

    workers: float
    disk: float
    files: float
    runner: float
    rest: float

    @property
    def run(self) -> float:
        """Hours of the run: those of the slowest resource."""
        return max(self.workers, self.disk, self.files, self.runner)

    @property
    def bound(self) -> str:
        """The slowest resource."""
        named = {
            "workers": self.workers,
            "bytes of the disk": self.disk,
            "files of the disk": self.files,
            "runner": self.runner,
        }
        return max(named, key=lambda name: named[name])


def chunks(work: Work, costs: Costs, facility: Facility) -> float:
    """Return the number of chunks: each as long as allowed, of one case at least."""
    case_s = costs.case_s * work.voxels / costs.voxels
    return work.results / max(1.0, facility.chunk_s / case_s)


def hours(work: Work, costs: Costs, facility: Facility, nodes: int) -> Hours:
    """Return the hours of a benchmark; times and bytes of a case grow with its voxels."""
    scale, slots = work.voxels / costs.voxels, nodes * facility.workers
    sent = chunks(work, costs, facility)
    moved = (costs.case_bytes + costs.result_bytes) * scale  # input read, result written
    seconds = {
        "workers": (work.results * costs.case_s * scale + sent * costs.start_s) / slots,
        "disk": work.results * moved / facility.disk_bytes_s,
        "files": work.results * costs.result_files / facility.disk_files_s,
        "runner": work.results * costs.word_s + sent * costs.piece_s,
        "rest": work.results * (costs.plan_s + costs.row_s + costs.score_s * scale / slots),
    }
    return Hours(**{name: value / HOUR for name, value in seconds.items()})


def saturation(work: Work, costs: Costs, facility: Facility) -> dict[str, float]:
    """Return the number of nodes beyond which another resource than the workers is the slowest."""
    one = hours(work, costs, facility, 1)
    others = {"bytes of the disk": one.disk, "files of the disk": one.files, "runner": one.runner}
    return {name: one.workers / own if own else inf for name, own in others.items()}


def tables(costs: Costs, facility: Facility = Facility()) -> str:
    """Return constants, hours and sizes as Markdown."""
    lines = [
        _assumed(costs, facility),
        "",
        "| 20 algorithms on | nodes | run, h | bound by | plan, scoring, report, h | together, h |",
        "|---|---|---|---|---|---|",
    ]
    for work in (SMALL, LARGE):
        for nodes in NODES:
            found = hours(work, costs, facility, nodes)
            numbers = f"{_few(found.rest)} | {_few(found.run + found.rest)}"
            lines.append(
                f"| {work.name} | {nodes} | {_few(found.run)} | {found.bound} | {numbers} |"
            )
    lines += [
        "",
        f"| 20 algorithms on | {' | '.join(SIZES)} |",
        "|---|---|---|---|---|---|---|",
        *(_sizes(work, costs, facility) for work in (SMALL, LARGE)),
    ]
    return "\n".join(lines) + "\n"


def _assumed(costs: Costs, facility: Facility) -> str:
    """Return what is assumed and measured, in sentences."""
    return (
        f"Assumed: {facility.workers} workers per node, a shared disk with "
        f"{facility.disk_bytes_s / GB:g} GB/s and {facility.disk_files_s:,.0f} new files per "
        f"second, chunks of {facility.chunk_s / 60:g} minutes. Measured on spheroids of "
        f"{costs.voxels / 1e6:.2f} million voxels, as processor time: "
        f"{costs.case_s:.1f} s per case (mean of {' and '.join(MEASURED)}), {costs.start_s:.1f} s "
        f"per start, {1e3 * costs.score_s:.0f} ms of scoring; of the runner "
        f"{1e3 * costs.word_s:.1f} ms per case, {1e3 * costs.piece_s:.1f} ms per chunk, "
        f"{1e3 * costs.plan_s:.2f} ms per result before the run and {1e3 * costs.row_s:.2f} ms in "
        f"the report (load {costs.load:.1f})."
    )


def _sizes(work: Work, costs: Costs, facility: Facility) -> str:
    """Return the row of a benchmark in the table of sizes."""
    scale = work.voxels / costs.voxels
    data, made = work.cases * costs.case_bytes * scale, work.results * costs.result_bytes * scale
    files = work.cases * costs.case_files + work.results * costs.result_files
    memory = costs.scheduler_mib * 2**20 + work.results * costs.row_bytes
    most = saturation(work, costs, facility)
    first = min(most, key=lambda name: most[name])
    return (
        f"| {work.name} | {_bytes(data)} | {_bytes(made)} | {files / 1e6:.1f} million | "
        f"{_bytes(memory)} | {_bytes(work.results * costs.page_bytes)} | "
        f"{most[first]:,.0f} nodes ({first}) |"
    )


def _bytes(number: float) -> str:
    """Return bytes with their unit."""
    for unit, factor in (("TB", 1e12), ("GB", 1e9)):
        if number >= factor:
            return f"{number / factor:.1f} {unit}"
    return f"{number / 1e6:.0f} MB"


def _few(number: float) -> str:
    """Return hours with two digits, at least."""
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"


def measure() -> Costs:
    """Return the constants of this machine."""
    load = os.getloadavg()[0]
    limits, engine = Limits(memory_gib=8.0, cpus=1.0), ProcessEngine()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        request = DataRequest("spheroid", "mini", cases=CASES)
        dataset = prepare(recipe(request), home / "data", processes(2), lambda *_: None)
        found = [algorithms()[name] for name in MEASURED]
        jobs = plan(dataset, found, engine, home / "run")
        costs = _paces(jobs, TASKS[dataset.task], engine, limits)
        costs |= _results(dataset, home / "run", engine)
        costs |= {
            "case_bytes": _used(dataset.home)[0] / CASES,
            "case_files": _used(dataset.home)[1] / CASES,
        }
    idle, bare = cluster.idle(PIECES), cluster.bare(PIECES)
    costs |= {"word_s": idle["cpu"], "piece_s": bare["cpu"], "scheduler_mib": bare["peak"]}
    return Costs(**costs, **_rows(), load=round(load, 1))


def _paces(jobs: Sequence[Job], task: Task, engine: Engine, limits: Limits) -> dict[str, float]:
    """Run jobs; return seconds of a case and of a start, as means.

    Processor time counts, of all programs that were started: with one thread that is the time on
    a quiet machine. The first case fills caches; the second costs a start and a case, all others a
    start and these.
    """
    found = []
    for job in jobs:
        seconds = []
        for part in (job.missing[:1], job.missing[1:2], job.missing[2:]):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            run_job(replace(job, missing=part), task, engine, limits, "invoke", lambda *_: None)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        case = (seconds[2] - seconds[1]) / (len(job.missing) - 3)
        found.append((case, seconds[1] - case))
    return {
        "case_s": sum(case for case, _ in found) / len(jobs),
        "start_s": max(0.0, sum(start for _, start in found) / len(jobs)),
    }


def _results(dataset: Dataset, folder: Path, engine: ProcessEngine) -> dict[str, float]:
    """Return what results cost: by their records, their files, a second plan and their scores."""
    number = CASES * len(MEASURED)
    assert len(list(folder.glob("*/*/record.json"))) == number
    size, files = _used(folder)
    begin = time.process_time()
    jobs = plan(dataset, [algorithms()[name] for name in MEASURED], engine, folder)
    planned = time.process_time() - begin
    assert not any(job.missing for job in jobs)
    scored = []
    for cases in (dataset.cases[:1], dataset.cases[:1], dataset.cases):  # the first one compiles
        begin = time.process_time()
        some = replace(dataset, cases=cases)
        gather(some, TASKS[dataset.task], jobs, RunFacts("process", "invoke", "", ""))
        scored.append(time.process_time() - begin)
    return {
        "voxels": VOXELS,
        "score_s": (scored[2] - scored[1]) / (number - len(MEASURED)),
        "plan_s": planned / number,
        "result_bytes": size / number,
        "result_files": files / number,
    }


def _rows() -> dict[str, float]:
    """Return what a result costs in the report, by the difference of two sizes of it."""
    found: list[Mapping[str, float]] = []
    for number in (100, 400):
        report.CASES = number
        with tempfile.TemporaryDirectory() as folder, cluster.watched() as memory:
            results = report.fake_results()
            begin = time.process_time()
            write_report(results, Path(folder))
            seconds = time.process_time() - begin
            size, _ = _used(Path(folder))
        bytes_used = (memory["peak"] - memory["begin"]) * 2**20
        found.append({"row_s": seconds, "page_bytes": size, "row_bytes": bytes_used})
    more = report.ALGORITHMS * 300
    return {name: max(0.0, found[1][name] - found[0][name]) / more for name in found[0]}


def _used(folder: Path) -> tuple[int, int]:
    """Return bytes and number of entries below a folder; links count as entries."""
    entries = list(folder.rglob("*"))
    return sum(p.stat().st_size for p in entries if p.is_file() and not p.is_symlink()), len(
        entries
    )


def recorded() -> Costs:
    """Return the constants that were measured last."""
    return Costs(**json.loads(RECORDED.read_text()))


def written(page: str, text: str) -> str:
    """Return a page with the tables in their place."""
    before, _, rest = page.partition(BEGIN)
    return before + BEGIN + text + END + rest.partition(END)[2]


def main() -> None:
    """Measure where asked to, and print or write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", action="store_true", help="measure the constants anew")
    parser.add_argument("--write", action="store_true", help="write the tables into the page")
    given = parser.parse_args()
    if given.measure:
        values = {name: float(f"{value:.3g}") for name, value in asdict(measure()).items()}
        values["voxels"] = VOXELS
        RECORDED.write_text(json.dumps(values, indent=2) + "\n")
    text = tables(recorded())
    if given.write:
        PAGE.write_text(written(PAGE.read_text(), text))
    print(text)


if __name__ == "__main__":
    main()
