"""Print the CPU time of a report of 20 algorithms and 100 cases, all metrics, without pictures.

Usage: python performance/report.py
"""

import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd

from cytosuite.benchmark.record import Record
from cytosuite.benchmark.report import write_report
from cytosuite.benchmark.results.results import Results
from cytosuite.benchmark.results.standings import COLUMNS, leaderboard
from cytosuite.metrics import board_metrics
from cytosuite.metrics.boards import BOARDS
from cytosuite.tasks import TASKS

ALGORITHMS, CASES = 20, 100
REPEATS = 5


def fake_results() -> Results:
    """Return a run with random scores."""
    rng = np.random.default_rng(0)
    metrics = board_metrics("segment")
    names = [f"algorithm_{n:02d}" for n in range(ALGORITHMS)]
    cases = [f"case_{n:03d}" for n in range(CASES)]
    scores = pd.DataFrame(
        [
            ("set", case, name, "", metric.name, rng.random(), "ok", 1.0, 3e8)
            for name in names
            for case in cases
            for metric in metrics
        ],
        columns=list(COLUMNS),
    )
    records = {
        (name, case): Record(
            algorithm=name,
            version="1.0.0",
            case=case,
            key="",
            status="ok",
            seconds=1 + rng.random(),
            peak_memory=3 * 10**8,
        )
        for name in names
        for case in cases
    }
    primary = BOARDS["segment"].primary
    return Results(
        title="Speed of the report",
        dataset="none",
        task=TASKS["segment"],
        generated="2026-01-01T00:00:00",
        command="",
        provenance={},
        algorithms=[],
        metrics=metrics,
        primary=primary,
        standings=leaderboard(scores, {}, metrics, primary, ()),
        scores=scores,
        records=records,
    )


def main() -> None:
    """Print the median of several runs, and the size of the page."""
    results = fake_results()
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(REPEATS):
            start = time.process_time()
            page = write_report(results, Path(folder) / "report")
            seconds.append(time.process_time() - start)
        size = page.stat().st_size / 2**20
    words = f"{ALGORITHMS} algorithms x {CASES} cases x {len(results.metrics)} metrics"
    print(f"report of {words}: {median(seconds):.2f} s of CPU time, page of {size:.1f} MiB")


if __name__ == "__main__":
    main()
