"""Folders of Fuse My Cells, as they are unpacked and as a published program converts them."""

import re

import h5py
import numpy as np
import pytest
import tifffile

from cytosuite.benchmark.cluster.processes import processes
from cytosuite.benchmark.data.dataset import prepare
from cytosuite.benchmark.data.recipe import DataRequest, recipe
from cytosuite.datasets.folder.collect import collect
from cytosuite.datasets.folder.load import load
from cytosuite.datasets.folder.pairs import FUSED, has_pairs
from cytosuite.errors import InputError
from cytosuite.formats import read
from cytosuite.interface import read_case
from cytosuite.tasks import TASKS, VIEW

ARRAY = np.arange(5 * 6 * 7, dtype=np.uint16).reshape(5, 6, 7)
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
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(path, "w") as file:
            group = file.create_group("data")
            arrays = {"raw_image": np.full((5, 6, 7), float("fused" in name), np.float32)}
            if "angle" in name:
                arrays |= {"light_map": ARRAY, "surface_distance": ARRAY.astype(np.float32) - 9}
            for key, array in arrays.items():
                group.create_dataset(key, data=array, chunks=True, compression="gzip")
    return folder


def _found(folder, task="fuse", **options):
    found = collect(folder, task, **options)
    assert {item.socket for item in found.items} <= {VIEW}
    return {item.name: (path := item.files.get(FUSED)) and path.name for item in found.items}


@pytest.mark.parametrize("task", ["fuse", None])
def test_views_find_their_fused_images(tmp_path, task):
    _pair(tmp_path, "image_2_nucleus")
    _pair(tmp_path, "image_10_membrane")
    assert _found(tmp_path, task) == {
        "image_10_membrane_angle": "image_10_membrane_fused.tif",
        "image_2_nucleus_angle": "image_2_nucleus_fused.tif",
    }
    found = collect(tmp_path, task)
    assert (found.notes, found.skipped, found.task) == ((), {}, "fuse")


def test_pairs_may_lie_in_images_and_at_any_depth(tmp_path):
    _pair(tmp_path / "own" / "images", "image_2_nucleus")
    assert _found(tmp_path / "own") == {"image_2_nucleus_angle": "image_2_nucleus_fused.tif"}
    for study in (1, 2):
        _pair(tmp_path / "all" / f"Study{study}" / "deep", "image_2_nucleus")
    found = collect(tmp_path / "all", "fuse", recursive=True)
    names = [item.name for item in found.items]
    assert names == ["Study1_deep_image_2_nucleus_angle", "Study2_deep_image_2_nucleus_angle"]
    for item in found.items:
        assert item.files[FUSED].parent == item.image.parent
    with pytest.raises(InputError, match=r"skipped 2: Study1/, Study2/ \(a folder: --recursive\)"):
        collect(tmp_path / "all", "fuse")


def test_the_halves_of_a_pair_lie_in_one_folder(tmp_path):
    _images(tmp_path, "1/a_angle.tif", "2/a_fused.tif")
    assert _found(tmp_path, recursive=True) == {"1_a_angle": None}


def test_a_view_without_fused_image_is_not_scored_and_one_without_view_is_left_out(tmp_path):
    _pair(tmp_path, "image_2_nucleus")
    _images(tmp_path, "image_3_nucleus_angle.tif", "image_4_nucleus_fused.tif", "other.tif")
    found = collect(tmp_path, "fuse")
    assert _found(tmp_path) == {
        "image_2_nucleus_angle": "image_2_nucleus_fused.tif",
        "image_3_nucleus_angle": None,
        "other": None,
    }
    assert found.notes == (f"2 of 3 images have no {FUSED} and are not scored.",)
    assert found.count == (
        "3 images; skipped 1: image_4_nucleus_fused.tif (a fused image without its view)"
    )


def test_views_alone_need_no_note(tmp_path):
    found = collect(_images(tmp_path, "a_angle.tif", "b_angle.tif"), "fuse")
    assert ([item.files for item in found.items], found.notes) == ([{}, {}], ())


def test_metadata_beside_the_views_belong_to_them(tmp_path):
    _pair(tmp_path, "image_2_nucleus")
    (tmp_path / "acquisition-metadata").mkdir()
    (tmp_path / "acquisition-metadata" / "image_2_nucleus_angle.json").write_text('{"study": 4}')
    for task in ("fuse", None):
        (item,) = collect(tmp_path, task).items
        assert set(item.files) == {FUSED, "acquisition-metadata"}
    assert load(item).volume(VIEW).metadata["study"] == 4


def test_conditions_name_the_view(tmp_path):
    _pair(tmp_path, "a")
    (tmp_path / "conditions.csv").write_text("name,embryo\na_angle.tif,3\n")
    assert collect(tmp_path).items[0].conditions == {"embryo": 3.0}


@pytest.mark.parametrize("task", ["segment", "enhance"])
def test_other_tasks_see_images(tmp_path, task):
    _pair(tmp_path, "image_2_nucleus")
    found = collect(tmp_path, task)
    assert [item.name for item in found.items] == ["image_2_nucleus_angle", "image_2_nucleus_fused"]
    assert {item.socket for item in found.items} == {"microscopy-image"}


