import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import time

import pytest
import refusals
from mistakes import refused

from cytosuite.files import read_json
from cytosuite.files import working as leases
from cytosuite.files.working import LEASE, LOCK, MACHINE, alone

HOLDER = """
import sys, time
from pathlib import Path
from cytosuite.files.working import alone
with alone(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""
ADDER = """
import sys, time
from pathlib import Path
from cytosuite.files.working import alone
total = Path(sys.argv[1]) / "total.txt"
for _ in range(20):
    with alone(total.parent):
        number = int(total.read_text())
        time.sleep(0.005)
        total.write_text(str(number + 1))
"""


def _refuse(monkeypatch, number=errno.ENOLCK):
    def flock(handle, operation):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)


@pytest.fixture(params=["locks", "leases"])
def way(request, monkeypatch):
    if request.param == "locks":
        return []
    if not refusals.known():
        pytest.skip("no system call can be refused on this machine")
    _refuse(monkeypatch)
    monkeypatch.setattr(leases, "POLL_S", 0.01)
    return refusals.words("ENOLCK", ["flock"])


def _take(folder):
    with alone(folder, "it is busy"):
        pass


def _start(way, code, folder):
    words = [*way, sys.executable, "-c", code, str(folder)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_programs_take_turns(tmp_path, way):
    (tmp_path / "total.txt").write_text("0")
    several = [_start(way, ADDER, tmp_path) for _ in range(4)]
    assert [process.communicate()[1] for process in several] == [""] * 4
    assert (tmp_path / "total.txt").read_text() == "80"
    assert [path.name for path in tmp_path.iterdir()] == ["total.txt"]


def test_a_second_program_is_refused_with_its_line_until_the_first_is_killed(tmp_path, way):
    with _start(way, HOLDER, tmp_path) as first:
        assert first.stdout.readline() == "held\n"
        refused("it is busy", _take, tmp_path)
        first.send_signal(signal.SIGKILL)
        first.wait()
        _take(tmp_path)
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_without_locks_a_lease_names_machine_and_process(tmp_path, monkeypatch, number):
    _refuse(monkeypatch, number)
    with alone(tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == [LEASE]
        assert read_json(tmp_path / LEASE) == [MACHINE, os.getpid()]


def _lease_of(folder, content, age=0.0):
    (folder / LEASE).write_text(content)
    then = time.time() - age
    os.utime(folder / LEASE, (then, then))


@pytest.mark.parametrize("content", ['["deadbeef", 1]', "", "{", "[]", "null", '["x"]', "\0"])
def test_the_lease_of_another_machine_counts_until_it_is_renewed_no_longer(
    tmp_path, monkeypatch, content
):
    _refuse(monkeypatch)
    _lease_of(tmp_path, content, 290)
    refused("it is busy", _take, tmp_path)
    _lease_of(tmp_path, content, 310)
    with alone(tmp_path, "busy"):
        assert read_json(tmp_path / LEASE)[0] == MACHINE


def test_a_lease_of_this_machine_counts_no_more_after_the_end_of_its_process(
    tmp_path, monkeypatch, dead
):
    _refuse(monkeypatch)
    _lease_of(tmp_path, json.dumps([MACHINE, dead]))
    _take(tmp_path)
    _lease_of(tmp_path, json.dumps([MACHINE, os.getpid()]))
    refused("it is busy", _take, tmp_path)
    _lease_of(tmp_path, json.dumps([MACHINE, os.getpid()]), 310)  # the number was given again
    _take(tmp_path)


def test_a_lease_is_renewed_as_long_as_it_is_held(tmp_path, monkeypatch):
    _refuse(monkeypatch)
    monkeypatch.setattr(leases, "RENEWED_S", 0.01)
    with alone(tmp_path):
        lease = tmp_path / LEASE
        os.utime(lease, (0, 0))
        end = time.monotonic() + 5
        while lease.stat().st_mtime == 0 and time.monotonic() < end:
            time.sleep(0.01)
        assert lease.stat().st_mtime > time.time() - 60
        lease.unlink()  # it lapsed while this program stood still
        time.sleep(0.05)
        assert not lease.exists()


def test_a_lock_that_its_holder_removed_is_not_taken_for_the_folder(tmp_path, monkeypatch):
    real = fcntl.flock
    turns = []

    def flock(handle, operation):
        if not turns:
            (tmp_path / LOCK).unlink()
            (tmp_path / LOCK).touch()
        turns.append(handle)
        real(handle, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    with alone(tmp_path):
        assert len(turns) == 2
        assert os.path.samestat(os.fstat(turns[1]), (tmp_path / LOCK).stat())
