"""Lists of published programs; the docstring of each mistake is the message that must appear."""

from pathlib import PurePosixPath

import h5py
import numpy as np
import pytest

from cytosuite.errors import InputError
from cytosuite.formats import read
from cytosuite.lists import first_of, list_of, read_list
from cytosuite.training.images import find_images


def _file(path, **arrays):
    """Write arrays as the published program does: gzip, in a group."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        group = file.create_group("data")
        for name, array in arrays.items():
            group.create_dataset(name, data=array, chunks=True, compression="gzip")


@pytest.fixture
def home(tmp_path):
    """Return a folder with two images and a mask."""
    home = tmp_path / "home"
    for name in "ab":
        image = np.full((2, 4, 4), ord(name) / 128, np.float32)
        _file(home / "images" / f"{name}.h5", distance=0 * image - 1, image=image)
    labels = np.ones((2, 4, 4), np.uint16)
    _file(home / "masks" / "a.h5", boundary=np.zeros((2, 4, 4), np.float32), instance=labels)
    _file(tmp_path / "outside.h5", image=labels)
    return home


def _list(home, text, name="x_train.csv"):
    path = home / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_rows_are_images_with_masks_or_without(home):
    found = read_list(_list(home, "images/b.h5\r\nimages/a.h5;masks/a.h5\r\n"))
    images, masks = home / "images", home / "masks"
    assert found == [(images / "a.h5", masks / "a.h5"), (images / "b.h5", None)]
    assert read(found[0][0]).array[0, 0, 0] == np.float32(97 / 128)
    assert read(found[0][1]).array.dtype == np.uint16
    assert read(found[0][0]).spacing_is_assumed


@pytest.mark.parametrize(
    "text",
    [
        "\nimages/a.h5;\n\n;\nimages/b.h5",
        "\ufeffimages\\a.h5\n.\\images\\b.h5\n",
        '"images/a.h5"\n images/b.h5 \n',
    ],
)
def test_empty_rows_and_the_marks_of_other_programs_do_not_matter(home, text):
    assert [image.name for image, _ in read_list(_list(home, text))] == ["a.h5", "b.h5"]


def test_a_folder_with_a_list_holds_its_images_alone(home):
    with pytest.raises(InputError, match="expected images .* found 0 of other names"):
        find_images(home, ["*"])
    path = _list(home, "images/a.h5;masks/a.h5\nimages/b.h5\n")
    _list(home, "images/lost.h5\n", "x_val.csv")
    assert list_of(home) == path
    assert find_images(home, ["*"]) == read_list(path)
    assert find_images(home, ["b"]) == [(home / "images" / "b.h5", None)]
    with pytest.raises(InputError, match="with names like c, found 2 of other names"):
        find_images(home, ["c"])


def test_several_lists_are_explained(home):
    for name in ("x_train.csv", "y_train.csv"):
        _list(home, "images/a.h5\n", name)
    with pytest.raises(InputError, match=r"one list \*_train.csv, found 2: x_train.csv, y_train"):
        find_images(home, ["*"])


def _nothing(home):
    """x_train.csv: expected rows like images/a.h5;masks/a.h5, found none"""
    return "\n;\n"


def _header(home):
    """row 1: expected the path of an image (.mha, .tif, .tiff, .ozx, .h5, .hdf5), found 'image'; a list has no header, and"""
    return "image;mask\nimages/a.h5;masks/a.h5\n"


def _commas(home):
    """row 1: no such file: 'images/a.h5,masks/a.h5'; paths are relative to the folder of the list"""
    return "images/a.h5,masks/a.h5\n"


def _other_kind(home):
    """row 2: expected the path of an image (.mha, .tif, .tiff, .ozx, .h5, .hdf5), found 'masks/a.txt'"""
    return "images/b.h5\nimages/a.h5;masks/a.txt\n"


def _three_columns(home):
    """row 1: expected image;mask or the image alone, found 3 columns: images/a.h5;masks/a.h5;0.5"""
    return "images/a.h5;masks/a.h5;0.5\n"


def _mask_alone(home):
    """row 1: expected image;mask or the image alone, found 2 columns: ;masks/a.h5"""
    return ";masks/a.h5\n"


def _missing(home):
    """row 3: no such file: 'images/c.h5'; paths are relative to the folder of the list"""
    return "images/a.h5\n\nimages/c.h5\n"


def _missing_mask(home):
    """row 1: no such file: 'masks/b.h5'"""
    return "images/b.h5;masks/b.h5\n"


def _folder(home):
    """row 1: no such file: 'images/d.h5'"""
    (home / "images" / "d.h5").mkdir()
    return "images/d.h5\n"


def _above(home):
    """row 1: expected a path relative to the folder of the list and in it, found '../outside.h5'"""
    return "../outside.h5\n"


def _absolute(home):
    """expected a path relative to the folder of the list and in it, found '/etc/a.h5'"""
    return "/etc/a.h5\n"


def _link_out(home):
    """expected a path relative to the folder of the list and in it, found 'images/link.h5'"""
    (home / "images" / "link.h5").symlink_to(home.parent / "outside.h5")
    return "images/link.h5\n"


def _twice(home):
    """row 3: images/a.h5 stands in it twice"""
    return "images/a.h5;masks/a.h5\nimages/b.h5\nimages/a.h5\n"


def _own_mask(home):
    """row 1: expected a mask in a file of its own, found the image images/a.h5"""
    return "images/a.h5;images/a.h5\n"


def _long_name(home):
    """aaa' cannot be opened ([Errno 36] File name too long"""
    return "a" * 5000 + ".h5\n"


def _nul(home):
    """x_train.csv: row 1: 'images/\\x00a.h5' cannot be opened"""
    return b"images/\0a.h5\n"


def _no_text(home):
    """x_train.csv: expected a list of files as CSV, found 'utf-8' codec can't decode"""
    return b"images/a.h5;\xff\xfe\n"


def _one_huge_cell(home):
    """x_train.csv: expected a list of files as CSV, found field larger than field limit"""
    return "a" * 200_000


MISTAKES = [
    _nothing,
    _header,
    _commas,
    _other_kind,
    _three_columns,
    _mask_alone,
    _missing,
    _missing_mask,
    _folder,
    _above,
    _absolute,
    _link_out,
    _twice,
    _own_mask,
    _long_name,
    _nul,
    _no_text,
    _one_huge_cell,
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda each: each.__name__.strip("_"))
def test_explains_a_wrong_list(mistake, home):
    path = _list(home, mistake(home))
    with pytest.raises(InputError) as caught:
        find_images(home, ["*"])
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert mistake.__doc__ in message
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("images/a.h5;masks/a.h5\nb.h5\n", "images/a.h5"),
        ("\n\n  images/a.TIF\n", "images/a.TIF"),
        ('"images\\a.tif";\n', "images/a.tif"),
        ("\ufeffa.mha", "a.mha"),
        ("name,depth\na.tif,4\n", None),
        ("", None),
        (";a.tif\n", None),
        (b"\xff\xfe\n", None),
    ],
)
def test_a_list_of_images_begins_with_an_image(home, text, first):
    found = first_of(_list(home, text))
    assert found == (first and PurePosixPath(first))


def test_what_is_no_file_is_no_list(home):
    (home / "a.csv").mkdir()
    assert first_of(home / "a.csv") is None
    assert first_of(home / "lost.csv") is None
