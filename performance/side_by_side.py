"""Measure two or more functions side by side: median time and peak memory of each."""

import statistics
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """Measurements of one program on one piece of work."""

    work: str
    program: str
    seconds: float
    peak_mib: float
    value: str


def measure(
    work: str, programs: dict[str, Callable[[], Any]], repeats: int = 3, warm_up: bool = True
) -> list[Row]:
    """Return a row per program, the first is ours; they take turns, the median counts.

    Each runs once before to warm up, for compilation and caches, and once more for its peak memory
    as Python counts it.
    """
    values = {name: run() for name, run in programs.items()} if warm_up else {}
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(repeats):
        for name, run in programs.items():
            begin = time.perf_counter()
            values[name] = run()
            seconds[name].append(time.perf_counter() - begin)
    rows = []
    for name, run in programs.items():
        tracemalloc.start()
        run()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        median = statistics.median(seconds[name])
        rows.append(Row(work, name, median, peak / 2**20, str(values[name])))
    return rows


def table(rows: list[Row]) -> str:
    """Return the rows as text, each with its ratio to the first program of its work."""
    lines = [f"{'work':44} {'program':28} {'s':>9} {'ratio':>8} {'peak MiB':>9}  value"]
    first: dict[str, float] = {}
    for row in rows:
        ours = first.setdefault(row.work, row.seconds)
        lines.append(
            f"{row.work:44} {row.program:28} {row.seconds:9.4f} {row.seconds / ours:7.1f}x "
            f"{row.peak_mib:9.1f}  {row.value}"
        )
    return "\n".join(lines)


def timed(run: Callable[[], object]) -> tuple[float, float]:
    """Return the CPU and the wall seconds of a call."""
    cpu, wall = time.process_time(), time.perf_counter()
    run()
    return time.process_time() - cpu, time.perf_counter() - wall


def start_peak() -> float:
    """Return the memory of this process, MiB; its peak starts again (Linux only)."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def peak_mib() -> float:
    """Return the peak memory of this process, MiB."""
    return _status("VmHWM")


def _status(key: str) -> float:
    """Return a size of this process, MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(key))
