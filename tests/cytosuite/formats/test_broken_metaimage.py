"""MetaImages that were cut, altered or made to harm: one line each, and no other file is opened."""

import os
import zlib

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from cytosuite.errors import InputError
from cytosuite.formats import header, read, write
from cytosuite.formats.metaimage import read_metaimage
from cytosuite.volume import Volume

ARRAY = np.arange(3 * 4 * 5, dtype=np.uint16).reshape(3, 4, 5)
HEAD = {"ObjectType": "Image", "NDims": "3", "DimSize": "5 4 3", "ElementType": "MET_USHORT"}
PIXELS = ARRAY.tobytes()
LOCAL = {"ElementDataFile": "LOCAL"}
DTYPES = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]


def _write(path, content=PIXELS, **values):
    """Write a header with other or further lines, and the pixels; None leaves a line out."""
    fields = HEAD | values | ({} if "ElementDataFile" in values else LOCAL)
    lines = [f"{key} = {text}\n" for key, text in fields.items() if text is not None]
    path.write_bytes("".join(lines).encode("utf-8", "surrogateescape") + content)


def _raw(path, text, content=PIXELS):
    """Write a header as it is."""
    path.write_bytes(text.encode() + content)


def _short(path):
    """cannot be read as MetaImage (expected 120 bytes of pixels, found 119)"""
    _write(path, PIXELS[1:])


def _long(path):
    """cannot be read as MetaImage (expected 120 bytes of pixels, found 121)"""
    _write(path, PIXELS + b"0")


def _no_size(path):
    """cannot be read as MetaImage (expected 3 positive integers as DimSize, found none)"""
    _write(path, DimSize=None)


def _no_dimensions(path):
    """cannot be read as MetaImage (expected 1 positive integers as NDims, found none)"""
    _write(path, NDims=None)


def _text_pixels(path):
    """cannot be read as MetaImage (its pixels are text, BinaryData = False; only binary ones"""
    _write(path, b"1 2 3", BinaryData="False")


def _zero_dimensions(path):
    """cannot be read as MetaImage (expected 1 positive integers as NDims, found '0')"""
    _write(path, NDims="0")


def _99_dimensions(path):
    """expected 2, 3 or 4 dimensions, found 99"""
    _write(path, NDims="99")


def _negative(path):
    """cannot be read as MetaImage (expected 3 positive integers as DimSize, found '5 -4 3')"""
    _write(path, DimSize="5 -4 3")


def _too_few(path):
    """cannot be read as MetaImage (expected 3 positive integers as DimSize, found '5 4')"""
    _write(path, DimSize="5 4")


def _too_large(path):
    """cannot be read as MetaImage (expected 2000000000000000000000000000000 bytes of pixels,"""
    _write(path, DimSize=" ".join(["1" + "0" * 10] * 3))


def _underscore(path):
    """cannot be read as MetaImage (expected 3 positive integers as DimSize, found '5 4 0_3')"""
    _write(path, DimSize="5 4 0_3")


def _unknown_type(path):
    """cannot be read as MetaImage (expected one of MET_CHAR, MET_UCHAR,"""
    _write(path, ElementType="MET_USHORT_ARRAY")


def _no_type(path):
    """cannot be read as MetaImage (expected one of MET_CHAR, MET_UCHAR,"""
    _write(path, ElementType=None)


def _colour(path):
    """expected a grey image, found a colour image; give one channel"""
    _write(path, PIXELS * 3, ElementNumberOfChannels="3")


def _another_object(path):
    """cannot be read as MetaImage (expected one of Image as ObjectType, found 'Tube')"""
    _write(path, ObjectType="Tube")


def _header_size(path):
    """cannot be read as MetaImage (expected HeaderSize = 0, found '99999999999')"""
    _write(path, HeaderSize="99999999999")


def _no_spacing(path):
    """cannot be read as MetaImage (expected positive lengths in mm as ElementSpacing, found"""
    _write(path, ElementSpacing="0 0.5 0.5")


def _nan_spacing(path):
    """cannot be read as MetaImage (expected 3 finite numbers as ElementSpacing, found 'nan 1 1')"""
    _write(path, ElementSpacing="nan 1 1")


def _overflowing_spacing(path):
    """cannot be read as MetaImage (expected 3 finite numbers as ElementSpacing, found '1e999 1 1')"""
    _write(path, ElementSpacing="1e999 1 1")


def _tiny_spacing(path):
    """cannot be read as MetaImage (expected positive lengths in mm as ElementSpacing, found"""
    _write(path, ElementSpacing="1e-300 1 1")


def _nan_matrix(path):
    """cannot be read as MetaImage (expected 9 finite numbers as TransformMatrix, found 'nan 0 0"""
    _write(path, TransformMatrix="nan 0 0 0 1 0 0 0 1")


def _both_orders(path):
    """cannot be read as MetaImage (BinaryDataByteOrderMSB and ElementByteOrderMSB contradict"""
    _write(path, BinaryDataByteOrderMSB="True", ElementByteOrderMSB="False")


def _twice(path):
    """cannot be read as MetaImage (two lines of DimSize)"""
    _raw(path, "NDims = 3\nDimSize = 5 4 3\nDimSize = 5 4 3\n")


def _other_letters(path):
    """cannot be read as MetaImage (two lines of DimSize)"""
    _raw(path, "NDims = 3\nDimSize = 5 4 3\ndimsize = 5 4 4\n")


def _nul(path):
    """cannot be read as MetaImage (no line of its text: NDims = 3\\x00)"""
    _raw(path, "NDims = 3\0\n")


