"""A short turn of random hostile predictions beside a good team's."""

import sys

import house
import pytest


@pytest.mark.slow
def test_hostile_predictions_are_rows(tmp_path):
    words = ["--number", "100", "--seed", "1"]
    done = house.ran(sys.executable, "-m", "tests.hostile.predictions", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    (total,) = (row.split() for row in done.stdout.splitlines() if row.startswith("all "))
    assert total[1] == "100"
    assert min(int(total[2]), int(total[3])) > 10  # accepted and refused
