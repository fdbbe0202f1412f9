import errno
import os
import socket
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from house import ran
from toys import put

from cytosuite.benchmark.engines.collect import (
    Refused,
    add_log,
    collect,
    empty,
    give,
    size,
    take,
)
from cytosuite.benchmark.engines.outcome import Limits, Outcome
from cytosuite.files import write_text


def refused(message, call, *arguments):
    """Return the line by which a call is refused, in which an expression is found."""
    with pytest.raises(Refused, match=message) as caught:
        call(*arguments)
    return str(caught.value)


@pytest.fixture
def source(tmp_path):
    """Return a folder like one that a container wrote."""
    write_text(tmp_path / "source/images/labels/a.tif", "12345")
    write_text(tmp_path / "source/note.json", "{}")
    return tmp_path / "source"


@pytest.fixture
def target(tmp_path):
    """Return an empty folder."""
    (tmp_path / "target").mkdir()
    return tmp_path / "target"


def test_files_come_over_with_their_folders_but_not_their_modes(source, target):
    (source / "note.json").chmod(0o4777)
    assert take(source, target, 7) == 2
    assert (target / "note.json").stat().st_mode & 0o7111 == 0
    assert (target / "images/labels/a.tif").read_bytes() == b"12345"
    assert (target / "note.json").read_bytes() == b"{}"


@pytest.mark.parametrize("replace", [os.mkfifo, lambda file: (file.parent / "b").rename(file)])
def test_a_file_that_is_another_by_the_time_it_is_opened_is_refused(
    source, target, monkeypatch, replace
):
    look = os.stat
    file = source / "note.json"
    (source / "b").write_bytes(b"{}")

    def stat(name, **more):
        info = look(name, **more)
        if name == file.name:
            file.unlink()
            replace(file)
        return info

    monkeypatch.setattr(os, "stat", stat)
    refused("note.json: changed while it was read", take, source, target, 99)


def _link(source):
    """note: a link where only files and folders may be"""
    (source / "note.json").unlink()
    (source / "note").symlink_to("/etc/passwd")


def _pipe(source):
    """images/p: a pipe where only files and folders may be"""
    os.mkfifo(source / "images/p")


def _socket(source):
    """s: a socket where only files and folders may be"""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(source / "s"))


def _second_name(source):
    """images/b: a file with more than one name"""
    (source / "images/b").hardlink_to(source / "note.json")


def _large(source):
    """note.json: more than 7 bytes of output"""
    (source / "note.json").write_bytes(bytes(3))


def _hole(source):
    """hole: more than 7 bytes of output"""
    with (source / "hole").open("wb") as stream:
        stream.truncate(2**40)


def _deep(source):
    """more than 16 folders in each other"""
    (source / "/".join("d" * 20)).mkdir(parents=True)


def _many(source):
    """more than 1000 files of output"""
    for number in range(1001):
        (source / str(number)).touch()


def _no_text(source):
    r"""a\udcff: a name that is no printable UTF-8"""
    Path(os.fsdecode(bytes(source) + b"/a\xff")).touch()


@pytest.mark.parametrize(
    "mistake", [_link, _pipe, _socket, _second_name, _large, _hole, _deep, _many, _no_text]
)
def test_refuses(source, target, mistake):
    mistake(source)
    assert refused(".", take, source, target, 7) == mistake.__doc__
    assert mistake is not _large or not list(target.iterdir())  # no byte is copied


def test_holes_stay_holes(source, target):
    with (source / "hole").open("wb") as stream:
        stream.seek(2**24)
        stream.write(b"end")
        stream.truncate(2**25)
    take(source, target, 2**26)
    copy = target / "hole"
    assert copy.read_bytes() == (source / "hole").read_bytes()
    assert copy.stat().st_blocks * 512 < 2**20


