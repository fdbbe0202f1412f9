"""A campaign on the real daemon: an evaluation of teams of whom some cheat."""

import sys

import house
import pytest

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.long]


def test_a_campaign_finds_nothing_wrong(base):
    done = house.ran(sys.executable, "-m", "tests.hostile.cheats", timeout=3600)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert "honest" in done.stdout
