"""MetaImages that were cut, altered or made to harm: one line each, and no other file is opened."""

import os
import zlib

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from mistakes import explained, refused
from rasters import counted, same

from cytosuite.formats import header, read, write
from cytosuite.volume import Volume

ARRAY = counted(3, 4, 5)
HEAD = {"ObjectType": "Image", "NDims": "3", "DimSize": "5 4 3", "ElementType": "MET_USHORT"}
PIXELS = ARRAY.tobytes()
LOCAL = {"ElementDataFile": "LOCAL"}


def _write(path, content=PIXELS, **values):
    """Write a header with other or further lines, and the pixels; None leaves a line out."""
    fields = HEAD | values | ({} if "ElementDataFile" in values else LOCAL)
    lines = [f"{key} = {text}\n" for key, text in fields.items() if text is not None]
    path.write_bytes("".join(lines).encode("utf-8", "surrogateescape") + content)


def _raw(path, text, content=PIXELS):
    path.write_bytes(text.encode() + content)


MISTAKES = [
    ("expected 3 positive integers as DimSize, found none)", _write, {"DimSize": None}),
    ("its pixels are text, BinaryData =", _write, b"1 2 3", {"BinaryData": "False"}),
    ("expected 2, 3 or 4 dimensions, found 99", _write, {"NDims": "99"}),
    ("expected 3 positive integers as DimSize, found '5", _write, {"DimSize": "5 -4 3"}),
    ("expected 200000000000000000000", _write, {"DimSize": " ".join(["1" + "0" * 10] * 3)}),
    ("expected one of MET_CHAR, MET_UCHAR,", _write, {"ElementType": "MET_USHORT_ARRAY"}),
    ("expected a grey image,", _write, PIXELS * 3, {"ElementNumberOfChannels": "3"}),
    ("expected one of Image as ObjectType, found 'Tube')", _write, {"ObjectType": "Tube"}),
    ("expected HeaderSize = 0, found", _write, {"HeaderSize": "99999999999"}),
    ("expected positive lengths in mm as", _write, {"ElementSpacing": "0 0.5 0.5"}),
    ("expected 3 finite numbers as", _write, {"ElementSpacing": "nan 1 1"}),
    ("expected 9 finite numbers as", _write, {"TransformMatrix": "nan 0 0 0 1 0 0 0 1"}),
    (
        "BinaryDataByteOrderMSB and ElementByteOrderMSB contradict",
        _write,
        {"BinaryDataByteOrderMSB": "True", "ElementByteOrderMSB": "False"},
    ),
    ("two lines of DimSize)", _raw, "NDims = 3\nDimSize = 5 4 3\ndimsize = 5 4 4\n"),
    ("no line of its text: NDims = 3\\x00)", _raw, "NDims = 3\x00\n"),
    ("no line of its text: � = a)", _write, {**{"\udcff": "a"}}),
    ("no line of its text: hello)", _raw, "hello\nNDims = 3\n"),
    ("expected 120 bytes ", _write, zlib.compress(PIXELS)[:-9], {"CompressedData": "True"}),
    ("expected 7 bytes of", _write, {"CompressedData": "True", "CompressedDataSize": "7"}),
    ("expected 120 bytes", _write, zlib.compress(PIXELS[1:]), {"CompressedData": "True"}),
    ("expected 120 bytes", _write, zlib.compress(bytes(2**24)), {"CompressedData": "True"}),
    ("compressed pixels ", _write, b"x\x9c" + bytes(range(99)), {"CompressedData": "True"}),
    ("expected a MetaImage with ElementDataFile = LOCAL,", _raw, "NDims = 3\n", b""),
    ("expected a MetaImage with ElementDataFile =", _write, {"remark": "a" * 70000}),
]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_explains(mha, capfd, mistake):
    explained(read, mha, mistake)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "line",
    [
        "  ElementDataFile \t= \tother.raw ",
        "ElementDataFile = {folder}/other.raw",
        "ElementDataFile = pipe",
        "ElementDataFile = other.raw\nElementDataFile = LOCAL",
        "ElementDataFile = LOCAL\nElementDataFile = other.raw",
        "remark = " + "a" * 66000 + "\nElementDataFile = other.raw",
    ],
)
@pytest.mark.parametrize("function", [read, header])
def test_no_other_file_is_opened(tmp_path, mha, opened, line, function):
    (tmp_path / "other.raw").write_bytes(PIXELS)
    os.mkfifo(tmp_path / "pipe")
    head = "".join(f"{key} = {text}\n" for key, text in HEAD.items())
    _raw(mha, f"{head}{line.format(folder=tmp_path)}\n")
    opened.clear()
    refused(r"a\.mha: ", function, mha)
    assert {path for path in opened if path.startswith(str(tmp_path))} == {str(mha)}


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize(
    "dtype, shape",
    {"int8": (4, 5), "uint16": (3, 4, 5), "int64": (2, 3, 4, 5), "float32": (3, 4, 5)}.items(),
)
def test_files_of_itk_are_read(mha, dtype, shape, compress):
    image = sitk.GetImageFromArray(np.arange(np.prod(shape)).reshape(shape).astype(dtype), False)
    image.SetSpacing([0.1, 0.2, 0.3, 0.4][: len(shape)])
    image.SetMetaData("channel", "nucleus")
    image.SetMetaData("gain", "0.5")
    sitk.WriteImage(image, str(mha), useCompression=compress)
    volume = read(mha)
    head = header(mha)
    same(volume.array, sitk.GetArrayFromImage(image))
    assert volume.spacing == ((200, 100) if len(shape) == 2 else (300, 200, 100))
    assert dict(volume.metadata) == {"channel": "nucleus", "gain": 0.5}
    assert (head.shape, head.dtype, head.spacing) == (shape, volume.array.dtype, volume.spacing)


