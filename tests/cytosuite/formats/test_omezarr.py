"""OME-Zarr: what we write others read, what others write we read, and nothing is lost."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from numcodecs import BZ2, LZ4, Blosc, GZip, Zlib, Zstd
from zarr.storage import LocalStore, ZipStore

from cytosuite import memory
from cytosuite.errors import InputError
from cytosuite.formats import channels, header, read, slabs, write
from cytosuite.volume import Header, Volume

PIXELS = np.arange(2 * 3 * 5 * 6 * 7, dtype=np.uint16).reshape(2, 3, 5, 6, 7)  # TCZYX
SIZES = (2.0, 0.5, 0.4)
AXES = [{"name": "z", "type": "space", "unit": "micrometer"}]
AXES += [{"name": axis, "type": "space", "unit": "nanometer"} for axis in "yx"]
SCALE = {"type": "scale", "scale": [2.0, 500.0, 400.0]}
BY_PLACE = [{"name": "t"}, {"name": "c"}, *({"name": a, "unit": "micrometer"} for a in "zyx")]


def _volume(shape=(5, 6, 7), dtype="u2", axes="ZYX", **metadata):
    sizes = SIZES[-sum(axis in "ZYX" for axis in axes) :]
    return Volume(np.arange(np.prod(shape)).reshape(shape).astype(dtype), sizes, axes, metadata)


def _scales(axes=AXES, steps=(SCALE,), **more):
    """Return the list of images of a group."""
    found = {"datasets": [{"path": "0", "coordinateTransformations": list(steps)}], **more}
    return [found if axes is None else {"axes": axes, **found}]


def _group(folder, attributes, version=3, array=PIXELS[0, 0], **options):
    """Write a group with one array by the zarr library, as other programs do."""
    group = zarr.create_group(LocalStore(folder), zarr_format=version, attributes=attributes)
    group.create_array("0", shape=array.shape, dtype=array.dtype, **options)[:] = array
    return folder


def _v2(folder, attributes=None, **options):
    """Write an image of version 0.4."""
    return _group(folder, attributes or {"multiscales": _scales(version="0.4")}, 2, **options)


def _v3(folder, **options):
    """Write an image of version 0.5."""
    return _group(folder, {"ome": {"version": "0.5", "multiscales": _scales()}}, **options)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_what_is_written_is_read(tmp_path_factory, data):
    axes = data.draw(st.sampled_from(["YX", "ZYX", "TYX", "CZYX", "TCZYX"]))
    shape = [1 if a in "TC" else data.draw(st.integers(1, 40)) for a in axes]
    shape = [
        data.draw(st.integers(2, 3)) if a in "TC" else n for a, n in zip(axes, shape, strict=True)
    ]
    dtype = data.draw(st.sampled_from(["?", "u1", "i2", ">u2", "u4", "i8", "u8", "f2", "f4", "f8"]))
    suffix, packed = data.draw(st.sampled_from([".ome.zarr", ".ozx"])), data.draw(st.booleans())
    keys = st.text("abc_", min_size=1, max_size=5)
    extra = data.draw(
        st.dictionaries(keys, st.integers() | st.floats(-1e9, 1e9) | st.text("aä µ"), max_size=3)
    )
    one = _volume(shape, dtype, axes, channel="nucleus", **extra)
    path = tmp_path_factory.mktemp("w") / f"a{suffix}"
    write(path, one, compress=packed)
    found = read(path)
    np.testing.assert_array_equal(found.array, one.array)
    assert found.array.dtype == np.dtype(dtype).newbyteorder("=")
    kept = {k: v for k, v in one.metadata.items() if not isinstance(v, int) or abs(v) < 2**64}
    assert (found.axes, found.spacing, found.metadata) == (axes, one.spacing, kept)
    assert header(path) == Header(found.shape, found.array.dtype, found.spacing, found.axes)
    joined = np.concatenate(list(slabs(path, data.draw(st.integers(1, 9)))))
    np.testing.assert_array_equal(joined, one.array)


@pytest.mark.parametrize("suffix", [".ome.zarr", ".ozx"])
def test_the_zarr_library_reads_what_we_write(tmp_path, suffix):
    one = _volume((33, 300, 20), channel="DAPI", study=3)
    write(tmp_path / f"a{suffix}", one)
    store = (LocalStore if suffix == ".ome.zarr" else ZipStore)(tmp_path / f"a{suffix}")
    group = zarr.open_group(store, mode="r")
    np.testing.assert_array_equal(group["0"][:], one.array)
    assert group["0"].chunks == (16, 256, 20)
    assert group["0"].metadata.dimension_names == ("z", "y", "x")
    assert group.attrs["cytosuite"] == {"channel": "DAPI", "study": 3}


def test_the_description_follows_the_specification(tmp_path):
    """The rules of https://ngff.openmicroscopy.org/0.5 for multiscales and omero, by hand."""
    write(tmp_path / "a.ome.zarr", _volume((2, 3, 4, 5), axes="TZYX", channel="DAPI"))
    ome = json.loads((tmp_path / "a.ome.zarr" / "zarr.json").read_text())["attributes"]["ome"]
    assert ome["version"] == "0.5"
    (image,) = ome["multiscales"]
    kinds = [axis["type"] for axis in image["axes"]]
    assert kinds == ["time", "space", "space", "space"]
    assert [axis.get("unit") for axis in image["axes"]] == [None, *["micrometer"] * 3]
    (level,) = image["datasets"]
    assert level["coordinateTransformations"] == [{"type": "scale", "scale": [1.0, *SIZES]}]
    (channel,) = ome["omero"]["channels"]
    assert set(channel["window"]) == {"min", "max", "start", "end"}
    assert len(channel["color"]) == 6


