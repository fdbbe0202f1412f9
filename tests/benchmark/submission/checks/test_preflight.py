import gzip
import sys

import pytest
from archives import member, tar
from house import ran

from cytosuite.benchmark.submission.checks.preflight import preflight, upload_kind
from cytosuite.contract.tasks import TASKS

PEAK = r"""
import re, sys
from pathlib import Path
from cytosuite.files import tarball
from cytosuite.benchmark.submission.checks.preflight import preflight
tarball.LEAST_BYTES = 2**20
found = preflight(Path(sys.argv[1]))
peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())  # not the parent's
print(int(peak[1]) // 1024, *(each.rule for each in found))
"""


@pytest.mark.parametrize(
    "members", [[], [member("./"), member("a.json", b"{}")], [member("big", bytes(2**25))]]
)
def test_other_archives_are_tarballs(tmp_path, members):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(tar(members)))
    assert upload_kind(path) == "tarball"
    assert {finding.rule for finding in preflight(path)} <= {"tarball.empty"}


def test_a_folder_is_an_output(tmp_path):
    assert upload_kind(tmp_path) == "output"
    assert [finding.rule for finding in preflight(tmp_path, TASKS["segment"])] == ["output.missing"]


@pytest.mark.parametrize(
    "content", [b"", b"x", b"%PDF-1.4 " * 100, gzip.compress(b"text" * 999, mtime=0)]
)
def test_what_is_none_of_them_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(content)
    found = {finding.rule: finding for finding in preflight(path)}["archive.damaged"]
    assert (found.severity, found.where) == ("error", "a.tar.gz")
    assert found.text.startswith("cannot be read")


def test_a_bomb_is_refused_in_bounded_time_and_memory(tmp_path):
    """Zeros that expand to 512 MiB are not read to their end."""
    path, (info, _) = tmp_path / "a.tar.gz", member(f"{'0' * 64}.tar")
    header = tar([member("manifest.json", b"[]")])[:1024]
    info.size = 2**32
    path.write_bytes(gzip.compress(header + info.tobuf()) + gzip.compress(bytes(2**26), 9) * 8)
    memory, *rules = ran(sys.executable, "-c", PEAK, path).stdout.split()
    assert rules == ["archive.bomb"]
    assert int(memory) < 100
