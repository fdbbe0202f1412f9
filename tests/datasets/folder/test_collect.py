import os
import re

import numpy as np
import pytest
import tifffile

from cytosuite.datasets.folder import microscopes
from cytosuite.datasets.folder.collect import collect
from cytosuite.datasets.folder.entries import case_name
from cytosuite.errors import InputError
from cytosuite.packages import install
from cytosuite.tasks import TASKS


def _touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(path, np.zeros((4, 4), np.uint8))
    return folder


def _pairs(found):
    files = {item.name: item.files.get("instance-labels") for item in found.items}
    return {name: file and file.name for name, file in files.items()}


def test_images_find_the_labels_of_their_name(tmp_path):
    _touch(tmp_path, "images/b.tif", "images/a.tif", "labels/a.tiff", "labels/b.tif")
    found = collect(tmp_path)
    assert _pairs(found) == {"a": "a.tiff", "b": "b.tif"}
    assert [item.name for item in found.items] == ["a", "b"]
    assert found.notes == ()


def test_images_without_labels_are_noted(tmp_path):
    _touch(tmp_path, "images/a.tif", "images/b.tif", "labels/a.tif", "labels/c.tif")
    found = collect(tmp_path)
    assert _pairs(found) == {"a": "a.tif", "b": None}
    assert found.notes == (
        "1 of 2 images have no labels and are not scored.",
        "1 label files have no image (first: c).",
    )


def test_no_labels_at_all_are_fine(tmp_path):
    found = collect(_touch(tmp_path, "images/a.tif"))
    assert _pairs(found) == {"a": None}
    assert found.notes == ()


def test_plain_files_are_images(tmp_path):
    assert _pairs(collect(_touch(tmp_path, "a.tif", "b.tif"))) == {"a": None, "b": None}


def test_other_and_hidden_files_are_passed_over(tmp_path):
    _touch(tmp_path, "images/a.tif", "images/.b.tif")
    (tmp_path / "images" / "notes.txt").touch()
    assert _pairs(collect(tmp_path)) == {"a": None}


def test_the_cell_tracking_challenge_layout(tmp_path):
    _touch(tmp_path, "01/t000.tif", "01/t001.tif", "02/t000.tif", "01_GT/SEG/man_seg001.tif")
    found = collect(tmp_path)
    assert _pairs(found) == {"01_t000": None, "01_t001": "man_seg001.tif", "02_t000": None}
    assert "2 of 3 frames have no full mask" in found.notes[1]
    assert "SEG" in found.notes[0]


def test_slice_wise_annotation_is_named(tmp_path):
    _touch(tmp_path, "01/t000.tif", "01/t001.tif")
    _touch(tmp_path, "01_GT/SEG/man_seg_000_003.tif", "01_GT/SEG/man_seg001.tif")
    found = collect(tmp_path)
    assert _pairs(found) == {"01_t000": None, "01_t001": "man_seg001.tif"}
    assert "1 frames are annotated in single slices only" in found.notes[-1]


def _conditions(found):
    return {item.name: dict(item.conditions) for item in found.items}


def test_a_table_beside_the_images_says_their_conditions(tmp_path):
    _touch(tmp_path, "images/a b.tif", "images/c.tif")
    (tmp_path / "conditions.csv").write_text("name,depth\na b.tif,4\n")
    assert _conditions(collect(tmp_path)) == {"a b": {"depth": 4.0}, "c": {}}


def test_frames_know_their_sequence_if_there_are_several(tmp_path):
    _touch(tmp_path, "01/t000.tif")
    assert _conditions(collect(tmp_path)) == {"01_t000": {}}
    _touch(tmp_path, "02/t000.tif")
    (tmp_path / "conditions.csv").write_text("name,drug\n02_t000,none\n")
    assert _conditions(collect(tmp_path)) == {
        "01_t000": {"sequence": "01"},
        "02_t000": {"sequence": "02", "drug": "none"},
    }


