"""TIFFs that were cut, altered or made to harm: one line each, and no other file is opened."""

import json
import os
import struct
import tracemalloc
import zlib
from contextlib import suppress

import imagecodecs
import numpy as np
import pytest
import tifffile

from cytosuite.errors import InputError
from cytosuite.formats import header, read, write
from cytosuite.formats.tiff import read_tiff
from cytosuite.volume import Volume

ARRAY = np.arange(3 * 5 * 6, dtype=np.uint16).reshape(3, 5, 6)
FORMS = {3: "H", 4: "I"}


def _plane(path, array=ARRAY[0], **options):
    """Write a plane with one directory at byte 8."""
    tifffile.imwrite(path, array, photometric="minisblack", metadata=None, **options)


def _alter(path, code, value, kind=4, count=1, new=None):
    """Give a tag of the first directory another value, or make it the new one."""
    content = bytearray(path.read_bytes())
    for start in range(10, 10 + 12 * struct.unpack_from("<H", content, 8)[0], 12):
        if struct.unpack_from("<H", content, start)[0] == code:
            struct.pack_into("<HHI4s", content, start, new or code, kind, count, bytes(4))
            struct.pack_into(f"<{FORMS[kind]}", content, start + 8, value)
            path.write_bytes(content)
            return
    raise LookupError(code)


def _strip(path, codec, content):
    """Make packed bytes the only strip of a plane of 5 x 6 bytes."""
    _plane(path, np.zeros((5, 6), np.uint8))
    size = path.stat().st_size
    path.write_bytes(path.read_bytes() + content)
    for code, value in ((259, codec), (273, size), (279, len(content))):
        _alter(path, code, value)


def _chain(path, offsets):
    """Write directories of one tag that point to each other, the first at byte 8."""
    directory = struct.pack("<HHHI4s", 1, 256, 4, 1, bytes(4))
    parts = [directory + struct.pack("<I", following) for following in offsets]
    path.write_bytes(b"II*\0" + struct.pack("<I", 8) + b"".join(parts))


def _points_to_itself(path):
    """two directories at byte 8: they form a loop"""
    _chain(path, [8])


def _long_loop(path):
    """two directories at byte 1448: they form a loop"""
    _chain(path, [8 + 18 * n for n in range(1, 300)] + [8 + 18 * 80])


def _below_itself(path):
    """two directories at byte 8: they form a loop"""
    _plane(path)
    _alter(path, 296, 8, new=330)


def _many_directories(path):
    """more than 131072 directories"""
    _chain(path, [8 + 18 * n for n in range(1, 2**17 + 2)])


def _overlapping(path):
    """directories that are larger than the file: they overlap"""
    entry = struct.pack("<HHII", 40000, 1, 2**17, 8)
    path.write_bytes(b"II*\0\x08\0\0\0" + struct.pack("<H", 1000) + entry * 1000 + bytes(2**18))


def _values_outside(path):
    """tag 273 has 9999 values at byte 3 of"""
    _plane(path)
    _alter(path, 273, 3, count=9999)


def _type_of_nothing(path):
    """tag 256 has values of the type 3, which"""
    _plane(path)
    content = path.read_bytes().replace(struct.pack("<HHI", 257, 4, 1), b"\1\1\x63\0\1\0\0\0")
    path.write_bytes(content.replace(struct.pack("<HHI", 257, 3, 1), b"\1\1\x63\0\1\0\0\0"))


def _pixels_outside(path):
    """pixels end at byte"""
    _plane(path)
    _alter(path, 273, 2**31)


def _tall(path):
    """pixels end at byte"""
    _plane(path)
    _alter(path, 257, 2**31)
    _alter(path, 278, 2**31)


def _no_rows(path):
    """no pixel in the shape (0, 6)"""
    _plane(path)
    _alter(path, 257, 0)
    _alter(path, 278, 1)


def _odd_bits(path):
    """numbers of SampleFormat 1 with 99 bits are not read"""
    _plane(path)
    _alter(path, 258, 99)


def _complex(path):
    """numbers of SampleFormat 6 with 64 bits are not read"""
    _plane(path, ARRAY[0].astype(np.complex64))


def _unknown_codec(path):
    """pixels packed as LERC are not read; save them with zlib or LZW"""
    _strip(path, 34887, bytes(40))


def _jpeg_bomb(path):
    """a strip or tile of 30 pixels that holds 5000 x 4000"""
    _strip(path, 7, imagecodecs.jpeg_encode(np.zeros((5000, 4000), np.uint8)))


def _jpeg2000_bomb(path):
    """a strip or tile of 30 pixels that holds 2000 x 1000"""
    _strip(path, 34712, imagecodecs.jpeg2k_encode(np.zeros((2000, 1000), np.uint8)))


