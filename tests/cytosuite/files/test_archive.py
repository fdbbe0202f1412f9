"""Archives of strangers: only plain files inside come out, and no more of them than they say."""

import stat
import struct
import zipfile
from pathlib import PurePosixPath

import pytest
from mistakes import refused

from cytosuite.files.archive import opened_zip, write_zip


def _member(name, kind=stat.S_IFREG, **facts):
    info = zipfile.ZipInfo(name)
    info.external_attr = (kind | 0o644) << 16
    for key, value in facts.items():
        setattr(info, key, value)
    return info


def _zip(path, *members, content=b"x"):
    with zipfile.ZipFile(path, "w") as archive:
        for info in members:
            archive.writestr(info, content)
    return path


def _names(path, **limits):
    with opened_zip(path, **limits) as archive:
        return list(map(str, archive.members))


def _read(path):
    with opened_zip(path) as archive:
        return archive.read(PurePosixPath("a"))


def _unpacked(path, target):
    with opened_zip(path) as archive:
        archive.unpack(PurePosixPath("a"), target)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.zip"


def test_the_bytes_are_the_same_each_time_and_come_back(tmp_path, path):
    contents = {"b.txt": b"two", "a/b.txt": b"one"}
    write_zip(path, contents)
    again = write_zip(tmp_path / "b.zip", dict(reversed(contents.items())))
    assert path.read_bytes() == again.read_bytes()
    with opened_zip(path) as archive:
        assert list(map(str, archive.members)) == ["a/b.txt", "b.txt"]
        archive.unpack(PurePosixPath("b.txt"), tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"two"


@pytest.mark.parametrize(
    "member, reason",
    [
        (_member("../a.json"), "a path out of it: '../a.json'"),
        (_member("/etc/a.json"), "a path out of it"),
        (_member("a\\..\\b.json"), "a path out of it"),
        (_member(""), "a file without a name"),
        (_member("a.json", stat.S_IFLNK), "a link or device"),
        (_member("a.json", stat.S_IFIFO), "a link or device"),
        (_member("a.json", compress_type=zipfile.ZIP_BZIP2), "neither stored nor deflated"),
    ],
)
def test_what_is_no_plain_file_inside_is_refused(path, member, reason):
    refused(reason, _names, _zip(path, _member("fine.txt"), member))


def test_a_file_that_grows_without_measure_is_refused(path):
    _zip(path, _member("a.json", compress_type=zipfile.ZIP_DEFLATED), content=bytes(2**22))
    refused(r"grow from \d+ to 4194304 bytes together: 'a.json'", _names, path)
    write_zip(path, {str(number): bytes(2**19) for number in range(3)})
    refused(r"grow from \d+ to 1572864 bytes together: '2'", _names, path)


def test_a_file_is_no_larger_than_the_archive_says(path):
    write_zip(path, {"a": bytes(2**22)})
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, content.index(b"PK\x01\x02") + 24, 9)
    path.write_bytes(content)
    refused("cannot be unpacked", _read, path)


def test_only_files_of_some_names_count(path):
    bomb = _member("b", compress_type=zipfile.ZIP_DEFLATED)
    _zip(path, _member("deep/a"), bomb, content=bytes(2**22))
    assert _names(path, names=["a"]) == ["deep/a"]


def test_an_encrypted_file_and_too_many_are_refused(tmp_path, path):
    _zip(path, _member("a"), _member("b"))
    locked = bytearray(path.read_bytes())
    locked[locked.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "b.zip").write_bytes(locked)
    refused("an encrypted file", _names, tmp_path / "b.zip")
    refused("at most 1 files", _names, path, most=1)
    refused("at most 2 files of 1 bytes together", _names, path, most=2, together=1)


def test_a_broken_archive_is_one_line(tmp_path, path):
    write_zip(path, {"a": bytes(range(256))})
    content = bytearray(path.read_bytes())
    content[60] ^= 255
    path.write_bytes(content)
    refused("cannot be unpacked", _unpacked, path, tmp_path / "out")
    path.write_bytes(content[:100])
    refused("cannot be unpacked", _names, path)
