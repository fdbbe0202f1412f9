import gzip
import subprocess
import sys
import time

import pytest
from archives import GOOD, Image, member, tar

from cytosuite.benchmark.submission.checks import stream
from cytosuite.benchmark.submission.checks.preflight import preflight, upload_kind
from cytosuite.errors import InputError
from cytosuite.tasks import TASKS

PEAK = r"""
import re, sys
from pathlib import Path
from cytosuite.benchmark.submission.checks import stream
from cytosuite.benchmark.submission.checks.preflight import preflight
stream.LEAST_BYTES = int(sys.argv[2])
found = preflight(Path(sys.argv[1]))
peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())  # not the parent's
print(int(peak[1]) // 1024, *(each.rule for each in found))
"""


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tar.xz"])
@pytest.mark.parametrize("layout", ["docker", "oci", "skopeo"])
def test_an_image_is_known_by_its_first_members(tmp_path, layout, suffix):
    path = Image([{"zeros": bytes(2**21)}, GOOD]).save(tmp_path / f"a{suffix}", layout)
    assert upload_kind(path) == "image"


@pytest.mark.parametrize(
    "members", [[], [member("./"), member("a.json", b"{}")], [member("big", bytes(2**25))]]
)
def test_other_archives_are_tarballs(tmp_path, members):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(tar(members)))
    assert upload_kind(path) == "tarball"
    assert {each.rule for each in preflight(path)} <= {"tarball.empty"}


def test_a_folder_is_an_output(tmp_path):
    assert upload_kind(tmp_path) == "output"
    assert [each.rule for each in preflight(tmp_path, TASKS["segment"])] == ["output.missing"]


@pytest.mark.parametrize(
    "content", [b"", b"x", b"%PDF-1.4 " * 100, gzip.compress(b"text" * 999, mtime=0)]
)
def test_what_is_none_of_them_is_refused_in_one_line(tmp_path, content):
    """expected an image archive, a tarball or an output folder"""
    path = tmp_path / "a.tar.gz"
    path.write_bytes(content)
    expected = test_what_is_none_of_them_is_refused_in_one_line.__doc__
    with pytest.raises(InputError, match=f"a.tar.gz: {expected}; cannot be read"):
        preflight(path)


def test_a_cut_image_is_a_finding(tmp_path):
    path = Image().save(tmp_path / "a.tar.gz")
    path.write_bytes(path.read_bytes()[:-20])
    assert [each.rule for each in preflight(path)] == ["archive.cut"]
    path.write_bytes(path.read_bytes()[:30])
    assert [each.rule for each in preflight(path)] == ["archive.cut"]


def peak(path, least=stream.LEAST_BYTES):
    """Return the peak of memory of a check [MiB], its findings and seconds."""
    start = time.monotonic()
    ran = subprocess.run(
        [sys.executable, "-c", PEAK, path, str(least)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    memory, *rules = ran.stdout.split()
    return int(memory), rules, time.monotonic() - start


def test_memory_does_not_grow_with_the_archive(tmp_path):
    small, _, _ = peak(Image().save(tmp_path / "a.tar.gz"))
    layer = {**GOOD, "zeros": bytes(2**27), **{f"opt/x/y/z/{n}": b"" for n in range(20_000)}}
    large, rules, _ = peak(Image([layer]).save(tmp_path / "b.tar.gz"))
    assert rules == []
    assert large < small + 24
    assert large < 100


def test_a_bomb_is_refused_in_bounded_time_and_memory(tmp_path):
    """Of zeros that expand to 16 GiB, half of one is read."""
    part = gzip.compress(bytes(2**26), 9)
    path = tmp_path / "a.tar.gz"
    header = tar([member("manifest.json", b"[]")])[:1024]
    info, _ = member(f"{'0' * 64}.tar")
    info.size = 2**34
    path.write_bytes(gzip.compress(header + info.tobuf()) + part * 256)
    memory, rules, seconds = peak(path, 2**20)
    assert rules == ["archive.bomb"]
    assert memory < 100
    assert seconds < 60
