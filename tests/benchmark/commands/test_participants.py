"""Every option of `report` with every kind of source and every defect: a defect is its own row."""

import os
import shutil

import numpy as np
import participants
import pytest
from participants import CASES, ENDS, TASKS, report, scores
from rich.console import Console
from toys import put

from cytosuite.benchmark.commands.benchmark import benchmark_command
from cytosuite.benchmark.commands.options.benchmark import BenchmarkOptions
from cytosuite.files import read_json, write_json
from cytosuite.formats import read

TRUTH, FILES = object(), ("truth", "images", "csv", "json")
RUNS = ("run", "part")  # a finished run, and the folder of an archive's outputs in a run
OPTIONS = {
    "none": {},
    "blind": {"blind": True},
    "wide": {"wide": True},
    "csv": {"csv": "board.csv"},
    "json": {"json": "board.json"},
    "min_object_voxels": {"min_object_voxels": 50},
    "spacing": {"spacing": (0.25, 0.25)},
    "images": {"truth": TRUTH, "images": "data/images"},
    "task": {"task": None},
}
OFTEN = ("none", "blind")  # the other options are tried every night


def missing(path):
    """missing output: missing: no file is named like a"""
    path.unlink()


def empty(path):
    """bad output:"""
    path.write_bytes(b"")