def test_a_single_file_follows_rfc_9(tmp_path):
    write(tmp_path / "a.ozx", _volume((40, 300, 300)))
    with zipfile.ZipFile(tmp_path / "a.ozx") as file:
        assert all(info.compress_type == zipfile.ZIP_STORED for info in file.infolist())
        names = file.namelist()
        assert json.loads(file.comment)["ome"] == {
            "version": "0.5",
            "zipFile": {"centralDirectory": {"jsonFirst": True}},
        }
    assert names[:2] == ["zarr.json", "0/zarr.json"]
    assert len(names) == 2 + 3 * 2 * 2


def test_the_same_volume_gives_the_same_bytes(tmp_path):
    one = Volume(np.random.default_rng(0).integers(0, 999, (70, 300, 300), np.uint16), SIZES)
    for name in ("a.ozx", "b.ozx", "a.ome.zarr"):
        write(tmp_path / name, one)
    assert (tmp_path / "a.ozx").read_bytes() == (tmp_path / "b.ozx").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.ozx") as file:
        for name in file.namelist():
            assert file.read(name) == (tmp_path / "a.ome.zarr" / name).read_bytes()


def test_a_folder_replaces_another_as_a_whole(tmp_path):
    path = tmp_path / "a.ome.zarr"
    write(path, _volume((40, 6, 7)))
    write(path, _volume((3, 6, 7)))
    assert read(path).shape == (3, 6, 7)
    assert [*tmp_path.iterdir()] == [path]
    with pytest.raises(InputError, match="axes"):
        write(path, Volume(np.zeros((2, 2)), (1.0, 1.0), "XX"))
    assert read(path).shape == (3, 6, 7)


PACKED = [
    None,
    Zstd(),
    Blosc(),
    Blosc("zlib", shuffle=Blosc.BITSHUFFLE),
    GZip(),
    Zlib(),
    LZ4(),
    BZ2(),
]


@pytest.mark.parametrize("codec", PACKED, ids=lambda codec: codec and codec.codec_id)
@pytest.mark.parametrize("order", ["C", "F"])
def test_zarr_v2_is_read(tmp_path, codec, order):
    array = PIXELS[0, 0].astype(">u2" if order == "F" else "<u2")
    path = _v2(
        tmp_path / "a.zarr", array=array, chunks=(2, 4, 3), compressors=codec, order=order,
        chunk_key_encoding={"name": "v2", "separator": "/" if order == "C" else "."},
    )  # fmt: skip
    found = read(path)
    np.testing.assert_array_equal(found.array, PIXELS[0, 0])
    assert found.array.dtype == np.uint16
    assert found.spacing == SIZES
    assert (found.origin.sources, found.origin.unit) == ({"spacing": "ome"}, "nm")


@pytest.mark.parametrize("place", ["start", "end"])
def test_shards_are_read(tmp_path, place):
    path = _v3(
        tmp_path / "a.zarr", chunks=(1, 2, 7),
        shards={"shape": (4, 6, 7), "index_location": place},
    )  # fmt: skip
    np.testing.assert_array_equal(read(path).array, PIXELS[0, 0])
    for planes in (1, 2, 3):
        np.testing.assert_array_equal(np.concatenate([*slabs(path, planes)]), PIXELS[0, 0])


