"""Mistakes at the command line: each is one line, exit code 2, and nothing is written or lost."""

import os
import re
import sys

import numpy as np
import pytest

from cytosuite.benchmark.__main__ import main
from cytosuite.formats import write
from cytosuite.volume import Volume

LONG = 300 * "n"
NO_TEXT = os.fsdecode(b"\xff\xfe")
SMALL = ("--set", "image.shape=[16, 64, 64] image.spacing_um=[2, 0.5, 0.5] tissue.n_nuclei=4")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Return the current folder: annotated images, and things that no command may alter."""
    ball = np.zeros((8, 16, 16), np.uint16)
    ball[2:6, 4:12, 4:12] = 1
    for name, array in (("images", 100 * ball), ("labels", ball)):
        write(tmp_path / "own" / name / "a.tif", Volume(array, (1.0, 0.5, 0.5), "ZYX"))
    for suffix in ("", ".toml", ".csv"):
        (tmp_path / f"file{suffix}").write_text("{}")
        (tmp_path / f"folder{suffix}").mkdir()
        (tmp_path / f"folder{suffix}" / "mine.txt").write_text("mine")
        os.mkfifo(tmp_path / f"pipe{suffix}")
        (tmp_path / f"link{suffix}").symlink_to("nowhere/there")
    (tmp_path / "fitted.json").write_text("mine")
    (tmp_path / "params.json").write_text('{"dc_baseline": 15}')
    (tmp_path / "huge.json").write_text('{"px_size_desired": [1e-300, 1e300, 1]}')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _state(place):
    return {
        path.relative_to(place): path.read_bytes() if path.is_file() else None
        for path in place.rglob("*")
    }


SEGMENT = ("segment", "own", "--engine", "process", "--algorithm", "watershed", "--out", "out")
SIMULATE = ("simulate", "spheroid", "--size", "mini", "--cases", "1", *SMALL, "--runs", "runs")
SCORE = ("score", "--truth", "own/labels", "--prediction", "own/labels")
CALIBRATE = ("calibrate", "spheroid", "own", "--rounds", "1", "--cases", "1")
DRAWN = ("phantoms", "--drawn", "1", "--out", "out")
CUT = ("phantoms", "own/images/a.tif", "--labels", "own/labels/a.tif", "--out", "out")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["segmnt"], "No such command 'segmnt'"),
        (["list", "--foo"], "No such option: --foo"),
        (["list", f"--{NO_TEXT}"], r"No such option: --\udcff\udcfe"),
        ([*SEGMENT, "--diameter", "x"], "Invalid value for '--diameter'"),
        ([*SEGMENT, "--diameter", "inf"], "diameter must be 1e-06 to 1e+06 µm, found inf"),
        ([*SEGMENT, "--diameter", "nan"], "diameter must be 1e-06 to 1e+06 µm, found nan"),
        ([*SEGMENT, "--spacing", "nan,1,1"], "spacing must be numbers in µm like 2,0.5,0.5"),
        ([*SEGMENT, "--spacing", "1e300,1,1"], "spacing must be numbers in µm like 2,0.5,0.5"),
        ([*SEGMENT, "--channel", NO_TEXT], "expected a name of at most 200 letters"),
        ([*SEGMENT, "--channel", LONG], "expected a name of at most 200 letters"),
        ([*SEGMENT, "--memory", "inf"], "less than or equal to 100000"),
        ([*SEGMENT, "--timeout", "1e300"], "less than or equal to 10000000"),
        ([*SEGMENT, "--out", "file"], "file: expected a folder, found a file"),
        ([*SEGMENT, "--out", "file/x"], "file: expected a folder, found something else"),
        ([*SEGMENT, "--out", "link"], "link: a link to nothing; remove it, or name another place"),
        ([*SEGMENT, "--out", LONG], "cannot be read or written (File name too long)"),
        ([*SIMULATE, "--out", "file"], "file: expected a folder, found a file"),
        ([*SIMULATE, "--out", "pipe"], "pipe: expected a folder, found a device, pipe or socket"),
        ([*SIMULATE, "--out", "folder"], "folder: the folder is not empty; name a new one"),
        ([*SIMULATE, "--out", "runs"], "runs: the folder of all results; name another one"),
        ([*SIMULATE, "--runs", "file"], "file"),
        ([*SIMULATE, "--cases", "1000000000"], "less than or equal to 100000"),
        ([*SIMULATE, "--cases", "9" * 30], "less than or equal to 100000"),
        ([*SIMULATE, "--seed", "9" * 30], "less than or equal to"),
        ([*SIMULATE, "--set", "image.shape=" + "[" * 2000], "image.shape"),
        ([*SIMULATE, "--set", "camera.photons=1e300"], "less than or equal to 1000000000"),
        ([*SIMULATE, "--set", "image.spacing_um=[1e300,1,1]"], "less than or equal to 1000000000"),
        (["simulate", LONG], "cannot be read or written (File name too long)"),
        (["simulate", "folder.toml"], "folder.toml: "),
        ([*SCORE, "--truth", "pipe"], "pipe"),
        ([*SCORE, "--csv", "folder.csv"], "expected the name of a file to write, found a folder"),
        ([*SCORE, "--csv", "pipe.csv"], "pipe.csv: expected the name of a file to write"),
        ([*SCORE, "--csv", "link.csv"], "link.csv: a link to nothing"),
        ([*SCORE, "--json", "file/x"], "expected a folder, found something else"),
        ([*SCORE, "--csv", "a.x", "--json", "a.x"], "--csv and --json a.x: expected one of them"),
        ([*SCORE, "--csv", "own/labels"], "expected the name of a file to write, found a folder"),
        (
            ["score", "--truth", "file", "--prediction", "file", "--csv", "file"],
            "file: the table would overwrite it; name another file",
        ),
        (["list", "--csv", ""], "--csv: expected a path, found nothing"),
        ([*SEGMENT, "--out", ""], "--out: expected a path, found nothing"),
        ([*SEGMENT, "--out="], "--out: expected a path, found nothing"),
        (["benchmark", "own", "--run", "\x1b[31m"], "expected a name of at most 200 letters"),
        (["benchmark", "own", "--sockets", "file.toml"], "SOCKETS=file.toml is for images of"),
        ([*CALIBRATE, "--out", "folder.toml"], "folder.toml: expected the name of a file"),
        ([*CALIBRATE, "--out", "file.toml/x.toml"], "expected a folder, found something else"),
        ([*CALIBRATE, "--out", "fitted.toml"], "fitted.json: exists already, without fitted.toml"),
        ([*CALIBRATE, "--cases", "1000000000", "--out", "c.toml"], "less than or equal to 10000"),
        ([*DRAWN, "--spacing", "nan,1,1"], "spacing must be numbers in µm"),
        ([*DRAWN, "--spacing", "0,0,0"], "spacing must be numbers in µm"),
        ([*DRAWN, "--drawn", "1000000000000"], "less than or equal to 100000"),
        ([*CUT, "--smooth", "inf"], "less than or equal to 100"),
        ([*CUT, "--out", "folder"], "folder: the folder is not empty; name a new one"),
        ([*CUT, "--out", "pipe"], "pipe: expected a folder, found a device, pipe or socket"),
        (["migrate", "folder"], "folder"),
        (["migrate", "huge.json", "--out", "m.toml"], "huge.json: px_size_desired"),
        (["migrate", "file.toml", "--out", "file.toml"], "file.toml: expected another file"),
        (
            ["migrate", "params.json", "--out", "pipe.toml"],
            "pipe.toml: expected the name of a file",
        ),
        (["new", LONG], "File name too long"),
    ],
)
def test_a_mistake_is_one_line(place, monkeypatch, capsys, words, line):
    before = _state(place)
    monkeypatch.setattr(sys, "argv", ["cytosuite", *words])
    with pytest.raises(SystemExit) as caught:
        main()
    errors = capsys.readouterr().err
    assert caught.value.code == 2, errors
    assert errors.count("\n") == 1
    assert errors.startswith("cytosuite: ")
    assert re.search(re.escape(line), errors), errors
    assert _state(place) == before


def test_without_a_command_the_help_is_shown(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["cytosuite"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 0
    assert "benchmark" in capsys.readouterr().out