def _no_utf8(path):
    """cannot be read as MetaImage (no line of its text: stain = \ufffd)"""
    _write(path, stain="\udcb5")


def _no_utf8_key(path):
    """cannot be read as MetaImage (no line of its text: \ufffd = 1)"""
    _write(path, **{"\udcff": "1"})


def _no_line(path):
    """cannot be read as MetaImage (no line of its text: hello)"""
    _raw(path, "hello\nNDims = 3\n")


def _cut_stream(path):
    """cannot be read as MetaImage (expected 120 bytes of pixels, found"""
    _write(path, zlib.compress(PIXELS)[:-9], CompressedData="True")


def _wrong_size_of_stream(path):
    """cannot be read as MetaImage (expected 7 bytes of pixels, found"""
    _write(path, zlib.compress(PIXELS), CompressedData="True", CompressedDataSize="7")


def _short_stream(path):
    """cannot be read as MetaImage (expected 120 bytes of pixels, found 119)"""
    _write(path, zlib.compress(PIXELS[1:]), CompressedData="True")


def _bomb(path):
    """cannot be read as MetaImage (expected 120 bytes of pixels, found more)"""
    _write(path, zlib.compress(bytes(2**24)), CompressedData="True")


def _altered_stream(path):
    """cannot be read as MetaImage (compressed pixels are altered: Error -3 while decompressing"""
    _write(path, b"x\x9c" + bytes(range(99)), CompressedData="True")


def _ends(path):
    """expected a MetaImage with ElementDataFile = LOCAL, found none in the first 10 bytes"""
    _raw(path, "NDims = 3\n", b"")


def _endless_header(path):
    """expected a MetaImage with ElementDataFile = LOCAL, found none in the first 65536 bytes"""
    _write(path, remark="a" * 70000)


def _endless_key(path):
    """expected a MetaImage with ElementDataFile = LOCAL, found none in the first 65536 bytes"""
    _write(path, **{"k" * 10**6: "1"})


@pytest.mark.parametrize(
    "mistake",
    [
        _short,
        _long,
        _no_size,
        _no_dimensions,
        _text_pixels,
        _zero_dimensions,
        _99_dimensions,
        _negative,
        _too_few,
        _too_large,
        _underscore,
        _unknown_type,
        _no_type,
        _colour,
        _another_object,
        _header_size,
        _no_spacing,
        _nan_spacing,
        _overflowing_spacing,
        _tiny_spacing,
        _nan_matrix,
        _both_orders,
        _twice,
        _other_letters,
        _nul,
        _no_utf8,
        _no_utf8_key,
        _no_line,
        _cut_stream,
        _wrong_size_of_stream,
        _short_stream,
        _bomb,
        _altered_stream,
        _ends,
        _endless_header,
        _endless_key,
    ],
)
def test_explains(tmp_path, capfd, mistake):
    mistake(tmp_path / "a.mha")
    with pytest.raises(InputError) as caught:
        read(tmp_path / "a.mha")
    assert str(caught.value).startswith(f"{tmp_path / 'a.mha'}: {mistake.__doc__}")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "line",
    [
        "ElementDataFile = other.raw",
        "ElementDataFile=other.raw",
        "  ElementDataFile \t= \tother.raw ",
        "elementdatafile = other.raw",
        "ElementDataFile : other.raw",
        "ElementDataFile = {folder}/other.raw",
        "ElementDataFile = LIST\nother.raw",
        "ElementDataFile = other%01d.raw 1 3 1",
        "ElementDataFile = pipe",
        "ElementDataFile = other.raw\nElementDataFile = LOCAL",
        "elementdatafile = other.raw\nElementDataFile = LOCAL",
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
    with pytest.raises(InputError, match=r"a\.mha: "):
        function(tmp_path / "a.mha")
    assert {path for path in opened if path.startswith(str(tmp_path))} == {str(tmp_path / "a.mha")}


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.mha")
    with pytest.raises(InputError, match="expected a file, found a folder, a pipe or a device"):
        read_metaimage(tmp_path / "a.mha")


def test_more_pixels_than_memory_are_refused_before_they_are_read(tmp_path):
    _write(tmp_path / "a.mha", b"x", DimSize="1000000 1000000 1000", CompressedData="True")
    with pytest.raises(InputError, match=r"needs as much disk, .* GiB are free"):
        read(tmp_path / "a.mha")


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("shape", [(4, 5), (3, 4, 5), (2, 3, 4, 5)])
@pytest.mark.parametrize("dtype", [*DTYPES, "float32", "float64"])
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


@pytest.mark.parametrize("mark", [": ", "=", "  =  ", "\t=\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_headers_of_other_programs_are_read(tmp_path, mark, end):
    lines = [f"{key}{mark}{text}{end}" for key, text in (HEAD | LOCAL).items()]
    _raw(tmp_path / "a.mha", "".join(lines))
    np.testing.assert_array_equal(read(tmp_path / "a.mha").array, ARRAY)


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
    with pytest.raises(InputError, match="MetaImage cannot hold metadata of the name"):
        write(tmp_path / "a.mha", Volume(ARRAY, (1, 1, 1), metadata={key: "x"}))
    assert list(tmp_path.iterdir()) == []


def test_a_value_of_several_lines_becomes_one(tmp_path):
    text = "nucleus\nElementDataFile = other.raw"
    write(tmp_path / "a.mha", Volume(ARRAY, (2, 1, 1), metadata={"channel": text}))
    assert read(tmp_path / "a.mha").metadata["channel"] == "nucleus ElementDataFile = other.raw"