def test_without_a_pair_or_with_labels_images_are_images(tmp_path):
    _images(tmp_path / "views", "a_angle.tif", "b_fused.tif")
    assert collect(tmp_path / "views").task == "segment"
    _pair(tmp_path / "labelled" / "images", "a")
    _images(tmp_path / "labelled" / "labels", "a_angle.tif", "a_fused.tif")
    found = collect(tmp_path / "labelled")
    assert (len(found.items), found.task) == (2, "segment")


def test_a_pair_becomes_a_case_by_channel_and_study(tmp_path):
    _pair(tmp_path / "Study3" / "Study2", "image_2_nucleus")
    (item,) = collect(tmp_path, recursive=True).items
    sample = load(item)
    view, truth = sample.volume(VIEW), sample.volume(FUSED)
    np.testing.assert_array_equal(truth.array, ARRAY + 1)
    assert (view.spacing, truth.spacing) == ((1, 0.2, 0.2), (1, 0.2, 0.2))
    assert dict(view.metadata) == {"channel": "nucleus", "study": 2}
    assert view.origin.sources == {"spacing": "json", "channel": "name", "study": "name"}
    assert sample.conditions == {"study": "study 2", "channel": "nucleus"}


def test_a_file_knows_more_than_its_name_and_the_user_more_than_both(tmp_path):
    _pair(tmp_path / "Study2", "image_2_nucleus", channel="membrane", study="4")
    (item,) = collect(tmp_path, recursive=True).items
    sample = load(item)
    assert sample.conditions == {"study": "study 4", "channel": "membrane"}
    assert "channel contradictory: membrane" in sample.volume(VIEW).origin.warnings[0]
    named = load(item, metadata={"channel": "nucleus", "study": 5})
    assert named.conditions == {"study": "study 5", "channel": "nucleus"}


@pytest.mark.parametrize("axes", ["XYZ", "TYX"])
def test_view_and_fused_image_are_read_as_they_lie(tmp_path, axes):
    _images(tmp_path, "a_angle.tif", axes=axes)
    _images(tmp_path, "a_fused.tif")
    sample = load(collect(tmp_path).items[0])
    np.testing.assert_array_equal(sample.volume(VIEW).array, ARRAY)
    np.testing.assert_array_equal(sample.volume(FUSED).array, ARRAY + 1)


def test_a_folder_becomes_a_dataset_that_containers_read(tmp_path):
    _pair(tmp_path / "in", "image_2_nucleus", study=3)
    made = recipe(DataRequest(str(tmp_path / "in"), None, 0, None, ()))
    assert made.task == "fuse"
    dataset = prepare(made, tmp_path / "out", processes(1), lambda done, total: None)
    (case,) = dataset.cases
    assert dataset.serves(TASKS["fuse"])
    assert not dataset.serves(TASKS["segment"])
    found = read_case(case.input(TASKS["fuse"]), TASKS["fuse"])
    assert dict(found.volumes[VIEW].metadata) == {"channel": "nucleus", "study": 3}
    assert (found.sources["channel"], found.warnings) == ("name", ())
    np.testing.assert_array_equal(read(case.path(FUSED)).array, ARRAY + 1)
    assert case.conditions() == {"study": "study 3", "channel": "nucleus"}


def test_both_halves_are_images_where_real_ones_are_wanted(tmp_path):
    _pair(tmp_path, "a")
    made = recipe(DataRequest(str(tmp_path), None, 0, None, (), reference=tmp_path))
    assert [path.name for path in made.reference] == ["a_angle.tif", "a_fused.tif"]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["a_angle", "a_fused"], True),
        (["1/a_angle", "1/a_FUSED"], True),
        (["a_angle", "b_fused"], False),
        (["1/a_angle", "2/a_fused"], False),
        (["a", "a_fused", "_angle"], False),
        ([], False),
    ],
)
def test_pairs_are_two_halves_of_one_specimen(keys, expected):
    assert has_pairs(keys) is expected


ROWS = "Study1_H5/image_{0}_nucleus_angle.h5;Study1_H5/image_{0}_nucleus_fused.h5\n"
H5 = [f"Study1_H5/image_{n}_nucleus_{role}.h5" for n in (1, 2, 3) for role in ("angle", "fused")]


def test_converted_files_are_pairs_by_their_names(tmp_path):
    _converted(tmp_path, *H5[:2])
    (item,) = collect(tmp_path, recursive=True).items
    sample = load(item)
    assert sample.volume(VIEW).array.max() == 0
    assert sample.volume(FUSED).array.min() == 1
    assert sample.volume(VIEW).spacing_is_assumed
    assert sample.conditions == {"study": "study 1", "channel": "nucleus"}


