import re

import numpy as np
import pytest
import tifffile
from PIL import Image

from cytosuite.datasets.folder.collect import Item
from cytosuite.datasets.folder.load import load
from cytosuite.datasets.folder.part import Part, read_part
from cytosuite.errors import InputError
from cytosuite.formats import write
from cytosuite.volume import Volume

ARRAY = np.arange(2 * 3 * 4 * 5 * 6, dtype=np.uint16).reshape(2, 3, 4, 5, 6)  # TCZYX


@pytest.fixture
def series(tmp_path):
    """Return a TIFF of two frames and three channels."""
    write(tmp_path / "a.tif", Volume(ARRAY, (2, 1, 1), "TCZYX"))
    return tmp_path / "a.tif"


def test_a_channel_and_a_frame_are_chosen(series):
    found = load(Item("a", series), part=Part("2", 1)).volume("microscopy-image")
    np.testing.assert_array_equal(found.array, ARRAY[1, 2])
    assert (found.axes, found.spacing) == ("ZYX", (2, 1, 1))


def test_all_channels_are_one_image(series):
    found = load(Item("a", series), part=Part("all", 1)).volume("microscopy-image")
    np.testing.assert_array_equal(found.array, ARRAY[1])
    assert (found.axes, found.spacing) == ("CZYX", (2, 1, 1))


def test_the_scene_is_chosen(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as file:
        for number in range(2):
            file.write(np.full((5, 6), number, np.uint8), metadata={"axes": "YX"})
    assert read_part(tmp_path / "a.ome.tif", Part(scene=1)).array.max() == 1


COLOURED = np.random.default_rng(0).integers(0, 256, (4, 5, 6, 3)).astype(np.uint8)  # ZYXS
SAID = ("colours averaged: red, green, blue; --channel-index takes one",)


def _stack(path):
    tifffile.imwrite(path / "a.tif", COLOURED, photometric="rgb")
    return path / "a.tif", COLOURED


def _transparent(path):
    opaque = np.full((*COLOURED.shape[1:3], 1), 255, np.uint8)
    Image.fromarray(np.append(COLOURED[0], opaque, axis=-1)).save(path / "a.png")
    return path / "a.png", COLOURED[0]


def _frames(path):
    tifffile.imwrite(path / "a.tif", COLOURED, photometric="rgb", metadata={"axes": "TYXS"})
    return path / "a.tif", COLOURED[2]


@pytest.mark.parametrize("make", [_stack, _transparent, _frames])
def test_colours_are_channels_and_their_mean_where_none_is_chosen(tmp_path, make):
    path, array = make(tmp_path)
    frame = 2 if make is _frames else None
    for name in ("1", "green"):
        found = load(Item("a", path), part=Part(name, frame)).volume("microscopy-image")
        np.testing.assert_array_equal(found.array, array[..., 1])
        assert (found.axes, found.origin.warnings) == ("ZYX"[-found.array.ndim :], ())
    mean = load(Item("a", path), part=Part(frame=frame)).volume("microscopy-image")
    np.testing.assert_allclose(mean.array, array.mean(axis=-1), rtol=1e-6)
    assert mean.origin.warnings == SAID


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (Part(), "a.tif: found 3 channels (0, 1, 2); choose one with --channel-index"),
        (Part("1"), "a.tif: found 2 frames (0, 1); choose one with --frame"),
        (Part("3", 0), "a.tif: found 3 channels (0, 1, 2), and not 3; see --channel-index"),
        (Part("DAPI", 0), "a.tif: found 3 channels (0, 1, 2), and not DAPI; see --channel-index"),
        (Part("0", 2), "a.tif: found 2 frames (0, 1), and not 2; see --frame"),
        (Part("0", 0, 1), "a.tif: expected a scene from 0 to 0, found 1"),
    ],
)
def test_a_choice_is_explained(series, part, message):
    with pytest.raises(InputError, match=re.escape(message)):
        read_part(series, part)


def test_a_name_chooses_its_channel():
    names = ["DAPI", "GFP", "GFP"]
    assert Part("DAPI").channel_of("a.czi", names) == 0
    with pytest.raises(InputError, match=r"3 channels \(0 DAPI, 1 GFP, 2 GFP\), and not GFP"):
        Part("GFP").channel_of("a.czi", names)


def test_channels_of_ome_have_names(tmp_path):
    names = ["DAPI", "Channel:0:1", "GFP"]
    metadata = {"axes": "CYX", "Channel": {"Name": names}}
    tifffile.imwrite(tmp_path / "a.tif", ARRAY[0, :, 0], ome=True, metadata=metadata)
    found = read_part(tmp_path / "a.tif", Part("GFP"))
    np.testing.assert_array_equal(found.array, ARRAY[0, 2, 0])
    assert found.metadata["channel"] == "GFP"
    assert "channel" not in read_part(tmp_path / "a.tif", Part("1")).metadata
    with pytest.raises(InputError, match=r"found 3 channels \(0 DAPI, 1, 2 GFP\); choose"):
        read_part(tmp_path / "a.tif", Part())
