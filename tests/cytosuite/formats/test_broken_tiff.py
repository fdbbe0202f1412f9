"""TIFFs that were cut, altered or made to harm: one line each, and no other file is opened."""

import json
import struct
import tracemalloc
import zlib
from contextlib import suppress

import imagecodecs
import numpy as np
import pytest
import tifffile
from imagecodecs import jpeg_encode, png_encode
from mistakes import explained, refused
from rasters import counted

from cytosuite.errors import InputError
from cytosuite.formats import read

ARRAY = counted(3, 5, 6)
WALL = np.zeros((5000, 4000), np.uint8)
SIZES = " ".join(f'Size{axis}="1"' for axis in "XYZCT")
MORE = f'<Image><Pixels DimensionOrder="XYCZT" {SIZES} /></Image>'


def _plane(path, array=ARRAY[0], **options):
    tifffile.imwrite(path, array, photometric="minisblack", metadata=None, **options)


def _alter(path, code, value, kind=4, count=1, new=None):
    content = bytearray(path.read_bytes())
    for start in range(10, 10 + 12 * struct.unpack_from("<H", content, 8)[0], 12):
        if struct.unpack_from("<H", content, start)[0] == code:
            struct.pack_into("<HHI4s", content, start, new or code, kind, count, bytes(4))
            struct.pack_into({3: "<H", 4: "<I"}[kind], content, start + 8, value)
            path.write_bytes(content)
            return
    raise LookupError(code)


def _altered(path, code, value, **more):
    _plane(path)
    _alter(path, code, value, **more)


def _strip(path, codec, content):
    _plane(path, np.zeros((5, 6), np.uint8))
    size = path.stat().st_size
    path.write_bytes(path.read_bytes() + content)
    for code, value in ((259, codec), (273, size), (279, len(content))):
        _alter(path, code, value)


def _chain(path, offsets):
    directory = struct.pack("<HHHI4s", 1, 256, 4, 1, bytes(4))
    parts = [directory + struct.pack("<I", following) for following in offsets]
    path.write_bytes(b"II*\0" + struct.pack("<I", 8) + b"".join(parts))


def _overlapping(path):
    entry = struct.pack("<HHII", 40000, 1, 2**17, 8)
    path.write_bytes(b"II*\0\x08\0\0\0" + struct.pack("<H", 1000) + entry * 1000 + bytes(2**18))


def _describe(path, text):
    content = path.read_bytes()
    path.write_bytes(content + text + b"\0")
    _alter(path, 270, len(content), kind=4, count=len(text) + 1)
    content = path.read_bytes()
    path.write_bytes(content.replace(struct.pack("<HH", 270, 4), struct.pack("<HH", 270, 2), 1))


def _ome(path, *words):
    tifffile.imwrite(path, ARRAY, ome=True, metadata={"axes": "ZYX"})
    with tifffile.TiffFile(path) as file:
        text = file.ome_metadata
    for old, new in zip(words[::2], words[1::2], strict=True):
        assert old in text
        text = text.replace(old, new)
    _describe(path, text.encode())


def _shaped(path, **values):
    text = json.dumps({"shape": [3, 5, 6], "axes": "ZYX"} | values)
    tifffile.imwrite(path, ARRAY, photometric="minisblack", description=text, metadata=None)