@pytest.mark.parametrize("key", ["BinaryDataByteOrderMSB", "ElementByteOrderMSB"])
@pytest.mark.parametrize("compress", [True, False])
def test_the_order_of_bytes_is_read(mha, key, compress):
    content = ARRAY.astype(">u2").tobytes()
    packed = zlib.compress(content) if compress else content
    _write(mha, packed, **{key: "True", "CompressedData": str(compress)})
    array = read(mha).array
    same(array, ARRAY)
    assert array.dtype == np.uint16


def test_texts_that_python_alone_takes_for_numbers_stay_texts(mha):
    texts = {"a": "1_000", "b": "nan", "c": "inf", "d": "\u0663", "e": "9" * 30}
    _write(mha, **texts, f="-2", g="1e-3", h="1e999", spacing_source="assumed")
    volume = read(mha)
    facts = texts | {"e": 9e29 + 1e29 - 1, "f": -2, "g": 0.001, "spacing_source": "assumed"}
    assert {key: volume.metadata[key] for key in "abcdfg"} == {key: facts[key] for key in "abcdfg"}
    assert "h" not in volume.metadata
    assert volume.origin.warnings == ("metadata that no program can hold do not count: h",)


@pytest.mark.parametrize("key", ["DimSize", "Comment", "a=b", "a\nElementDataFile"])
def test_a_key_that_a_header_cannot_hold_is_not_written(tmp_path, mha, key):
    refused(
        "MetaImage cannot hold metadata of the name",
        write,
        mha,
        Volume(ARRAY, (1, 1, 1), metadata={key: "x"}),
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mark, end", {": ": "\n", "=": "\r\n", "\t=\t": "\n"}.items())
def test_headers_of_other_programs_are_read(mha, mark, end):
    _raw(mha, "".join([f"{key}{mark}{text}{end}" for key, text in (HEAD | LOCAL).items()]))
    same(read(mha).array, ARRAY)
