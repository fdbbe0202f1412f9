"""Clusters that are opened for a run and closed with it, whatever happens."""

import logging
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Self

from cytosuite.benchmark.cluster.dask_pool import DaskPool
from cytosuite.benchmark.cluster.jobs import NOWHERE, Jobs, Regularly
from cytosuite.benchmark.cluster.site import ClusterSite
from cytosuite.benchmark.engines.gpu import slots
from cytosuite.errors import InputError, last_line
from cytosuite.errors.packages import needed_by
from cytosuite.files import remove, sweep
from cytosuite.files.working import working_name
from cytosuite.volume.memory import free_gib

RUNNER_GIB = 1.0  # of a worker, without the case: Python, one image, its labels
START_S = 60  # for a scheduler to answer
# Nothing listens that nobody asked for. A worker may start processes of its own. The second end of
# a worker that has a piece is the last. A computation that holds Python up is no silent worker.
SETTINGS: Mapping[str, Any] = {
    "distributed.admin.tick.limit": "1h",
    "distributed.comm.timeouts.connect": "60s",
    "distributed.deploy.lost-worker-timeout": "15s",
    "distributed.scheduler.allowed-failures": 1,
    "distributed.scheduler.http.routes": [],
    "distributed.scheduler.worker-ttl": "10 minutes",
    "distributed.worker.daemon": False,
    "distributed.worker.http.routes": [],
    "distributed.worker.profile.enabled": False,
    "logging": {"distributed": "critical", "distributed.client": "critical"},
}
ROLES = ("client", "scheduler", "worker")


class OpenCluster:
    """Workers for the pieces of a run, as context manager."""

    def __init__(
        self, word: str, site: ClusterSite, home: Path, tell: Callable[[str], None]
    ) -> None:
        self.word, self.site, self.home, self.tell = word, site, home, tell
        self.memory_gib, self._least_gib = 0.0, 0.0
        self._pool: DaskPool | None = None
        self._keys_at = home
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Look for the packages; workers start with the first pool."""
        with needed_by("CLUSTER"):
            import distributed  # noqa: F401
        return self

    def __exit__(self, *_: object) -> None:
        """End the workers; jobs that wait or run are cancelled."""
        self.close()

    def close(self) -> None:
        """End the workers."""
        self._pool = None
        self._stack.close()

    def reserve(self, cases_gib: Iterable[float]) -> None:
        """Let the workers have room for the largest of some cases [GiB] from the start."""
        self._least_gib = max(cases_gib, default=0.0)

    def pool(self, case_gib: float = 0.0) -> DaskPool:
        """Return workers with room for a case."""
        case_gib = max(case_gib, self._least_gib)
        wanted = case_gib + RUNNER_GIB
        may_grow = self.site.most_memory_gib is not None or self.word != "slurm"
        own = self.site.memory_gib
        if own is not None and not may_grow and wanted > own:
            raise InputError(
                f"memory_gib: a case of {case_gib:g} GiB and the runner need {wanted:g}, found "
                f"{own:g}; give more, or a smaller MEMORY"
            )
        if self._pool is not None and (self.word != "slurm" or wanted <= self.memory_gib):
            return self._pool
        self.close()
        self.memory_gib = max(wanted, own or 0.0)
        try:
            self._pool = self._open()
        except BaseException:
            self.close()
            raise
        return self._pool

    def _open(self) -> DaskPool:
        """Start the workers."""
        import dask

        self._stack.enter_context(dask.config.set(SETTINGS))
        from distributed import Client, LocalCluster

        # An interrupt within distributed's `sync` makes tornado log a NameError of it.
        for name in ("distributed", "distributed.client", "tornado.application"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        if self.word not in ("local", "slurm"):
            return self._running(Client)
        keys = self._keys()
        self._stack.enter_context(dask.config.set(keys))
        if self.word == "slurm":
            jobs = Jobs(self.site, self.memory_gib, self.home, variables_of(keys), self.tell)
            return replace(self._own(jobs, jobs.number, jobs.look), leave_out=jobs.leave_out)
        number = self._places()
        local = LocalCluster(
            n_workers=number,
            threads_per_worker=1,
            memory_limit=0,  # the engine limits each case
            protocol="tls://",
            dashboard_address=NOWHERE,
            silence_logs=logging.CRITICAL,
            local_directory=str(self.site.scratch) if self.site.scratch else None,
            resources={"GPU": self.site.gpus},
        )
        # A worker that is not back soon is given up; this starts another one.
        return self._own(local, number, partial(local.scale, number))

    def _own(
        self, workers: AbstractContextManager[Any], number: int, look: Callable[[], None]
    ) -> DaskPool:
        """Start workers with a scheduler in this process."""
        from distributed import Client

        cluster = self._stack.enter_context(workers)

        def alive() -> None:
            """Look after the workers, and show other machines that the key is in use."""
            os.utime(self._keys_at)
            look()

        client = self._stack.enter_context(Client(cluster, timeout=START_S))
        return DaskPool(
            client, number, look=Regularly(alive), present=lambda: len(cluster.scheduler.workers)
        )

    def _places(self) -> int:
        """Return the number of workers for which cores, memory and GPUs of this machine suffice."""
        cores = max(1, (os.cpu_count() or 1) // self.site.cores)
        memory = free_gib()
        room = cores if memory is None else max(1, int(memory / max(self.memory_gib, RUNNER_GIB)))
        cards = len(slots()) if self.site.gpus else cores
        return self.site.workers or min(cores, room, cards)

    def _running(self, client_of: Any) -> DaskPool:  # noqa: ANN401 - of Dask
        """Connect with a scheduler that runs."""
        try:
            client = self._stack.enter_context(client_of(self.word, timeout=START_S))
            client.wait_for_workers(1, timeout=START_S)
        except OSError as error:
            raise InputError(
                f"CLUSTER={self.word}: no scheduler with a worker answers within {START_S} s "
                f"({last_line(error)}); start `dask scheduler` and `dask worker`"
            ) from None
        present = len(client.scheduler_info(n_workers=-1)["workers"])
        return DaskPool(client, self.site.workers or present)

    def _keys(self) -> dict[str, Any]:
        """Make a key of this run: without it, anybody on the network could command the workers."""
        self.home.mkdir(parents=True, exist_ok=True)
        sweep(self.home, depth=0)  # a killed run leaves its key
        self._keys_at = folder = self.home / working_name("keys")
        self._stack.callback(remove, folder)
        folder.mkdir(mode=0o700)  # for this user alone
        key, certificate = folder / "key.pem", folder / "certificate.pem"
        words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=cytosuite"]
        program = shutil.which("openssl")
        if program is None:
            raise InputError("CLUSTER needs openssl, which is not on this machine; install it")
        subprocess.run(
            [program, *words, "-days", "365", "-keyout", str(key), "-out", str(certificate)],
            check=True,
            capture_output=True,
        )
        found = {"require-encryption": True, "tls.ca-file": str(certificate)}
        found |= {f"tls.{role}.key": str(key) for role in ROLES}
        found |= {f"tls.{role}.cert": str(certificate) for role in ROLES}
        return {f"distributed.comm.{name}": value for name, value in found.items()}


def variables_of(settings: Mapping[str, object]) -> dict[str, str]:
    """Return settings of Dask as variables of the environment.

    Examples
    --------
    >>> variables_of({"distributed.comm.require-encryption": True})
    {'DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION': 'True'}
    """
    return {
        "DASK_" + name.replace(".", "__").replace("-", "_").upper(): str(value)
        for name, value in settings.items()
    }