def truncated(path):
    """bad output:"""
    path.write_bytes(path.read_bytes()[: 2 * path.stat().st_size // 3] + b"\n1")


def wrong_shape(path):
    """bad output:"""
    if path.suffix == ".tif":
        put(path, read(path).array[:, :-1])
    else:
        path.write_text(path.read_text().replace("y,x", "z,u").replace('"points"', '"places"'))


def encoding(path):
    """bad output:"""
    path.write_bytes(b"\xe9\xff" + path.read_bytes()[2:] + b"\xe9")


def _filled(path, value, word):
    """Write a value in place of labels, or a word in place of a number of a text."""
    if path.suffix == ".tif":
        put(path, np.full(participants.SHAPE, value))
    else:
        path.write_text(path.read_text().replace("3", word))


def not_a_number(path):
    """bad output:"""
    _filled(path, np.float32(np.nan), "NaN")


def huge(path):
    """bad output:"""
    _filled(path, 1e300, "1e308")


def endless(path):
    """bad output:"""
    path.unlink()
    path.symlink_to("/dev/zero")


def twice(path):
    """missing output: twice: expected one file, found a"""
    shutil.copy(path, path.with_suffix(".json" if path.suffix == ".csv" else path.suffix.upper()))


def pipe(path):
    """bad output:"""
    path.unlink()
    os.mkfifo(path)


def too_large(path):
    """bad output: output limit of"""
    with path.open("wb") as stream:
        stream.truncate(2**40)


DEFECTS = [
    pipe,
    too_large,
    missing,
    empty,
    truncated,
    wrong_shape,
    encoding,
    not_a_number,
    huge,
    endless,
    twice,
]


def nothing(folder):
    """"""
    shutil.rmtree(folder)
    folder.mkdir()


def no_images(folder):
    """"""
    nothing(folder)
    (folder / "report.txt").write_text("see our web page")


def other_names(folder):
    """no file is named like an image"""
    for path in [*folder.iterdir()]:
        path.rename(path.with_stem(f"prediction {path.stem}"))


EMPTY = [nothing, no_images, other_names]


@pytest.fixture(scope="module", params=TASKS)
def teams(request, tmp_path_factory):
    """Return data of a kind, a good team, and a team for each defect."""
    kind, home = request.param, tmp_path_factory.mktemp(request.param)
    participants.data(home, kind)
    good = participants.team(home, kind, "good")
    for defect in DEFECTS:
        defect(participants.team(home, kind, defect.__name__) / f"a{ENDS[kind]}")
    for defect in EMPTY:
        defect(participants.team(home, kind, defect.__name__))
    return kind, home, good


def options_for(kind, home, option):
    """Return the options of a report of a kind of predictions."""
    words = {"truth": "data", "task": TASKS[kind], **OPTIONS[option]}
    truth = f"data/{participants.TRUTHS[TASKS[kind]]}"
    filled = {key: truth if word is TRUTH else word for key, word in words.items()}
    return {key: home / word if key in FILES else word for key, word in filled.items()}


def records(out, team):
    """Return status and message of each case of a team."""
    files = {case: out / team / case / "record.json" for case in CASES}
    found = {case: read_json(path) for case, path in files.items()}
    return {case: f"{own['status']}: {own['message']}" for case, own in found.items()}


def each(options):
    """Return options as parameters, of which a few are tried with every change."""
    marks = {option: () if option in OFTEN else pytest.mark.long for option in options}
    return [pytest.param(option, marks=mark) for option, mark in marks.items()]


@pytest.mark.parametrize("option", each(OPTIONS))
def test_each_defect_is_a_row_and_the_good_team_keeps_its_numbers(teams, option):
    kind, home, good = teams
    given = options_for(kind, home, option)
    alone, out = home / f"reports/{option}-alone", home / "reports" / option
    assert report(alone, good, **given)[0] == 0
    others = [good.with_name(defect.__name__) for defect in (*DEFECTS, *EMPTY)]
    code, text = report(out, good, *others, **given)
    assert code == 1
    assert scores(out, "good") == scores(alone, "good") != {}
    for defect in DEFECTS:
        found = records(out, defect.__name__)
        assert found["a"].startswith(defect.__doc__)
        assert len(found["a"]) > len("bad output: ")
        assert found["b"] == "ok: "
    for defect in EMPTY:
        found = records(out, defect.__name__)
        assert all(line.startswith("missing output: ") for line in found.values())
        assert text.count(f"note: {defect.__name__}: {defect.__doc__}") == 1


def altered(change):
    """Return a defect of the first output of a run."""

    def defect(run, algorithm):
        change(next((run / algorithm / "a/output").rglob("*.tif")))

    return defect


def no_record(run, algorithm):
    (run / algorithm / "a/record.json").unlink()


def odd_record(run, algorithm, old=b"seconds", new=b"se\xe9onds"):
    path = run / algorithm / "a/record.json"
    path.write_bytes(path.read_bytes().replace(old, new))


def record_of_nan(run, algorithm):
    odd_record(run, algorithm, b"0.25", b"NaN")


def cut_facts(run, algorithm):
    path = run / "run.json"
    path.write_bytes(path.read_bytes()[:100])


def endless_facts(run, algorithm):
    with (run / "run.json").open("r+b") as stream:
        stream.truncate(2**40)


OF_RUNS = {change.__name__: altered(change) for change in DEFECTS[2:] if change is not twice}
OTHERS = (no_record, odd_record, record_of_nan, cut_facts, endless_facts)
OF_RUNS |= {defect.__name__: defect for defect in OTHERS}


@pytest.fixture(scope="module", params=RUNS)
def runs(request, tmp_path_factory, fakes):
    """Return the sources of a good run and of one with each defect: runs, or parts of them."""
    home = tmp_path_factory.mktemp(request.param)
    participants.data(home, "labels")

    def behave(image, output):
        fakes.write_labels(image, output, participants.squares(1))

    with pytest.MonkeyPatch.context() as patch:
        engine = fakes.Engine(behave), "engine: fake"
        patch.setattr("cytosuite.benchmark.commands.data.choose", lambda *_: engine)
        given = BenchmarkOptions(
            runs=home, run="good", dataset=str(home / "data"), algorithm=["watershed"]
        )
        assert benchmark_command(given, Console(quiet=True)) == 0
    facts = read_json(home / "good/run.json")
    facts["jobs"] = {"theirs": facts["jobs"]["watershed"]}  # an archive of others
    write_json(home / "good/run.json", facts)
    (home / "good/watershed").rename(home / "good/theirs")
    for name, defect in OF_RUNS.items():
        defect(shutil.copytree(home / "good", home / name), "theirs")
    part = "theirs" if request.param == "part" else ""
    return home, [home / name / part for name in ("good", *OF_RUNS)]


@pytest.mark.parametrize("option", each(["none", "blind", "wide", "csv", "json"]))
def test_a_run_with_a_defect_is_left_out_with_a_line(runs, option):
    home, (good, *others) = runs
    given = options_for("labels", home, option)
    alone, out = home / f"reports/{option}-alone", home / "reports" / option
    del given["truth"], given["task"]
    assert report(alone, good, **given)[0] == 0
    code, text = report(out, *others, good, **given)
    assert code == 1
    assert scores(out, "theirs") == scores(alone, "theirs") != {}
    lines = [line for line in text.splitlines() if line.startswith("note: Left out: ")]
    for other in others:
        place = str(other).removesuffix("/theirs")
        assert sum(f"{place}:" in line or f"{place}/" in line for line in lines) == 1