@pytest.mark.parametrize("reason", [errno.EINVAL, errno.EIO])
def test_a_file_system_may_know_no_holes(source, target, monkeypatch, reason):
    lseek = os.lseek

    def refuse(handle, place, how):
        if how == os.SEEK_DATA:
            raise OSError(reason, os.strerror(reason))
        return lseek(handle, place, how)

    monkeypatch.setattr(os, "lseek", refuse)
    with nullcontext() if reason == errno.EINVAL else pytest.raises(OSError, match="error"):
        take(source, target, 7)
        assert (target / "images/labels/a.tif").read_bytes() == b"12345"


def test_no_file_outside_is_read_even_if_a_folder_becomes_a_link(source, target, monkeypatch):
    """Swap a folder for a link after it was looked at: it is then opened by name, but not followed."""
    real = os.stat

    def swap(path, *arguments, **options):
        status = real(path, *arguments, **options)
        if path == "images":
            (source / "images").rename(source.parent / "aside")
            (source / "images").symlink_to("/etc", target_is_directory=True)
        return status

    monkeypatch.setattr(os, "stat", swap)
    refused("images: cannot be read", take, source, target, 1000)


def test_an_input_is_readable_for_any_user(source, target):
    (source / "note.json").chmod(0o600)
    (source / "images").chmod(0o700)
    give(source, target)
    assert (target / "note.json").stat().st_mode & 0o777 == 0o644
    assert (target / "images").stat().st_mode & 0o777 == 0o755
    assert (target / "images/labels/a.tif").read_bytes() == b"12345"


def test_a_folder_is_emptied_whatever_is_in_it(source, tmp_path):
    keep = tmp_path / "keep"
    keep.mkdir()
    (keep / "file").touch()
    (source / "link").symlink_to(keep, target_is_directory=True)
    (source / "-rf").touch()
    (source / "closed/inside").mkdir(parents=True)
    (source / "closed").chmod(0)
    empty(source)
    assert list(source.iterdir()) == []
    assert (keep / "file").exists()


def test_size_is_what_the_disk_holds(source, tmp_path):
    (source / "large").write_bytes(bytes(10**5))
    assert 10**5 <= size(source, 10**9) < 2 * 10**5
    assert size(tmp_path / "none", 10) == 0


AS_OWNER = """
import ctypes, os, sys
from pathlib import Path
from cytosuite.benchmark.engines.collect import Refused, empty, size, take
# Root without its capabilities obeys modes, as any other user does.
none = (ctypes.c_uint32 * 6)()
assert ctypes.CDLL(None).capset((ctypes.c_uint32 * 2)(0x20080522, 0), none) == 0
source = Path(sys.argv[1])
for closed, mode in ((source, 0o000), (source / "images", 0o300)):
    (source / "images").mkdir(exist_ok=True)
    (source / "images/large").write_bytes(bytes(10**6))
    closed.chmod(mode)
    try:
        take(source, source.parent / "target", 10**9)
    except Refused as finding:
        print(finding)
    assert size(source, 10**9) > 10**6
    closed.chmod(mode)
    empty(source)
    assert os.listdir(source) == []
"""


def test_a_folder_without_rights_is_counted_and_emptied(source, target):
    """The container is its owner where this user runs it, and takes the rights away."""
    done = ran(sys.executable, "-c", AS_OWNER, source)
    lines = [f"{name}: cannot be read (Permission denied)" for name in ("source", "images")]
    assert (done.returncode, done.stdout.splitlines(), done.stderr) == (0, lines, "")


def test_files_without_a_name_are_seen_by_the_room_on_the_disk(source, monkeypatch):
    monkeypatch.setattr("cytosuite.benchmark.engines.collect.SPARE", 2**60)
    monkeypatch.setattr("cytosuite.benchmark.engines.collect.SPARE_SHARE", 1)
    refused("No space left on device: less than [0-9]+ bytes are left", size, source, 10**9)


