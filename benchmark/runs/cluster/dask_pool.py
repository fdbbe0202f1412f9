"""The workers of a Dask scheduler as a pool; a scheduler that a run starts ends with it."""

import logging
import os
import shlex
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from itertools import islice
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import dask
import distributed

from cytosuite.benchmark.catalog.packages import Device
from cytosuite.benchmark.engines.gpu import gpus
from cytosuite.benchmark.runs.cluster.site import KINDS
from cytosuite.benchmark.runs.store.pool import Lost, Piece, Result, travelling
from cytosuite.errors import InputError, plain
from cytosuite.files import Entries, Json

RETRIES = 2  # of a piece that a worker refuses, as without an image: another one may take it
LOOK_S = 1.0  # between two looks at the workers that have come
RESOURCES = {"cpu": "case", "cuda": "GPU"}  # one of a worker: it does one piece at a time
JOBS = 2  # workers where the site names no number
HERE = "127.0.0.1:0"  # of the pages of a scheduler, which are empty
KEYS = ("ca_file", "cert", "key")  # of the run, in files of dask-jobqueue for its jobs
START_S = 60  # for a scheduler to answer
LOGGERS = ("distributed", "distributed.client", "tornado.application")


@dataclass(frozen=True)
class DaskPool:
    """The workers of a scheduler that have a resource; each does one piece at a time."""

    client: distributed.Client
    resource: str

    @property
    def slots(self) -> int:
        """Number of workers that are there now."""
        workers = self.client.scheduler_info(n_workers=-1)["workers"].values()
        return sum(self.resource in worker["resources"] for worker in workers)

    def each(
        self, work: Callable[[Piece], Result], pieces: Iterable[Piece]
    ) -> Iterator[tuple[int, Result | Lost]]:
        """Yield number and result of each finished piece; see `Pool`."""
        # Dask blames all pieces that a worker holds for its end: no worker gets a second one.
        source = enumerate(pieces)
        numbers = dict[Any, int]()
        done = SimpleQueue[Any]()
        slots = self.slots
        looked = time.monotonic()
        try:
            while True:
                batch = [*islice(source, max(0, max(1, slots) - len(numbers)))]
                sent = self.client.map(
                    partial(travelling, work),
                    [piece for _, piece in batch],
                    pure=False,
                    retries=RETRIES,
                    resources={self.resource: 1},
                )
                for (number, _), future in zip(batch, sent, strict=True):
                    numbers[future] = number
                    future.add_done_callback(done.put)
                if not numbers:
                    return
                if time.monotonic() > looked + LOOK_S:
                    slots = self.slots
                    looked = time.monotonic()
                try:
                    future = done.get(timeout=LOOK_S)
                except Empty:
                    continue
                yield numbers.pop(future), _result_of(future)
        finally:
            self.client.cancel([*numbers], force=True)


def _result_of(future: Any) -> Any:  # noqa: ANN401 - of any piece
    """Return the result of a piece that is done."""
    try:
        return future.result()
    except distributed.KilledWorker as error:
        number = error.allowed_failures + 1
        return Lost(f"{number} workers ended with it, the last on {error.last_worker.host}")
    except CancelledError:
        raise InputError(
            "the scheduler of the cluster ended; what is finished is kept: give the same command "
            "again"
        ) from None


@contextmanager
def open_pool(settings: Entries, home: Path, device: Device) -> Iterator[DaskPool]:
    """Start a cluster with its logs in a folder, or find one that runs; yield its workers."""
    resource = RESOURCES[device]
    address = settings.get("address")
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with ExitStack() as stack:
        try:
            target = address or stack.enter_context(_started(dict(settings), home, resource))
            client = stack.enter_context(distributed.Client(target, timeout=START_S))
        except (ImportError, OSError, RuntimeError, TypeError, ValueError) as error:
            reason = error.__cause__ if isinstance(error.__cause__, TypeError) else error
            where = address or settings["kind"]
            raise InputError(f"CLUSTER={where}: {plain(str(reason))}") from None
        pool = DaskPool(client, resource)
        if address and not pool.slots:
            words = f"--resources {resource}=1"
            raise InputError(
                f"CLUSTER={address}: no worker has {words}; start `dask worker {address} {words}`"
            )
        yield pool


@contextmanager
def _started(settings: Json, home: Path, resource: str) -> Iterator[Any]:
    """Start the scheduler here and its workers, encrypted by a key that Dask makes for the run."""
    kind = settings.pop("kind")
    number = settings.pop("n_workers", 0)
    if kind == "local":
        number = number or (len(gpus()) if resource == RESOURCES["cuda"] else os.cpu_count())
        usual: Json = {
            "n_workers": 0,
            "threads_per_worker": 1,
            "dashboard_address": None,
            "scheduler_kwargs": {"dashboard_address": HERE},
        }
        settings["resources"] = {resource: 1}
    else:
        if shlex.quote(folder := str(home)) != folder:
            raise InputError(f"{home}: a job script of Dask takes no blanks; name another RUNS")
        home.mkdir(parents=True, exist_ok=True)
        usual = {"processes": 1, "job_name": "cytosuite", "log_directory": folder}
        usual |= {"shared_temp_directory": folder, "scheduler_options": {"dashboard_address": HERE}}
        words = settings.get("worker_extra_args", ())
        settings["worker_extra_args"] = ["--resources", f"{resource}=1", "--no-dashboard", *words]
    with dask.config.set({"distributed.scheduler.http.routes": []}):
        cluster = _class_of(kind)(**usual | settings, security=True)
    try:
        cluster.sync(_scaled, cluster, number := number or JOBS)
        cluster.adapt(minimum=number, maximum=number)  # replaces workers that end
        yield cluster
    finally:
        with suppress(AssertionError):  # of jobs that were refused
            cluster.close()
        for name in KEYS:  # which stay otherwise where a job was refused
            if file := getattr(cluster, f"_job_{name}", None):
                file.close()


def _class_of(kind: str) -> Any:  # noqa: ANN401 - of Dask
    """Return the class of a kind of cluster."""
    if kind == "local":
        return distributed.LocalCluster
    interrupt = signal.getsignal(signal.SIGINT)
    module = import_module("dask_jobqueue")  # turns Ctrl-C into a quiet success
    signal.signal(signal.SIGINT, interrupt)
    return getattr(module, KINDS[kind])


async def _scaled(cluster: Any, number: int) -> None:  # noqa: ANN401 - of Dask
    """Submit the jobs of so many workers; RuntimeError if one is refused."""
    cluster.scale(number)
    await cluster
