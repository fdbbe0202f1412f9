"""Jobs of Slurm, each of which is a worker; one that ends is submitted again."""

import logging
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cytosuite.benchmark.cluster.site import ClusterSite
from cytosuite.errors import InputError, plain

NUMBER = 2  # of jobs where the site names none
LOOK_S, WORD_S = 5.0, 60.0  # between two looks at the workers, and two words while nothing runs
LONGEST_S = 60.0  # between two looks at a queue in which nothing happens: all users share it
EXCLUDE = "--exclude="
EARLY = 3  # ended jobs without a worker before the settings are wrong
ASK_S = 60  # longest answer of Slurm
NOWHERE = "127.0.0.1:0"  # of the pages of a scheduler, which nobody looks at
VARIABLES = {  # of workers, as the settings of `cluster.opened` are of the runner
    "DASK_DISTRIBUTED__WORKER__DAEMON": "False",
    "DASK_DISTRIBUTED__WORKER__HTTP__ROUTES": "[]",
    "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
}


class Regularly:
    """Calls a function, but not more often than every five seconds."""

    def __init__(self, function: Callable[[], None]) -> None:
        self.function, self._called = function, time.monotonic()

    def __call__(self) -> None:
        """Call it, if the last time is long ago."""
        if time.monotonic() - self._called >= LOOK_S:
            self._called = time.monotonic()
            self.function()


