"""Measure the memory of a container, by its control group, and of a process, by ``/proc``."""

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Self

from cytosuite.files import IntPair

POLL_S = 0.05
CGROUP = Path("/sys/fs/cgroup")
RESIDENT = ("RssAnon:", "RssShmem:")
PROPORTIONAL = ("Pss_Anon:", "Pss_Shmem:")


class Hierarchy(NamedTuple):
    """Folder of memory control groups, their files, and the field with the idle page cache."""

    folder: str
    used: str
    events: str
    cache: str


VERSION_1 = Hierarchy(
    "memory", "memory.usage_in_bytes", "memory.oom_control", "total_inactive_file"
)
VERSION_2 = Hierarchy("", "memory.current", "memory.events", "inactive_file")


class MemoryGroup(NamedTuple):
    """Memory control group of a container, without idle page cache as in ``docker stats``."""

    folder: Path
    names: Hierarchy

    def used(self) -> int | None:
        """Return the memory in use in bytes, None where it cannot be read."""
        with suppress(OSError, ValueError):
            total = int((self.folder / self.names.used).read_text())
            return max(0, total - _field(self.folder / "memory.stat", self.names.cache))
        return None

    def kills(self) -> int | None:
        """Return the number of processes killed for lack of memory, None where not known."""
        with suppress(OSError, ValueError):
            return _field(self.folder / self.names.events, "oom_kill")
        return None


def memory_group(
    pid: int, name: str, root: Path = CGROUP, proc: Path = Path("/proc")
) -> MemoryGroup | None:
    """Return the memory group of a process, with a name in its path; None without one."""
    with suppress(OSError):
        for line in (proc / str(pid) / "cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and "memory" not in controllers.split(","):
                continue
            names = VERSION_1 if controllers else VERSION_2
            folder = root / names.folder / path.lstrip("/")
            if name in path and (folder / "memory.stat").is_file():
                return MemoryGroup(folder, names)
    return None


class Peak:
    """Maximum and mean of a changing number while the block runs; None is no reading."""

    # The kernel's own peak contains the page cache and never falls between cases.

    def __init__(self, read: Callable[[], int | None], poll_s: float = POLL_S) -> None:
        self.read = read
        self.poll_s = poll_s
        self.value: int | None = None
        self._sum = self._count = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        """Start reading."""
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Read once more and stop."""
        self._done.set()
        self._thread.join()

    @property
    def mean(self) -> float | None:
        """Mean of all readings, None without one."""
        return self._sum / self._count if self._count else None

    def _watch(self) -> None:
        """Keep the maximum and the sum of all readings."""
        while True:
            ended = self._done.is_set()
            used = self.read()
            if used is not None:
                self.value = max(self.value or 0, used)
                self._sum += used
                self._count += 1
            if ended:
                return
            self._done.wait(self.poll_s)


def reset_peak(pid: int) -> None:
    """Make the kernel record the peak memory of a process anew, where that is possible."""
    with suppress(OSError):
        Path(f"/proc/{pid}/clear_refs").write_text("5")


def process_peak(pid: int) -> int | None:
    """Return the peak resident memory of a process in bytes, None where it is not known."""
    with suppress(OSError, ValueError):
        return _field(Path(f"/proc/{pid}/status"), "VmHWM:") * 1024
    return None


def family(
    pid: int, most: int, proc: Path = Path("/proc"), *, shares: bool = False
) -> IntPair | None:
    """Return memory [bytes] without mapped files and threads of a process and its descendants."""
    # Nothing escapes in a process namespace: a process without parent descends from the first.
    memory, threads, waiting, seen = 0, 0, [pid], False
    while waiting and threads <= most:
        place = proc / str(waiting.pop())
        with suppress(OSError, ValueError):  # one that has ended has neither
            memory += _resident(place, shares=shares)
            tasks = list((place / "task").iterdir())
            threads += len(tasks)
            seen = True
            for task in tasks:
                with suppress(OSError):  # a thread that has ended, its process goes on
                    waiting += map(int, (task / "children").read_text().split())
    return (memory, threads) if seen else None


def _resident(place: Path, *, shares: bool) -> int:
    """Return anonymous and shared memory of a process [bytes]; where known its part of pages."""
    with suppress(OSError, ValueError):
        if shares:
            return sum(_field(place / "smaps_rollup", name) for name in PROPORTIONAL) * 1024
    return sum(_field(place / "status", name) for name in RESIDENT) * 1024


def _field(path: Path, name: str) -> int:
    """Return a number from a file of lines ``name number``."""
    for line in path.read_text().splitlines():
        fields = line.split()
        if fields[:1] == [name]:
            return int(fields[1])
    raise ValueError(f"{path} has no {name}")
