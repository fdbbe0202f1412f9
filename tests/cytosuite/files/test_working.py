import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from cytosuite.files import working
from cytosuite.files.working import (
    DAY_S,
    LEFTOVER,
    MACHINE,
    abandoned_sessions,
    is_abandoned,
    is_orphan,
    owner_label,
    private_session,
    session_name,
    working_name,
)


def _old(path):
    for entry in (path, *path.rglob("*")):
        then = entry.stat().st_mtime - DAY_S - 10
        os.utime(entry, (then, then))


def test_no_two_names_are_alike_in_threads_either():
    with ThreadPoolExecutor(8) as pool:
        names = [*pool.map(lambda _: working_name("a"), range(1000))]
    assert len(set(names)) == 1000
    assert working_name("a", ".tif").endswith(".part.tif")
    assert all(LEFTOVER.fullmatch(name) for name in (names[0], working_name("a", former=True)))
    assert not LEFTOVER.fullmatch(session_name())


@pytest.mark.parametrize("end", [".part", ".part.tif", ".former.part", ".part.a\nb", ""])
def test_a_name_of_this_machine_is_abandoned_with_the_end_of_its_process(tmp_path, dead, end):
    ended = tmp_path / f".a.{MACHINE}-{dead}-7{end}"
    running = tmp_path / f".a.{MACHINE}-{os.getpid()}-7{end}"
    for path in (ended, running):
        path.mkdir()
        _old(path)
    assert is_abandoned(ended)
    assert not is_abandoned(running)


def test_a_process_that_was_killed_but_not_waited_for_has_ended():
    with subprocess.Popen(["sleep", "60"]) as process:
        assert working.is_running(process.pid)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not working.is_running(process.pid)


def test_only_sessions_of_ended_programs_of_this_user_are_abandoned(tmp_path, dead, monkeypatch):
    mine = private_session(tmp_path)
    ended, others = (tmp_path / f".session.{owner}-{dead}-0" for owner in (MACHINE, "deadbeef"))
    for folder in (ended, others, tmp_path / f"session.{MACHINE}-{dead}-0"):
        folder.mkdir()
    assert mine.stat().st_mode & 0o777 == 0o700
    assert [*abandoned_sessions(tmp_path)] == [ended]
    monkeypatch.setattr(os, "getuid", lambda: ended.stat().st_uid + 1)
    assert [*abandoned_sessions(tmp_path)] == []
    monkeypatch.undo()
    monkeypatch.setattr("pathlib.Path.glob", lambda *_: [tmp_path / "removed meanwhile"])
    assert [*abandoned_sessions(tmp_path)] == []


def test_a_name_that_is_taken_makes_no_session(tmp_path, monkeypatch):
    names = iter(["a", "a", "b"])
    monkeypatch.setattr(working, "session_name", lambda: next(names))
    assert [private_session(tmp_path).name for _ in range(2)] == ["a", "b"]


def test_this_process_is_no_orphan_and_an_ended_one_is():
    place, process, birth = owner_label().split(":")
    assert not is_orphan(owner_label())
    assert is_orphan(f"{place}:{process}:{int(birth) - 1}")  # the number was given again
    assert is_orphan(f"{place}:4194305:1")
    elsewhere = f"{os.uname().nodename}/1"  # this machine, but another namespace
    for label in ("", "elsewhere:4194305:1", f"{elsewhere}:4194305:1", "::", "x"):
        assert not is_orphan(label)


@pytest.mark.parametrize("name", [".a.deadbeef-{}-0.part", ".case.{}.part", ".session"])
def test_a_name_of_another_machine_is_abandoned_after_a_day_without_a_change(tmp_path, dead, name):
    path = tmp_path / name.format(dead)
    (path / "raw").mkdir(parents=True)
    assert not is_abandoned(path)
    _old(path)
    assert is_abandoned(path)
    (path / "raw/a.tif").touch()  # changes the folder that it lies in
    assert not is_abandoned(path)
    _old(path)
    assert is_abandoned(path)