class Jobs:
    """Workers as jobs of Slurm, by dask-jobqueue."""

    def __init__(
        self,
        site: ClusterSite,
        memory_gib: float,
        logs: Path,
        variables: Mapping[str, str],
        tell: Callable[[str], None],
    ) -> None:
        self.site, self.memory_gib, self.logs, self.tell = site, memory_gib, logs, tell
        self.variables = {**VARIABLES, **variables}
        self.number = site.workers or NUMBER
        self.cluster: Any = None
        self._said = time.monotonic()
        self._came, self._ended = False, set[str]()
        self._without: list[str] = []  # nodes
        self._seen: tuple[set[str], dict[str, str]] = set(), {}  # workers and queue when last asked
        self._pause_s, self._asked = 0.0, 0.0

    def __enter__(self) -> Any:  # noqa: ANN401 - of Dask
        """Submit the jobs."""
        self.logs.mkdir(parents=True, exist_ok=True)
        logging.getLogger("dask_jobqueue").setLevel(logging.CRITICAL)
        exports = [f"export {key}={shlex.quote(text)}" for key, text in self.variables.items()]
        self.cluster = _slurm_cluster()(
            cores=1,  # threads of the worker: a case at a time
            processes=1,
            job_cpu=self.site.cores,
            memory=f"{self.memory_gib:.3f}GiB",
            walltime=self.site.walltime,
            queue=self.site.queue,
            account=self.site.account,
            interface=self.site.interface,
            protocol="tls://",
            scheduler_options={"dashboard_address": NOWHERE},
            local_directory=shlex.quote(str(self.site.scratch)) if self.site.scratch else None,
            job_name="cytosuite",
            job_extra_directives=self._directives(),
            job_script_prologue=[*exports, *self.site.prologue],
            worker_extra_args=self._words(),
            python=self.site.python,
        )
        try:
            _ask(["sbatch", "--test-only"], self.cluster.job_script())
            self.cluster.scale(self.number)
        except BaseException:
            self.cluster.close()
            raise
        return self.cluster

    def __exit__(self, *_: object) -> None:
        """Cancel the jobs, also those that wait."""
        self.cluster.close()

    def _directives(self) -> list[str]:
        """Return the directives of a job that dask-jobqueue does not give."""
        own = [f'--output="{self.logs}/%j.log"', "--open-mode=append", "--no-requeue"]
        nodes = [line.removeprefix(EXCLUDE) for line in self.site.extra if line.startswith(EXCLUDE)]
        return [
            *own,
            *([f"--gres=gpu:{self.site.gpus}"] if self.site.gpus else []),
            *self.site.extra,
            # The last one counts.
            *([EXCLUDE + ",".join([*nodes, *self._without])] if self._without else []),
        ]

    def _words(self) -> list[str]:
        """Return options of a worker: the engine holds the memory, nobody looks at a dashboard."""
        words = ["--memory-limit", "0", "--no-dashboard"]
        return [*words, *(["--resources", f"GPU={self.site.gpus}"] if self.site.gpus else [])]

    def look(self) -> None:
        """Submit jobs that ended again, and report the reason of a wait."""
        present = {found["name"] for found in self.cluster.scheduler_info["workers"].values()}
        if present:
            self._came, self._said = True, time.monotonic()
        if len(present) >= self.number or not self._is_time(present):
            return
        numbers = {name: job.job_id for name, job in list(self.cluster.workers.items())}
        try:
            queue = self._queue()
        except InputError as error:  # a controller that is busy or restarts; jobs run on
            self._say(str(error))
            return
        self._pause_s = 2 * self._pause_s if self._seen == (present, queue) else LOOK_S
        self._seen = present, queue
        for name, number in numbers.items():
            if number and number not in queue and name not in present:
                self._ended.add(number)
                self.cluster.loop.add_callback(self._forget, name)
        if not self._came and len(self._ended) >= EARLY:
            raise InputError(
                f"{len(self._ended)} jobs of Slurm ended before a worker came: {self._last_word()}"
                "; see `python` and `prologue` of the site"
            )
        self.cluster.scale(self.number)
        if not present:
            states = ", ".join(sorted(set(queue.values()))) or "none in the queue"
            self._say(f"waiting for {self.number} jobs of Slurm: {states}")

    def _is_time(self, present: set[str]) -> bool:
        """Return whether the queue may be asked again: rarely while nothing happens."""
        quiet = time.monotonic() - self._asked < min(self._pause_s, LONGEST_S)
        if quiet and present == self._seen[0]:
            return False
        self._asked = time.monotonic()
        return True

    def leave_out(self, node: str) -> bool:
        """End the workers of a node, and keep further jobs off it."""
        own = {job.job_id: name for name, job in list(self.cluster.workers.items())}
        places = {n: place for n, place in self._queue("%N").items() if place and n in own}
        if not {*places.values()} - {node, *self._without}:
            return False
        there = [own[number] for number, place in places.items() if place == node]
        if node not in self._without:
            self._without.append(node)
        self.cluster.new_spec["options"]["job_extra_directives"] = self._directives()
        self.cluster.loop.add_callback(self.cluster.scale_down, there)
        return True

    def _say(self, line: str) -> None:
        """Tell the user, but not too often."""
        if time.monotonic() - self._said > WORD_S:
            self._said = time.monotonic()
            self.tell(line)

    def _forget(self, name: str) -> None:
        """Let a job that has ended be submitted again."""
        from distributed import Status

        if (job := self.cluster.workers.pop(name, None)) is not None:
            job.status = Status.closed

    def _queue(self, form: str = "%T %r") -> dict[str, str]:
        """Return a form, state and reason without it, of each job that waits or runs, by number."""
        lines = _ask(["squeue", "--noheader", "--me", f"--format=%i {form}"]).splitlines()
        return {number: state for number, _, state in (line.partition(" ") for line in lines)}

    def _last_word(self) -> str:
        """Return file and last line of the log of the last job."""
        log = self.logs / f"{max(self._ended, key=int)}.log"
        try:
            lines = log.read_text(errors="replace").strip().splitlines()
        except OSError:
            return f"no log {log}"
        return f"{log}: {plain(lines[-1], 300) if lines else 'empty'}"


def _slurm_cluster() -> Any:  # noqa: ANN401 - of dask-jobqueue
    """Return the class of clusters; its module turns Ctrl-C into a quiet success when loaded."""
    before = signal.getsignal(signal.SIGINT)
    from dask_jobqueue import SLURMCluster

    signal.signal(signal.SIGINT, before)
    return SLURMCluster


def _ask(words: Sequence[str], text: str = "") -> str:
    """Return the answer of a command of Slurm."""
    try:
        done = subprocess.run(
            words, input=text, capture_output=True, text=True, timeout=ASK_S, check=False
        )
    except FileNotFoundError:
        raise InputError(
            f"CLUSTER=slurm needs {words[0]}, which is not on this machine; run it on a login node"
        ) from None
    except subprocess.TimeoutExpired:
        raise InputError(f"Slurm did not answer {words[0]} within {ASK_S} s") from None
    if done.returncode:
        raise InputError(f"Slurm refuses {' '.join(words)}: {plain(done.stderr, 500)}")
    return done.stdout
