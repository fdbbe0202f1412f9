"""Lists of published programs."""

import re

import numpy as np
import pytest
from layouts import hdf5
from mistakes import refused

from cytosuite.formats import read
from cytosuite.formats.lists import list_of, read_list
from cytosuite.training.images import find_images


@pytest.fixture
def home(tmp_path):
    home = tmp_path / "home"
    for name in "ab":
        image = np.full((2, 4, 4), ord(name) / 128, np.float32)
        hdf5(home / f"images/{name}.h5", distance=0 * image - 1, image=image)
    labels = np.ones((2, 4, 4), np.uint16)
    hdf5(home / "masks/a.h5", boundary=np.zeros((2, 4, 4), np.float32), instance=labels)
    hdf5(tmp_path / "outside.h5", image=labels)
    (home / "images/link.h5").symlink_to(tmp_path / "outside.h5")
    return home


def _list(home, text, name="x_train.csv"):
    path = home / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_rows_are_images_with_masks_or_without(home):
    rows = read_list(_list(home, "images/b.h5\r\nimages/a.h5;masks/a.h5\r\n"))
    images = home / "images"
    assert rows == [(images / "a.h5", home / "masks" / "a.h5"), (images / "b.h5", None)]
    assert read(rows[0][0]).array[0, 0, 0] == np.float32(97 / 128)
    assert read(rows[0][1]).array.dtype == np.uint16
    assert read(rows[0][0]).spacing_is_assumed


@pytest.mark.parametrize(
    "text",
    [
        "\nimages/a.h5;\n\n;\nimages/b.h5",
        "\ufeffimages\\a.h5\n.\\images\\b.h5\n",
        '"images/a.h5"\n images/b.h5 \n',
        "images/a.h5,masks/a.h5\r\nimages/b.h5\r\n",
    ],
)
def test_empty_rows_and_the_marks_of_other_programs_do_not_matter(home, text):
    assert [image.name for image, _ in read_list(_list(home, text))] == ["a.h5", "b.h5"]


def test_a_folder_with_a_list_holds_its_images_alone(home):
    path = _list(home, "images/a.h5;masks/a.h5\nimages/b.h5\n")
    _list(home, "images/lost.h5\n", "x_val.csv")
    assert (list_of(home, "train"), list_of(home, "val")) == (path, home / "x_val.csv")
    assert (list_of(path, "train"), list_of(path, "val")) == (path, home / "x_val.csv")
    items = find_images(path, ["*"])
    assert find_images(home, ["*"]) == items
    assert [(item.image, item.path("instance-labels")) for item in items] == read_list(path)
    assert find_images(home, ["b"]) == items[1:]
    refused("with names like c, found 2 of other names", find_images, home, ["c"])


def test_names_count_in_a_root_of_their_own_and_any_list_serves_where_no_part_is_named(
    home, tmp_path
):
    lists = tmp_path / "lists"
    lists.mkdir()
    path = _list(lists, "images/a.h5;masks/a.h5\n", "image_files_3D.csv")
    (lists / "sizes.csv").write_text("a.h5,3,4\n")
    assert list_of(lists, "train") == list_of(lists, "test") == path
    assert read_list(path, home) == [(home / "images/a.h5", home / "masks/a.h5")]


def test_a_dataset_of_a_file_is_named_by_its_path(home):
    mask, image = (home / room / "a.h5" for room in ("masks", "images"))
    assert read(mask, group="data/boundary").array.dtype == np.float32
    assert read(image, group="data/image,data/instance").array[0, 0, 0] == np.float32(97 / 128)
    for group, text in (
        ("data/flow", "found data"),
        ("data/image,data/distance", "found data/im"),
    ):
        refused(f"expected one of the datasets {group[:9]}.*{text}", read, image, group=group)


@pytest.mark.parametrize(
    "expected, text",
    {
        "expected rows like images/a.h5;masks/a.h5, found none": "\n;\n",
        "row 1: expected the path of an image (.mha, .tif,": "image;mask\nimages/a.h5;masks/a.h5\n",
        "row 1: expected image;mask or the image alone, found 3": "images/a.h5;masks/a.h5;0.5\n",
        "row 3: no such file: 'images/c.h5'; paths are relative to": "images/a.h5\n\nimages/c.h5\n",
        "home and relative to it, found '../outside.h5'": "../outside.h5\n",
        "row 1: expected a path in ": "images/link.h5\n",
        "row 3: images/a.h5 stands in it twice": "images/a.h5;masks/a.h5\nimages/b.h5\nimages/a.h5\n",
        "row 1: expected a mask in a file of its own, found the image": "images/a.h5;images/a.h5\n",
        "aaa' cannot be opened ([Errno 36] File name too long": "a" * 5000 + ".h5\n",
        "expected a text in UTF-8, found the byte 0xff at 12": b"images/a.h5;\xff\xfe\n",
    }.items(),
)
def test_explains_a_wrong_list(home, expected, text):
    path = _list(home, text)
    refused(f"{re.escape(str(path))}: .*{re.escape(expected)}", find_images, home, ["*"])
