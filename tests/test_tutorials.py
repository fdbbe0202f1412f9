"""The tutorials: their commands run in order in an empty folder, and print what the pages show."""

import re
from math import isclose
from pathlib import Path

import house
import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
DOCKER = "## With Docker"  # the rest of a page needs it
NUMBER = re.compile(r"\d+(?:\.\d+)?(?! s\b)")
SECONDS = re.compile(r"\d+(?:\.\d+)? s\b")
pytestmark = pytest.mark.slow


def blocks(text):
    """Return the commands of a page, each with the lines that it is said to print."""
    found = re.findall(r"^```(sh|text)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    following = [*found[1:], ("", "")]
    return [
        (own, [line for line in after.splitlines() if line != "..."] if kind == "text" else [])
        for (name, own), (kind, after) in zip(found, following, strict=True)
        if name == "sh"
    ]


def alike(promised, line):
    """Return whether lines have the same words, and numbers that differ by a tenth at most."""
    promised, line = (SECONDS.sub("some s", text) for text in (promised, line))
    if NUMBER.sub("#", promised).split() != NUMBER.sub("#", line).split():
        return False
    pairs = zip(NUMBER.findall(promised), NUMBER.findall(line), strict=True)
    return all(isclose(float(a), float(b), rel_tol=0.1, abs_tol=0.02) for a, b in pairs)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """Return a copy of the checkout, into which tutorials write algorithms and models."""
    return house.checkout(tmp_path_factory.mktemp("tutorial") / "checkout")


def follow(text, checkout, folder, **environment):
    """Run the commands of a page, and hold what they print against the page."""
    words = {
        "PATH": f"{checkout}/.venv/bin:/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": str(checkout),
    }
    for commands, promised in blocks(text):
        done = house.ran("bash", "-euc", commands, cwd=folder, **words, **environment)
        assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
        lines = (done.stdout + done.stderr).splitlines()
        for wanted in promised:
            assert any(alike(wanted, line) for line in lines), f"{wanted}\n{done.stdout}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_its_commands_do_what_the_page_says(page, checkout, tmp_path):
    plain = page.read_text().partition(DOCKER)[0]
    folder = checkout if "cytosuite new" in plain else tmp_path
    follow(plain, checkout, folder, DOCKER_HOST="unix:///nowhere", DEVICE="cpu")