def _png_bomb(path):
    """a strip or tile of 30 pixels that holds 5000 x 4000"""
    _strip(path, 34933, imagecodecs.png_encode(np.zeros((5000, 4000), np.uint8)))


def _describe(path, text):
    """Write another description at the end of a file."""
    content = path.read_bytes()
    path.write_bytes(content + text + b"\0")
    _alter(path, 270, len(content), kind=4, count=len(text) + 1)
    content = path.read_bytes()
    entry = struct.pack("<HH", 270, 4), struct.pack("<HH", 270, 2)
    path.write_bytes(content.replace(*entry, 1))


def _ome(path, *words):
    """Write three planes whose OME-XML has other words, given in pairs."""
    tifffile.imwrite(path, ARRAY, ome=True, metadata={"axes": "ZYX"})
    with tifffile.TiffFile(path) as file:
        text = file.ome_metadata
    for old, new in zip(words[::2], words[1::2], strict=True):
        assert old in text
        text = text.replace(old, new)
    _describe(path, text.encode())


def _ome_cut(path):
    """OME-XML is altered: mismatched tag"""
    _ome(path, "</Pixels>", "</Image>")


def _entities(path):
    """OME-XML with a document type, of which it has none"""
    _ome(path, "<OME", '<!DOCTYPE l [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><OME')


def _no_pixels(path):
    """OME-XML describes no image"""
    _ome(path, "Pixels", "Others")


def _axis_of_length_minus_three(path):
    """OME-XML has the SizeZ '-3'"""
    _ome(path, 'SizeZ="3"', 'SizeZ="-3"')


def _endless_planes(path):
    """OME-XML of more than 1048576 planes"""
    _ome(path, 'PlaneCount="3"', 'PlaneCount="99999999"')


def _missing_planes(path):
    """6 of 9 planes are missing"""
    _ome(path, 'SizeZ="3"', 'SizeZ="9"')


def _order_of_axes(path):
    """OME-XML has the DimensionOrder 'XYCZX'"""
    _ome(path, "XYCZT", "XYCZX")


def _divided_axis(path):
    """OME-XML divides an axis (ModuloAlongT); only the axes TCZYX are read"""
    _ome(path, "<LightPath/>", '<ModuloAlongT Start="0" Step="1e-9" End="1"/>')


def _shaped(path, **values):
    """Write three planes with a description in JSON."""
    text = json.dumps({"shape": [3, 5, 6], "axes": "ZYX"} | values)
    tifffile.imwrite(path, ARRAY, photometric="minisblack", description=text, metadata=None)


def _shape_of_texts(path):
    """the description has the shape ['3', '5', '6']"""
    _shaped(path, shape=["3", "5", "6"])


def _shape_below_zero(path):
    """the description has the shape [-3, -5, 6]"""
    _shaped(path, shape=[-3, -5, 6])


def _axes_of_a_number(path):
    """the description has the axes 3"""
    _shaped(path, axes=3)


def _slices_of_a_text(path):
    """the text of ImageJ has 'many' slices"""
    _plane(path, description="ImageJ=1.54\nslices=many\n")


@pytest.mark.parametrize(
    "mistake",
    [
        _points_to_itself,
        _long_loop,
        _below_itself,
        _many_directories,
        _overlapping,
        _values_outside,
        _pixels_outside,
        _tall,
        _no_rows,
        _odd_bits,
        _complex,
        _unknown_codec,
        _jpeg_bomb,
        _jpeg2000_bomb,
        _png_bomb,
        _ome_cut,
        _entities,
        _no_pixels,
        _axis_of_length_minus_three,
        _endless_planes,
        _missing_planes,
        _order_of_axes,
        _divided_axis,
        _shape_of_texts,
        _shape_below_zero,
        _axes_of_a_number,
        _slices_of_a_text,
    ],
)
def test_explains(tmp_path, capfd, caplog, mistake):
    mistake(tmp_path / "a.tif")
    with pytest.raises(InputError) as caught:
        read(tmp_path / "a.tif")
    start = f"{tmp_path / 'a.tif'}: cannot be read as TIFF, cut or broken ("
    assert str(caught.value).startswith(start + mistake.__doc__)
    assert capfd.readouterr() == ("", "")
    assert caplog.record_tuples == []


