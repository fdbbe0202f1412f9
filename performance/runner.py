"""Measure the time that the runner adds to a case, and its memory.

Usage: python performance/runner.py [docker|process] [repeats]

Per case three times are measured: inside the container (reading, prediction, writing, as the
algorithm records it), of the engine's call (copying the input, request, waiting, copying the
output), and of the whole runner (the call, validation, copying, records).
"""

import json
import os
import platform
import resource
import statistics
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from cytosuite.benchmark.catalog.catalog import algorithms
from cytosuite.benchmark.data.dataset import prepare
from cytosuite.benchmark.data.recipe import DataRequest, recipe
from cytosuite.benchmark.engines.choose import choose
from cytosuite.benchmark.engines.outcome import Limits
from cytosuite.benchmark.runs.plan import plan
from cytosuite.benchmark.runs.run import run_job
from cytosuite.contract.tasks import TASKS


def main() -> None:
    """Run the mini and default spheroids several times and print a table."""
    engine, sentence = choose(sys.argv[1] if len(sys.argv) > 1 else "auto")
    repeats = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    print(f"{sentence}; {platform.machine()}, {os.cpu_count()} cores, {repeats} repeats")
    print("size       cases  voxels/case  inside (s)  engine (s)  runner (s)  overhead (s)")
    manifest = algorithms()["watershed"]
    for size in ("mini", "default"):
        rows = []
        with tempfile.TemporaryDirectory() as folder:
            dataset = prepare(
                recipe(DataRequest("spheroid", size)), Path(folder), 2, lambda *_: None
            )
            for number in range(repeats):
                run = Path(folder) / f"run{number}"
                (job,) = plan(dataset, [manifest], engine, run)
                stamps: list[float] = []

                def stamp(*_: str, stamps: list[float] = stamps) -> None:
                    stamps.append(time.perf_counter())

                run_job(job, TASKS["segment"], engine, Limits(), "invoke", stamp)
                # The first case contains the start of the algorithm: begin with the second.
                whole = [after - before for before, after in pairwise(stamps)]
                for case, seconds in zip(dataset.cases[1:], whole, strict=True):
                    record = json.loads((job.folder / case.name / "record.json").read_text())
                    rows.append((record["inside_seconds"], record["seconds"], seconds))
        inside, call, whole_case = (statistics.median(column) for column in zip(*rows, strict=True))
        overhead = statistics.median(row[2] - row[0] for row in rows)
        voxels = 24 * 96 * 96 if size == "mini" else 48 * 160 * 160
        print(
            f"{size:9} {len(dataset.cases):6} {voxels:12} {inside:11.3f} {call:11.3f} "
            f"{whole_case:11.3f} {overhead:13.3f}"
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of the runner: {peak:.0f} MiB")


if __name__ == "__main__":
    main()