@pytest.mark.parametrize("task", ["fuse", None])
def test_a_list_names_the_pairs_that_count(tmp_path, task):
    _converted(tmp_path, *H5, "image_9_nucleus_angle.h5")
    (tmp_path / "fmc.csv").write_text(ROWS.format(2) + ROWS.format(1))
    found = collect(tmp_path, task)
    assert _found(tmp_path, task) == {
        "Study1_H5_image_1_nucleus_angle": "image_1_nucleus_fused.h5",
        "Study1_H5_image_2_nucleus_angle": "image_2_nucleus_fused.h5",
    }
    assert found.notes == ("The pairs are those of fmc.csv.",)
    assert found.skipped == {"image_9_nucleus_angle.h5": "not in fmc.csv"}
    deep = collect(tmp_path, task, recursive=True)
    assert deep.items == found.items
    assert deep.skipped == dict.fromkeys((*H5[4:], "image_9_nucleus_angle.h5"), "not in fmc.csv")


def test_the_list_of_the_test_precedes_those_of_the_training(tmp_path):
    _converted(tmp_path, *H5)
    for number, part in enumerate(("train", "val", "test"), start=1):
        (tmp_path / f"fmc_{part}.csv").write_text(ROWS.format(number))
    found = collect(tmp_path, "fuse")
    assert list(_found(tmp_path)) == ["Study1_H5_image_3_nucleus_angle"]
    assert (found.notes, found.skipped) == (("The pairs are those of fmc_test.csv.",), {})


def test_a_list_may_have_views_without_fused_image(tmp_path):
    _converted(tmp_path, *H5[:3])
    (tmp_path / "fmc.csv").write_text(ROWS.format(1) + f"{H5[2]}\n")
    assert list(_found(tmp_path).values()) == ["image_1_nucleus_fused.h5", None]
    assert collect(tmp_path).notes[1] == f"1 of 2 images have no {FUSED} and are not scored."


def test_other_tables_are_no_lists_of_pairs(tmp_path):
    _pair(tmp_path, "a")
    (tmp_path / "notes.csv").write_text("name;size\na;3\n")
    (tmp_path / "odd.csv").write_bytes(b"\xff\xfe\n")
    (tmp_path / "empty.csv").touch()
    found = collect(tmp_path)
    assert [item.name for item in found.items] == ["a_angle"]
    assert found.count == "1 image; skipped 3: empty.csv, notes.csv, odd.csv (no image)"


def test_lists_of_other_programs_are_for_them(tmp_path):
    _images(tmp_path, "images/a.tif", "masks/a.tif", "b.tif")
    (tmp_path / "images").rename(tmp_path / "pictures")
    for part in ("train", "val"):
        (tmp_path / f"x_{part}.csv").write_text("pictures/a.tif;masks/a.tif\n")
    assert [item.name for item in collect(tmp_path).items] == ["b"]
    assert [item.name for item in collect(tmp_path, "segment").items] == ["b"]


def _fused_alone(folder):
    """expected views like image_1_nucleus_angle.tif, found fused images alone: image_1_nucleus_fused.tif"""
    _images(folder, "image_1_nucleus_fused.tif")


def _two_fused_images(folder):
    """fused images need different names, found a_FUSED.tif and a_fused.tif"""
    _images(folder, "a_angle.tif", "a_FUSED.tif", "a_fused.tif")


def _two_views(folder):
    """images need different names, found a_ANGLE.tif and a_angle.tif"""
    _images(folder, "a_angle.tif", "a_ANGLE.tif", "a_fused.tif")


def _two_lists(folder):
    """expected one list of pairs, named *_test.csv where there are more, found 2: fmc_train.csv, fmc_val.csv"""
    _converted(folder, *H5)
    for part in ("train", "val"):
        (folder / f"fmc_{part}.csv").write_text(ROWS.format(1))


def _lost_file(folder):
    """fmc.csv: row 2: no such file: 'Study1_H5/image_2_nucleus_angle.h5'; paths are relative to"""
    _converted(folder, *H5[:2])
    (folder / "fmc.csv").write_text(ROWS.format(1) + ROWS.format(2))


def _outside(folder):
    """fmc.csv: row 1: expected a path relative to the folder of the list and in it, found '../a_fused.h5'"""
    _converted(folder, *H5[:2])
    (folder / "fmc.csv").write_text(f"{H5[0]};../a_fused.h5\n")


def _commas(folder):
    """fmc.csv: row 1: no such file: 'a_angle.tif,a_fused.tif'; paths are relative"""
    _pair(folder, "a")
    (folder / "fmc.csv").write_text("a_angle.tif,a_fused.tif\n")


MISTAKES = [_fused_alone, _two_fused_images, _two_views, _two_lists, _lost_file, _outside, _commas]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_explains(tmp_path, mistake):
    mistake(tmp_path)
    with pytest.raises(InputError, match=re.escape(mistake.__doc__)) as caught:
        collect(tmp_path, "fuse")
    assert len(str(caught.value).splitlines()) == 1


def test_a_pair_of_two_shapes_is_explained(tmp_path):
    _pair(tmp_path, "a")
    tifffile.imwrite(tmp_path / "a_fused.tif", ARRAY[1:], photometric="minisblack")
    with pytest.raises(
        InputError, match=r"a_fused\.tif: fused.* must have the image's shape \(5, 6, 7\)"
    ):
        load(collect(tmp_path).items[0])
