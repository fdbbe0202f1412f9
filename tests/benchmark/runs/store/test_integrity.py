import os
import shutil
import subprocess
import time

import pytest

from cytosuite.benchmark.runs.store import integrity
from cytosuite.benchmark.runs.store.integrity import (
    STAMPS,
    SUMS,
    digests,
    foreign_digest,
    forget,
    is_whole,
    seal,
    unaltered,
)
from cytosuite.files import digest, file_digest, link, visible_files, write_text

NAME = "sockets/a b.tif"


@pytest.fixture
def read(monkeypatch):
    """Return the list of all names of files that are read for their digest."""
    seen = []

    def count(path):
        seen.append(path.name)
        return file_digest(path)

    monkeypatch.setattr(integrity, "file_digest", count)
    return seen


@pytest.fixture
def sealed(tmp_path):
    """Return a sealed folder with a file, and links into it and out of it."""
    home = tmp_path / "case"
    write_text(home / NAME, "pixels")
    (tmp_path / "other.tif").write_text("pixels of another")
    link(home / "sockets/b.tif", tmp_path / "other.tif")
    link(home / "inputs/a.tif", home / NAME)
    time.sleep(0.02)  # longer than a tick of the clock of a local file system
    seal(home)
    return home


def test_a_sealed_folder_is_whole_and_known_to_sha256sum(sealed):
    (sealed / "later").touch()
    assert is_whole(sealed)
    lines = (sealed / SUMS).read_text().splitlines()
    assert [line.split("  ")[1] for line in lines] == [NAME, "sockets/b.tif"]
    check = ["sha256sum", "--check", "--strict", "--quiet", SUMS]
    assert subprocess.run(check, cwd=sealed, check=False).returncode == 0


def test_a_name_that_is_no_utf8_is_sealed(tmp_path):
    (tmp_path / os.fsdecode(b"\xff.json")).write_text("1")
    seal(tmp_path)
    assert is_whole(tmp_path)


def _changed_byte(folder):
    (folder / NAME).write_text("pixelt")


def _changed_byte_with_the_time_set_back(folder):
    before = (folder / NAME).stat()
    (folder / NAME).write_text("pixelt")
    os.utime(folder / NAME, ns=(before.st_atime_ns, before.st_mtime_ns))


def _replaced_file(folder):
    before = (folder / NAME).stat()
    (folder / "new").write_text("pixelt")
    os.utime(folder / "new", ns=(before.st_atime_ns, before.st_mtime_ns))
    (folder / "new").replace(folder / NAME)


def _changed_behind_a_link(folder):
    (folder.parent / "other.tif").write_text("pixels of anothes")


def _lost_file(folder):
    (folder / NAME).unlink()


def _file_that_is_a_pipe(folder):
    (folder / NAME).unlink()
    os.mkfifo(folder / NAME)


def _lost_seal(folder):
    (folder / SUMS).unlink()


def _another_sum(folder):
    first, *rest = (folder / SUMS).read_text()
    (folder / SUMS).write_text(("1" if first == "0" else "0") + "".join(rest))


def _seal_of_zeros(folder):
    (folder / SUMS).write_bytes(bytes(4096))


@pytest.mark.parametrize("seen", [0, 2])
@pytest.mark.parametrize(
    "fault",
    [
        _changed_byte,
        _changed_byte_with_the_time_set_back,
        _replaced_file,
        _changed_behind_a_link,
        _lost_file,
        _file_that_is_a_pipe,
        _lost_seal,
        _another_sum,
        _seal_of_zeros,
    ],
)
def test_a_folder_that_was_altered_is_not_whole_however_often_it_was(sealed, fault, seen):
    for _ in range(seen):
        assert is_whole(sealed)
    fault(sealed)
    assert not is_whole(sealed)
    assert not is_whole(sealed)


def test_files_are_read_once_when_they_are_written_and_never_again(sealed, read):
    for _ in range(2):
        assert is_whole(sealed)
    assert read == []
    sealed.rename(sealed.with_name("other"))  # the stamps go with the folder
    assert is_whole(sealed.with_name("other"))
    assert read == []
    assert STAMPS not in [path.name for path in visible_files(sealed.with_name("other"))]


def test_a_copied_folder_is_read_once(sealed, read, monkeypatch):
    shutil.copytree(sealed, sealed.with_name("copy"), symlinks=True)
    monkeypatch.setattr(integrity, "YOUNG_NS", -(10**9))  # as if it were long ago
    for _ in range(3):
        assert is_whole(sealed.with_name("copy"))
    assert read == ["a b.tif"]  # the other one is behind a link, and was not copied


