import os
import re
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import tifffile
from layouts import foreign
from mistakes import refused
from numpy.testing import assert_array_equal
from PIL import Image
from rasters import counted

from cytosuite.benchmark.runs.store.pool import Processes
from cytosuite.contract.tasks import TASKS
from cytosuite.datasets.folder.load import load
from cytosuite.errors.packages import install
from cytosuite.folders import part as microscopes
from cytosuite.folders.entries import case_name
from cytosuite.folders.index import Item, by_part, index
from cytosuite.folders.part import Part, content, read_microscope
from cytosuite.formats import write
from cytosuite.volume import Volume

ARRAY = counted(2, 3, 4, 40, 50)  # TCZYX
NAMES = ("DAPI", "GFP", "RFP")
SIZES = (1.5, 0.25, 0.2)


def _touch(folder, *names):
    for name in names:
        foreign(folder / name, np.zeros((4, 4), np.uint8))
    return folder


def _pairs(listing):
    files = {item.name: item.files.get("instance-labels") for item in listing.items}
    return {name: file and file.name for name, file in files.items()}


def test_images_without_labels_are_noted(tmp_path):
    _touch(tmp_path, "images/a.tif", "images/b.tif", "labels/a.tiff", "labels/c.tif")
    listing = index(tmp_path)
    assert _pairs(listing) == {"a": "a.tiff", "b": None}
    assert listing.notes == (
        "1 of 2 images have no labels and are not scored.",
        "1 label files have no image (first: c).",
    )


def test_masks_named_as_the_images_are_labels_and_others_are_left(tmp_path):
    _touch(tmp_path, "a/images/x.tif", "a/masks/x.tif", "b/images/x.tif", "b/masks/1.tif")
    named, others = (index(tmp_path / room) for room in "ab")
    assert (_pairs(named), _pairs(others)) == ({"x": "x.tif"}, {"x": None})
    assert "masks/" in others.skipped


def test_labels_lie_beside_images_of_published_simulations_and_in_sub_folders(tmp_path):
    _touch(tmp_path, "1_final.tif", "1_final_label.tif", "2_final.tif")
    _touch(tmp_path, "d/a.png", "d/a_cp_masks.tif", "d/images/b.tif", "d/masks/b.tif")
    assert _pairs(index(tmp_path, recursive=True)) == {
        "1_final": "1_final_label.tif",
        "2_final": None,
        "d_a": "a_cp_masks.tif",
        "d_images_b": "b.tif",
    }


def test_the_cell_tracking_challenge_layout(tmp_path):
    _touch(tmp_path, "01/t000.tif", "01/t001.tif", "02/t000.tif", "01_GT/SEG/man_seg001.tif")
    listing = index(tmp_path)
    assert _pairs(listing) == {"01_t000": None, "01_t001": "man_seg001.tif", "02_t000": None}
    assert "2 of 3 frames have no full mask" in listing.notes[1]
    assert "SEG" in listing.notes[0]
    _touch(tmp_path, "01_ERR_SEG/mask000.tif")  # of its benchmark of links
    first, second = index(tmp_path, "track").items
    assert ({*first.files}, second.files) == ({"tracked-labels", "frame-labels"}, {})


def _conditions(listing):
    return {item.name: dict(item.conditions) for item in listing.items}


def test_frames_know_their_sequence_if_there_are_several(tmp_path):
    _touch(tmp_path, "01/t000.tif")
    assert _conditions(index(tmp_path)) == {"01_t000": {}}
    _touch(tmp_path, "02/t000.tif")
    (tmp_path / "conditions.csv").write_text("name,drug\n02_t000,none\n")
    assert _conditions(index(tmp_path)) == {
        "01_t000": {"sequence": "01"},
        "02_t000": {"sequence": "02", "drug": "none"},
    }


@pytest.mark.parametrize(
    "written, name",
    {
        "12:30": "12_30",
        "a\nb\x1b[31m": "a_b_[31m",
        "a\\b/c": "a_b_c",
        "..": "image",
        "gro\u0308ße": "größe",
        "a\u202eb\ud800\u200bc": "a_b_c",
        "a\u3000b\u00a0c": "a b c",
        "µ" * 200: "µ" * 85 + "~1edc4885",
    }.items(),
)
def test_a_name_holds_no_more_than_a_file_name_can(written, name):
    assert case_name(written) == name


