"""The recipes of the READMEs, run as they are written, in a small checkout."""

import re
import shutil
from textwrap import dedent

import house
import pytest

FENCE = re.compile(r"^([ ]*)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


def _blocks(readme):
    """Return language, content and the path in `mine` named before it, of each block of code."""
    text, found, before = (house.ROOT / readme).read_text(), [], 0
    for fence in FENCE.finditer(text):
        paths = re.findall(r"`(\w+/mine/[\w/]+\.\w+)`", text[before : fence.start()])
        found.append((fence[2], dedent(fence[3]), paths[-1] if paths else ""))
        before = fence.end()
    return found


def _follow(readme, place):
    """Write the files and run the commands of a README in their order."""
    for language, content, path in _blocks(readme):
        if language == "sh":
            for line in content.splitlines():
                words = line.removeprefix(".venv/bin/cytosuite ").split()
                done = house.command(place, *words)
                assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
        else:
            (place / path).parent.mkdir(parents=True, exist_ok=True)
            (place / path).write_text(content)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """Return a checkout with the READMEs of its rooms."""
    place = house.build(tmp_path_factory.mktemp("house") / "checkout")
    shutil.copy(house.ROOT / "algorithms" / "README.md", place / "algorithms")
    return place


@pytest.mark.slow
def test_the_recipe_of_an_algorithm_runs_as_written(checkout):
    _follow("algorithms/README.md", checkout)
    _follow("weights/README.md", checkout)
    done = house.command(checkout, "check", "mine")
    assert done.returncode == 0, done.stdout


def test_the_readmes_show_the_files_that_new_writes(monkeypatch):
    from cytosuite.benchmark.commands.new import _files
    from cytosuite.tasks import TASKS

    made = {
        path.relative_to(house.ROOT).as_posix(): text
        for path, text in _files("mine", TASKS["segment"]).items()
    }
    shown = _blocks("algorithms/README.md") + _blocks("weights/README.md")
    shown = {path: text for language, text, path in shown if language != "sh"}
    assert {"algorithms/mine/predict.py", "weights/mine/default.json"} <= set(shown)
    for path, text in shown.items():
        assert text == made[path], path


@pytest.mark.slow
def test_the_recipe_of_a_dataset_runs_as_written(checkout):
    _follow("datasets/README.md", checkout)
    assert len(list((checkout / "balls" / "labels").iterdir())) == 2
    shown = list((checkout / "runs").glob("mine*/report/index.html"))
    assert len(shown) == 2
    again = house.command(
        checkout, "simulate", "mine", "--size", "mini", "--out", "b2", "--workers", "1"
    )
    assert again.returncode == 0
    for path in (checkout / "balls" / "images").iterdir():
        assert path.read_bytes() == (checkout / "b2" / "images" / path.name).read_bytes()
