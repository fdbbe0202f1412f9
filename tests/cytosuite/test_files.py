import errno
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from cytosuite.errors import CytosuiteError, InputError
from cytosuite.files import (
    alone,
    atomic,
    digest,
    is_whole,
    link,
    read_json,
    seal,
    sweep,
    value_digest,
    write_json,
)


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


def test_what_a_killed_program_left_of_a_folder_is_removed_by_the_next_one(tmp_path):
    path = tmp_path / "library"
    code = "import sys, time; from pathlib import Path; from cytosuite.files import atomic\n"
    code += (
        "with atomic(Path(sys.argv[1])) as half:\n half.mkdir(); print(flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE) as killed:
        killed.stdout.readline()
        with atomic(path) as temporary:
            temporary.mkdir()
            assert len([*tmp_path.iterdir()]) == 2  # the other program still runs
        killed.kill()
    assert len([*tmp_path.iterdir()]) == 2
    with atomic(path) as temporary:
        temporary.mkdir()
    assert [*tmp_path.iterdir()] == [path]


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


def test_a_name_that_is_no_utf8_can_be_written_and_sealed(tmp_path):
    name = os.fsdecode(b"\xff.json")
    write_json(tmp_path / name, 1)
    seal(tmp_path)
    assert is_whole(tmp_path)
    assert {os.fsencode(path.name) for path in tmp_path.iterdir()} == {b"SHA256SUMS", b"\xff.json"}
    (tmp_path / name).unlink()
    assert not is_whole(tmp_path)


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


def test_leftovers_of_killed_programs_are_swept_and_links_are_not_followed(tmp_path):
    run, away = tmp_path / "run", tmp_path / "away"
    for left in (".a.1.part", "one/.b.2.part.tif", "one/case/.c.3.part.csv", "two/.session"):
        (run / left / "deep").mkdir(parents=True)
    for kept in (run / "one" / "case" / "a.part", run / ".lock", away / ".d.4.part"):
        kept.parent.mkdir(exist_ok=True)
        kept.touch()
    (run / "link").symlink_to(away)
    (run / ".e.5.part").symlink_to(away)
    sweep(run)
    found = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")}
    assert found == {
        *("run", "run/one", "run/one/case", "run/one/case/a.part", "run/two"),
        *("run/.lock", "run/link", "away", "away/.d.4.part"),
    }


def test_a_folder_is_held_by_one_at_a_time(tmp_path):
    began, order = Event(), []

    def second():
        began.set()
        with alone(tmp_path):
            order.append("second")

    with ThreadPoolExecutor(1) as pool:
        with alone(tmp_path):
            waiting = pool.submit(second)
            began.wait()
            order.append("first")
        waiting.result()
    assert order == ["first", "second"]


@pytest.fixture
def sealed(tmp_path):
    """Return a sealed folder with a file, and links into it and out of it."""
    home = tmp_path / "case"
    (home / "sockets").mkdir(parents=True)
    (home / "sockets" / "a b.tif").write_text("pixels")
    (tmp_path / "other.tif").write_text("pixels of another")
    link(home / "sockets" / "b.tif", tmp_path / "other.tif")
    link(home / "inputs" / "a.tif", home / "sockets" / "a b.tif")
    seal(home)
    return home


def test_a_sealed_folder_is_whole_and_known_to_sha256sum(sealed):
    (sealed / "later").touch()
    assert is_whole(sealed)
    lines = (sealed / "SHA256SUMS").read_text().splitlines()
    assert [line.split("  ")[1] for line in lines] == ["sockets/a b.tif", "sockets/b.tif"]
    check = ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"]
    assert subprocess.run(check, cwd=sealed, check=False).returncode == 0


def _changed_byte(folder):
    (folder / "sockets" / "a b.tif").write_text("pixelt")


def _changed_behind_a_link(folder):
    (folder.parent / "other.tif").write_text("pixels of anothes")


def _lost_file(folder):
    (folder / "sockets" / "a b.tif").unlink()


def _lost_seal(folder):
    (folder / "SHA256SUMS").unlink()


def _changed_seal(folder):
    seal = folder / "SHA256SUMS"
    seal.write_text(seal.read_text().replace("a b.tif", "a c.tif"))


def _empty_seal(folder):
    (folder / "SHA256SUMS").write_text("")


def _seal_of_zeros(folder):
    (folder / "SHA256SUMS").write_bytes(bytes(4096))


@pytest.mark.parametrize(
    "fault",
    [
        _changed_byte,
        _changed_behind_a_link,
        _lost_file,
        _lost_seal,
        _changed_seal,
        _empty_seal,
        _seal_of_zeros,
    ],
)
def test_a_folder_that_was_altered_is_not_whole(sealed, fault):
    fault(sealed)
    assert not is_whole(sealed)


def test_the_digest_of_a_value_is_that_of_its_content():
    assert value_digest({"a": 1, "b": [2]}) == value_digest({"b": [2], "a": 1})
    assert value_digest({"a": 1}) != value_digest({"a": "1"})
    known = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"  # of {}
    assert value_digest({}) == known
