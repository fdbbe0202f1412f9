"""Corrected images in a folder: whole or absent, and read by the dataset of folders."""

import numpy as np
import pytest
from mistakes import refused
from numpy.testing import assert_array_equal

from cytosuite.contract.tasks import LABELS
from cytosuite.datasets.folder.load import load
from cytosuite.errors import CytosuiteError
from cytosuite.folders.index import index
from cytosuite.formats import read, write
from cytosuite.napari.layers import count, in_pieces, save_pair
from cytosuite.volume import Volume

SPACING = (2.0, 0.5, 0.5)
IMAGE = Volume(np.full((4, 8, 8), 9, np.uint16), SPACING, "ZYX", {"channel": "nucleus"})
LABEL = IMAGE.like(np.pad(np.full((2, 4, 4), 70_000, np.uint32), ((1, 1), (2, 2), (2, 2))))


def test_a_pair_is_read_by_the_dataset_of_folders(tmp_path):
    assert count(tmp_path / "new") == 0
    assert save_pair(tmp_path / "new", "day 1 ä", IMAGE, LABEL) == 1
    (item,) = index(tmp_path / "new", "segment").items
    sample = load(item, None, {})
    assert sample.volume("microscopy-image").spacing == SPACING
    assert sample.volume("microscopy-image").metadata["channel"] == "nucleus"
    assert_array_equal(sample.volume(LABELS.slug).array > 0, LABEL.array > 0)
    assert count(tmp_path / "new") == 1


def test_pieces_of_a_label_are_named():
    assert in_pieces(LABEL) == ""
    assert in_pieces(LABEL.like((LABEL.array > 0).astype(np.uint16))) == ""
    torn = LABEL.array.copy()
    torn[0, 0, 0] = 70_000
    torn[3, 7, 7] = 5
    assert in_pieces(IMAGE.like(torn)).endswith("may be objects of their own: 70000")


def test_a_name_that_is_taken_is_replaced_on_purpose_alone(tmp_path):
    save_pair(tmp_path, "a", IMAGE, LABEL)
    refused(
        "is there already; take another name, or replace it",
        save_pair,
        tmp_path,
        "a",
        IMAGE,
        IMAGE.like(LABEL.array * 0),
    )
    assert save_pair(tmp_path, "a", IMAGE, IMAGE.like(LABEL.array * 0), replace=True) == 0
    assert read(tmp_path / "labels/a.tif").array.max() == 0
    write(tmp_path / "images/b.mha", IMAGE)
    refused(
        r"b\.mha: an image of this name is there",
        save_pair,
        tmp_path,
        "B",
        IMAGE,
        LABEL,
        replace=True,
    )


@pytest.mark.parametrize("name", ["", "a/b", "../a"])
def test_a_name_that_no_file_can_have_is_refused(tmp_path, name):
    refused("name: expected one like", save_pair, tmp_path, name, IMAGE, LABEL)


def test_a_pair_is_whole_or_absent(tmp_path, monkeypatch):
    save_pair(tmp_path, "a", IMAGE, LABEL)

    def full(path, volume):
        if volume is LABEL:
            raise OSError(28, "No space left on device")
        write(path, volume)

    monkeypatch.setattr("cytosuite.napari.layers.write", full)
    for name in ("a", "b"):
        with pytest.raises(CytosuiteError, match="No space left"):
            save_pair(tmp_path, name, IMAGE.like(IMAGE.array + 1), LABEL, replace=True)
    assert sorted(path.name for path in tmp_path.rglob("*.tif")) == ["a.tif", "a.tif"]
    assert_array_equal(read(tmp_path / "images/a.tif").array, IMAGE.array)
