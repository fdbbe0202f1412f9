"""OME-Zarr: what we write others read, what others write we read, and nothing is lost."""

import numpy as np
import pytest
import zarr
from mistakes import refused
from numcodecs import BZ2, LZ4, Blosc, GZip, Zlib, Zstd
from rasters import counted, same
from zarr.storage import LocalStore, ZipStore

from cytosuite.files import read_json
from cytosuite.formats import channels, header, read, slabs, write
from cytosuite.volume import Volume

PIXELS = counted(2, 3, 5, 6, 7)  # TCZYX
STACK = PIXELS[0, 0]
SIZES = (2.0, 0.5, 0.4)
AXES = [{"name": "z", "type": "space", "unit": "micrometer"}]
AXES += [{"name": axis, "type": "space", "unit": "nanometer"} for axis in "yx"]
SCALE = {"type": "scale", "scale": [2.0, 500.0, 400.0]}
BY_PLACE = [{"name": "t"}, {"name": "c"}, *({"name": a, "unit": "micrometer"} for a in "zyx")]


def _volume(shape, axes="ZYX", **metadata):
    return Volume(
        (np.arange(np.prod(shape)) % 2048).reshape(shape).astype("u2"), SIZES, axes, metadata
    )


def _scales(axes=AXES, steps=(SCALE,), **more):
    scale = {"datasets": [{"path": "0", "coordinateTransformations": list(steps)}], **more}
    return [scale if axes is None else {"axes": axes, **scale}]


def _group(folder, attributes, version=3, array=STACK, **options):
    group = zarr.create_group(LocalStore(folder), zarr_format=version, attributes=attributes)
    group.create_array("0", shape=array.shape, dtype=array.dtype, **options)[:] = array
    return folder


def _v2(folder, **options):
    return _group(folder, {"multiscales": _scales(version="0.4")}, 2, **options)


def _v3(folder, **options):
    return _group(folder, {"ome": {"version": "0.5", "multiscales": _scales()}}, **options)


@pytest.mark.parametrize("suffix", [".ome.zarr", ".ozx"])
def test_the_zarr_library_reads_what_we_write(tmp_path, suffix):
    one = _volume((33, 300, 20), channel="DAPI", study=3)
    write(tmp_path / f"a{suffix}", one)
    store = (LocalStore if suffix == ".ome.zarr" else ZipStore)(tmp_path / f"a{suffix}")
    group = zarr.open_group(store, mode="r")
    same(group["0"][:], one.array)
    assert group["0"].chunks == (16, 256, 20)
    assert group["0"].metadata.dimension_names == ("z", "y", "x")
    assert group.attrs["cytosuite"] == {"channel": "DAPI", "study": 3}


def test_the_description_follows_the_specification(tmp_path):
    # The rules of https://ngff.openmicroscopy.org/0.5 for multiscales and omero, by hand.
    write(tmp_path / "a.ome.zarr", _volume((2, 3, 4, 5), axes="TZYX", channel="DAPI"))
    ome = read_json(tmp_path / "a.ome.zarr/zarr.json")["attributes"]["ome"]
    assert ome["version"] == "0.5"
    (image,) = ome["multiscales"]
    assert [axis["type"] for axis in image["axes"]] == ["time", "space", "space", "space"]
    assert [axis.get("unit") for axis in image["axes"]] == [None, *["micrometer"] * 3]
    (level,) = image["datasets"]
    assert level["coordinateTransformations"] == [{"type": "scale", "scale": [1.0, *SIZES]}]
    (channel,) = ome["omero"]["channels"]
    assert set(channel["window"]) == {"min", "max", "start", "end"}
    assert len(channel["color"]) == 6


BITS = Blosc("zlib", shuffle=Blosc.BITSHUFFLE)


