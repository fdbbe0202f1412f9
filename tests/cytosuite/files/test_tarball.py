"""Tarballs of strangers: their plain files come out whole, within a folder, or none of them."""

import gzip
import io
import tarfile

import pytest
from mistakes import refused

from cytosuite.files.tarball import unpack


def packed(path, *entries):
    """Write a tarball with these entries: names of files, or entries of a tar."""
    with tarfile.open(path, "w:gz") as archive:
        for entry in entries:
            info = tarfile.TarInfo(entry) if isinstance(entry, str) else entry
            archive.addfile(info, io.BytesIO(b"x" * info.size))
    return path


def entry(name, **facts):
    info = tarfile.TarInfo(name)
    for key, value in facts.items():
        setattr(info, key, value)
    return info


def _left_alone(reason, path):
    """Hold that a tarball is refused and nothing lies beside it."""
    refused(reason, unpack, path, path.with_name("model"))
    assert list(path.parent.iterdir()) == [path]


def test_any_user_can_read_the_files(tmp_path):
    closed = entry("deep/model.json", mode=0o600, size=3)
    folder = unpack(packed(tmp_path / "m.tar.gz", closed, "card.json"), tmp_path / "model")
    assert (folder / "card.json").is_file()
    assert (folder / "deep/model.json").read_bytes() == b"xxx"
    assert (folder / "deep/model.json").stat().st_mode & 0o777 == 0o644
    assert (folder / "deep").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize(
    "reason, bad",
    {
        "outside the destination": entry("../out"),
        "a: expected files and folders": entry("a", type=tarfile.SYMTYPE, linkname="card.json"),
        "pack with tar --dereference": entry("a", type=tarfile.LNKTYPE, linkname="card.json"),
        "found a link or another": entry("a", type=tarfile.FIFOTYPE),
    }.items(),
)
def test_other_entries_are_refused_and_leave_nothing(tmp_path, bad, reason):
    path = packed(tmp_path / "m.tar.gz", "card.json", bad)
    _left_alone(f"m.tar.gz: cannot be unpacked: .*{reason}", path)


@pytest.mark.parametrize("size", [2**40, 0])
def test_a_bomb_is_refused_whether_it_says_its_size_or_not(tmp_path, monkeypatch, size):
    monkeypatch.setattr("cytosuite.files.tarball.LEAST_BYTES", 2**20)
    path = tmp_path / "m.tar.gz"
    content = entry("net", size=size).tobuf() + bytes(2**23)
    path.write_bytes(gzip.compress(entry("card.json").tobuf() + content))
    _left_alone("expands to more than", path)


def test_a_cut_tarball_leaves_nothing(tmp_path):
    path = packed(tmp_path / "m.tar.gz", entry("net", size=2**16))
    path.write_bytes(path.read_bytes()[:-20])
    _left_alone("cannot be unpacked: cut", path)
