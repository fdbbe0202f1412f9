"""A short turn of the fuzzer: every reader takes some altered files, refuses others, and no more."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_altered_files_are_read_or_refused_in_one_line(tmp_path):
    words = ["--inputs", "320", "--seed", "0", "--out", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.hostile.fuzz", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    print(done.stdout)  # noqa: T201 - the findings, for whom it fails
    assert done.returncode == 0
    assert list(tmp_path.iterdir()) == []
    rows = re.findall(r"^(\w[\w ]*?) {2,}(\d+) +(\d+) +(\d+) +\d+ +0$", done.stdout, re.MULTILINE)
    assert len(rows) > 15
    for name, inputs, accepted, refused in rows:
        assert 0 < int(accepted) <= int(inputs), name
        assert int(accepted) + int(refused) <= int(inputs), name
