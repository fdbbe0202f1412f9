"""The tutorials: their commands run in order in an empty folder, and print what the pages show."""

import csv
import re
from math import isclose

import house
import pages
import pytest
from house import ROOT

DOCKER = "## With Docker"  # the rest of a page needs it
NETWORK = re.compile(r"^## A network of your own$.*?(?=^## )", re.DOTALL | re.MULTILINE)
NUMBER = re.compile(r"\d+(?:\.\d+)?(?! s\b)")
SECONDS = re.compile(r"\d+(?:\.\d+)? s\b")
pytestmark = pytest.mark.slow


def blocks(text):
    """Return the commands of a page, each with the lines that it is said to print."""
    fences = re.findall(r"^```(sh|text)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    following = [*fences[1:], ("", "")]
    return [
        (sh, [line for line in after.splitlines() if "..." not in line] if kind == "text" else [])
        for (name, sh), (kind, after) in zip(fences, following, strict=True)
        if name == "sh"
    ]


def alike(promised, line):
    """Return whether lines have the same words, and numbers that differ by a fifth at most."""
    promised, line = (SECONDS.sub("some s", text) for text in (promised, line))
    if NUMBER.sub("#", promised).split() != NUMBER.sub("#", line).split():
        return False
    pairs = zip(NUMBER.findall(promised), NUMBER.findall(line), strict=True)
    return all(isclose(float(a), float(b), rel_tol=0.2, abs_tol=0.02) for a, b in pairs)


def follow(text, checkout, folder, **environment):
    """Run the commands of a page, and hold what they print against the page."""
    for commands, promised in blocks(text):
        done = pages.run(commands, checkout, folder, **environment)
        assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
        lines = (done.stdout + done.stderr).splitlines()
        for promise in promised:
            assert any(alike(promise, line) for line in lines), f"{promise}\n{done.stdout}"


def mean_seg(checkout, folder, prediction):
    """Return the mean SEG of a folder of predictions."""
    done = house.ran(
        checkout / ".venv/bin/cytosuite",
        "score",
        "--truth",
        "own/labels",
        "--prediction",
        prediction,
        "--csv",
        "-",
        cwd=folder,
    )
    table = list(csv.DictReader(done.stdout.splitlines()))
    return next(float(row["SEG"]) for row in table if row["case"] == "[mean]")


@pytest.fixture
def checkout(tmp_path):
    """Return a copy of the checkout, into which tutorials write algorithms and models."""
    return house.checkout(tmp_path / "checkout")


@pytest.fixture
def page():
    """Return a function that returns the text of a tutorial."""
    return lambda name: (ROOT / f"docs/tutorials/{name}.md").read_text()


def test_segment_and_measure(page, checkout, tmp_path):
    follow(page("segment-and-measure"), checkout, tmp_path, **pages.PLAIN)
    assert {path.suffix for path in (tmp_path / "labels").iterdir()} >= {".tif", ".json", ".png"}


def test_enter_a_challenge(page, checkout):
    text = page("enter-a-challenge").partition(DOCKER)[0]
    follow(NETWORK.sub("", text), checkout, checkout, **pages.PLAIN)
    assert (checkout / "runs/second/report/index.html").is_file()


@pytest.mark.long  # trains, too; .ci/users rehearses and exports each time
@pytest.mark.docker
def test_enter_a_challenge_with_docker(page, checkout, client, base):
    follow(page("enter-a-challenge"), checkout, checkout)
    assert (checkout / "dist/export.json").is_file()


@pytest.mark.long
def test_train_on_simulated_data(page, checkout, tmp_path):
    follow(page("train-on-simulated-data"), checkout, tmp_path, **pages.PLAIN)
    assert (checkout / "weights/cellpose3d/dim.json").is_file()
    assert mean_seg(checkout, tmp_path, "before") < 0.3
    assert mean_seg(checkout, tmp_path, "after") > 0.35
