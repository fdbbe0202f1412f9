"""A short turn of each campaign; what they found is a test beside the code that was mended."""

import sys

import house
import pytest

SECONDS = 1800


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "kind", "tries"),
    [
        ("inputs", "migrate", 12),
        ("kills", "simulate", 2),
        pytest.param("inputs", "lists", 40, marks=pytest.mark.long),
        pytest.param("inputs", "hjson", 60, marks=pytest.mark.long),
        *(
            pytest.param("kills", kind, 3, marks=pytest.mark.long)
            for kind in ("report", "model install", "train")
        ),
        *(
            pytest.param("machine", kind, 2, marks=pytest.mark.long)
            for kind in ("long-files", "twice", "clocks", "workers")
        ),
    ],
)
def test_nothing_goes_wrong(script, kind, tries):
    words = ["-m", f"tests.hostile.{script}", "--kinds", kind, "--tries", tries]
    done = house.ran(sys.executable, *words, cwd=house.ROOT, timeout=SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
