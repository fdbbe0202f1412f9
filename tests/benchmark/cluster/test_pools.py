"""A pool of real workers on this machine, which end as a test wants."""

import errno
import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from cytosuite.benchmark.cluster import processes as module
from cytosuite.benchmark.cluster.dask_pool import DaskPool, _result_of, say
from cytosuite.benchmark.cluster.opened import OpenCluster
from cytosuite.benchmark.cluster.processes import Processes, processes
from cytosuite.benchmark.cluster.site import ClusterSite
from cytosuite.benchmark.store.pool import Here, Lost
from cytosuite.errors import InputError

pytest.importorskip("distributed")


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


def talk(word):
    say("test-words", word)
    return word


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    """Return a pool of two workers."""
    home = tmp_path_factory.mktemp("a cluster")
    with OpenCluster("local", ClusterSite(workers=2), home, print) as cluster:
        yield cluster.pool()
        assert not (home / "keys").exists()
    assert list(home.iterdir()) == []  # the key of the run is gone


class Future:
    """A piece that is never done."""

    def add_done_callback(self, done):
        pass


class Client:
    """A scheduler that only counts what it is sent."""

    def __init__(self):
        self.sent = []

    def submit(self, *words, **_):
        self.sent.append(words)
        return Future()

    def cancel(self, futures, force):
        assert force


@pytest.mark.parametrize(("there", "sent"), [(None, 3), (9, 3), (2, 2), (0, 1)])
def test_no_more_pieces_are_sent_than_workers_are_there(there, sent):
    """Beside a piece that ends its worker, another one would be lost with it."""

    def look():
        raise InputError("enough")

    client = Client()
    pool = DaskPool(client, 3, look=look, present=lambda: there)
    with pytest.raises(InputError, match="enough"):
        list(pool.each(double, range(10)))
    assert len(client.sent) == sent


@pytest.mark.parametrize(
    ("message", "error", "said"),
    [
        ("Error during deserialization of the task graph.", InputError, "install this version"),
        ("out of luck", RuntimeError, "out of luck"),
    ],
)
def test_a_scheduler_with_other_sources_is_one_line(message, error, said):
    def result(timeout):
        raise RuntimeError(message)

    with pytest.raises(error, match=said):
        _result_of(SimpleNamespace(result=result))


def test_an_error_comes_home_without_those_behind_it(pool):
    with pytest.raises(InputError, match="the piece 0 is broken"):
        list(pool.each(refuse_after_another, [0]))


def test_a_piece_whose_worker_ends_is_done_by_another(pool, tmp_path):
    mark = str(tmp_path / "ended")
    found = dict(pool.each(end, [(n, mark if n == 2 else "") for n in range(6)]))
    assert found == {n: n for n in range(6)}
    assert Path(mark).exists()


@pytest.mark.slow
def test_a_piece_that_ends_every_worker_is_lost_and_no_other(pool):
    found = dict(pool.each(end, [(n, "always" if n == 2 else "") for n in range(8)]))
    assert isinstance(found[2], Lost)
    assert found[2].reason.startswith("4 workers ended while they ran it, the last on ")
    del found[2]
    assert found == {n: n for n in range(8) if n != 2}


def test_words_of_workers_are_heard(pool):
    heard = []
    with pool.hearing("test-words", heard.append):
        list(pool.each(talk, ["a", "b", "c"]))
        for _ in range(100):
            if len(heard) >= 3:
                break
            time.sleep(0.05)
    assert sorted(heard) == ["a", "b", "c"]


def test_an_iteration_that_ends_early_leaves_nothing_behind(pool):
    results = pool.each(double, range(100))
    next(results)
    results.close()
    deadline = time.monotonic() + 10

    def left():
        return [key for key in pool.client.futures if key.startswith("double")]

    while left() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left()


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


@pytest.mark.parametrize("pool", [Here(), Processes(2)])
def test_each_piece_has_its_result(pool):
    assert dict(pool.each(double, [3, 1, 2])) == {0: 6, 1: 2, 2: 4}
    assert dict(pool.each(double, [])) == {}


def test_a_single_piece_needs_no_process():
    assert dict(Processes(2).each(process, [0])) == {0: os.getpid()}
    assert processes(1).slots == 1
    assert dict(processes(1).each(process, [0, 1])) == {0: os.getpid(), 1: os.getpid()}
    assert isinstance(processes(3), Processes)


@pytest.mark.parametrize("pool", [Here(), Processes(2)])
def test_the_error_of_a_piece_is_raised(pool):
    with pytest.raises(InputError, match="two: not wanted"):
        list(pool.each(fail, [1, 2, 3]))


def test_without_semaphores_one_process_does_all_and_says_so_once(monkeypatch, capsys):
    def refused(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("multiprocessing.synchronize.SemLock.__init__", refused)
    module._has_semaphores.cache_clear()
    for _ in range(2):
        assert dict(Processes(2).each(process, [0, 1])) == {0: os.getpid(), 1: os.getpid()}
    module._has_semaphores.cache_clear()
    assert capsys.readouterr().err.splitlines() == [
        "note: work is done by one process: no semaphore can be made (Read-only file system)"
    ]


def test_a_killed_process_is_one_clear_line():
    with pytest.raises(InputError, match="killed, as if memory was short: give fewer --workers"):
        list(Processes(2).each(die, [1, 2, 3]))