def test_links_within_a_folder_list_nothing_twice(tmp_path):
    _touch(tmp_path, "images/a.tif", "images/x/b.tif", "images/y/c.tif")
    for name, target in (("x/up", ".."), ("x/other", "../y"), ("y/other", "../x")):
        (tmp_path / "images" / name).symlink_to(target)
    listing = index(tmp_path, recursive=True)
    assert sorted(item.name for item in listing.items) == ["a", "x_b", "y_c"]
    assert len(listing.skipped) == 3
    assert set(listing.skipped.values()) == {"a link to a folder that is listed anyway"}


def test_a_link_to_another_folder_is_followed(tmp_path):
    _touch(tmp_path / "elsewhere", "b.tif", "deep/c.tif")
    _touch(tmp_path / "mine", "a.tif")
    (tmp_path / "mine/x").symlink_to("../elsewhere")
    (tmp_path / "elsewhere/back").symlink_to("../mine")
    (tmp_path / "elsewhere/again").symlink_to("../elsewhere")
    listing = index(tmp_path / "mine", recursive=True)
    assert [item.name for item in listing.items] == ["a", "x_b", "x_deep_c"]
    assert list(listing.skipped) == ["x/again/", "x/back/"]


def test_folders_in_each_other_have_an_end(tmp_path):
    _touch(tmp_path, "a.tif", "/".join(["deep"] * 70) + "/b.tif")
    listing = index(tmp_path, recursive=True)
    assert len(listing.items) == 1
    assert list(listing.skipped.values()) == ["more than 64 folders in each other"]


def test_labels_find_a_name_in_another_spelling_of_its_letters(tmp_path):
    _touch(tmp_path, "images/gr\u00f6\u00dfe.tif", "labels/gro\u0308\u00dfe.tif")
    assert _pairs(index(tmp_path))["größe"] is not None


def test_nothing_is_skipped_without_a_word(tmp_path, monkeypatch):
    _touch(tmp_path, "a.tif", "sub/b.tif", "sub/deep/c.tif")
    for name in ("d.nii.gz", "e.czi", "f.nd2", "g.lif", "notes.txt", ".hidden"):
        (tmp_path / name).touch()
    (tmp_path / "h.ome.zarr").mkdir()
    monkeypatch.setattr(microscopes, "find_spec", lambda name: object())
    assert [item.name for item in index(tmp_path).items] == ["a", "e", "f", "g", "h"]
    monkeypatch.setattr(microscopes, "find_spec", lambda name: None)
    listing = index(tmp_path)
    assert [item.name for item in listing.items] == ["a", "h"]
    assert len(listing.skipped) == 6
    assert listing.count == (
        "2 images; skipped 6: d.nii.gz (no reader for .nii.gz: save as OME-TIFF), "
        f"e.czi, f.nd2, g.lif (needs the extra `formats`: {install(['bioio'])}), notes.txt (no image), "
        "sub/ (a folder: name it, or --recursive)"
    )


def test_sub_folders_are_searched_on_request(tmp_path):
    _touch(tmp_path, "images/a.tif", "images/day 1/a.tif", "images/day 1/x/b.tif")
    _touch(tmp_path, "labels/day 1/a.tif")
    listing = index(tmp_path, recursive=True)
    assert list(_pairs(listing).values()) == [None, "a.tif", None]
    assert [item.name for item in listing.items] == ["a", "day 1_a", "day 1_x_b"]
    assert listing.skipped == {}
    assert index(tmp_path).skipped == {
        "day 1/": "a folder: name it, or --recursive",
        "labels/day 1/": "a folder: name it, or --recursive",
    }


def test_images_beside_the_folders_of_a_layout_are_named(tmp_path):
    _touch(tmp_path, "images/a.tif", "b.tif", "more/c.tif", "labels/a.tif")
    (tmp_path / "README.md").touch()
    assert index(tmp_path).count == (
        "1 image; skipped 2: b.tif (beside the layout's folders), more/ (a folder)"
    )


VIEW = "fluorescence-lightsheet-3d-microscopy"


