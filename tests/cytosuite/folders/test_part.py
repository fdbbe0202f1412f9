import re
from dataclasses import replace

import h5py
import numpy as np
import pytest
import tifffile
from mistakes import refused
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from rasters import counted

from cytosuite.contract.interface import input_image
from cytosuite.contract.tasks import IMAGE
from cytosuite.contract.words import ASSUME
from cytosuite.datasets.folder.load import load
from cytosuite.folders.index import Item, by_part
from cytosuite.folders.part import Part, read_part
from cytosuite.formats import read, slabs, write
from cytosuite.volume import Volume

ARRAY = counted(2, 3, 4, 5, 6)  # TCZYX
SIZE = (2, 1, 1)


@pytest.fixture
def tif(tmp_path):
    """Return the path of a TIFF."""
    return tmp_path / "a.tif"


@pytest.fixture
def series(tif):
    """Return a TIFF of two frames and three channels."""
    write(tif, Volume(ARRAY, SIZE, "TCZYX"))
    return tif


def _image(*arguments):
    return load(*arguments).volume("microscopy-image")


@pytest.mark.parametrize(
    "channel, array, axes",
    [
        ("2", ARRAY[1, 2], "ZYX"),
        ("all", ARRAY[1], "CZYX"),
        ("2, 0", ARRAY[1, [2, 0]], "CZYX"),
    ],
)
def test_a_frame_and_one_channel_or_several_are_chosen(series, channel, array, axes):
    image = _image(Item("a", series, part=Part(channel, "1")))
    assert_array_equal(image.array, array)
    assert (image.axes, image.spacing) == (axes, SIZE)


@pytest.mark.parametrize("axes", ["TCZYX", "XYZCT"])
@pytest.mark.parametrize("name", ["a.tif", "a.h5"])
def test_axes_that_a_file_does_not_name_are_told(tmp_path, monkeypatch, name, axes):
    monkeypatch.setattr("cytosuite.folders.part.SMALL", 0)
    array = ARRAY.transpose(["TCZYX".index(axis) for axis in axes])
    if name == "a.h5":
        with h5py.File(tmp_path / name, "w") as file:
            file.create_dataset("raw", data=array, chunks=(2, 2, 2, 2, 1))
        assert_array_equal(next(slabs(tmp_path / name, 1, axes=axes)), ARRAY[:1])
    else:
        tifffile.imwrite(tmp_path / name, array, photometric="minisblack")
    item = Item("a", tmp_path / name, part=Part("2", "1", axes=axes))
    assert_array_equal(_image(item, ASSUME).array, ARRAY[1, 2])


