"""One whole run, by the command, of an algorithm whose every case is another attack.

Each becomes its case's row, the honest cases between them are scored, nothing else is touched.
"""

import shutil
from types import SimpleNamespace

import house
import numpy as np
import pandas as pd
import pytest

from cytosuite.files import read_json
from cytosuite.formats import write
from cytosuite.volume import Volume
from tests.hostile.expected import HOME, attacks
from tests.hostile.tally import state

pytestmark = pytest.mark.slow

ATTACKS = attacks("files", "images", "words")
HALF = len(ATTACKS) // 2
NAMES = [*map(str, ATTACKS)]
PLAN = ["honest", *NAMES[:HALF], "honest", *NAMES[HALF:], "honest"]
PROGRAMS = ", ".join(f"{attack.name!r}: {attack.place}" for attack in ATTACKS)
PREDICT = f"""
import sys
from cytosuite.algorithms.traps.attacks import files, images, tools, words

PROGRAMS = {{"honest": tools.good, {PROGRAMS}}}

def predict(inputs, model):
    entry = sys.modules["__main__"]
    entry.write_outputs = entry.write_json = lambda *_: None  # the program has written
    PROGRAMS[inputs["microscopy-image"].metadata["attack"]]()
    return {{}}
"""
GENERATE = """
labels = np.zeros((6, 32, 32), np.uint16)
for label in range(1, 5):
    labels[1:5, 7 * label - 5 : 7 * label - 1, 4:9] = label

def generate(rng, parameters):
    attack = PLAN[number_of(rng) - 1]
    image = Volume(labels * np.uint16(100), (2.0, 1.0, 1.0), "ZYX", {"attack": attack})
    return Sample({"microscopy-image": image, "instance-labels": image.like(labels)})
"""


def build(home):
    """Return a checkout with the attacks as an algorithm, and a case for each word of the plan."""
    house.PREDICT["traps"] = "segment", PREDICT
    house.SAMPLES["lures"] = "segment", ["microscopy-image", "instance-labels"], "\n    pass\n"
    try:
        house.build(home, algorithms=["traps"], datasets=["lures"])
    finally:
        del house.PREDICT["traps"], house.SAMPLES["lures"]
    shutil.copytree(HOME, home / "algorithms/traps/attacks")
    dataset = home / "datasets/lures"
    (dataset / "generate.py").write_text(f"{house.GENERATE}\nPLAN = {PLAN!r}\n{GENERATE}")
    manifest = (dataset / "dataset.toml").read_text()
    (dataset / "dataset.toml").write_text(manifest.replace("cases = 3", f"cases = {len(PLAN)}"))
    return home


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Return a checkout with all attacks, honest cases between them, and a canary beside."""
    home = build(tmp_path_factory.mktemp("run") / "house")
    inner = home / "canary/inner"
    inner.mkdir(parents=True, mode=0o751)
    write(home / "canary/secret.tif", Volume(np.ones((6, 32, 32), np.uint16), (2.0, 1.0, 1.0)))
    (home / "canary/secret.tif").chmod(0o640)
    (inner / "program").write_text("#!/bin/sh\n")
    (inner / "program").chmod(0o4755)
    return home


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("process", marks=pytest.mark.long),
        pytest.param("docker", marks=pytest.mark.docker),
    ],
)
def run(request):
    """Return a finished run, its folder, the records of its cases, and whether the canary lives."""
    engine = request.param
    if engine == "docker":
        request.getfixturevalue("base")  # a checkout that is made before it builds its own
    home = request.getfixturevalue("home")
    if engine == "docker":
        built = house.command(home, "build", "traps")
        assert built.returncode == 0, built.stderr
    before = state(home / "canary")
    words = ("--size", "mini", "--algorithm", "traps", "--run", engine, "--engine", engine)
    done = house.command(home, "benchmark", "lures", *words, "--timeout", 30, "--memory", 1.5)
    alive = state(home / "canary") == before
    folder = home / "runs" / engine
    cases = sorted((folder / "traps").glob("lures_*"))
    records = [read_json(case / "record.json") for case in cases]
    return SimpleNamespace(done=done, folder=folder, records=records, alive=alive)


def test_the_run_ends_with_a_row_for_each_case(run):
    assert run.done.returncode == 1, run.done.stderr
    assert "Traceback" not in run.done.stdout + run.done.stderr
    assert len(run.records) == len(PLAN)
    assert not set(run.done.stdout + run.done.stderr) & set("\x00\x07\x1b\u202e")


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_an_attack_is_the_row_of_its_case(run, attack):
    record = run.records[PLAN.index(attack.name)]
    assert attack.holds(record["status"], record["message"]), record
    assert record["message"].isprintable()
    assert record["seconds"] < 40


def test_the_honest_cases_are_scored(run):
    honest = [f"lures_{n + 1:02}" for n, name in enumerate(PLAN) if name == "honest"]
    scores = pd.read_csv(run.folder / "report/scores.csv")
    rows = scores[(scores["algorithm"] == "traps") & scores["case"].isin(honest)]
    assert list(rows[rows["metric"] == "SEG"]["value"]) == [1.0, 1.0, 1.0]


def test_nothing_else_is_touched_or_left(run, home):
    assert run.alive
    assert not [p for p in run.folder.rglob("*") if ".part" in p.name or p.is_symlink()]
    assert not list(run.folder.rglob(".session*"))
    files = (path for path in (run.folder / "traps").rglob("*") if path.is_file())
    suffixes = {path.suffix for path in files if path.name != ".stamps"}
    assert suffixes <= {".json", ".txt", ".tif", ".mha", ".csv"}


def test_the_report_shows_hostile_words_as_words(run, browse):
    page = run.folder / "report/index.html"
    data, console = browse(page)
    assert data["ready"] == "yes"
    assert console == []
    text = page.read_text()
    assert "&lt;script&gt;" in text
    assert "hacked" in text
    assert "<img src=x" not in text
