"""Run many cases through each engine and print all that could grow: memory, handles, disk.

Usage: python performance/soak.py [docker] [process] [exec] [cases]

The images are tiny, so that the runner's own work is most of it. Growth is the slope of a line
through the second half of the run.
"""

import os
import platform
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np

from cytosuite.benchmark.catalog.catalog import algorithms
from cytosuite.benchmark.engines.choose import choose
from cytosuite.benchmark.engines.hardening import RUN_LABEL
from cytosuite.benchmark.engines.images.daemon import find_docker
from cytosuite.benchmark.engines.outcome import Limits
from cytosuite.benchmark.runs.data.dataset import prepare
from cytosuite.benchmark.runs.data.recipe import Recipe
from cytosuite.benchmark.runs.plan import plan
from cytosuite.benchmark.runs.run import locked, run_job
from cytosuite.benchmark.runs.store.pool import processes
from cytosuite.benchmark.scores.score import score
from cytosuite.contract.tasks import TASKS
from cytosuite.contract.words import Api
from cytosuite.datasets.sample import Sample
from cytosuite.files.working import SESSION, owner_label
from cytosuite.volume import Volume

SHOWN = 8  # rows of a table
UNITS = {"memory": 2**20, "disk": 2**10}


def main() -> None:
    """Run the engines one after the other."""
    words = [word for word in sys.argv[1:] if not word.isdigit()]
    api: Api = "exec" if "exec" in words else "invoke"
    names = [word for word in words if word != "exec"] or ["process", "docker"]
    cases = next((int(word) for word in sys.argv[1:] if word.isdigit()), 200)
    print(f"{cases} cases per engine, {api}; {platform.machine()}, {os.cpu_count()} cores")
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            soak(name, cases, Path(folder), api)


def soak(name: str, cases: int, folder: Path, api: Api) -> None:
    """Run the cases by one engine, then score them, and print a table."""
    makers = tuple((f"case_{n:04d}", partial(squares, n)) for n in range(cases))
    made = Recipe("squares", "Squares", "tiny", "segment", 0, f"{cases:064d}", makers)
    dataset = prepare(made, folder / "data", processes(2), lambda *_: None)
    engine, _ = choose(name)
    rows: list[dict[str, float]] = []
    begin = time.perf_counter()

    def look(*_: str) -> None:
        """Note the present state after a case."""
        rows.append({"s": time.perf_counter() - begin, **state(name, folder / "run")})

    task, watershed = TASKS["segment"], algorithms()["watershed"]
    with locked(folder / "run"):
        (job,) = plan(dataset, [watershed], engine, folder / "run")
        run_job(job, task, engine, Limits(), api, look)
        done, (job,) = len(rows), plan(dataset, [watershed], engine, folder / "run")
    print(f"\n{name}: {done} cases, {len(job.missing)} missing after the run")
    columns = list(rows[0])
    print("  case" + "".join(f"{column:>12}" for column in columns))
    for number in sorted({*range(0, done, max(1, done // SHOWN)), done - 1}):
        values = (rows[number][c] / UNITS.get(c, 1) for c in columns)
        print(f"{number + 1:6}" + "".join(f"{value:12.1f}" for value in values))
    half = rows[done // 2 :]
    for column in columns[1:]:
        slope = np.polyfit(np.arange(len(half)), [row[column] for row in half], 1)[0]
        print(f"growth of {column} per case: {slope / UNITS.get(column, 1):.4f}")
    before, begin = state(name, folder / "run"), time.perf_counter()
    score(dataset, task, [job.answerer])
    after = state(name, folder / "run")
    grown = (after["memory"] - before["memory"]) / 2**20
    print(f"scored in {time.perf_counter() - begin:.1f} s, {grown:.1f} MiB more memory")
    left = [path for path in (folder / "run").rglob(".*") if path.name != ".lock"]
    print(f"left over: {len(left)} hidden files, {after['containers']:.0f} containers")


def squares(number: int) -> Sample:
    """Return an image of bright squares with its truth."""
    labels = np.zeros((4, 32, 32), np.uint16)
    for label in range(1, 5):
        labels[1:3, 8 * label - 6 : 8 * label - 1, 4 + number % 8 : 12 + number % 8] = label
    image = Volume((labels > 0).astype(np.uint16) * 100, (2.0, 0.5, 0.5), "ZYX")
    return Sample({"microscopy-image": image, "instance-labels": image.like(labels)})


def state(name: str, run: Path) -> dict[str, float]:
    """Return the present memory [bytes], handles, threads, children, containers and disk [bytes].

    The disk is that in use besides the results.
    """
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    containers = 0
    if name == "docker" and not isinstance(client := find_docker(), str):
        label = {"label": f"{RUN_LABEL}={owner_label()}"}
        containers = len(client.containers.list(all=True, filters=label))
        client.close()
    aside = [path for path in run.rglob("*") if f"/{SESSION}." in str(path)]
    return {
        "memory": int(status["VmRSS"].split()[0]) * 1024,
        "handles": len(list(Path("/proc/self/fd").iterdir())),
        "threads": int(status["Threads"]),
        "children": len(children),
        "containers": containers,
        "disk": sum(path.lstat().st_size for path in aside if path.is_file()),
    }


if __name__ == "__main__":
    main()