def test_the_scene_is_chosen(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as file:
        for number in range(2):
            file.write(np.full((5, 6), number, np.uint8), metadata={"axes": "YX"})
    assert read_part(tmp_path / "a.ome.tif", Part(scene=1)).array.max() == 1


COLOURED = np.random.default_rng(0).integers(0, 256, (4, 5, 6, 3)).astype(np.uint8)  # ZYXS


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
    frame = "2" if make is _frames else None
    for name in ("1", "green"):
        image = _image(Item("a", path, part=Part(name, frame)), ASSUME)
        assert_array_equal(image.array, array[..., 1])
        assert (image.axes, image.origin.warnings) == ("ZYX"[-image.array.ndim :], ())
    mean = _image(Item("a", path, part=Part(frame=frame)), ASSUME)
    assert_allclose(mean.array, array.mean(axis=-1), rtol=1e-6)
    assert mean.origin.warnings == (
        "colours averaged: red, green, blue; --channel-index takes one",
    )


def test_grey_values_with_an_opacity_are_two_channels(tif):
    Image.fromarray(COLOURED[0, ..., :2]).save(tif)
    refused(r"found 2 channels \(0, 1\); choose one with --channel-index", read_part, tif, Part())
    assert_array_equal(read_part(tif, Part("1")).array, COLOURED[0, ..., 1])


@pytest.mark.parametrize(
    "message, part",
    {
        "a.tif: found 3 channels (0, 1, 2); choose one with --channel-index": Part(),
        "a.tif: found 2 frames (0, 1); choose one with --frame": Part("1"),
        "a.tif: found 3 channels (0, 1, 2), and not 3; see --channel-index": Part("3", "0"),
        "a.tif: found 3 channels (0, 1, 2), and not DAPI; see --channel-index": Part("DAPI", "0"),
        "a.tif: found 2 frames (0, 1), and not 2; see --frame": Part("0", "2"),
        "a.tif: expected a scene from 0 to 0, found 1": Part("0", "0", 1),
    }.items(),
)
def test_a_choice_is_explained(series, part, message):
    refused(re.escape(message), read_part, series, part)


def test_a_name_chooses_its_channel():
    names = ["DAPI", "GFP", "GFP"]
    assert Part("DAPI").channel_of(names) == (0, "")
    for word in ("nucleus", "Nuclei", "dapi"):
        assert Part(word).channel_of(names)[0] == 0
    refused(r"3 channels \(0 DAPI, 1 GFP, 2 GFP\), and not GFP", Part("GFP").channel_of, names)


@pytest.mark.parametrize("unnamed", ["Channel:0:1", "C:1"])
def test_channels_of_ome_have_names(tif, unnamed):
    metadata = {"axes": "CYX", "Channel": {"Name": ["DAPI", unnamed, "GFP"]}}
    tifffile.imwrite(tif, ARRAY[0, :, 0], ome=True, metadata=metadata)
    volume = read_part(tif, Part("GFP"))
    assert_array_equal(volume.array, ARRAY[0, 2, 0])
    assert volume.metadata["channel"] == "GFP"
    assert "channel" not in read_part(tif, Part("1")).metadata
    refused(r"found 3 channels \(0 DAPI, 1, 2 GFP\); choose", read_part, tif, Part())


@pytest.mark.parametrize(
    "names, channel, index, stain",
    [
        ("actin DAPI", "", 1, "nucleus"),
        ("H2B-mCherry GFP-membrane", "", 0, "nucleus"),
        ("H2B-mCherry GFP-membrane", "membrane", 1, "membrane"),
        ("brightfield wga actin", "", 1, "membrane"),
        ("actin Hoechst33342", "actin", 0, "actin"),
        ("DAPI H2B-mCherry wga", "", None, ""),  # two of nuclei
        ("actin tubulin", "", None, ""),
        ("DAPI actin", "membrane", None, ""),
    ],
)
@pytest.mark.parametrize("copy", ["b.tif", "b.h5", "b.ozx"])
def test_a_name_that_means_the_stain_takes_its_channel(
    tmp_path, tif, copy, names, channel, index, stain
):
    metadata = {"axes": "CYX", "Channel": {"Name": names.split()}}
    pixels = ARRAY[0, : len(names.split()), 0]
    tifffile.imwrite(tif, pixels, ome=True, metadata=metadata)
    write(tmp_path / copy, read(tif))
    (item,) = by_part([Item("a", tmp_path / copy)], Part(), "segment")
    facts = {"channel": channel} if channel else {}
    if index is None:
        refused("choose one with --channel-index", load, item, None, facts)
        return
    image = _image(item, None, facts)
    assert_array_equal(image.array, pixels[index])
    assert image.metadata["channel"] == stain
    (line,) = image.origin.warnings
    assert line.startswith(f"channel taken: {names.split()[index]} of {names.split()[0]}, ")
    assert line.endswith(f"since the name means {stain}; --channel-index takes another")
    # DAPI holds none
    refused("choose one with --channel-index", load, next(by_part([item], Part(), "detect")))


def test_a_choice_is_not_used_where_there_is_none(tif):
    write(tif, Volume(ARRAY[0, 0, 0], (1, 1), "YX"))
    for part, said in (
        (Part("1"), ["--channel-index 1 not used: the file has one channel"]),
        (Part("DAPI", "2"), ["--channel-index DAPI not used: the file has one channel"]),
        (Part("1,0"), ["--channel-index 1,0 not used: the file has one channel"]),
        (Part("0", "0"), []),
    ):
        volume = read_part(tif, part)
        assert_array_equal(volume.array, ARRAY[0, 0, 0])
        assert [*volume.origin.warnings] == said + [
            "--frame 2 not used: the file has one frame"
        ] * (part.frame == "2")


def test_every_frame_is_an_item_of_its_own(tmp_path, series):
    write(tmp_path / "b.tif", Volume(ARRAY[0, 0], SIZE, "ZYX"))
    write(tmp_path / "c.h5", Volume(ARRAY, SIZE, "TCZYX"))
    images = [Item("a", series), Item("c", tmp_path / "c.h5"), Item("b", tmp_path / "b.tif")]
    items = [*by_part(images, Part("1", "all"), "segment")]
    assert [item.name for item in items] == [
        "a_frame-0",
        "a_frame-1",
        "c_frame-0",
        "c_frame-1",
        "b",
    ]
    for frame, item in zip((0, 1, 0, 1), items, strict=False):
        assert_array_equal(_image(item).array, ARRAY[frame, 1])
    labelled = replace(images[0], files={"instance-labels": series})
    refused(
        r"found 2 frames \(0, 1\), and not all; see --frame",
        load,
        *by_part([labelled], Part("1", "all"), "segment"),
    )


def test_a_volume_without_a_voxel_size_is_refused_unless_it_is_given_or_assumed(tif):
    tifffile.imwrite(tif, ARRAY[0, 0], metadata={"axes": "ZYX"}, photometric="minisblack")
    item = Item("a", tif)
    refused(r"a\.tif: .* --spacing z,y,x .* --spacing assume for 1 x 1", load, item)
    assert _image(item, SIZE).spacing == SIZE
    assert _image(item, ASSUME).spacing_is_assumed
    assert input_image(item.image, IMAGE, {}).spacing_is_assumed  # a container cannot ask
    facts = tif.with_suffix(".json")
    facts.write_text('{"spacing": [3, 1, 1]}')
    assert _image(replace(item, files={"acquisition-metadata": facts})).spacing == (3, 1, 1)
    pixel = (10000, 10000)  # per cm: the plane is known, the step is not
    tifffile.imwrite(
        tif,
        ARRAY[0, 0],
        resolution=pixel,
        resolutionunit=3,
        photometric="minisblack",
    )
    refused("the file does not give the voxel size", load, item)
    tifffile.imwrite(tif, ARRAY[0, 0, 0])  # lengths of planes are pixels
    assert _image(item).spacing_is_assumed
