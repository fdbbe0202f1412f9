"""Command ``ctc`` on the run of a benchmark, and on what is none."""

import json
import shutil

import numpy as np
import pytest
from archives import Image
from finished import finish
from mistakes import refused
from rows import columns
from toys import put

from cytosuite.files import read_json, write_json
from cytosuite.formats import read, write
from cytosuite.metrics.tracks.track_folder import score_tracks


@pytest.fixture
def run(tmp_path, situations):
    """Return the folder of a run of one algorithm, beside its dataset."""
    return finish(tmp_path, situations)


def test_results_and_truth_in_the_official_layout(cli, run, tmp_path):
    out = tmp_path / "made/ctc"
    done = cli("export --ctc", run, "--out", out, "--truth")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[-1] == f"written: {out}, 2 sequences of 2 cases"
    assert {path.name for path in (out / "toy").iterdir()} == {"01_GT", "01_RES", "02_GT", "02_RES"}
    for name, value in (("01", 1.0), ("02", 0.5)):
        truth, result = (out / f"toy/{name}_{kind}" for kind in ("GT", "RES"))
        assert score_tracks(truth, result, ["SEG", "DET"]) == {"SEG": value, "DET": value}
    rows = columns(out / "sequences.csv", "sequence", "frame", "case")
    assert rows == [("01", "0", "good"), ("02", "0", "bad")]


def test_as_one_series_with_a_note_on_tracks(cli, run, out):
    done = cli("export --ctc", run, "--out", out, "--series")
    names = {path.name for path in (out / "toy/01_RES").iterdir()}
    assert names == {"mask000.tif", "mask001.tif", "res_track.txt"}
    assert "SEG and DET mean something, TRA and LNK do not" in done.stdout


@pytest.mark.parametrize(
    "change, message",
    [
        ({"task": "enhance"}, "expected a run of the task segment, found enhance"),
        ({"jobs": {"a": "1", "b": "2"}}, "expected one algorithm, found a, b; give export"),
    ],
)
def test_wrong_runs(cli, run, out, change, message):
    path = run / "run.json"
    write_json(path, read_json(path) | change)
    refused(message, cli, "export --ctc", run, "--out", out)
    assert not out.exists()


def test_a_run_that_is_not_complete_is_refused(cli, run, out):
    shutil.rmtree(run / "watershed/good")
    line = "watershed has no whole result for good; run its benchmark to the end"
    refused(line, cli, "export --ctc", run, "--out", out)
    assert not out.exists()


def test_findings_are_listed_the_grave_ones_first(cli, tmp_path):
    image = Image(tags=("a", "b")).configured(User="root", Env=["LD_LIBRARY_PATH=/x"])
    bad = image.save(tmp_path / "bad.tar.gz")  # with a finding of every severity
    (none := tmp_path / "none.tar.gz").touch()
    several = cli("preflight", none, Image().save(tmp_path / "a.tar.gz"), bad, tmp_path)
    assert several.exit_code == 1
    assert "error  archive.damaged  none.tar.gz" in several.output
    assert several.output.splitlines()[-1].startswith("verdict: do not upload: ")
    done = cli("preflight", bad)
    assert done.exit_code == 1
    lines = done.output.splitlines()
    assert [line.split()[0] for line in lines[1:-1:2]] == ["error", "warning", "note"]
    assert lines[1] == "  error  image.user-root  bad.tar.gz: config.User: it runs as root"
    assert lines[2] == (
        "      do: set USER to a name in /etc/passwd or to numbers, like `USER 1000:1000`"
    )
    assert lines[-1] == "verdict: do not upload: 1 error, 1 warning, 1 note"
    printed = cli("preflight", bad, "--json -")
    value = json.loads(printed.stdout)
    assert (value["verdict"], value["error"], value["files"][0]["kind"]) == ("refused", 1, "image")
    assert value["files"][0]["findings"][0]["rule"] == "image.user-root"
    assert "verdict: do not upload" in printed.stderr


@pytest.fixture
def labels(tmp_path):
    """Return a folder of label images of two cells with large numbers, one of them at the border."""
    array = np.zeros((4, 12, 12), np.uint32)
    array[:, 1:4, 1:4] = 7
    array[1:, 6:10, 6:10] = 70_000
    for side in ("found", "true"):
        for name in ("a", "b"):
            put(tmp_path / side / f"{name}.tif", array)
    return tmp_path / "found"


def test_any_label_images_cut_and_numbered_anew(cli, labels, tmp_path, out):
    true = tmp_path / "true"
    cli("export --ctc", labels, "--true-labels", true, "--crop 1:4,5:12,: --out", out)
    home = out / "found"
    assert {path.name for path in home.iterdir()} == {"01_GT", "01_RES", "02_GT", "02_RES"}
    mask = read(home / "01_RES/mask000.tif").array
    assert (mask.shape, mask.dtype, mask.max()) == ((3, 7, 12), np.uint16, 1)
    assert (home / "01_RES/res_track.txt").read_text() == "1 0 0 0\n"
    assert score_tracks(home / "01_GT", home / "01_RES", ["DET"]) == {"DET": 1.0}
    cli(
        "export --ctc",
        labels / "a.tif",
        "--true-labels",
        true / "b.tif",
        "--out",
        tmp_path / "o",
    )
    assert (tmp_path / "o/a/01_GT/SEG/man_seg000.tif").is_file()


@pytest.mark.parametrize(
    "words, message",
    {
        "--crop 1-3": "crop must be like",
        "--crop 0:4,0:9": r"a.tif: crop must have an end in \(4, 12, 12\) per axis",
        "--crop 0:9,:,:": r"a.tif: crop must have an end in \(4, 12, 12\) per axis",
        "--crop 3:2,:,:": "a.tif: nothing is left by the crop",
        "--truth": "give --true-labels in place of --truth",
        "--true-labels other": "other: no file is named like one in",
    }.items(),
)
def test_mistakes_with_label_images(cli, labels, tmp_path, out, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "other/c.tif", read(labels / "a.tif"))
    refused(message, cli, "export --ctc", labels, words, "--out", out)
    assert not out.exists()