MISTAKES = [
    ("two directories at byte 8: they form a loop", _chain, [8]),
    ("two directories at byte 8: they form a loop", _altered, 296, 8, {"new": 330}),
    ("more than 131072", _chain, [8 + 18 * n for n in range(1, 2**17 + 2)]),
    ("directories that are larger than the file: they overlap", _overlapping),
    ("tag 273 has 9999 values at byte 3 of", _altered, 273, 3, {"count": 9999}),
    ("pixels end at byte", _altered, 273, 2**31),
    ("no pixel in the shape (0, 6)", _altered, 257, 0),
    ("numbers of SampleFormat 1 with 99 bits are not read", _altered, 258, 99),
    ("pixels packed as LERC are not read; save them with", _strip, 34887, bytes(40)),
    ("a strip or tile of 30 pixels that holds", _strip, 7, jpeg_encode(WALL)),
    ("a strip or tile of 30 pixels that holds", _strip, 34933, png_encode(WALL)),
    ("OME-XML is altered: mismatched tag", _ome, "</Pixels>", "</Image>"),
    (
        "OME-XML with a document type, of which it has none",
        _ome,
        "<OME",
        '<!DOCTYPE l [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><OME',
    ),
    ("OME-XML describes 0 images, not 1 to 16384", _ome, "Pixels", "Others"),
    ("OME-XML describes 16385 images, not 1 to 16384", _ome, "</Image>", "</Image>" + MORE * 2**14),
    ("OME-XML of more than 524288 elements", _ome, "<LightPath/>", "<a/>" * 2**19),
    ("OME-XML has the SizeZ '-3'", _ome, 'SizeZ="3"', 'SizeZ="-3"'),
    ("OME-XML of more than", _ome, 'PlaneCount="3"', 'PlaneCount="99999999"'),
    ("6 of 9 planes are missing", _ome, 'SizeZ="3"', 'SizeZ="9"'),
    ("OME-XML has the DimensionOrder 'XYCZX'", _ome, "XYCZT", "XYCZX"),
    (
        "OME-XML divides an axis (ModuloAlongT); only the axes TCZYX are read",
        _ome,
        "<LightPath/>",
        '<ModuloAlongT Start="0" Step="1e-9" End="1"/>',
    ),
    ("the description has the shape ['3', '5', '6']", _shaped, {"shape": ["3", "5", "6"]}),
    ("the description has the axes 3", _shaped, {"axes": 3}),
    ("the text of ImageJ has", _plane, {"description": "ImageJ=1.54\nslices=many\n"}),
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=[text for text, *_ in MISTAKES])
def test_explains(tif, capfd, caplog, mistake):
    explained(read, tif, mistake)
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
def test_a_strip_is_unpacked_to_its_size_at_most(tif, codec):
    number, pack = CODECS[codec]
    _strip(tif, number, pack(bytes(2**23)))
    tracemalloc.start()
    with suppress(InputError):  # some codecs refuse what is left over
        assert read(tif).shape == (5, 6)
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()


def test_a_tile_that_memory_cannot_hold_is_refused(tif):
    _plane(tif, tile=(16, 16), compression="zlib")
    _alter(tif, 322, 2**20)
    _alter(tif, 323, 2**20)
    refused(r"a\.tif: needs .* GiB of memory, .* GiB are free", read, tif)


@pytest.mark.parametrize(
    "value",
    ['"\\ud800"', "NaN", "-Infinity", "1e999", "9" * 400, "[" * 70 + "]" * 70, "[" * 10**5],
    ids=["surrogate", "NaN", "infinity", "1e999", "400 digits", "70 lists", "100000 lists"],
)
def test_json_that_no_program_can_hold_does_not_count_and_is_told(tif, value):
    geometry = '"axes": "ZYX", "shape": [3, 5, 6], "spacing": [1.5, 0.25, 0.2]'
    info = f'{{{geometry}, "study": {value}}}'
    metadata = {"axes": "ZYX", "spacing": 3.0, "unit": "micron", "Info": info}
    tifffile.imwrite(tif, ARRAY, imagej=True, resolution=(5, 4), metadata=metadata)
    volume = read(tif)
    assert volume.spacing == pytest.approx((3.0, 0.25, 0.2))
    assert "study" not in volume.metadata
    (line,) = volume.origin.warnings
    assert line.startswith("the description of the file is no JSON and does not count: ")


def test_metadata_are_bounded(tif):
    many = {f"key{n}": n for n in range(1500)}
    odd = {"k" * 10**5: 1, "line\nbreak": 1, "big": 2**64 - 1, "text": "a\n\x1b[31mb", "empty": []}
    _shaped(tif, **odd, **many)
    volume = read(tif)
    assert volume.metadata["text"] == "a \\x1b[31mb"
    assert volume.metadata["big"] == 2**64 - 1
    assert all(len(key) <= 100 and key.isprintable() for key in volume.metadata)
    assert len(volume.metadata) == 1001  # with the source of the voxel size
    (line,) = volume.origin.warnings
    assert line.startswith("metadata that no program can hold do not count: kkkk")


def test_ome_xml_is_parsed_once(tif, monkeypatch):
    parsed = []
    parse = tifffile.xml2dict
    monkeypatch.setattr(tifffile, "xml2dict", lambda xml: parsed.append(xml) or parse(xml))
    _ome(tif)
    assert read(tif).shape == ARRAY.shape
    assert len(parsed) == 1


def test_no_other_file_is_opened(tmp_path, opened):
    _plane(tmp_path / "other.tif")
    other = '<TiffData><UUID FileName="other.tif">urn:uuid:1</UUID></TiffData>'
    _ome(tmp_path / "a.ome.tif", '<TiffData IFD="0" PlaneCount="3"/>', other)
    opened.clear()
    volume = read(tmp_path / "a.ome.tif")
    assert not any("other.tif" in path for path in opened)
    assert "a.ome.tif" in str(opened)
    assert "OME-XML describes other pages" in str(volume.origin.warnings)