def test_a_disk_without_room_for_the_copy_is_the_row_of_a_case(source, tmp_path):
    outcome = collect(Outcome("ok", 1.0, None, 0), source, tmp_path / "none", Limits())
    assert (outcome.status, outcome.seconds) == ("engine error", 1.0)
    assert outcome.message == "the output cannot be copied (No such file or directory)"


def test_size_refuses_trees_that_it_would_never_finish(source, monkeypatch):
    monkeypatch.setattr("cytosuite.benchmark.engines.collect.LIVING", 0.01)
    for number in range(11):
        (source / f"images/{number}").touch()
    refused(r"more than 10\.0 files of output", size, source, 10**9)
    _deep(source)
    monkeypatch.undo()
    refused("more than 16 folders in each other", size, source, 10**9)


def test_a_deep_tree_needs_two_handles(source):
    """Deeper than any path may be long, and than there are handles."""
    here = Path.cwd()
    os.chdir(source)
    for _ in range(1500):
        Path("deep").mkdir()
        os.chdir("deep")
    Path("file").touch()
    os.chdir(here)
    empty(source)
    assert list(source.iterdir()) == []


def test_a_log_has_whole_printable_lines(tmp_path):
    log = tmp_path / "log.txt"
    add_log(log, "fertig ü\r\n\x1b[31mred\0\n\n<b>\n")
    assert log.read_text() == "fertig ü\n\\x1b[31mred\\x00\n\n<b>\n"
    add_log(log, "y" * (2**20 + 2000))
    assert log.read_text().splitlines()[-2] == "[the first 2 KiB are left out]"
    assert log.stat().st_size < 2**20 + 200


def test_emptying_ends_though_a_program_goes_on_writing(source, monkeypatch):
    """A folder is never empty: each look finds a new file."""
    monkeypatch.setattr("cytosuite.benchmark.engines.collect.REMOVE_S", 0.2)
    real = os.unlink

    def unlink(name, *, dir_fd):
        real(name, dir_fd=dir_fd)
        (source / "again").touch()

    monkeypatch.setattr(os, "unlink", unlink)
    with pytest.raises(OSError, match="again cannot be removed"):
        empty(source)


def test_large_inputs_are_not_copied(source, target, monkeypatch):
    monkeypatch.setattr("cytosuite.benchmark.engines.collect.SHARED", 5)
    path = source / "images/labels/a.tif"
    path.chmod(0o644)
    give(source, target)
    assert (target / "images/labels/a.tif").samefile(path)
    assert not (target / "note.json").samefile(source / "note.json")
    empty(target)
    assert path.read_bytes() == b"12345"
    path.chmod(0o600)  # its mode is the user's: what nobody else may read is copied
    give(source, target)
    assert not (target / "images/labels/a.tif").samefile(path)
    assert (target / "images/labels/a.tif").stat().st_mode & 0o777 == 0o644


def test_an_image_of_zarr_is_given_as_a_folder_and_its_links_show_nothing_else(target, tmp_path):
    image = tmp_path / "own.ome.zarr"
    case = tmp_path / "case"
    put(image, np.ones((20, 9, 9), np.uint8))
    (case / "images/a").mkdir(parents=True)
    (case / "images/a/a.ome.zarr").symlink_to(image)
    write_text(tmp_path / "secret/key", "key")
    (image / "0/c/1/0/0").unlink()
    (image / "0/c/1/0/0").symlink_to(tmp_path / "secret/key")
    (image / "more").symlink_to(tmp_path / "secret")
    (image / "inside").symlink_to(image / "zarr.json")
    give(case, target)
    copied = target / "images/a/a.ome.zarr"
    names = {path.name for path in copied.rglob("*")}
    assert "inside" in names
    assert not {"key", "more"} & names
    assert not (copied / "0/c/1/0/0").exists()
    assert not copied.is_symlink()
    assert (copied / "0/c/0/0/0").samefile(image / "0/c/0/0/0")
