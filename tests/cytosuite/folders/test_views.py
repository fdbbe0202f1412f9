"""Folders of Fuse My Cells, as they are unpacked and as a published program converts them."""

import numpy as np
import pytest
import tifffile
from layouts import hdf5
from mistakes import refused
from rasters import counted

from cytosuite.contract.tasks import VIEW
from cytosuite.datasets.folder.load import load
from cytosuite.folders.index import FUSED, index

ARRAY = counted(5, 6, 7)
KEYS = {"axes": "ZYX", "PhysicalSizeX": 0.2, "PhysicalSizeY": 0.2, "PhysicalSizeZ": 1.0}


def _images(folder, *names, **words):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(path, ARRAY + ("fused" in name), metadata={**KEYS, **words})
    return folder


def _pair(folder, specimen, **words):
    return _images(folder, f"{specimen}_angle.tif", f"{specimen}_fused.tif", **words)


def _converted(folder, *names):
    """Write as the published converter does: raw_image, and for views the maps of it."""
    for name in names:
        image = np.full((5, 6, 7), float("fused" in name), np.float32)
        maps = {"light_map": ARRAY, "surface_distance": ARRAY.astype(np.float32) - 9}
        hdf5(folder / name, raw_image=image, **maps if "angle" in name else {})
    return folder


def _found(folder, task="fuse", **options):
    listing = index(folder, task, **options)
    assert {item.socket for item in listing.items} <= {VIEW}
    return {item.name: (path := item.files.get(FUSED)) and path.name for item in listing.items}


@pytest.mark.parametrize("task", ["fuse", None])
def test_views_find_their_fused_images(tmp_path, task):
    _pair(tmp_path, "image_2_nucleus")
    _pair(tmp_path, "image_10_membrane")
    assert _found(tmp_path, task) == {
        "image_10_membrane_angle": "image_10_membrane_fused.tif",
        "image_2_nucleus_angle": "image_2_nucleus_fused.tif",
    }
    listing = index(tmp_path, task)
    assert (listing.notes, listing.skipped, listing.task) == ((), {}, "fuse")


def test_a_view_without_fused_image_is_not_scored_and_one_without_view_is_left_out(tmp_path):
    _pair(tmp_path, "image_2_nucleus")
    _images(tmp_path, "image_3_nucleus_angle.tif", "image_4_nucleus_fused.tif", "other.tif")
    listing = index(tmp_path, "fuse")
    assert _found(tmp_path) == {
        "image_2_nucleus_angle": "image_2_nucleus_fused.tif",
        "image_3_nucleus_angle": None,
        "other": None,
    }
    assert listing.notes == (f"2 of 3 images have no {FUSED} and are not scored.",)
    assert listing.count == (
        "3 images; skipped 1: image_4_nucleus_fused.tif (a fused image without its view)"
    )


def test_a_pair_becomes_a_case_by_channel_and_study(tmp_path):
    _pair(tmp_path / "Study3/Study2", "image_2_nucleus")
    (item,) = index(tmp_path, recursive=True).items
    sample = load(item)
    view = sample.volume(VIEW)
    truth = sample.volume(FUSED)
    np.testing.assert_array_equal(truth.array, ARRAY + 1)
    assert (view.spacing, truth.spacing) == ((1, 0.2, 0.2), (1, 0.2, 0.2))
    assert dict(view.metadata) == {"channel": "nucleus", "study": 2}
    assert view.origin.sources == {"spacing": "json", "channel": "name", "study": "name"}
    assert sample.conditions == {"study": "study 2", "channel": "nucleus"}


def test_a_file_knows_more_than_its_name_and_the_user_more_than_both(tmp_path):
    _pair(tmp_path / "Study2", "image_2_nucleus", channel="membrane", study="4")
    (item,) = index(tmp_path, recursive=True).items
    sample = load(item)
    assert sample.conditions == {"study": "study 4", "channel": "membrane"}
    assert "channel contradictory: membrane" in sample.volume(VIEW).origin.warnings[0]
    named = load(item, metadata={"channel": "nucleus", "study": 5})
    assert named.conditions == {"study": "study 5", "channel": "nucleus"}


ROWS = "Study1_H5/image_{0}_nucleus_angle.h5;Study1_H5/image_{0}_nucleus_fused.h5\n"
H5 = [f"Study1_H5/image_{n}_nucleus_{role}.h5" for n in (1, 2, 3) for role in ("angle", "fused")]


@pytest.mark.parametrize("task", ["fuse", None])
def test_a_list_names_the_pairs_that_count(tmp_path, task):
    _converted(tmp_path, *H5, "image_9_nucleus_angle.h5")
    (tmp_path / "fmc.csv").write_text(ROWS.format(2) + ROWS.format(1))
    listing = index(tmp_path, task)
    assert _found(tmp_path, task) == {
        "Study1_H5_image_1_nucleus_angle": "image_1_nucleus_fused.h5",
        "Study1_H5_image_2_nucleus_angle": "image_2_nucleus_fused.h5",
    }
    assert listing.notes == ("The pairs are those of fmc.csv.",)
    assert listing.skipped == {"image_9_nucleus_angle.h5": "not in fmc.csv"}
    assert index(tmp_path / "fmc.csv", task).items == listing.items
    deep = index(tmp_path, task, recursive=True)
    assert deep.items == listing.items
    assert deep.skipped == dict.fromkeys((*H5[4:], "image_9_nucleus_angle.h5"), "not in fmc.csv")


def test_the_list_of_the_test_precedes_those_of_the_training(tmp_path):
    _converted(tmp_path, *H5)
    for number, part in enumerate(("train", "val", "test"), start=1):
        (tmp_path / f"fmc_{part}.csv").write_text(ROWS.format(number))
    listing = index(tmp_path, "fuse")
    assert list(_found(tmp_path)) == ["Study1_H5_image_3_nucleus_angle"]
    assert (listing.notes, listing.skipped) == (("The pairs are those of fmc_test.csv.",), {})


def test_other_tables_are_no_lists_of_pairs(tmp_path):
    _pair(tmp_path, "a")
    (tmp_path / "notes.csv").write_text("name;size\na;3\n")
    (tmp_path / "odd.csv").write_bytes(b"\xff\xfe\n")
    (tmp_path / "empty.csv").touch()
    listing = index(tmp_path)
    assert [item.name for item in listing.items] == ["a_angle"]
    assert listing.count == "1 image; skipped 3: empty.csv, notes.csv, odd.csv (no image)"


@pytest.mark.parametrize(
    "names, message",
    [
        (
            ["image_1_nucleus_fused.tif"],
            (
                "expected views like image_1_nucleus_angle.tif, "
                "found fused images alone: image_1_nucleus_fused.tif"
            ),
        ),
        (
            ["a_angle.tif", "a_FUSED.tif", "a_fused.tif"],
            "fused images: expected one file named a, found a_FUSED.tif and a_fused.tif; remove one",
        ),
    ],
)
def test_fused_images_alone_and_twice_are_explained(tmp_path, names, message):
    refused(message, index, _images(tmp_path, *names), "fuse")


def test_two_lists_are_explained(tmp_path):
    _converted(tmp_path, *H5)
    for part in ("train", "val"):
        (tmp_path / f"fmc_{part}.csv").write_text(ROWS.format(1))
    message = "expected one list *_test.csv, found 2: fmc_train.csv, fmc_val.csv; name one of them"
    refused(message, index, tmp_path, "fuse")
