"""A pool of real workers on this machine, which end as a test wants."""

import errno
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import CancelledError
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("distributed")
from distributed import LocalCluster
from house import ran
from mistakes import refused

from cytosuite.benchmark.runs.cluster.dask_pool import DaskPool, _result_of, open_pool
from cytosuite.benchmark.runs.store.pool import Lost, Processes, _has_semaphores
from cytosuite.errors import InputError


def double(number):
    return 2 * number


class UnfitError(Exception):
    """An error that cannot be pickled."""

    def __init__(self, reader, path):
        super().__init__(f"{reader} {path}")


def refuse_after_another(number):
    raise InputError(f"the piece {number} is broken") from UnfitError("a reader", "a file")


def end(piece):
    """End the worker, at each try, or at the first alone where the piece names a file."""
    number, mark = piece
    if mark == "always" or (mark and not Path(mark).exists()):
        if mark != "always":
            Path(mark).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    """Return a pool of two workers."""
    settings = {"kind": "local", "n_workers": 2}
    with open_pool(settings, tmp_path_factory.mktemp("cluster"), "cpu") as pool:
        yield pool


class Never:
    """A piece that is never done."""

    def add_done_callback(self, done):
        pass


class Client:
    """A scheduler that only counts what it is sent, with as many workers."""

    def __init__(self, workers):
        self.workers, self.sent, self.looks = workers, 0, 0

    def scheduler_info(self, n_workers):
        self.looks += 1
        if self.looks > 3:
            raise InputError("enough")
        return {"workers": {n: {"resources": {"case": 1}} for n in range(self.workers)}}

    def map(self, work, pieces, **_):
        self.sent += len(pieces)
        return [Never() for _ in pieces]

    def cancel(self, futures, force):
        assert force


@pytest.mark.parametrize("workers, sent", [(3, 3), (0, 1)])
def test_no_more_pieces_are_sent_than_workers_are_there(workers, sent, monkeypatch):
    """Beside a piece that ends its worker, another one would be lost with it."""
    monkeypatch.setattr("cytosuite.benchmark.runs.cluster.dask_pool.LOOK_S", 0.0)
    client = Client(workers)
    refused("enough", list, DaskPool(client, "case").each(double, range(10)))
    assert client.sent == sent


@pytest.mark.parametrize(
    "ended, error, said",
    [
        (RuntimeError("out of luck"), RuntimeError, "out of luck"),
        (CancelledError(), InputError, "the scheduler of the cluster ended"),
    ],
)
def test_what_ends_a_piece_is_one_line(ended, error, said):
    def result():
        raise ended

    with pytest.raises(error, match=said):
        _result_of(SimpleNamespace(result=result))


def test_an_error_comes_home_without_those_behind_it(pool):
    refused("the piece 0 is broken", list, pool.each(refuse_after_another, [0]))


def test_a_piece_whose_worker_ends_is_done_by_another(pool, tmp_path):
    mark = str(tmp_path / "ended")
    assert dict(pool.each(end, [(n, mark if n == 2 else "") for n in range(6)])) == {
        n: n for n in range(6)
    }
    assert Path(mark).exists()


@pytest.mark.slow
def test_a_piece_that_ends_every_worker_is_lost_and_no_other(pool):
    results = dict(pool.each(end, [(n, "always" if n == 2 else "") for n in range(8)]))
    assert isinstance(results[2], Lost)
    assert results.pop(2).reason.startswith("4 workers ended with it, the last on ")
    assert results == {n: n for n in range(8) if n != 2}


STRANGER = """
import sys
from distributed import Client
try:
    Client(sys.argv[1], timeout=3).submit(print, 1).result()
except (OSError, RuntimeError, ValueError, TypeError) as error:
    sys.exit(f"refused: {type(error).__name__}")
"""


def test_nobody_without_the_key_of_the_run_gives_orders(pool):
    address = pool.client.scheduler.address
    assert address.startswith("tls://127.0.0.1:")
    for word in (address, address.replace("tls://", "tcp://")):
        done = ran(sys.executable, "-W", "ignore", "-c", STRANGER, word)
        assert (done.returncode, "refused: " in done.stderr) == (1, True), done.stderr


def test_a_cluster_that_dask_refuses_is_one_line(tmp_path, monkeypatch):
    def refuse(**_):
        raise ValueError("Got it\njob_kwargs={}") from TypeError("unexpected argument 'core'")

    monkeypatch.setattr("cytosuite.benchmark.runs.cluster.dask_pool._class_of", lambda kind: refuse)
    refused(
        r"^CLUSTER=slurm: unexpected argument 'core'$",
        open_pool({"kind": "slurm", "core": 1}, tmp_path, "cpu").__enter__,
    )


def test_a_scheduler_that_does_not_answer_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr("cytosuite.benchmark.runs.cluster.dask_pool.START_S", 1)
    address = "tcp://127.0.0.1:1"
    refused(f"^CLUSTER={address}: ", open_pool({"address": address}, tmp_path, "cpu").__enter__)


def test_workers_of_a_scheduler_need_the_resource_of_the_run(tmp_path):
    with LocalCluster(n_workers=1, processes=False, dashboard_address=":0") as cluster:
        address = cluster.scheduler_address
        line = f"no worker has --resources GPU=1; start `dask worker {address} --resources GPU=1`"
        refused(line, open_pool({"address": address}, tmp_path, "cuda").__enter__)


def test_ctrl_c_stays_an_interruption():
    """dask-jobqueue sets a handler of its own when it is loaded, which ends with code 0."""
    pytest.importorskip("dask_jobqueue")
    code = (
        "import signal; from cytosuite.benchmark.runs.cluster.dask_pool import _class_of; "
        "before = signal.getsignal(signal.SIGINT); _class_of('slurm'); "
        "assert signal.getsignal(signal.SIGINT) is before is signal.default_int_handler"
    )
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        check=True,
        timeout=1800,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )


def process(number):
    """Return the process that did the piece."""
    time.sleep(0.2)
    return os.getpid()


def fail(number):
    """Refuse one piece."""
    if number == 2:
        raise InputError("two: not wanted")
    return number


def die(number):
    """End the process as the kernel does where memory is short."""
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("pool", [Processes(), Processes(2)])
def test_each_piece_has_its_result(pool):
    assert dict(pool.each(double, [3, 1, 2])) == {0: 6, 1: 2, 2: 4}
    assert dict(pool.each(double, [])) == {}


def test_a_single_piece_needs_no_process():
    assert dict(Processes(2).each(process, [0])) == {0: os.getpid()}
    assert dict(Processes().each(process, [0, 1])) == {0: os.getpid(), 1: os.getpid()}
    assert os.getpid() not in dict(Processes(2).each(process, [0, 1])).values()


@pytest.mark.parametrize("pool", [Processes(), Processes(2)])
def test_the_error_of_a_piece_is_raised(pool):
    refused("two: not wanted", list, pool.each(fail, [1, 2, 3]))


def test_without_semaphores_one_process_does_all_and_says_so_once(monkeypatch, capsys):
    def refused(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("multiprocessing.synchronize.SemLock.__init__", refused)
    _has_semaphores.cache_clear()
    for _ in range(2):
        assert dict(Processes(2).each(process, [0, 1])) == {0: os.getpid(), 1: os.getpid()}
    _has_semaphores.cache_clear()
    assert capsys.readouterr().err.splitlines() == [
        "note: work is done by one process: no semaphore can be made (Read-only file system)"
    ]


def test_a_killed_process_is_one_clear_line():
    refused(
        "killed, as if memory was short: give fewer --workers",
        list,
        Processes(2).each(die, [1, 2, 3]),
    )