def test_a_young_file_is_read_until_it_is_older_than_two_seconds(sealed, read):
    os.utime(sealed / NAME)
    assert is_whole(sealed)
    time.sleep(2.1)
    for _ in range(2):
        assert is_whole(sealed)
    assert read == ["a b.tif"] * 2


def test_a_change_within_the_tick_of_a_seal_is_seen(tmp_path, monkeypatch):
    """The clock of the file system stands still from the writing to the change."""
    path = tmp_path / "a.tif"
    real = os.stat

    def coarse(file, *arguments, **named):
        times = {"st_mtime_ns": 10**18, "st_ctime_ns": 10**18}
        return os.stat_result(tuple(real(file, *arguments, **named)), times)

    monkeypatch.setattr(os, "stat", coarse)
    path.write_text("pixels")
    seal(tmp_path)
    assert path.stat().st_ctime_ns == 10**18
    path.write_text("pixelt")
    assert not is_whole(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\0" * 99, b"\xff\n\n  \n", f"0 0 0 0  {NAME}".encode()])
def test_broken_stamps_do_not_count(sealed, read, content):
    (sealed / STAMPS).write_bytes(content)
    assert is_whole(sealed)
    assert sorted(read) == ["a b.tif", "b.tif"]


def test_stamps_with_another_digest_do_not_count(sealed):
    text = (sealed / STAMPS).read_text()
    sums = digests(sealed, [NAME])
    _changed_byte(sealed)
    (sealed / STAMPS).write_text(text.replace(sums[NAME], "0" * 64))
    assert not unaltered(sealed, sums)


def test_a_folder_that_cannot_be_written_is_read_each_time(sealed, read, monkeypatch):
    forget(sealed.parent)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    for _ in range(2):
        assert is_whole(sealed)
    assert len(read) == 4
    assert not (sealed / STAMPS).exists()


def test_digests_join_the_former_stamps(tmp_path, read):
    for name in ("a", "b"):
        (tmp_path / name).write_text("pixels")
        time.sleep(0.02)
        sums = digests(tmp_path, [name])
    assert unaltered(tmp_path, {"a": sums["b"], "b": sums["b"]})
    assert read == ["a", "b"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a user's folder with two files, which counts as large, and no cache yet."""
    monkeypatch.setattr(integrity, "FOREIGN", tmp_path / "cache/stamps")
    monkeypatch.setattr(integrity, "LARGE_BYTES", 10)
    monkeypatch.setattr(integrity, "YOUNG_NS", -(10**9))  # as if it were long ago
    for name in ("a.tif", "deep/b.tif"):
        write_text(tmp_path / "own" / name, f"pixels of {name}")
    return tmp_path / "own"


def test_files_of_a_user_are_read_once_and_nothing_is_written_beside_them(
    folder, read, monkeypatch
):
    before = digest([folder], folder)
    with monkeypatch.context() as patched:
        patched.setattr(integrity, "LARGE_BYTES", 10**6)
        assert foreign_digest([folder], folder) == before
    assert not integrity.FOREIGN.exists()  # of a small folder no stamps are kept
    read.clear()
    assert [foreign_digest([folder], folder) for _ in range(3)] == [before] * 3
    assert sorted(read) == ["a.tif", "b.tif"]
    assert sorted(path.name for path in folder.rglob("*")) == ["a.tif", "b.tif", "deep"]
    assert (
        foreign_digest([folder / "a.tif"], folder) == digest([folder / "a.tif"], folder) != before
    )
    forget(integrity.FOREIGN)
    foreign_digest([folder], folder)
    assert len(read) == 4


def test_a_change_in_files_of_a_user_changes_their_digest(folder, read):
    before = foreign_digest([folder], folder)
    times = (folder / "a.tif").stat()
    (folder / "a.tif").write_text("pixelt of a.tif")
    os.utime(folder / "a.tif", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert foreign_digest([folder], folder) == digest([folder], folder) != before
    assert read[2:] == ["a.tif"]
    (folder / "a.tif").rename(folder / "d.tif")
    assert foreign_digest([folder], folder) == digest([folder], folder)


def test_a_digest_that_is_not_known_is_no_match(tmp_path):
    (tmp_path / "a").touch()
    assert not unaltered(tmp_path, {"a": None})
