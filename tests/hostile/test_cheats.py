"""Campaigns on the real daemon: external images of all kinds, and an evaluation of teams of whom some cheat."""

import subprocess
import sys

import pytest
from puppets import ROOT

pytestmark = [pytest.mark.docker, pytest.mark.slow]
CAMPAIGNS = {
    "links of external images": ["external", "--only", "link"],
    "external images": pytest.param(["external"], marks=pytest.mark.long),
    "cheats": pytest.param(["cheats"], marks=pytest.mark.long),
}


@pytest.mark.parametrize("words", CAMPAIGNS.values(), ids=CAMPAIGNS)
def test_a_campaign_finds_nothing_wrong(base, words):
    name, *options = words
    command = [sys.executable, "-m", f"tests.hostile.{name}", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert "honest" in done.stdout
