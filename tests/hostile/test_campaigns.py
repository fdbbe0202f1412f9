"""A short turn of each campaign; what they found is a test beside the code that was mended."""

import sys

import house
import pytest

SECONDS = 1800


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize(
    "kind",
    [
        "kill simulate",
        "kill report",
        "kill model install",
        "kill train",
        "shorten trainer",
        "shorten benchmark",
        "alter_times benchmark",
        "start_twice simulate",
        "start_twice trainer",
    ],
)
def test_nothing_goes_wrong(kind):
    words = ["-m", "tests.hostile.kills", "--kinds", kind, "--tries", 3]
    done = house.ran(sys.executable, *words, cwd=house.ROOT, timeout=SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