def test_folders_named_like_sockets_are_matched_by_name(tmp_path):
    _touch(tmp_path, "images/a.tif", "labels/a.tif", "enhanced-image/a.tiff", "notes/a.tif")
    (tmp_path / "acquisition-metadata").mkdir()
    (tmp_path / "acquisition-metadata/a.json").write_text("{}")
    listing = index(tmp_path)
    files = {
        "acquisition-metadata": "a.json",
        "instance-labels": "a.tif",
        "enhanced-image": "a.tiff",
    }
    (item,) = listing.items
    assert item.socket == "microscopy-image"
    assert {slug: path.name for slug, path in item.files.items()} == files
    assert (listing.notes, listing.task) == ((), "segment")
    (tmp_path / "labels/a.tif").rename(tmp_path / "images/b.tif")
    assert index(tmp_path).task == "enhance"


def test_images_are_the_main_input_of_a_named_task(tmp_path):
    _touch(tmp_path, "images/a.tif", "labels/a.tif")
    assert {task: index(tmp_path, task).items[0].socket for task in TASKS} == {
        "segment": "microscopy-image",
        "detect": "microscopy-image",
        "track": "microscopy-movie",
        "enhance": "microscopy-image",
        "synthesise": "structure-sketch",
        "sample": "microscopy-image",  # which it refuses
        "fuse": VIEW,
    }


def _beside(name, text=None):
    """Return a function that writes a file or, without a text, a folder or a pipe."""

    def write(folder):
        if text is not None:
            (folder / name).write_text(text)
        else:
            os.mkfifo(folder / name) if "." in name else (folder / name).mkdir()

    return write


@pytest.mark.parametrize(
    "names, more, message",
    [
        (
            (),
            None,
            "expected images/ (and labels/, points/), imagesTr/ (and labelsTr/) of nnU-Net, 01/",
        ),
        ((), _beside("images"), "images: expected images (.tif, .tiff, .mha, .h5, .hdf5, .png,"),
        (
            ("images/a.tif", "images/A.tif"),
            None,
            "expected one file named a, found A.tif and a.tif",
        ),
        (("a.tif",), _beside("conditions.csv"), "conditions.csv: expected a file, found a folder"),
        (
            ("images/a.tif", "labels/mask_a.tif"),
            None,
            "labels: no file is named like an image; expected for example a.tif, found mask_a.tif",
        ),
        (("01/frame1.tif",), None, "frame1.tif: expected frames named t000.tif, t001.tif, ..."),
        (
            ("01/t000.tif", "02/t000.tif"),
            _beside("conditions.csv", "name,drug\nt000,none\n"),
            "conditions.csv: no image is named 't000'; expected for example 01_t000",
        ),
    ],
)
def test_explains(tmp_path, names, more, message):
    _touch(tmp_path, *names)
    if more is not None:
        more(tmp_path)
    refused(re.escape(message), index, tmp_path)


def test_a_picture_beside_an_image_of_its_name_shows_it_and_another_image_is_refused(tmp_path):
    _touch(tmp_path, "images/a.png", "images/a.tif", "images/b.png", "labels/a.tif")
    listing = index(tmp_path)
    assert _pairs(listing) == {"a": "a.tif", "b": None}
    assert listing.skipped == {"a.png": "a picture of a.tif"}
    _touch(tmp_path, "labels/a.tiff")
    refused(r"labels: expected one file named a, found a.tif and", index, tmp_path)


def test_a_folder_that_is_none_is_refused(tmp_path):
    refused("no such folder", index, tmp_path / "nothing")
    refused(r": cannot be read \(File name too long\)", index, tmp_path / ("a" * 300))


def test_a_dataset_is_read_with_what_the_simulation_keeps(tmp_path):
    home = tmp_path / "cases/c_1"
    _touch(home, "sockets/images/microscopy-image/c_1.tif", "extras/step-3-light/c_1.tif")
    (home / "case.json").write_text("{}")
    for place in (tmp_path, tmp_path / "cases"):
        (item,) = index(place, "segment").items
        assert (item.name, [*item.extras]) == ("c_1", ["step-3-light", "case.json"])
    refused(f"c_1: expected {VIEW} or .*found microscopy-image", index, tmp_path, "fuse")


