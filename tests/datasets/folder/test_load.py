from dataclasses import replace

import numpy as np
import pytest
import tifffile
from mistakes import refused

from cytosuite.datasets.folder.load import load
from cytosuite.folders.index import Item
from cytosuite.formats import write
from cytosuite.formats.hdf5 import write_named
from cytosuite.volume import Volume

ONES = np.ones((4, 5), np.uint8)


def _item(folder, image, labels=None):
    files = {} if labels is None else {"instance-labels": folder / "labels.tif"}
    item = Item("a", folder / "image.tif", files)
    axes = {2: "YX", 3: "ZYX", 4: "TZYX"}[image.ndim]
    write(item.image, Volume(image, (2.0, 0.5, 0.5)[-min(3, image.ndim) :], axes))
    if labels is not None:
        tifffile.imwrite(files["instance-labels"], labels)
    return item


def test_image_and_labels_become_a_sample(tmp_path):
    labels = np.zeros((4, 5), np.int64)
    labels[1] = 300
    sample = load(_item(tmp_path, ONES, labels))
    assert sample.volume("microscopy-image").spacing == (0.5, 0.5)
    truth = sample.volume("instance-labels")
    assert truth.array.dtype == np.uint16
    assert truth.array.max() == 300
    assert truth.spacing == (0.5, 0.5)
    write_named(tmp_path / "a.h5", {"raw": truth, "label": truth.like(labels // 300)}, False)
    sample = load(Item("a", tmp_path / "a.h5", {"instance-labels": tmp_path / "a.h5"}))
    assert [volume.array.max() for volume in sample.sockets.values()] == [300, 1]


def test_conditions_are_measured_where_there_are_labels_and_the_user_has_the_last_word(
    tmp_path, rng
):
    item = _item(
        tmp_path, rng.integers(0, 9, (8, 9)).astype(np.uint8), np.eye(8, 9, dtype=np.uint8)
    )
    assert set(load(item).conditions) == {"objects", "signal / noise"}
    grouped = replace(item, conditions={"objects": 5.0, "group": "x"})
    assert load(grouped).conditions["objects"] == 5.0
    assert load(replace(grouped, files={})).conditions == grouped.conditions


@pytest.fixture
def described(tmp_path):
    """Return the place of a JSON beside an image, and both as an item."""
    path = tmp_path / "a.json"
    return path, replace(_item(tmp_path, ONES), files={"acquisition-metadata": path})


def test_true_images_have_the_geometry_of_the_main_image(tmp_path):
    path = tmp_path / "enhanced-image.tif"
    tifffile.imwrite(path, np.full((4, 5), 0.5, np.float32))
    sample = load(replace(_item(tmp_path, ONES), files={"enhanced-image": path}))
    truth = sample.volume("enhanced-image")
    assert truth.array.dtype == np.float32
    assert truth.spacing == (0.5, 0.5)
    assert sample.conditions == {}


def test_json_sockets_are_objects(described):
    path, item = described
    path.write_text('{"channel": "nucleus"}')
    metadata = load(item).sockets["acquisition-metadata"]
    assert (metadata["channel"], metadata["sources"]["channel"]) == ("nucleus", "json")
    path.write_text("[1]")
    refused("expected a JSON object, found list", load, item)


@pytest.mark.parametrize(
    "image, labels, message",
    [
        (ONES, np.ones((4, 5), np.float32), "labels must be integers, found"),
        (ONES, np.ones((5, 4), np.uint8), "the image's shape (4, 5), found"),
        (
            ONES,
            np.full((4, 5), -1, np.int16),
            "must not be negative, found -1",
        ),
        (np.ones((2, 3, 4, 5), np.uint8), None, "found 2 frames (0, 1); choose one with --frame"),
        (np.full((4, 5), np.nan, np.float32), None, "expected finite intensities, found NaN"),
        (np.full((4, 5), 1e308), None, "found NaN or infinity, or more than 1e+15"),
    ],
)
def test_explains(tmp_path, image, labels, message):
    refused(message, load, _item(tmp_path, image, labels))


def test_an_image_of_black_and_white_is_one_of_0_and_1(tmp_path):
    image = load(_item(tmp_path, ONES > 0)).volume("microscopy-image").array
    assert (image.dtype, image.min(), image.max()) == (np.uint8, 1, 1)


def test_integers_given_as_a_sketch_are_labels(tmp_path):
    array = np.eye(9, dtype=np.uint8)
    for home, dtype, slug in (
        ("plain", np.uint8, "instance-labels"),
        ("plain", np.float32, "structure-sketch"),
        ("structure-sketch", np.uint8, "structure-sketch"),
    ):
        path = tmp_path / home / "a.tif"
        write(path, Volume(array.astype(dtype), (1.0, 1.0), "YX"))
        sample = load(Item("a", path, socket="structure-sketch"))
        assert set(sample.sockets) == {slug}
        said = "input assumed: instance-labels, since its values are integers"
        assert (said in sample.volume(slug).origin.warnings) == (slug == "instance-labels")


def test_the_json_beside_an_image_describes_it(described):
    path, item = described
    path.write_text('{"channel": "nucleus", "spacing": [0.2, 0.2]}')
    image = load(item).volume("microscopy-image")
    assert (image.spacing, image.metadata["channel"]) == ((0.2, 0.2), "nucleus")
    assert "voxel size contradictory: 0.2 x 0.2 µm (json)" in image.origin.warnings[0]
    image = load(item, (0.3, 0.3), {"channel": "membrane"}).volume("microscopy-image")
    assert (image.spacing, image.metadata["channel"]) == ((0.3, 0.3), "membrane")
    assert image.origin.sources == {"spacing": "user", "channel": "user"}
    assert image.origin.warnings == ()


@pytest.fixture
def large(monkeypatch):
    """Make every image a large one."""
    monkeypatch.setattr("cytosuite.formats.imagefiles.LARGE", 0)


def _large(folder, suffix):
    """Write an image and its labels, and return their item."""
    item = Item("a", folder / f"image{suffix}", {"instance-labels": folder / f"labels{suffix}"})
    image = Volume(np.ones((3, 4, 5), np.uint16), (2.0, 0.5, 0.5))
    write(item.image, image)
    write(
        item.files["instance-labels"],
        image.like(np.eye(3, 5, dtype=np.uint16)[:, None] * image.array),
    )
    return item


@pytest.mark.parametrize("suffix", [".tif", ".ome.zarr", ".ozx"])
def test_large_files_are_linked(tmp_path, large, suffix):
    item = _large(tmp_path, suffix)
    sample = load(item)
    assert sample.files == {"microscopy-image": item.image, **item.files}
    assert sample.conditions["objects"] == 1


@pytest.mark.parametrize("dtype", [np.int32, np.uint16, np.uint64])
def test_large_labels_keep_their_integers(tmp_path, large, dtype):
    labels = np.full((4, 5), 7, dtype)
    item = _item(tmp_path, ONES, labels)
    assert load(item).volume("instance-labels").array.dtype == dtype
    tifffile.imwrite(item.files["instance-labels"], -labels.astype(np.int16))
    refused("labels must not be negative, found -7", load, item)
