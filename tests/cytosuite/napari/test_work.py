"""Commands as processes, and the reasons for a model as a page: without Qt."""

import os
import time

import pytest

from cytosuite.napari.work import Work, outcome, share_of, train_words, typed, why


def _wait(work, until=lambda work: False, patience_s=60.0):
    """Look at a command until it ends, or something is so; return its exit code."""
    end = time.monotonic() + patience_s
    while (code := work.look()) is None and not until(work) and time.monotonic() < end:
        time.sleep(0.05)
    return code


def test_a_command_says_what_is_wrong(tmp_path):
    work = Work(["apply", str(tmp_path / "a b.tif"), "--out", str(tmp_path / "out")])
    assert _wait(work) == 2
    assert work.refusal == f"failed: {tmp_path / 'a b.tif'}: no such file or folder"


@pytest.mark.slow
def test_a_stopped_command_ends_with_all_that_it_has_started(tmp_path):
    work = Work(
        [
            "simulate",
            "spheroid",
            "--size",
            "full",
            "--workers",
            "2",
            "--out",
            str(tmp_path / "out"),
            "--runs",
            str(tmp_path),
        ]
    )
    group = work.process.pid
    assert _wait(work, lambda work: any(tmp_path.rglob("*.part*")), 120.0) is None
    work.stop()
    assert _wait(work) == 130
    assert work.refusal == "cancelled"
    with pytest.raises(ProcessLookupError):
        os.killpg(group, 0)


def test_progress_is_in_the_lines():
    assert share_of("running: 0 of 1 (43% of cellpose3d, a)") == 0.43
    assert share_of("step 250/1000  level 0.1  0.20 s/step  2 min 30 s left", 0.1) == 0.25
    assert share_of("a.tif: written: 52 objects", 0.4) == 0.4


def test_the_fine_tuning_is_one_command():
    words = train_words("/my folder", "cellpose3d:tissue-nuclei-3d", "mine")
    command = "cytosuite train cellpose3d '/my folder' --from tissue-nuclei-3d --name mine"
    assert typed(words) == command
    assert train_words("spheroid", "cellpose3d:x", "mine")[2] == "./spheroid"  # no dataset
    assert train_words("a", "cellpose3d:x", "mine", "20")[-2:] == ["--steps", "20"]


def test_the_outcome_names_objects_and_the_diameter_with_its_source():
    notes = {"diameter_px": 16.7, "diameter_source": "network"}
    line = outcome({"objects": 3, "seconds": 2.04, "notes": notes})
    assert line == "3 objects, diameter 16.7 px (network), 2.0 s"
    assert outcome({"seconds": 0.1}) == "0.1 s"


def test_the_reasons_for_a_model_are_those_of_a_dry_run_and_a_record():
    cards = {"model": "near", "cost": 0.5, "terms": {"spacing": 0.5}, "broken": []}
    other = {"model": "<far>", "cost": None, "terms": {}, "broken": ["axes"], "left_out": ""}
    shared = {"algorithm": "watershed", "warnings": ["voxel size assumed: 1 µm"]}
    facts = {"spacing": {"value": [2.0, 0.5], "source": "user"}, "study": {"value": "x"}}
    dry = why({**shared, **cards, "by": "metadata", "metadata": facts, "others": [other]})
    assert "spacing 2 x 0.5 (user)" in dry
    assert "study" not in dry
    assert "&lt;far&gt;" in dry
    assert "not made for this axes" in dry
    assert "⚠ voxel size assumed: 1 µm" in dry
    record = {**shared, "model": "near", "selection": {**cards, "by": "user", "others": [other]}}
    assert "<b>watershed near</b>, named by you" in why(record)
    assert "<b>0.50 near: spacing 0.50</b>" in why(record)
