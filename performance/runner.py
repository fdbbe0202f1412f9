"""Measure the time that the runner adds to a case, and its memory.

Usage: python performance/runner.py [docker|process] [repeats]
       python performance/runner.py idle [cases ...]

Per case three times are measured: inside the container (reading, prediction, writing, as the
algorithm records it), of the engine's call (copying the input, request, waiting, copying the
output), and of the whole runner (the call, validation, copying, records).

`idle`: CPU seconds of all processes of `cytosuite benchmark` over annotated images of 32 x 32
pixels, all read, validated, run, scored and drawn, and the peak memory of the largest process; each
row also per case beyond the row before, with the part of it that is the algorithm's own `predict`.
"""

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import numpy as np

from cytosuite.benchmark.catalog.models import algorithms
from cytosuite.benchmark.catalog.places import ROOT
from cytosuite.benchmark.engines.choose import choose
from cytosuite.benchmark.engines.outcome import Limits
from cytosuite.benchmark.runs.data.dataset import prepare
from cytosuite.benchmark.runs.data.recipe import DataRequest, recipe
from cytosuite.benchmark.runs.plan import plan
from cytosuite.benchmark.runs.run import run_job
from cytosuite.benchmark.runs.store.pool import Processes
from cytosuite.container import Algorithm
from cytosuite.contract.select import describe, select
from cytosuite.contract.tasks import TASKS
from cytosuite.contract.weights import open_model
from cytosuite.formats import write
from cytosuite.volume import Volume


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
                recipe(DataRequest("spheroid", size)), Path(folder), Processes(2), lambda *_: None
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


def idle(*sizes: int) -> None:
    """Print CPU seconds of whole benchmarks of tiny images by the number of cases."""
    print("cases    CPU s   peak MiB   ms per case   ms per further case   of the algorithm")
    before, last, algorithm_ms = 0, 0.0, _own(_tiny(np.random.default_rng(0))[0])
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            home, rng = Path(folder), np.random.default_rng(0)
            for number in range(size):
                for name, volume in zip(("images", "labels"), _tiny(rng), strict=True):
                    write(home / "data" / name / f"{number:05}.tif", volume)
            words = [sys.executable, "-m", "cytosuite.benchmark", "benchmark", str(home / "data")]
            words += [
                "--engine",
                "process",
                "--algorithm",
                "watershed",
                "--runs",
                str(home / "runs"),
            ]
            start = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            end = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime
        further = 1000 * (spent - last) / (size - before)
        print(
            f"{size:5} {spent:8.1f} {end.ru_maxrss / 1024:10.0f} {1000 * spent / size:13.1f} "
            f"{further:21.1f} {algorithm_ms:18.1f}",
            flush=True,
        )
        before, last = size, spent


def _tiny(rng: np.random.Generator) -> tuple[Volume, Volume]:
    """Return an image of two objects, 32 x 32 pixels, and their labels."""
    labels = np.zeros((32, 32), np.uint16)
    labels[4:12, 6:14], labels[18:26, 16:26] = 1, 2
    image = (rng.poisson(20, labels.shape) + 60 * (labels > 0)).astype(np.uint16)
    return Volume(image, (0.5, 0.5), "YX"), Volume(labels, (0.5, 0.5), "YX")


def _own(image: Volume, repeats: int = 200) -> float:
    """Return the CPU milliseconds of the algorithm's own `predict` of an image."""
    algorithm = Algorithm("watershed", Path(), Path(), [ROOT / "weights" / "watershed"])
    card = select(algorithm.cards, describe(image, {}), algorithm.manifest.select).card
    model, inputs = open_model(algorithm.folder, card), {"microscopy-image": image}
    algorithm.predict(inputs, model)  # compiles
    start = time.process_time()
    for _ in range(repeats):
        algorithm.predict(inputs, model)
    return 1000 * (time.process_time() - start) / repeats


if __name__ == "__main__":
    if sys.argv[1:2] == ["idle"]:
        idle(*map(int, sys.argv[2:] or (100, 1000)))
    else:
        main()
