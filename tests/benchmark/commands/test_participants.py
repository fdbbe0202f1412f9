"""Every option of `report` with predictions of every kind and every defect: a defect is its own row."""

import os
import shutil

import numpy as np
import participants
import pytest
from participants import CASES, ENDS, TASKS, report, scores
from toys import put

from cytosuite.files import read_json
from cytosuite.formats import read

TRUTH = object()
FILES = ("truth", "images", "csv", "json")
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
OFTEN = ("blind",)  # the usual report and one more; the other options are tried every night


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
    kind = request.param
    home = tmp_path_factory.mktemp(request.param)
    participants.data(home, kind)
    good = participants.team(home, kind, "good")
    for defect in DEFECTS:
        defect(participants.team(home, kind, defect.__name__) / f"a{ENDS[kind]}")
    for defect in EMPTY:
        defect(participants.team(home, kind, defect.__name__))
    return kind, home, good


def records(out, team):
    """Return status and message of each case of a team."""
    files = {case: out / team / case / "record.json" for case in CASES}
    by_case = {case: read_json(path) for case, path in files.items()}
    return {case: f"{record['status']}: {record['message']}" for case, record in by_case.items()}


@pytest.mark.parametrize(
    "option", [pytest.param(o, marks=[pytest.mark.long] * (o not in OFTEN)) for o in OPTIONS]
)
def test_each_defect_is_a_row_and_the_good_team_keeps_its_numbers(teams, option):
    kind, home, good = teams
    words = {"truth": "data", "task": TASKS[kind], **OPTIONS[option]}
    truth = f"data/{participants.TRUTHS[TASKS[kind]]}"
    arguments = {key: truth if word is TRUTH else word for key, word in words.items()}
    arguments |= {key: home / arguments[key] for key in arguments.keys() & {*FILES}}
    alone = home / f"reports/{option}-alone"
    out = home / "reports" / option
    assert report(alone, good, **arguments)[0] == 0
    code, text = report(
        out, good, *[good.with_name(defect.__name__) for defect in (*DEFECTS, *EMPTY)], **arguments
    )
    assert code == 1
    assert scores(out, "good") == scores(alone, "good") != {}
    for defect in DEFECTS:
        lines = records(out, defect.__name__)
        assert lines["a"].startswith(defect.__doc__)
        assert len(lines["a"]) > len("bad output: ")
        assert lines["b"] == "ok: "
    for defect in EMPTY:
        lines = records(out, defect.__name__)
        assert all(line.startswith("missing output: ") for line in lines.values())
        assert text.count(f"note: {defect.__name__}: {defect.__doc__}") == 1
