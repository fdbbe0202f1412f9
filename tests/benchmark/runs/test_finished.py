"""Runs of strangers: what lies in their folders is read, what they point at is not."""

import os
import shutil
from pathlib import Path

import pytest
from finished import finish, record
from mistakes import refused

from cytosuite.benchmark.runs.finished import read_run
from cytosuite.benchmark.runs.record import Record, read_record
from cytosuite.benchmark.runs.store.integrity import SUMS, seal
from cytosuite.benchmark.scores.gather import _tail
from cytosuite.contract.tasks import LABELS
from cytosuite.files import read_json, write_json

NOT_MADE = "cases/good: not as it was made"


@pytest.fixture
def run(tmp_path, situations):
    """Return the folder of a run beside an image that is not of it."""
    folder = finish(tmp_path, situations)
    shutil.copytree(folder / "watershed/good", tmp_path / "elsewhere/good")
    return folder


def _changed(path, **entries):
    record = {**read_json(path), **entries}
    write_json(path, {name: value for name, value in record.items() if value != "left out"})


def _home(run):
    return next((run.parent / "datasets").iterdir())


def _facts(**entries):
    return lambda run: _changed(run / "run.json", **entries)


def _data(**entries):
    return lambda run: _changed(_home(run) / "dataset.json", **entries)


def _case(**entries):
    def change(run):
        _changed((case := _home(run) / "cases/good") / "case.json", **entries)
        seal(case)

    return change


def _linked(place):
    """Put a link in the place of a file or folder of the run, of the same content."""

    def change(run):
        moved = run.parent / "elsewhere/moved"
        (run / place).rename(moved)
        (run / place).symlink_to(moved)

    return change


def _at(place, change, *words):
    """Change a file of the run, or make it."""
    return lambda run: change(run / place, *words)


def _rewrite(path, old, new):
    path.write_bytes(path.read_bytes().replace(old, new))


def _above(run):
    """Name an output elsewhere in the record, with its digest and the right seal."""
    record(run / "watershed/good", "../../../elsewhere/good/output/a.tif")


def _unsealed(run):
    image = next(_home(run).glob("cases/good/sockets/images/*image/*"))
    image.unlink()
    image.symlink_to(run.parent / "elsewhere/good/output/a.tif")
    _open(run, image.name)


def _open(run, name="case.json"):
    """Leave a file of the good case out of its digests."""
    sums = _home(run) / "cases/good" / SUMS
    sums.write_text("".join(x for x in sums.read_text().splitlines(True) if name not in x))


def _circle(run):
    place = _home(run) / "cases/good/sockets"
    for name in "ab":
        (place / name).symlink_to(place)


def _no_sums(run):
    (sums := _home(run) / "cases/good" / SUMS).unlink()
    os.mkfifo(sums)


NAME = "must be a name without folders, found"
LOST = "watershed has no whole result for good"
CASE = "watershed/good"
OUTPUT, RECORD, LOG = f"{CASE}/output/a.tif", f"{CASE}/record.json", f"{CASE}/log.txt"
HOSTILE = {
    "no output": (_at(OUTPUT, os.remove), LOST),
    "an altered output": (_at(OUTPUT, _rewrite, b"II", b"MM"), LOST),
    "no record": (_at(RECORD, os.remove), LOST),
    "a record of odd letters": (_at(RECORD, _rewrite, b"status", b"sta\xe9tus"), LOST),
    "a record with NaN": (
        _at(RECORD, _rewrite, b'"seal"', b'"seconds": NaN, "seal"'),
        LOST,
    ),
    "facts that are cut": (_at("run.json", os.truncate, 100), "run.json"),
    "facts without an end": (_at("run.json", os.truncate, 2**40), "run.json"),
    "a link in place of an output": (_linked(OUTPUT), "a link where only"),
    "a link in place of its folder": (_linked(f"{CASE}/output"), "a link where only"),
    "a link in place of its case": (_linked(CASE), "expected a folder, found another"),
    "a link in place of its algorithm": (_linked("watershed"), "a link to one of another run"),
    "an output above": (_above, LOST),
    "a log elsewhere": (
        _at(LOG, Path.symlink_to, "/etc/passwd"),
        "log.txt: a link where only files",
    ),
    "a log that blocks": (_at(LOG, os.mkfifo), "log.txt: a pipe where only files"),
    "a pattern as fingerprint": (_facts(fingerprint="*"), "fingerprint: string should match"),
    "a deep one": (_facts(fingerprint="012345678**"), "fingerprint: string should match"),
    "another dataset": (
        _data(fingerprint="f" * 64),
        "the dataset of this run, toy (0123456789ab), is not there",
    ),
    "no algorithm": (_facts(jobs={}), "jobs: dictionary should have at least 1"),
    "an algorithm above": (_facts(jobs={"..": "k"}), NAME),
    "an algorithm beside": (_facts(jobs={"../watershed": "k"}), NAME),
    "the report as algorithm": (_facts(jobs={"report": "k"}), "the name of an algorithm, found"),
    "digests as a list": (_facts(cases=["good"]), "cases: input should be a valid dictionary"),
    "no cases": (_data(cases="left out"), "dataset.json: cases is missing"),
    "numbers as cases": (_data(cases=[1, 2]), "cases.0: input should be a valid string"),
    "cases elsewhere": (_data(cases=["../../../elsewhere"]), NAME),
    "a case above": (_data(cases=[".."]), NAME),
    "a task of another house": (_data(task="rule"), "task: must be one of"),
    "a case without conditions": (_case(conditions="left out"), "conditions is missing"),
    "a boundless radius": (_case(radius_um=1e308), "radius_um: input should be less"),
    "a small object of text": (_case(ignored={"min_object_voxels": "all"}), "min_object_voxels"),
    "words of no request": (_facts(request={"dataset": "a", "settings": 7}), "request.settings"),
    "an image that is not sealed": (_unsealed, NOT_MADE),
    "facts that are not sealed": (_open, NOT_MADE),
    "links in a circle": (_circle, NOT_MADE),
    "digests that block": (_no_sums, NOT_MADE),
}


@pytest.mark.parametrize("change, reason", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_run_is_refused_in_one_line(run, change, reason):
    change(run)
    refused(reason, lambda: read_run(run).need_results(["watershed"]))


def test_an_honest_run_is_read_also_through_links_to_another_run(run, tmp_path):
    (tmp_path / "both").mkdir()
    (tmp_path / "both/watershed").symlink_to(run / "watershed")
    shutil.copy(run / "run.json", tmp_path / "both")
    os.link(run / "watershed/good/output/a.tif", tmp_path / "kept.tif")  # of a copy by links
    for place in (run, tmp_path / "both"):
        read_run(place).need_results(["watershed"])


@pytest.mark.parametrize("place", ["/a.tif", "../a.tif", "a/../../b.tif", "", ".", "a\nb.tif"])
def test_a_record_names_places_in_its_folder_alone(tmp_path, place):
    Record.model_construct(
        algorithm="a", version="1", case="c", key="k", status="ok", outputs={LABELS.slug: place}
    ).write(tmp_path)
    assert read_record(tmp_path) is None


def test_a_log_that_blocks_has_no_lines(tmp_path):
    os.mkfifo(tmp_path / "log.txt")
    assert _tail(tmp_path) == ""