def test_names_are_kept(tmp_path):
    names = ["größe µ", "a b (1)", "細胞", "x+y=z,100%"]
    _touch(tmp_path, *(f"images/{name}.tif" for name in names))
    assert set(_pairs(collect(tmp_path))) == set(names)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("12:30", "12_30"),
        ("a\nb\x1b[31m", "a_b_[31m"),
        ("a\\b/c", "a_b_c"),
        ("..", "image"),
        ("gro\u0308ße", "größe"),
        ("bad\udcff", "bad%FF"),
        ("a\u202eb\ud800\u200bc", "a_b_c"),
        ("a\u3000b\u00a0c", "a b c"),
        ("µ" * 200, "µ" * 85 + "~1edc4885"),
    ],
)
def test_a_name_holds_no_more_than_a_file_name_can(written, name):
    assert case_name(written) == name


def test_names_in_another_encoding_stay_apart(tmp_path):
    image = _touch(tmp_path, "a.tif") / "a.tif"
    for name in ("ä.tif", "ö.tif"):
        (tmp_path / os.fsdecode(name.encode("latin-1"))).hardlink_to(image)
    image.rename(tmp_path / os.fsdecode(b"\xff.txt"))
    found = collect(tmp_path)
    assert [item.name for item in found.items] == ["%E4", "%F6"]
    assert found.count == "2 images; skipped 1: \\udcff.txt (no image)"


def test_long_names_with_the_same_beginning_stay_apart(tmp_path):
    start = "a" * 240
    _touch(tmp_path, f"images/{start}_1.tif", f"images/{start}_2.tif", f"labels/{start}_2.tif")
    first, second = collect(tmp_path).items
    assert first.name != second.name
    assert len(first.name) == len(second.name) == 180
    assert not first.files
    assert second.files["instance-labels"].name == f"{start}_2.tif"


def test_links_within_a_folder_list_nothing_twice(tmp_path):
    _touch(tmp_path, "images/a.tif", "images/x/b.tif", "images/y/c.tif")
    for name, target in (("x/up", ".."), ("x/other", "../y"), ("y/other", "../x")):
        (tmp_path / "images" / name).symlink_to(target)
    found = collect(tmp_path, recursive=True)
    assert sorted(item.name for item in found.items) == ["a", "x_b", "y_c"]
    assert len(found.skipped) == 3
    assert set(found.skipped.values()) == {"a link to a folder that is listed anyway"}


