"""Measure programs side by side in one process: median CPU time and peak memory of each."""

import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

OURS = "cytosuite"
LONG_S = 4.0  # CPU seconds from which the first run counts, and is the only one
Programs = Mapping[str, Callable[[], object]]


@dataclass(frozen=True, slots=True)
class Row:
    """Measurements of one program on one piece of work."""

    work: str
    program: str
    seconds: float  # of CPU, all threads together
    peak_mib: float
    value: str


def measure(work: str, programs: Programs, repeats: int = 7) -> list[Row]:
    """Return a row per program, the first is ours; they take turns, the median CPU time counts.

    A first run of each warms up: compilation, caches, memory that the system has not handed out
    yet. Peak memory is what the process grows by meanwhile (Linux only).
    """
    runs = {name: [_once(run)] for name, run in programs.items()}
    for _ in range(repeats):
        for name, run in programs.items():
            if runs[name][0][0] < LONG_S:
                runs[name].append(_once(run))
    rows = []
    for name, taken in runs.items():
        seconds, peaks, values = zip(*(taken[1:] or taken), strict=True)
        rows.append(Row(work, name, statistics.median(seconds), max(peaks), values[-1]))
    return rows


def _once(run: Callable[[], object]) -> tuple[float, float, str]:
    """Return CPU seconds, growth of the process in MiB, and the answer as text."""
    before, begin = start_peak(), time.process_time()
    answer = run()
    return time.process_time() - begin, peak_mib() - before, str(answer)


def table(rows: Iterable[Row]) -> str:
    """Return the rows as Markdown, each with its ratio to the first program of its work."""
    lines = ["| work | program | CPU s | theirs / ours | peak MiB | answer |", "|" + 6 * "---|"]
    first: dict[str, float] = {}
    for row in rows:
        ratio = row.seconds / first.setdefault(row.work, row.seconds)
        shown = "" if row.program == OURS else f"{ratio:.2g}" if ratio < 99.5 else f"{ratio:.0f}"
        numbers = f"{row.seconds:.4g} | {shown} | {row.peak_mib:.0f}"
        lines.append(f"| {row.work} | {row.program} | {numbers} | {row.value} |")
    return "\n".join(lines)


def installed(module: str) -> Any:  # noqa: ANN401
    """Return a module; None, and a line that says so, where it is not installed."""
    try:
        return import_module(module)
    except ImportError:
        print(f"{module.partition('.')[0]} is not installed, and left out")
        return None


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
