import json
import re

import numpy as np
import pytest

from cytosuite.datasets.phantoms.augment import Alteration
from cytosuite.datasets.phantoms.build import extract_to
from cytosuite.datasets.phantoms.extract import Cutting
from cytosuite.datasets.phantoms.library import read_library
from cytosuite.errors import InputError
from cytosuite.formats import write
from cytosuite.volume import Volume

SPACING = (1.0, 0.5, 0.5)
CORNERS = [(2, 4, 4), (2, 18, 18), (0, 4, 18)]  # the last one touches the first slice


def _stack(folder, name="one", corners=CORNERS, spacing=SPACING):
    image, labels = np.full((12, 30, 30), 90, np.uint16), np.zeros((12, 30, 30), np.uint16)
    for label, (z, y, x) in enumerate(corners, start=1):
        labels[z : z + 6, y : y + 8, x : x + 8] = label
        image[z : z + 6, y : y + 8, x : x + 8] += 60 * label
    write(folder / "images" / f"{name}.tif", Volume(image, spacing))
    write(folder / "labels" / f"{name}.tif", Volume(labels, spacing))
    return folder / "images" / f"{name}.tif", folder / "labels" / f"{name}.tif"


def _record(folder):
    return json.loads((folder / "library.json").read_text())


def test_two_files_become_a_library_with_a_record(tmp_path):
    summary = extract_to(*_stack(tmp_path), tmp_path / "library")
    assert (summary.stacks, summary.nuclei, summary.copies) == (1, 2, 0)
    assert summary.skipped == {"touches the border": 1}
    assert summary.median_volume_um3 == pytest.approx(6 * 64 * 0.25, rel=0.01)
    phantoms = read_library(tmp_path / "library")
    assert [p.name for p in phantoms] == ["one_nucleus_0001", "one_nucleus_0002"]
    assert [p.brightness for p in phantoms] == pytest.approx([2 / 3, 4 / 3], rel=0.01)
    record = _record(tmp_path / "library")
    assert [entry["name"] for entry in record["phantoms"]] == [p.name for p in phantoms]
    assert record["phantoms"][0]["volume_um3"] == pytest.approx(96, rel=0.01)
    assert record["sources"][0]["image"]["file"] == "one.tif"
    assert len(record["sources"][0]["labels"]["sha256"]) == 64
    assert [item["skipped"] for item in record["sources"][0]["objects"]] == [
        "",
        "",
        "touches the border",
    ]
    assert str(tmp_path) not in json.dumps(record)


def test_folders_are_paired_by_name_in_both_forms(tmp_path):
    _stack(tmp_path, "one")
    _stack(tmp_path, "two")
    both = extract_to(tmp_path / "images", tmp_path / "labels", tmp_path / "a")
    whole = extract_to(tmp_path, None, tmp_path / "b")
    assert both.stacks == whole.stacks == 2
    assert both.nuclei == whole.nuclei == 4
    assert _record(tmp_path / "a") == _record(tmp_path / "b")


def test_copies_are_altered_recorded_and_repeatable(tmp_path):
    paths = _stack(tmp_path)
    for name in ("a", "b"):
        summary = extract_to(*paths, tmp_path / name, augment_copies=2, seed=4)
        assert (summary.nuclei, summary.copies) == (2, 4)
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert "one_nucleus_0001_copy_02_label.tif" in files
    assert len(files) == 2 * 6 + 1
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    record = _record(tmp_path / "a")
    assert record["seed"] == 4
    assert record["parameters"]["augment_copies"] == 2
    ratios = [entry["volume_ratio"] for entry in record["phantoms"]]
    assert ratios[0] == 1
    assert ratios[1] != 1
    phantoms = {phantom.name: phantom for phantom in read_library(tmp_path / "a")}
    copy = phantoms["one_nucleus_0001_copy_01"]
    assert copy.volume_ratio == pytest.approx(ratios[1], abs=1e-3)


def test_settings_reach_the_cutting_and_the_record(tmp_path):
    paths = _stack(tmp_path)
    cutting = Cutting(spacing_um=(2.0, 1.0, 1.0), smooth_um=0.5)
    alteration = Alteration(warp_um=0.1)
    extract_to(*paths, tmp_path / "a", cutting=cutting, alteration=alteration)
    assert read_library(tmp_path / "a")[0].spacing == (2.0, 1.0, 1.0)
    parameters = _record(tmp_path / "a")["parameters"]
    assert parameters["cutting"]["smooth_um"] == 0.5
    assert parameters["alteration"]["warp_um"] == 0.1


def test_a_stack_without_whole_nuclei_does_not_stop_the_others(tmp_path):
    _stack(tmp_path, "cut", corners=CORNERS[2:])
    _stack(tmp_path, "whole")
    summary = extract_to(tmp_path, None, tmp_path / "a")
    assert (summary.stacks, summary.nuclei) == (2, 2)
    assert summary.skipped == {"touches the border": 2}


def test_without_any_nucleus_nothing_is_written(tmp_path):
    paths = _stack(tmp_path, corners=CORNERS[2:])
    message = "expected nuclei to cut out, found none (1 touches the border)"
    with pytest.raises(InputError, match=re.escape(message)):
        extract_to(*paths, tmp_path / "a")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "labels"]


def test_a_folder_with_files_is_not_overwritten(tmp_path):
    paths = _stack(tmp_path)
    (tmp_path / "a").mkdir()
    extract_to(*paths, tmp_path / "a")
    with pytest.raises(InputError, match="a: the folder is not empty; name a new one"):
        extract_to(*paths, tmp_path / "a")


def test_mistakes_in_the_call_are_named(tmp_path):
    image, labels = _stack(tmp_path)
    with pytest.raises(InputError, match="augment_copies: expected 0 or more, found -1"):
        extract_to(image, labels, tmp_path / "a", augment_copies=-1)
    with pytest.raises(InputError, match="expected a folder of labels"):
        extract_to(tmp_path / "images", labels, tmp_path / "a")
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="images with labels of the same name, found none"):
        extract_to(tmp_path / "images", tmp_path / "none", tmp_path / "a")
    plane = tmp_path / "plane.tif"
    write(plane, Volume(np.ones((4, 4), np.uint8), (1, 1), "YX"))
    with pytest.raises(InputError, match=re.escape("plane.tif: phantoms are cut from 3D images")):
        extract_to(plane, plane, tmp_path / "a")
