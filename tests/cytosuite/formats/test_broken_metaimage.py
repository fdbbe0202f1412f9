"""MetaImages that were cut, altered or made to harm: one line each, and no other file is opened."""

import os
import zlib

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from mistakes import refused
from rasters import counted

from cytosuite.errors import InputError
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
    ("expected 3 positive integers as DimSize, found none)", lambda p: _write(p, DimSize=None)),
    ("its pixels are text, BinaryData =", lambda p: _write(p, b"1 2 3", BinaryData="False")),
    ("expected 2, 3 or 4 dimensions, found 99", lambda p: _write(p, NDims="99")),
    ("expected 3 positive integers as DimSize, found '5", lambda p: _write(p, DimSize="5 -4 3")),
    ("expected 200000000000000000000", lambda p: _write(p, DimSize=" ".join(["1" + "0" * 10] * 3))),
    ("expected one of MET_CHAR, MET_UCHAR,", lambda p: _write(p, ElementType="MET_USHORT_ARRAY")),
    ("expected a grey image,", lambda p: _write(p, PIXELS * 3, ElementNumberOfChannels="3")),
    ("expected one of Image as ObjectType, found 'Tube')", lambda p: _write(p, ObjectType="Tube")),
    ("expected HeaderSize = 0, found", lambda p: _write(p, HeaderSize="99999999999")),
    ("expected positive lengths in mm as", lambda p: _write(p, ElementSpacing="0 0.5 0.5")),
    ("expected 3 finite numbers as", lambda p: _write(p, ElementSpacing="nan 1 1")),
    ("expected 9 finite numbers as", lambda p: _write(p, TransformMatrix="nan 0 0 0 1 0 0 0 1")),
    (
        "BinaryDataByteOrderMSB and ElementByteOrderMSB contradict",
        lambda p: _write(p, BinaryDataByteOrderMSB="True", ElementByteOrderMSB="False"),
    ),
    ("two lines of DimSize)", lambda p: _raw(p, "NDims = 3\nDimSize = 5 4 3\ndimsize = 5 4 4\n")),
    ("no line of its text: NDims = 3\\x00)", lambda p: _raw(p, "NDims = 3\0\n")),
    ("no line of its text: \ufffd = a)", lambda p: _write(p, **{"\udcff": "a"})),
    ("no line of its text: hello)", lambda p: _raw(p, "hello\nNDims = 3\n")),
    ("expected 120 bytes ", lambda p: _write(p, zlib.compress(PIXELS)[:-9], CompressedData="True")),
    ("expected 7 bytes of", lambda p: _write(p, CompressedData="True", CompressedDataSize="7")),
    ("expected 120 bytes", lambda p: _write(p, zlib.compress(PIXELS[1:]), CompressedData="True")),
    ("expected 120 bytes", lambda p: _write(p, zlib.compress(bytes(2**24)), CompressedData="True")),
    ("compressed pixels ", lambda p: _write(p, b"x\x9c" + bytes(range(99)), CompressedData="True")),
    ("expected a MetaImage with ElementDataFile = LOCAL,", lambda p: _raw(p, "NDims = 3\n", b"")),
    ("expected a MetaImage with ElementDataFile =", lambda p: _write(p, remark="a" * 70000)),
]


@pytest.mark.parametrize(("expected", "mistake"), MISTAKES)
def test_explains(tmp_path, capfd, expected, mistake):
    mistake(tmp_path / "a.mha")
    with pytest.raises(InputError) as caught:
        read(tmp_path / "a.mha")
    assert str(caught.value).startswith(f"{tmp_path / 'a.mha'}: ")
    assert expected in str(caught.value)
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
def test_no_other_file_is_opened(tmp_path, opened, line, function):
    (tmp_path / "other.raw").write_bytes(PIXELS)
    os.mkfifo(tmp_path / "pipe")
    head = "".join(f"{key} = {text}\n" for key, text in HEAD.items())
    _raw(tmp_path / "a.mha", f"{head}{line.format(folder=tmp_path)}\n")
    opened.clear()
    refused(r"a\.mha: ", function, tmp_path / "a.mha")
    assert {path for path in opened if path.startswith(str(tmp_path))} == {str(tmp_path / "a.mha")}


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((4, 5), "int8"), ((3, 4, 5), "uint16"), ((2, 3, 4, 5), "int64"), ((3, 4, 5), "float32")],
)
def test_files_of_itk_are_read(tmp_path, dtype, shape, compress):
    image = sitk.GetImageFromArray(np.arange(np.prod(shape)).reshape(shape).astype(dtype), False)
    image.SetSpacing([0.1, 0.2, 0.3, 0.4][: len(shape)])
    image.SetMetaData("channel", "nucleus")
    image.SetMetaData("gain", "0.5")
    sitk.WriteImage(image, str(tmp_path / "a.mha"), useCompression=compress)
    found, head = read(tmp_path / "a.mha"), header(tmp_path / "a.mha")
    np.testing.assert_array_equal(found.array, sitk.GetArrayFromImage(image))
    assert found.spacing == ((200, 100) if len(shape) == 2 else (300, 200, 100))
    assert dict(found.metadata) == {"channel": "nucleus", "gain": 0.5}
    assert (head.shape, head.dtype, head.spacing) == (shape, found.array.dtype, found.spacing)


@pytest.mark.parametrize("key", ["BinaryDataByteOrderMSB", "ElementByteOrderMSB"])
@pytest.mark.parametrize("compress", [True, False])
def test_the_order_of_bytes_is_read(tmp_path, key, compress):
    content = ARRAY.astype(">u2").tobytes()
    packed = zlib.compress(content) if compress else content
    _write(tmp_path / "a.mha", packed, **{key: "True", "CompressedData": str(compress)})
    found = read(tmp_path / "a.mha").array
    np.testing.assert_array_equal(found, ARRAY)
    assert found.dtype == np.uint16


def test_texts_that_python_alone_takes_for_numbers_stay_texts(tmp_path):
    texts = {"a": "1_000", "b": "nan", "c": "inf", "d": "\u0663", "e": "9" * 30}
    _write(tmp_path / "a.mha", **texts, f="-2", g="1e-3", h="1e999", spacing_source="assumed")
    found = read(tmp_path / "a.mha")
    wanted = texts | {"e": 9e29 + 1e29 - 1, "f": -2, "g": 0.001, "spacing_source": "assumed"}
    assert {key: found.metadata[key] for key in "abcdfg"} == {key: wanted[key] for key in "abcdfg"}
    assert "h" not in found.metadata
    assert found.origin.warnings == ("metadata that no program can hold do not count: h",)


@pytest.mark.parametrize("key", ["DimSize", "Comment", "a=b", "a\nElementDataFile"])
def test_a_key_that_a_header_cannot_hold_is_not_written(tmp_path, key):
    refused(
        "MetaImage cannot hold metadata of the name",
        write,
        tmp_path / "a.mha",
        Volume(ARRAY, (1, 1, 1), metadata={key: "x"}),
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("mark", "end"), [(": ", "\n"), ("=", "\r\n"), ("\t=\t", "\n")])
def test_headers_of_other_programs_are_read(tmp_path, mark, end):
    lines = [f"{key}{mark}{text}{end}" for key, text in (HEAD | LOCAL).items()]
    _raw(tmp_path / "a.mha", "".join(lines))
    np.testing.assert_array_equal(read(tmp_path / "a.mha").array, ARRAY)