def test_transposed_and_checked_chunks_are_read(tmp_path):
    path = _v3(
        tmp_path / "a.zarr", chunks=(2, 4, 3), filters=zarr.codecs.TransposeCodec(order=(2, 0, 1)),
        compressors=[zarr.codecs.GzipCodec(), zarr.codecs.Crc32cCodec()],
        serializer=zarr.codecs.BytesCodec(endian="big"),
    )  # fmt: skip
    np.testing.assert_array_equal(read(path).array, PIXELS[0, 0])
    chunk = path / "0" / "c" / "0" / "0" / "0"
    chunk.write_bytes(chunk.read_bytes()[:-1] + b"!")
    with pytest.raises(InputError, match="cannot be read as OME-Zarr"):
        read(path)


@pytest.mark.parametrize("version", [2, 3])
def test_chunks_that_are_not_stored_have_the_fill_value(tmp_path, version):
    make = _v2 if version == 2 else _v3
    path = make(tmp_path / "a.zarr", array=np.full((3, 4, 5), 7, np.int8), fill_value=7)
    assert len([*path.rglob("*")]) <= 6  # descriptions alone
    assert (read(path).array == 7).all()


@pytest.mark.parametrize("suffix", [".ome.zarr", ".ozx"])
def test_an_image_without_any_object_can_be_read_again(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr(memory, "CLAIMED", 0)
    write(tmp_path / f"a{suffix}", Volume(np.zeros((64, 512, 512), np.uint32), (1.0, 1.0, 1.0)))
    assert not read(tmp_path / f"a{suffix}").array.any()


def test_a_frame_and_channel_are_read_without_the_others(tmp_path):
    attributes = {
        "ome": {"multiscales": _scales(BY_PLACE, [{"type": "scale", "scale": [1, 1, *SIZES]}])}
    }
    attributes["ome"]["omero"] = {"channels": [{"label": n} for n in ("DAPI", "GFP", "Channel:2")]}
    path = _group(tmp_path / "a.zarr", attributes, array=PIXELS, chunks=(1, 1, 5, 6, 7))
    assert channels(path) == ["DAPI", "GFP", ""]
    assert (read(path).axes, read(path).shape) == ("TCZYX", PIXELS.shape)
    for chunk in path.glob("0/c/*/*/*/*/*"):
        if chunk.parts[-5:-3] != ("1", "1"):
            chunk.write_bytes(b"no chunk")
    found = read(path, {"T": 1, "C": 1})
    np.testing.assert_array_equal(found.array, PIXELS[1, 1])
    assert (found.axes, found.spacing) == ("ZYX", SIZES)
    assert found.metadata == {"channel": "GFP"}
    with pytest.raises(InputError, match="cannot be read as OME-Zarr"):
        read(path, {"T": 0, "C": 1})


def test_axes_in_another_order_are_turned(tmp_path):
    axes = [{"name": a, "unit": "micrometer"} for a in "xzy"]
    steps = [
        {"type": "scale", "scale": [0.4, 2.0, 0.5]},
        {"type": "translation", "translation": [9, 9, 9]},
    ]
    turned = PIXELS[0, 0].transpose(2, 0, 1)
    path = _group(tmp_path / "a.zarr", {"ome": {"multiscales": _scales(axes, steps)}}, array=turned)
    found = read(path)
    np.testing.assert_array_equal(found.array, PIXELS[0, 0])
    assert found.spacing == SIZES
    np.testing.assert_array_equal(np.concatenate([*slabs(path, 2)]), PIXELS[0, 0])


UNITS = {"micrometer": 1.0, "nanometer": 1e-3, "millimeter": 1e3, "angstrom": 1e-4, "Meter": 1e6}


@pytest.mark.parametrize("unit", UNITS)
def test_units_become_micrometres(tmp_path, unit):
    axes = [{"name": axis, "type": "space", "unit": unit} for axis in "zyx"]
    whole = {"coordinateTransformations": [{"type": "scale", "scale": [2, 2, 2]}]}
    scales = _scales(axes, [{"type": "scale", "scale": [3.0, 1.5, 0.25]}], **whole)
    path = _group(tmp_path / "a.zarr", {"ome": {"multiscales": scales}})
    assert read(path).spacing == pytest.approx(np.array([6.0, 3.0, 0.5]) * UNITS[unit])
    assert not read(path).spacing_is_assumed


@pytest.mark.parametrize("steps", [[], [{"type": "scale", "scale": [1, 1, 1]}]])
def test_a_scale_of_one_without_a_unit_is_no_voxel_size(tmp_path, steps):
    scales = _scales([{"name": axis} for axis in "zyx"], steps)
    found = read(_group(tmp_path / "a.zarr", {"ome": {"multiscales": scales}}))
    assert (found.spacing, found.spacing_is_assumed) == ((1.0, 1.0, 1.0), True)
    assert found.origin.sources == {"spacing": "assumed"}


def test_sizes_that_are_none_do_not_count(tmp_path):
    scales = _scales(AXES, [{"type": "scale", "scale": [0, 500, 1e300]}])
    found = read(_group(tmp_path / "a.zarr", {"ome": {"multiscales": scales}}))
    assert found.spacing == (0.5, 0.5, 0.5)
    assert found.spacing_is_assumed
    assert len(found.origin.warnings) == 2


@pytest.mark.parametrize("axes", [None, list("tczyx")])
def test_old_versions_name_no_axes(tmp_path, axes):
    path = _v2(tmp_path / "a.zarr", {"multiscales": _scales(axes, [])}, array=PIXELS[:1, :1])
    assert (read(path).axes, read(path).shape) == ("ZYX", (5, 6, 7))


def test_labels_and_smaller_levels_are_not_the_image(tmp_path):
    path = _v3(tmp_path / "a.zarr")
    _v3(path / "labels" / "nuclei", array=PIXELS[1, 1])
    _v3(path / "1", array=PIXELS[1, 1])
    found = read(path)
    np.testing.assert_array_equal(found.array, PIXELS[0, 0])
    assert found.origin.warnings == ()


def test_one_of_several_images_is_chosen_by_its_number(tmp_path):
    path = tmp_path / "a.zarr"
    zarr.create_group(LocalStore(path), zarr_format=2, attributes={"bioformats2raw.layout": 3})
    for number in range(2):
        _v2(path / str(number), array=PIXELS[number, 0])
    np.testing.assert_array_equal(read(path, scene=1).array, PIXELS[1, 0])
    assert read(path).origin.warnings == ("the file holds 2 images, and only the first is read",)
    with pytest.raises(InputError, match="expected a scene from 0 to 1, found 2"):
        header(path, 2)


def test_bioio_reads_what_we_write(tmp_path):
    bioio = pytest.importorskip("bioio")
    reader = pytest.importorskip("bioio_ome_zarr").Reader
    one = _volume((5, 40, 30), "f4", channel="DAPI")
    write(tmp_path / "a.ome.zarr", one)
    found = bioio.BioImage(tmp_path / "a.ome.zarr", reader=reader)
    np.testing.assert_array_equal(np.asarray(found.get_image_dask_data("ZYX")), one.array)
    assert tuple(found.physical_pixel_sizes) == SIZES


@pytest.mark.parametrize("version", [2, 3])
def test_what_bioio_writes_is_read(tmp_path, version):
    writers = pytest.importorskip("bioio_ome_zarr.writers")
    names = [writers.Channel(label=name, color="FFFFFF") for name in ("DAPI", "GFP", "RFP")]
    writer = writers.OMEZarrWriter(
        str(tmp_path / "a.ome.zarr"), level_shapes=PIXELS.shape,
        chunk_shape=(1, 1, 5, 6, 7), dtype=PIXELS.dtype, zarr_format=version, channels=names,
        axes_names=list("tczyx"), axes_types=["time", "channel", *["space"] * 3],
        axes_units=["second", None, "nanometer", "micrometer", "micrometer"],
        physical_pixel_size=[1, 1, 2000, 0.5, 0.4],
    )  # fmt: skip
    writer.write_full_volume(PIXELS)
    found = read(tmp_path / "a.ome.zarr", {"C": 2})
    np.testing.assert_array_equal(found.array, PIXELS[:, 2])
    assert (found.axes, found.spacing) == ("TZYX", SIZES)
    assert found.metadata == {"channel": "RFP"}


def test_nothing_of_zarr_is_loaded_without_such_an_image(tmp_path):

    write(tmp_path / "a.tif", _volume())
    code = f"import sys, pathlib, cytosuite.interface as i; i.read(pathlib.Path({str(tmp_path / 'a.tif')!r}))"
    code += "; sys.exit(bool({'zarr', 'numcodecs', 'zipfile._path'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], check=True)
