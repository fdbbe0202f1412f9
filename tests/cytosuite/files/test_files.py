import errno
import fcntl
import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest
import refusals
from mistakes import refused

from cytosuite import files
from cytosuite.errors import CytosuiteError
from cytosuite.files import (
    atomic,
    digest,
    read_json,
    read_toml,
    sweep,
    value_digest,
    work_folder,
    write_json,
)
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


def _names(folder):
    return {path.name for path in folder.iterdir()}


def test_a_file_is_there_only_when_it_is_whole(tmp_path):
    path = tmp_path / "deep/a.json"
    with pytest.raises(KeyError), atomic(path) as temporary:
        temporary.write_text("half")
        raise KeyError
    assert list(path.parent.iterdir()) == []


def test_json_returns_as_it_was_and_broken_json_is_one_line(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"µm": [1, 2.5, None]})
    assert read_json(path) == {"µm": [1, 2.5, None]}
    for content, form in ((b"{", "JSON"), (b"\xff\xfe", "a text in UTF-8"), (b"", "JSON")):
        path.write_bytes(content)
        refused(rf"a\.json: expected {form}, found .+", read_json, path)


def test_a_key_of_many_parts_is_refused(tmp_path):
    path = tmp_path / "a"
    for key in ("a." * 20000 + "a", "['a' . " + '"b" . ' * 64 + "c]", "'] ['." + '" \\"".' * 64):
        path.write_text(f"name = 'a.b.c'\n{key} = 1")
        refused("a: expected TOML, found more than 64 lists and tables", read_toml, path)