CODECS = {
    "deflate": (8, lambda zeros: zlib.compress(zeros)),
    "lzw": (5, imagecodecs.lzw_encode),
    "packbits": (32773, lambda zeros: b"\x81\0" * (len(zeros) // 128)),
    "lzma": (34925, imagecodecs.lzma_encode),
    "zstd": (50000, imagecodecs.zstd_encode),
}


@pytest.mark.parametrize("codec", CODECS)
def test_a_strip_is_unpacked_to_its_size_at_most(tmp_path, codec):
    number, pack = CODECS[codec]
    _strip(tmp_path / "a.tif", number, pack(bytes(2**24)))
    tracemalloc.start()
    with suppress(InputError):  # some codecs refuse what is left over
        assert read(tmp_path / "a.tif").shape == (5, 6)
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()


def test_a_tile_that_memory_cannot_hold_is_refused(tmp_path):
    _plane(tmp_path / "a.tif", tile=(16, 16), compression="zlib")
    _alter(tmp_path / "a.tif", 322, 2**20)
    _alter(tmp_path / "a.tif", 323, 2**20)
    with pytest.raises(InputError, match=r"a\.tif: needs .* GiB of memory, .* GiB are free"):
        read(tmp_path / "a.tif")


def _imagej(path, info, **options):
    metadata = {"axes": "ZYX", "spacing": 3.0, "unit": "micron", "Info": info}
    tifffile.imwrite(path, ARRAY, imagej=True, resolution=(5, 4), metadata=metadata, **options)


@pytest.mark.parametrize(
    "value",
    ['"\\ud800"', "NaN", "-Infinity", "1e999", "9" * 400, "[" * 70 + "]" * 70, "[" * 10**5],
    ids=["surrogate", "NaN", "infinity", "1e999", "400 digits", "70 lists", "100000 lists"],
)
def test_json_that_no_program_can_hold_does_not_count_and_is_told(tmp_path, value):
    geometry = '"axes": "ZYX", "shape": [3, 5, 6], "spacing": [1.5, 0.25, 0.2]'
    _imagej(tmp_path / "a.tif", f'{{{geometry}, "study": {value}}}')
    found = read(tmp_path / "a.tif")
    assert found.spacing == pytest.approx((3.0, 0.25, 0.2))
    assert "study" not in found.metadata
    (line,) = found.origin.warnings
    assert line.startswith("the description of the file is no JSON and does not count: ")
    assert line.isprintable()


@pytest.mark.parametrize("axes", ["TYX", "CYX"])
def test_axes_are_those_of_the_pages_where_a_description_contradicts_them(tmp_path, axes):
    ours = {"axes": axes, "shape": [3, 5, 6], "spacing": [0.25, 0.2]}
    _imagej(tmp_path / "a.tif", json.dumps(ours))
    found = header(tmp_path / "a.tif")
    assert (found.axes, found.spacing) == ("ZYX", pytest.approx((3.0, 0.25, 0.2)))
    lines = read(tmp_path / "a.tif").origin.warnings
    assert "the description names other axes than the pages and does not count" in lines


@pytest.mark.parametrize("axes", ["TYX", "CYX", "TZYX"])
def test_the_header_of_a_series_is_truthful(tmp_path, axes):
    array = np.zeros((3, 2, 5, 6)[-len(axes) :] if axes == "TZYX" else (3, 5, 6), np.uint16)
    spacing = (0.5,) * (3 if "Z" in axes else 2)
    write(tmp_path / "a.tif", Volume(array, spacing, axes))
    found = header(tmp_path / "a.tif")
    assert (found.axes, found.shape, found.spacing) == (axes, array.shape, spacing)


def test_metadata_are_bounded(tmp_path):
    many = {f"key{n}": n for n in range(1500)}
    odd = {"k" * 10**5: 1, "line\nbreak": 1, "big": 2**64 - 1, "text": "a\n\x1b[31mb", "empty": []}
    _shaped(tmp_path / "a.tif", **odd, **many)
    found = read(tmp_path / "a.tif")
    assert found.metadata["text"] == "a \\x1b[31mb"
    assert found.metadata["big"] == 2**64 - 1
    assert all(len(key) <= 100 and key.isprintable() for key in found.metadata)
    assert len(found.metadata) == 1001  # with the source of the voxel size
    (line,) = found.origin.warnings
    assert line.startswith("metadata that no program can hold do not count: kkkk")


def test_no_other_file_is_opened(tmp_path, opened):
    _plane(tmp_path / "other.tif")
    other = '<TiffData><UUID FileName="other.tif">urn:uuid:1</UUID></TiffData>'
    _ome(tmp_path / "a.ome.tif", '<TiffData IFD="0" PlaneCount="3"/>', other)
    opened.clear()
    found = read(tmp_path / "a.ome.tif")
    assert not any("other.tif" in path for path in opened)
    assert "a.ome.tif" in str(opened)
    assert "OME-XML describes other pages" in str(found.origin.warnings)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.tif")
    with pytest.raises(InputError, match=r"expected a file, found a folder, a pipe or a device"):
        read_tiff(tmp_path / "a.tif")