def test_a_link_to_another_folder_is_followed(tmp_path):
    _touch(tmp_path / "elsewhere", "b.tif", "deep/c.tif")
    _touch(tmp_path / "mine", "a.tif")
    (tmp_path / "mine" / "x").symlink_to("../elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to("../mine")
    (tmp_path / "elsewhere" / "again").symlink_to("../elsewhere")
    found = collect(tmp_path / "mine", recursive=True)
    assert [item.name for item in found.items] == ["a", "x_b", "x_deep_c"]
    assert list(found.skipped) == ["x/again/", "x/back/"]


def test_folders_in_each_other_have_an_end(tmp_path):
    _touch(tmp_path, "a.tif", "/".join(["deep"] * 70) + "/b.tif")
    found = collect(tmp_path, recursive=True)
    assert len(found.items) == 1
    assert list(found.skipped.values()) == ["more than 64 folders in each other"]


def test_what_only_looks_like_a_file_is_skipped(tmp_path):
    _touch(tmp_path, "a.tif", "folder.tif/b.tif")
    os.mkfifo(tmp_path / "pipe.tif")
    (tmp_path / "gone.tif").symlink_to("nowhere.tif")
    assert collect(tmp_path).skipped == {
        "folder.tif/": "a folder: --recursive",
        "gone.tif": "no image",
        "pipe.tif": "no image",
    }


def test_a_json_finds_a_name_in_another_spelling_of_its_letters(tmp_path):
    _touch(tmp_path, "images/o\u0308/gr\u00f6\u00dfe.tif")
    path = tmp_path / "acquisition-metadata" / "\u00f6" / "gro\u0308\u00dfe.json"
    path.parent.mkdir(parents=True)
    path.touch()
    assert collect(tmp_path, recursive=True).items[0].files["acquisition-metadata"] == path


def test_two_files_are_never_one_case(tmp_path):
    _touch(tmp_path, "images/a:b.tif", "images/a?b.tif")
    with pytest.raises(InputError, match=re.escape("different names, found a:b.tif and a?b.tif")):
        collect(tmp_path)


def test_labels_find_a_name_in_another_spelling_of_its_letters(tmp_path):
    _touch(tmp_path, "images/gr\u00f6\u00dfe.tif", "labels/gro\u0308\u00dfe.tif")
    assert _pairs(collect(tmp_path))["größe"] is not None


def _mixed(folder):
    _touch(folder, "a.tif", "sub/b.tif", "sub/deep/c.tif")
    for name in ("d.ims", "e.czi", "f.nd2", "g.lif", "notes.txt", ".hidden"):
        (folder / name).touch()
    (folder / "h.ome.zarr").mkdir()
    return folder


def test_nothing_is_skipped_without_a_word(tmp_path, monkeypatch):
    monkeypatch.setattr(microscopes, "find_spec", lambda name: None)
    found = collect(_mixed(tmp_path))
    assert [item.name for item in found.items] == ["a", "h"]
    assert len(found.skipped) == 6
    assert found.count == (
        "2 images; skipped 6: d.ims (no reader for .ims: save as OME-TIFF), "
        f"e.czi, f.nd2, g.lif (needs the extra `formats`: {install(['bioio'])}), notes.txt (no image), "
        "sub/ (a folder: --recursive)"
    )


def test_files_of_microscopes_are_images_where_their_reader_is_installed(tmp_path, monkeypatch):
    monkeypatch.setattr(microscopes, "find_spec", lambda name: object())
    found = collect(_mixed(tmp_path))
    assert [item.name for item in found.items] == ["a", "e", "f", "g", "h"]


def test_sub_folders_are_searched_on_request(tmp_path):
    _touch(tmp_path, "images/a.tif", "images/day 1/a.tif", "images/day 1/x/b.tif")
    _touch(tmp_path, "labels/day 1/a.tif")
    found = collect(tmp_path, recursive=True)
    assert list(_pairs(found).values()) == [None, "a.tif", None]
    assert [item.name for item in found.items] == ["a", "day 1_a", "day 1_x_b"]
    assert found.skipped == {}
    assert collect(tmp_path).skipped == {
        "day 1/": "a folder: --recursive",
        "labels/day 1/": "a folder: --recursive",
    }


def test_images_beside_the_folders_of_a_layout_are_named(tmp_path):
    _touch(tmp_path, "images/a.tif", "b.tif", "more/c.tif", "labels/a.tif")
    (tmp_path / "README.md").touch()
    assert collect(tmp_path).count == (
        "1 image; skipped 2: b.tif (beside the layout's folders), more/ (a folder)"
    )


def test_the_folders_of_the_challenge_belong_together(tmp_path):
    _touch(tmp_path, "01/t000.tif", "01_GT/SEG/man_seg000.tif", "01_RES/mask000.tif", "x/a.tif")
    (tmp_path / "01" / "notes.txt").touch()
    assert collect(tmp_path).skipped == {"x/": "a folder", "01/notes.txt": "no image"}


def test_a_folder_without_readable_images_says_what_there_is(tmp_path):
    (tmp_path / "a.ims").touch()
    with pytest.raises(InputError, match=r"found no image; skipped 1: a\.ims \(no reader"):
        collect(tmp_path)


VIEW = "fluorescence-lightsheet-3d-microscopy"


def _sockets(found):
    return [
        (item.socket, {slug: path.name for slug, path in item.files.items()})
        for item in found.items
    ]


def test_folders_named_like_sockets_are_matched_by_name(tmp_path):
    _touch(tmp_path, "images/a.tif", "labels/a.tif", "enhanced-image/a.tiff", "notes/a.tif")
    (tmp_path / "acquisition-metadata").mkdir()
    (tmp_path / "acquisition-metadata" / "a.json").write_text("{}")
    found = collect(tmp_path)
    files = {
        "acquisition-metadata": "a.json",
        "instance-labels": "a.tif",
        "enhanced-image": "a.tiff",
    }
    assert _sockets(found) == [("microscopy-image", files)]
    assert found.notes == ()


@pytest.mark.parametrize(
    "folder", [f"fused-{VIEW}", f"second-{VIEW}", "fused-fluorescence-lightsheet-3D-microscopy"]
)
def test_images_are_the_view_where_views_are_fused(tmp_path, folder):
    found = collect(_touch(tmp_path, "images/a.tif", f"{folder}/a.tif"))
    assert _sockets(found) == [(VIEW, {folder.replace("3D", "3d"): "a.tif"})]


def test_images_are_the_main_input_of_a_named_task(tmp_path):
    _touch(tmp_path, "images/a.tif", "labels/a.tif")
    slugs = {task: collect(tmp_path, task).items[0].socket for task in TASKS}
    assert slugs == {
        "segment": "microscopy-image",
        "enhance": "microscopy-image",
        "synthesise": "structure-sketch",
        "fuse": VIEW,
    }


def test_images_beside_sketches_are_images(tmp_path):
    _touch(tmp_path, "images/a.tif", "structure-sketch/a.tif")
    assert _sockets(collect(tmp_path)) == [("microscopy-image", {"structure-sketch": "a.tif"})]


def test_the_main_input_needs_no_folder_called_images(tmp_path):
    _touch(tmp_path, "structure-sketch/a.tif", "synthetic-image/a.tif")
    assert _sockets(collect(tmp_path)) == [("structure-sketch", {"synthetic-image": "a.tif"})]
    _touch(tmp_path / "labelled", "labels/a.tif")
    assert _sockets(collect(tmp_path / "labelled", "synthesise")) == [("instance-labels", {})]


def test_missing_outputs_are_noted_as_not_scored(tmp_path):
    _touch(tmp_path, "images/a.tif", "images/b.tif", "enhanced-image/a.tif")
    assert collect(tmp_path).notes == ("1 of 2 images have no enhanced-image and are not scored.",)


def _nothing(folder):
    """no such folder"""
    return folder / "nothing"


def _empty(folder):
    """expected images/ (and labels/), or 01/ (and 01_GT/SEG/) of the Cell Tracking Challenge, found no image"""
    return folder


def _no_images(folder):
    """images: expected images (.tif, .tiff, .mha, .h5, .hdf5, .png, .jpg, .jpeg, .zarr, .ozx), found none"""
    (folder / "images").mkdir()
    return folder


def _twins(folder):
    """images: images need different names, found a.tif and a.tiff"""
    return _touch(folder, "images/a.tif", "images/a.tiff")


def _spellings(folder):
    """images: images need different names, found 'gro\\u0308\\xdfe.tif' and 'gr\\xf6\\xdfe.tif'"""
    return _touch(folder, "images/gr\u00f6\u00dfe.tif", "images/gro\u0308\u00dfe.tif")


def _capitals(folder):
    """images: images need different names, found A.tif and a.tif"""
    return _touch(folder, "images/a.tif", "images/A.tif")


def _no_folder_but_a_name(folder):
    """: cannot be read (File name too long)"""
    return folder / ("a" * 300)


def _table_that_is_a_pipe(folder):
    """conditions.csv: expected a file, found a folder, a pipe or a device"""
    os.mkfifo(folder / "conditions.csv")
    return _touch(folder, "a.tif")


def _strangers(folder):
    """labels: no file is named like an image; expected for example a.tif, found mask_a.tif"""
    return _touch(folder, "images/a.tif", "labels/mask_a.tif")


def _other_sockets(folder):
    """enhanced-image: no file is named like an image; expected for example a.tif, found b.tif"""
    return _touch(folder, "images/a.tif", "enhanced-image/b.tif")


def _other_frames(folder):
    """frame1.tif: expected frames named t000.tif, t001.tif, ..."""
    return _touch(folder, "01/frame1.tif")


def _which_frame(folder):
    """conditions.csv: no image is named 't000'; expected for example 01_t000"""
    (folder / "conditions.csv").write_text("name,drug\nt000,none\n")
    return _touch(folder, "01/t000.tif", "02/t000.tif")


def _no_frames(folder):
    """01: expected frames t000.tif, ..., found none"""
    (folder / "01").mkdir()
    return folder


@pytest.mark.parametrize(
    "mistake",
    [
        _nothing,
        _empty,
        _no_images,
        _twins,
        _spellings,
        _capitals,
        _no_folder_but_a_name,
        _table_that_is_a_pipe,
        _strangers,
        _other_sockets,
        _other_frames,
        _which_frame,
        _no_frames,
    ],
)
def test_explains(tmp_path, mistake):
    with pytest.raises(InputError, match=re.escape(mistake.__doc__)):
        collect(mistake(tmp_path))
