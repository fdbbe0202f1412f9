"""A short turn of each campaign; what they found is a test beside the code that was mended."""

import sys

import house
import pytest

SECONDS = 1800
LONG = ("kill report", "kill model install", "kill train", "shorten trainer", "shorten benchmark")
LONG += ("start_twice simulate", "start_twice trainer", "alter_times benchmark")


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind, tries",
    [("kill simulate", 2), *(pytest.param(kind, 3, marks=pytest.mark.long) for kind in LONG)],
)
def test_nothing_goes_wrong(kind, tries):
    words = ["-m", "tests.hostile.kills", "--kinds", kind, "--tries", tries]
    done = house.ran(sys.executable, *words, cwd=house.ROOT, timeout=SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