@pytest.mark.parametrize(
    "codec",
    [None, Zstd(), Blosc(), BITS, GZip(), Zlib(), LZ4(), BZ2()],
    ids=lambda codec: codec and codec.codec_id,
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_zarr_v2_is_read(tmp_path, codec, order):
    array = STACK.astype(">u2" if order == "F" else "<u2")
    path = _v2(
        tmp_path / "a.zarr", array=array, chunks=(2, 4, 3), compressors=codec, order=order,
        chunk_key_encoding={"name": "v2", "separator": "/" if order == "C" else "."},
    )  # fmt: skip
    volume = read(path)
    same(volume.array, STACK)
    assert volume.array.dtype == np.uint16
    assert volume.spacing == SIZES
    assert (volume.origin.sources, volume.origin.unit) == ({"spacing": "ome"}, "nm")


@pytest.mark.parametrize("place", ["start", "end"])
def test_shards_are_read(tmp_path, place):
    path = _v3(
        tmp_path / "a.zarr", chunks=(1, 2, 7),
        shards={"shape": (4, 6, 7), "index_location": place},
    )  # fmt: skip
    same(read(path).array, STACK)
    for planes in (1, 2, 3):
        same(np.concatenate([*slabs(path, planes)]), STACK)


@pytest.mark.parametrize("version", [2, 3])
def test_chunks_that_are_not_stored_have_the_fill_value(tmp_path, version):
    make = _v2 if version == 2 else _v3
    path = make(tmp_path / "a.zarr", array=np.full((3, 4, 5), 7, np.int8), fill_value=7)
    assert len([*path.rglob("*")]) <= 6  # descriptions alone
    assert (read(path).array == 7).all()


def test_a_frame_and_channel_are_read_without_the_others(tmp_path):
    ome = {"multiscales": _scales(BY_PLACE, [{"type": "scale", "scale": [1, 1, *SIZES]}])}
    ome["omero"] = {"channels": [{"label": name} for name in ("DAPI", "GFP", "Channel:2")]}
    path = _group(tmp_path / "a.zarr", {"ome": ome}, array=PIXELS, chunks=(1, 1, 5, 6, 7))
    assert channels(path) == ["DAPI", "GFP", ""]
    assert (read(path).axes, read(path).shape) == ("TCZYX", PIXELS.shape)
    for chunk in path.glob("0/c/*/*/*/*/*"):
        if chunk.parts[-5:-3] != ("1", "1"):
            chunk.write_bytes(b"no chunk")
    volume = read(path, {"T": 1, "C": 1})
    same(volume.array, PIXELS[1, 1])
    assert (volume.axes, volume.spacing) == ("ZYX", SIZES)
    assert volume.metadata == {"channel": "GFP"}
    refused("cannot be read as OME-Zarr", read, path, {"T": 0, "C": 1})


def test_axes_in_another_order_are_turned(tmp_path):
    axes = [{"name": a, "unit": "micrometer"} for a in "xzy"]
    steps = [
        {"type": "scale", "scale": [0.4, 2.0, 0.5]},
        {"type": "translation", "translation": [9, 9, 9]},
    ]
    turned = STACK.transpose(2, 0, 1)
    path = _group(tmp_path / "a.zarr", {"ome": {"multiscales": _scales(axes, steps)}}, array=turned)
    volume = read(path)
    same(volume.array, STACK)
    assert volume.spacing == SIZES
    same(np.concatenate([*slabs(path, 2)]), STACK)


@pytest.mark.parametrize("steps", [[], [{"type": "scale", "scale": [1, 1, 1]}]])
def test_a_scale_of_one_without_a_unit_is_no_voxel_size(tmp_path, steps):
    scales = _scales([{"name": axis} for axis in "zyx"], steps)
    volume = read(_group(tmp_path / "a.zarr", {"ome": {"multiscales": scales}}))
    assert (volume.spacing, volume.spacing_is_assumed) == ((1.0, 1.0, 1.0), True)
    assert volume.origin.sources == {"spacing": "assumed"}


def test_one_of_several_images_is_chosen_by_its_number(tmp_path):
    path = tmp_path / "a.zarr"
    zarr.create_group(LocalStore(path), zarr_format=2, attributes={"bioformats2raw.layout": 3})
    for number in range(2):
        _v2(path / str(number), array=PIXELS[number, 0])
    same(read(path, scene=1).array, PIXELS[1, 0])
    assert read(path).origin.warnings == ("the file holds 2 images, and only the first is read",)
    refused("expected a scene from 0 to 1, found 2", header, path, 2)


def test_scales_of_image_and_level_are_multiplied_by_the_unit(tmp_path):
    scales = _scales(
        [{"name": axis, "type": "space", "unit": "Millimeter"} for axis in "zyx"],
        [{"type": "scale", "scale": [3.0, 1.5, 0.25]}],
        coordinateTransformations=[{"type": "scale", "scale": [2, 2, 2]}],
    )
    volume = read(_group(tmp_path / "a.zarr", {"ome": {"multiscales": scales}}))
    assert volume.spacing == (6000.0, 3000.0, 500.0)