def test_further_channels_of_nnunet_are_none_and_its_classes_are_named(tmp_path):
    _touch(tmp_path, "imagesTr/a_0000.tif", "imagesTr/a_0001.tif", "labelsTr/a.tif")
    listing = index(tmp_path)
    assert _pairs(listing) == {"a": "a.tif"}
    assert listing.skipped == {"a_0001.tif": "a further channel"}
    assert listing.notes == (
        "Each value in labelsTr counts as one object; instancesTr holds objects.",
    )
    (item,) = by_part(listing.items, Part("1"), "segment")
    assert (item.name, item.image.name, item.part.channel) == ("a", "a_0001.tif", None)
    write(tmp_path / "imagesTr/a_0000.tif", Volume(np.ones((2, 2), np.uint8), (1.0, 1.0), "YX"))
    refused("expected a file of --channel-index 2 ", next, by_part(listing.items, Part("2"), ""))
    Image.fromarray(np.ones((2, 2, 3), np.uint8)).save(tmp_path / "imagesTr/b_0000.png")
    *_, item = by_part(index(tmp_path / "imagesTr").items, Part("1"), "")
    assert (item.image.name, item.part.channel) == ("b_0000.png", "1")


@pytest.mark.slow
def test_czi_is_read(tmp_path):
    pytest.importorskip("bioio_czi", reason="needs cytosuite[formats]")
    from pylibCZIrw import czi

    with czi.create_czi(str(tmp_path / "a.czi")) as file:
        for channel in range(3):
            for z in range(4):
                file.write(ARRAY[0, channel, z][..., None], plane={"C": channel, "Z": z, "T": 0})
        z, y, x = (size * 1e-6 for size in SIZES)
        file.write_metadata(
            "a", channel_names=dict(enumerate(NAMES)), scale_x=x, scale_y=y, scale_z=z
        )
    volume = read_microscope(tmp_path / "a.czi", Part("GFP"))
    assert_array_equal(volume.array, ARRAY[0, 1])
    assert volume.spacing == pytest.approx(SIZES)
    assert volume.metadata == {"channel": "GFP"}
    assert_array_equal(read_microscope(tmp_path / "a.czi", Part("2,0")).array, ARRAY[0, [2, 0]])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("suffix", [".nd2", ".lif"])
def test_other_readers_are_used_alike(tmp_path, suffix, monkeypatch):
    pytest.importorskip("bioio_ome_tiff", reason="needs make peers")
    monkeypatch.setitem(microscopes.MODULES, suffix, "bioio_ome_tiff")
    with tifffile.TiffWriter(tmp_path / f"a{suffix}", ome=True) as file:
        for scene in range(2):
            sizes = {f"PhysicalSize{a}": s for a, s in zip("ZYX", SIZES, strict=True)}
            metadata = {"axes": "CZYX", "Channel": {"Name": list(NAMES)}, **sizes}
            file.write(ARRAY[scene], photometric="minisblack", metadata=metadata)
    image = Item("a", tmp_path / f"a{suffix}")
    volume = load(replace(image, part=Part("RFP", scene=1))).volume("microscopy-image")
    assert_array_equal(volume.array, ARRAY[1, 2])
    assert volume.spacing == pytest.approx(SIZES)
    refused(
        r"found 2 scenes \(0 .*\); choose one with --scene", load, replace(image, part=Part("RFP"))
    )


@pytest.mark.slow
def test_a_broken_file_is_told(tmp_path):
    pytest.importorskip("bioio_czi", reason="needs cytosuite[formats]")
    path = tmp_path / "a.czi"
    path.write_bytes(b"no image")
    broken = re.escape(f"{path}: cannot be read as .czi (")
    refused(broken, read_microscope, path, Part())
    # Cases are made in several processes: the error must travel.
    refused(broken, list, Processes(2).each(partial(read_microscope, part=Part()), [path, path]))


def test_the_missing_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(microscopes, "find_spec", lambda name: None)
    message = f"a.LIF: .lif needs the extra `formats`: {install(['bioio'])}"
    refused(re.escape(message), load, Item("a", tmp_path / "a.LIF"))


def test_a_digest_counts_the_hidden_files_of_a_folder(tmp_path):
    hidden = tmp_path / "a.ome.zarr/0/.zarray"
    hidden.parent.mkdir(parents=True)
    hidden.touch()
    assert content(tmp_path / "a.ome.zarr") == [tmp_path / "a.ome.zarr", hidden]
    assert content(hidden) == [hidden]
