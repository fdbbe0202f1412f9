import errno
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from cytosuite import files
from cytosuite.errors import CytosuiteError, InputError
from cytosuite.files import (
    atomic,
    digest,
    link,
    read_json,
    remove,
    sweep,
    value_digest,
    write_json,
)
from cytosuite.working import MACHINE


def test_a_file_is_there_only_when_it_is_whole(tmp_path):
    path = tmp_path / "deep" / "a.json"
    with pytest.raises(KeyError), atomic(path) as temporary:
        temporary.write_text("half")
        raise KeyError
    assert list(path.parent.iterdir()) == []


def test_what_was_there_survives_a_failure(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(KeyError), atomic(path) as temporary:
        temporary.write_text("new")
        raise KeyError
    assert path.read_text() == "old"


def test_a_folder_replaces_a_folder(tmp_path):
    path = tmp_path / "case"
    path.mkdir()
    (path / "stale").touch()
    with atomic(path) as temporary:
        temporary.mkdir()
        (temporary / "fresh").touch()
    assert [child.name for child in path.iterdir()] == ["fresh"]


def test_the_temporary_name_keeps_the_suffix_and_is_hidden(tmp_path):
    with atomic(tmp_path / "a.tif") as temporary:
        assert temporary.suffix == ".tif"
        assert temporary.name.startswith(".")
        temporary.touch()


def test_json_returns_as_it_was(tmp_path):
    write_json(tmp_path / "a.json", {"µm": [1, 2.5, None]})
    assert read_json(tmp_path / "a.json") == {"µm": [1, 2.5, None]}


def test_json_has_no_nan(tmp_path):
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", float("nan"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b""])
def test_broken_json_is_one_line(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.json: expected JSON, found .+"):
        read_json(tmp_path / "a.json")


def test_missing_json_is_one_line(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_json(tmp_path / "a.json")


def test_digest_sees_names_and_contents_but_not_order_or_caches(tmp_path):
    (tmp_path / "a").write_text("1")
    (tmp_path / "b").write_text("2")
    first = digest([tmp_path / "a", tmp_path / "b"], tmp_path)
    assert digest([tmp_path / "b", tmp_path / "a"], tmp_path) == first
    assert digest([tmp_path], tmp_path) == first
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "c.pyc").touch()
    (tmp_path / ".hidden").touch()
    assert digest([tmp_path], tmp_path) == first
    os.utime(tmp_path / "a", (0, 0))
    assert digest([tmp_path], tmp_path) == first
    (tmp_path / "b").rename(tmp_path / "c")
    assert digest([tmp_path], tmp_path) != first
    (tmp_path / "c").rename(tmp_path / "b")
    (tmp_path / "b").write_text("3")
    assert digest([tmp_path], tmp_path) != first


def test_a_link_is_relative_so_that_both_ends_can_move_together(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "target.txt").write_text("here")
    link(tmp_path / "a" / "b" / "c.txt", tmp_path / "a" / "target.txt")
    (tmp_path / "a").rename(tmp_path / "moved")
    assert (tmp_path / "moved" / "b" / "c.txt").read_text() == "here"


@pytest.mark.parametrize("name", ["x" * 255, "ü" * 127, "a." + "x" * 253, "x" * 250 + ".json"])
def test_a_name_of_any_length_can_be_written(tmp_path, name):
    with atomic(tmp_path / name) as temporary:
        temporary.write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_names_with_one_beginning_are_written_at_the_same_time(tmp_path):
    long = "x" * 240
    with atomic(tmp_path / f"{long}1") as one, atomic(tmp_path / f"{long}2") as two:
        one.write_text("1")
        two.write_text("2")
    assert [(tmp_path / f"{long}{n}").read_text() for n in "12"] == ["1", "2"]


def test_a_folder_that_cannot_be_replaced_is_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "case"
    path.mkdir()
    (path / "old").touch()

    def refuse(self, target):
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr("pathlib.Path.replace", refuse)
    with pytest.raises(OSError, match="broken"), atomic(path) as temporary:
        temporary.mkdir()
    assert [entry.name for entry in tmp_path.iterdir()] == ["case"]
    assert (path / "old").exists()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_a_full_disk_names_the_place_in_a_line(tmp_path, number):
    reason = os.strerror(number)
    line = rf"a\.txt: cannot be written \({reason}\); make room"
    with pytest.raises(CytosuiteError, match=line), atomic(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise OSError(number, reason)
    assert list(tmp_path.iterdir()) == []


def test_the_digest_of_a_value_is_that_of_its_content():
    assert value_digest({"a": 1, "b": [2]}) == value_digest({"b": [2], "a": 1})
    assert value_digest({"a": 1}) != value_digest({"a": "1"})
    known = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"  # of {}
    assert value_digest({}) == known


def test_a_name_that_is_no_utf8_can_be_written(tmp_path):
    write_json(tmp_path / os.fsdecode(b"\xff.json"), 1)
    assert [os.fsencode(path.name) for path in tmp_path.iterdir()] == [b"\xff.json"]


@pytest.fixture
def dead():
    """Return the number of a process that has ended."""
    with subprocess.Popen(["true"]) as process:
        process.wait()
    return process.pid


@pytest.fixture(params=["exchange", "two steps"])
def steps(request, monkeypatch):
    """Replace a folder in one step, or in two, as on a network file system."""
    if request.param == "two steps":
        monkeypatch.setattr(files, "_exchange", lambda *_: False)
    return request.param


@pytest.mark.parametrize("before", ["nothing", "file", "folder", "link"])
def test_a_folder_takes_its_name_whatever_stands_there(tmp_path, steps, before):
    path, away = tmp_path / "case", tmp_path / "away"
    (away / "kept").mkdir(parents=True)
    {
        "nothing": lambda: None,
        "file": path.touch,
        "folder": lambda: (path / "old").mkdir(parents=True),
        "link": lambda: path.symlink_to(away),
    }[before]()
    with atomic(path) as temporary:
        (temporary / "new").mkdir(parents=True)
    assert [entry.name for entry in path.iterdir()] == ["new"]
    assert {entry.name for entry in tmp_path.iterdir()} == {"case", "away"}
    assert (away / "kept").is_dir()


def test_the_one_that_ends_last_stays(tmp_path, steps):
    path = tmp_path / "case"
    with atomic(path) as one:
        with atomic(path) as two:
            (two / "of two").mkdir(parents=True)
        (one / "of one").mkdir(parents=True)
    assert [entry.name for entry in path.iterdir()] == ["of one"]
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize("whole", [True, False])
def test_what_another_program_has_put_there_may_stay(tmp_path, steps, whole):
    path = tmp_path / "case"
    with atomic(path, lambda: whole) as one:
        with atomic(path) as two:
            (two / "of two").mkdir(parents=True)
        (one / "of one").mkdir(parents=True)
    assert [entry.name for entry in path.iterdir()] == ["of two" if whole else "of one"]
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
    assert [entry.name for entry in tmp_path.iterdir()] == ["case"]
    assert (path / "old").is_dir()


def test_an_endless_fight_for_a_name_ends_in_a_line(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_exchange", lambda *_: False)
    monkeypatch.setattr(files, "_put", lambda *_: False)
    line = "case: other programs write it all the time; end them"
    with pytest.raises(InputError, match=line), atomic(tmp_path / "case") as temporary:
        temporary.mkdir()


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
    rng, order = random.Random(0), [sys.executable, "-c", WRITER, str(tmp_path), steps]
    kept = [subprocess.Popen([*order, "6"], stderr=subprocess.PIPE, text=True) for _ in range(3)]
    absent = killed = 0
    while any(process.poll() is None for process in kept):
        with subprocess.Popen([*order, "60"]) as victim:
            end = time.monotonic() + rng.uniform(0.3, 1.0)
            while time.monotonic() < end:
                absent += killed > 0 and not (tmp_path / "case").exists()
            victim.send_signal(signal.SIGKILL)
        killed += (tmp_path / "case").exists()
    assert [process.communicate()[1] for process in kept] == [""] * 3
    assert killed > 3
    assert steps == "two steps" or not absent
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["case", "facts.json", "table.csv"]
    owners = {path.read_text() for path in (tmp_path / "case").iterdir()}
    assert len(owners) == 1
    assert len([*(tmp_path / "case").iterdir()]) == 5
    table = (tmp_path / "table.csv").read_text()
    assert table == table[: len(table) // 1000] * 1000
    assert len(read_json(tmp_path / "facts.json")) == 100


def test_what_may_be_removed_by_two_at_once_is_removed(tmp_path, monkeypatch):
    (tmp_path / "a" / "b").mkdir(parents=True)
    real, raced = files.shutil.rmtree, []

    def rmtree(path):
        raced.append(path)
        real(path)
        raise FileNotFoundError(path)  # the other one was faster

    monkeypatch.setattr(files.shutil, "rmtree", rmtree)
    remove(tmp_path / "a")
    assert raced == [tmp_path / "a"]
    assert not (tmp_path / "a").exists()


def test_what_a_killed_program_left_is_removed_as_soon_as_another_writes_there(tmp_path):
    path = tmp_path / "library"
    code = "import sys, time; from pathlib import Path; from cytosuite.files import atomic\n"
    code += (
        "with atomic(Path(sys.argv[1])) as half:\n half.mkdir(); print(flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE) as killed:
        killed.stdout.readline()
        sweep(tmp_path)
        assert len([*tmp_path.iterdir()]) == 1  # it still runs
        killed.kill()
    assert len([*tmp_path.iterdir()]) == 1
    with atomic(path) as temporary:
        temporary.mkdir()
    assert [*tmp_path.iterdir()] == [path]


def test_a_folder_is_listed_once_however_much_is_written_there(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(files, "sweep", lambda folder, depth: seen.append(folder))
    for number in range(3):
        write_json(tmp_path / f"{number}.json", number)
    assert seen == [tmp_path]


def test_leftovers_of_ended_programs_are_swept_and_links_are_not_followed(tmp_path, dead):
    run, away = tmp_path / "run", tmp_path / "away"
    ended, alive = f"{MACHINE}-{dead}-0", f"{MACHINE}-{os.getpid()}-0"
    for left in (f".a.{ended}.part", f"one/.b.{ended}.part.tif", f"one/.c.{ended}.former.part"):
        (run / left / "deep").mkdir(parents=True)
    (run / "one" / "case").mkdir()
    others = f".d.{alive}.part", f".e.deadbeef-{dead}-0.part.csv", ".f.part", f".session.{ended}"
    for kept in ("a.part", ".lock", *others):
        (run / "one" / "case" / kept).touch()
    (away / f".g.{ended}.part").mkdir(parents=True)
    (run / "link").symlink_to(away)
    (run / f".h.{ended}.part").symlink_to(away)
    (run / "one" / "two" / "three" / f".i.{ended}.part").mkdir(parents=True)  # too deep
    sweep(run)
    found = {path.relative_to(run).as_posix() for path in run.rglob("*")}
    assert found == {
        *("one", "one/case", "link", "one/case/a.part", "one/case/.lock"),
        *("one/two", "one/two/three", f"one/two/three/.i.{ended}.part"),
        *(f"one/case/{name}" for name in others),
    }
    assert [*away.iterdir()] == [away / f".g.{ended}.part"]


def test_a_folder_that_vanishes_is_swept(tmp_path):
    sweep(tmp_path / "gone")


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP])
def test_a_file_system_without_links_is_named_in_a_line(tmp_path, monkeypatch, number):
    def refuse(self, target):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("pathlib.Path.symlink_to", refuse)
    line = "in: expected a file system with symbolic links, found .+; give another folder"
    with pytest.raises(CytosuiteError, match=line):
        link(tmp_path / "in" / "a.tif", tmp_path)