def test_digest_sees_names_and_contents_but_not_order_or_caches(tmp_path):
    one = tmp_path / "a"
    two = tmp_path / "b"
    one.write_text("1")
    two.write_text("2")
    first = digest([one, two], tmp_path)
    assert digest([two, one], tmp_path) == digest([tmp_path], tmp_path) == first
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__/c.pyc").touch()
    (tmp_path / ".hidden").touch()
    os.utime(one, (0, 0))
    assert digest([tmp_path], tmp_path) == first
    two.rename(tmp_path / "c")
    assert digest([tmp_path], tmp_path) != first
    two.write_text("3")
    assert digest([one, two], tmp_path) != first


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_a_full_disk_names_the_place_in_a_line(tmp_path, number):
    reason = os.strerror(number)
    line = rf"a\.txt: cannot be written \({reason}\); make room"
    with pytest.raises(CytosuiteError, match=line), atomic(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise OSError(number, reason)
    with pytest.raises(CytosuiteError, match=line), atomic(tmp_path / "a.txt") as folder:
        folder.mkdir()
        (folder / "b.txt").touch()
        with atomic(folder / "b.txt"):
            raise OSError(number, reason)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(params=["exchange", "two steps"])
def steps(request, monkeypatch):
    if request.param == "two steps":
        monkeypatch.setattr(files, "_exchange", lambda *_: False)
    return request.param


@pytest.mark.parametrize("before", ["nothing", "file", "folder", "link"])
def test_a_folder_takes_its_name_whatever_stands_there(tmp_path, steps, before):
    path = tmp_path / "case"
    away = tmp_path / "away"
    (away / "kept").mkdir(parents=True)
    {
        "nothing": lambda: None,
        "file": path.touch,
        "folder": lambda: (path / "old").mkdir(parents=True),
        "link": lambda: path.symlink_to(away),
    }[before]()
    with atomic(path) as temporary:
        (temporary / "new").mkdir(parents=True)
    assert _names(path) == {"new"}
    assert _names(tmp_path) == {"case", "away"}
    assert (away / "kept").is_dir()


@pytest.mark.parametrize("whole", [True, False])
def test_what_another_program_has_put_there_may_stay(tmp_path, steps, whole):
    path = tmp_path / "case"
    with atomic(path, lambda: whole) as one:
        with atomic(path) as two:
            (two / "of two").mkdir(parents=True)
        (one / "of one").mkdir(parents=True)
    assert _names(path) == {"of two" if whole else "of one"}
    assert [*tmp_path.iterdir()] == [path]


def test_a_file_does_not_replace_a_folder(tmp_path, steps):
    (tmp_path / "a").mkdir()
    with pytest.raises(IsADirectoryError), atomic(tmp_path / "a") as temporary:
        temporary.touch()
    assert (tmp_path / "a").is_dir()
    assert len([*tmp_path.iterdir()]) == 1


def test_a_folder_that_is_moved_aside_returns_after_a_failure(tmp_path, monkeypatch):
    path = tmp_path / "case"
    (path / "old").mkdir(parents=True)
    real = files._put

    def put(source, target):
        if source.name.startswith(".") and ".former" not in source.name and not path.exists():
            raise OSError(errno.EIO, "broken")
        return real(source, target)

    monkeypatch.setattr(files, "_exchange", lambda *_: False)
    monkeypatch.setattr(files, "_put", put)
    with pytest.raises(OSError, match="broken"), atomic(path) as temporary:
        temporary.mkdir()
    assert _names(tmp_path) == {"case"}
    assert (path / "old").is_dir()


WRITER = """
import os, sys, time
from pathlib import Path
from cytosuite import files

if sys.argv[2] == "two steps":
    files._exchange = lambda *_: False
home, own, end = Path(sys.argv[1]), str(os.getpid()), time.monotonic() + float(sys.argv[3])
while time.monotonic() < end:
    with files.atomic(home / "case") as folder:
        folder.mkdir()
        for number in range(5):
            (folder / str(number)).write_text(own)
    with files.atomic(home / "table.csv") as table:
        table.write_text(own * 1000)
    files.write_json(home / "facts.json", [own] * 100)
"""


@pytest.mark.parametrize("steps", ["exchange", "two steps"])
def test_programs_that_write_the_same_names_leave_one_whole_thing(tmp_path, steps):
    rng = random.Random(0)
    order = [sys.executable, "-c", WRITER, str(tmp_path), steps]
    writers = [subprocess.Popen([*order, "2"], stderr=subprocess.PIPE, text=True) for _ in range(3)]
    absent = killed = 0
    while any(process.poll() is None for process in writers):
        with subprocess.Popen([*order, "60"]) as victim:
            end = time.monotonic() + rng.uniform(0.3, 1.0)
            while time.monotonic() < end:
                absent += killed > 0 and not (tmp_path / "case").exists()
            victim.send_signal(signal.SIGKILL)
        killed += (tmp_path / "case").exists()
    assert [process.communicate()[1] for process in writers] == [""] * 3
    assert killed > 1
    assert steps == "two steps" or not absent
    sweep(tmp_path)
    assert _names(tmp_path) == {"case", "facts.json", "table.csv"}
    assert len({path.read_text() for path in (tmp_path / "case").iterdir()}) == 1
    assert len([*(tmp_path / "case").iterdir()]) == 5
    table = (tmp_path / "table.csv").read_text()
    assert table == table[: len(table) // 1000] * 1000
    assert len(read_json(tmp_path / "facts.json")) == 100


def test_leftovers_of_ended_programs_are_swept_and_links_are_not_followed(tmp_path, dead):
    run, away, left = tmp_path / "run", tmp_path / "away", f".a.{MACHINE}-{dead}-0.part"
    near = (run, run / "one", run / "one/two")
    deep = run / "one/two/three"
    for place in (*near, deep, away):
        (place / left / "deep").mkdir(parents=True)
    others = ("a.part", ".lock", f".d.{MACHINE}-{os.getpid()}-0.part", f".session.{left[3:-5]}")
    for name in others:
        (run / "one" / name).touch()
    link = run / f".h{left[2:]}"
    for path in (run / "link", link):
        path.symlink_to(away)
    sweep(run)
    assert not any((place / left).exists() for place in near)
    assert not link.is_symlink()
    assert (deep / left).exists()  # too deep
    assert (run / "link" / left / "deep").exists()
    assert _names(run / "one") == {*others, "two"}


def test_the_digest_of_a_value_is_that_of_its_content():
    assert value_digest({"a": 1, "b": [2]}) == value_digest({"b": [2], "a": 1})
    assert value_digest({"a": 1}) != value_digest({"a": "1"})
    # of {}
    assert value_digest({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


def test_a_work_folder_goes_at_its_end_and_after_a_kill_with_the_next(tmp_path, dead):
    (left := tmp_path / f".work.{MACHINE}-{dead}-0.part").mkdir()
    with pytest.raises(KeyError), work_folder(tmp_path) as folder:
        assert [*tmp_path.iterdir()] == [folder]
        assert not left.exists()
        raise KeyError
    assert [*tmp_path.iterdir()] == []


def test_in_a_temporary_folder_a_failed_file_leaves_nothing_and_a_whole_one_stays(tmp_path):
    with files.atomic(tmp_path / "case") as folder:
        with pytest.raises(ValueError, match="half"), files.atomic(folder / "a.txt") as path:
            path.write_text("half")
            raise ValueError("half")
        for text in ("one", "two"):
            files.write_json(folder / "deep/b.json", text)
        assert _names(folder) == {"deep"}
    assert (tmp_path / "case/deep/b.json").read_text() == '"two"\n'


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
    monkeypatch.setattr("cytosuite.files.working.POLL_S", 0.01)
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
    monkeypatch.setattr("cytosuite.files.working.RENEWED_S", 0.01)
    with alone(tmp_path):
        lease = tmp_path / LEASE
        os.utime(lease, (0, 0))
        end = time.monotonic() + 60
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
