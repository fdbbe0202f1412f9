import re
from functools import partial

import numpy as np
import pytest
import tifffile

from cytosuite.benchmark.validate import BadOutput, check, lost_spacing
from cytosuite.formats import slabs, write
from cytosuite.tasks import Socket
from cytosuite.volume import Header, Volume

LABELS = Socket("instance-labels", "labels", "Labels")
IMAGE = Socket("image", "image", "Image")
INPUT = Header((3, 4, 5), np.dtype(np.uint16), (2.0, 0.5, 0.5), "ZYX")


def _put(folder, array, name="a.tif", spacing=(2.0, 0.5, 0.5), socket=LABELS):
    path = folder / socket.relative_path / name
    axes = "ZYX"[-array.ndim :]
    write(path, Volume(array, spacing[-array.ndim :], axes))
    return path


def _labels(dtype=np.uint16):
    labels = np.zeros((3, 4, 5), dtype)
    labels[1, 2] = 7
    return labels


@pytest.mark.parametrize("name", ["a.tif", "other name.tiff", "0-1.mha", "a.ozx"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.int32])
def test_a_valid_output_is_returned(tmp_path, name, dtype):
    path = _put(tmp_path, _labels(dtype), name)
    assert check(tmp_path, LABELS, INPUT) == path


def test_an_image_socket_takes_real_numbers(tmp_path):
    _put(tmp_path, _labels(np.float32), socket=IMAGE)
    assert check(tmp_path, IMAGE, INPUT).is_file()


def _nothing(folder):
    """missing output: images/instance-labels: expected one image, found none"""


def _empty_folder(folder):
    """missing output: images/instance-labels: expected one image, found none"""
    (folder / LABELS.relative_path).mkdir(parents=True)


def _two(folder):
    """bad output: images/instance-labels: expected one image, found 2"""
    _put(folder, _labels())
    _put(folder, _labels(), "b.tif")


def _other_kind(folder):
    """bad output: images/instance-labels/a.h5: expected a file, .mha, .tif, .tiff"""
    _put(folder, _labels(), "a.h5")


def _other_shape(folder):
    """bad output: images/instance-labels/a.tif: expected shape (3, 4, 5), found (3, 5, 4)"""
    _put(folder, np.zeros((3, 5, 4), np.uint16))


def _a_plane(folder):
    """bad output: images/instance-labels/a.tif: expected shape (3, 4, 5), found (4, 5)"""
    _put(folder, np.zeros((4, 5), np.uint16))


def _other_spacing(folder):
    """bad output: images/instance-labels/a.tif: expected spacing (2.0, 0.5, 0.5), found (1.0, 0.5, 0.5)"""
    _put(folder, _labels(), spacing=(1.0, 0.5, 0.5))


def _float_labels(folder):
    """bad output: images/instance-labels/a.tif: expected integers, found dtype float32"""
    _put(folder, _labels(np.float32))


def _negative(folder):
    """bad output: images/instance-labels/a.tif: expected labels >= 0, found -7"""
    _put(folder, -_labels(np.int32))


def _no_image(folder):
    """bad output: images/instance-labels/a.tif: cannot be read as TIFF, cut or broken"""
    _put(folder, _labels()).write_text("hello")


def _cut(folder):
    """bad output: images/instance-labels/a.tif: cannot be read as TIFF, cut or broken"""
    path = _put(folder, np.random.default_rng(0).integers(0, 9, (3, 4, 5), np.uint16))
    path.write_bytes(path.read_bytes()[:-20])


def _moving(folder):
    """bad output: images/instance-labels/a.tif: expected axes ZYX, found TYX"""
    path = _put(folder, _labels())
    path.unlink()
    write(path, Volume(_labels(np.float32), (0.5, 0.5), "TYX"))


def _colourful(folder):
    """bad output: images/instance-labels/a.tif: expected axes ZYX, found CYX"""
    path = _put(folder, _labels())
    path.unlink()
    write(path, Volume(_labels(), (0.5, 0.5), "CYX"))


def _folder(folder):
    """bad output: images/instance-labels/a.ozx: expected a file, .mha, .tif, .tiff, .ozx"""
    _put(folder, _labels(), "a.ome.zarr").rename(folder / LABELS.relative_path / "a.ozx")


@pytest.mark.parametrize(
    "mistake",
    [
        _folder,
        _nothing,
        _empty_folder,
        _two,
        _other_kind,
        _other_shape,
        _a_plane,
        _other_spacing,
        _float_labels,
        _negative,
        _no_image,
        _cut,
        _moving,
        _colourful,
    ],
)
def test_finds(tmp_path, mistake):
    mistake(tmp_path)
    with pytest.raises(BadOutput) as caught:
        check(tmp_path, LABELS, INPUT)
    assert mistake.__doc__ in f"{caught.value.status}: {caught.value}"


def test_nan_is_found_in_images(tmp_path):
    _put(tmp_path, np.full((3, 4, 5), np.nan, np.float32), socket=IMAGE)
    with pytest.raises(
        BadOutput, match=r"expected finite values up to 1e\+15, found NaN or infinity"
    ):
        check(tmp_path, IMAGE, INPUT)


def test_a_small_file_that_claims_many_voxels_is_not_decoded(tmp_path, monkeypatch):
    _put(tmp_path, np.zeros((200, 64, 64), np.uint16))
    monkeypatch.setattr(tifffile.TiffPageSeries, "asarray", None)
    with pytest.raises(BadOutput, match=re.escape("found (200, 64, 64)")):
        check(tmp_path, LABELS, INPUT)


SUMMARY = Socket("cell-summary", "json", "Summary")


def test_a_json_output_is_an_object(tmp_path):
    path = tmp_path / "cell-summary.json"
    path.write_text('{"total": 3}')
    assert check(tmp_path, SUMMARY, None) == path


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1, 2]", "expected a JSON object"),
        ('{"a": NaN}', "expected JSON, found NaN"),
        ('{"a": ', "expected JSON, found Expecting value"),
        ("[" * 100_000, "expected JSON, found more than 64 lists and objects in each other"),
        ('{"a": 1e999}', "expected JSON, found 1e999, which is no number"),
        ('{"a": ' + "9" * 400 + "}", "expected JSON, found an integer of 400 digits"),
        (r'{"a": "\ud800"}', "expected JSON, found"),
        ('{"a": 1, "a": 2}', "expected JSON, found the name 'a' twice"),
        (" " * (16 * 2**20 + 1), "more than 16777216 bytes"),
        (None, "missing output: cell-summary.json: expected a JSON object"),
    ],
)
def test_a_json_output_is_not_trusted(tmp_path, content, message):
    if content is not None:
        (tmp_path / "cell-summary.json").write_text(content)
    with pytest.raises(BadOutput) as caught:
        check(tmp_path, SUMMARY, None)
    assert message in f"{caught.value.status}: {caught.value}"


def test_an_optional_output_may_be_absent(tmp_path):
    assert check(tmp_path, Socket("a", "image", "A", optional=True), INPUT) is None
    assert check(tmp_path, Socket("a", "json", "A", optional=True), INPUT) is None


def test_unsigned_labels_are_decoded_too(tmp_path):
    """A header that is right says nothing of pixels that are not."""
    path = _put(tmp_path, np.random.default_rng(0).integers(0, 9, (3, 4, 5), np.uint16))
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        begin, size = file.pages[0].dataoffsets[0], file.pages[0].databytecounts[0]
    content[begin : begin + size] = b"x" * size
    path.write_bytes(content)
    with pytest.raises(BadOutput, match="cannot be read as TIFF"):
        check(tmp_path, LABELS, INPUT)


def test_an_image_that_no_input_bounds_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr("cytosuite.benchmark.validate.VOXELS", 59)
    _put(tmp_path, _labels(np.float32), socket=IMAGE)
    with pytest.raises(BadOutput, match="more than 59 voxels"):
        check(tmp_path, IMAGE, None)


@pytest.mark.parametrize(
    ("spacing", "of_labels", "of_images"),
    [
        ((2.0, 0.5, 0.4), False, False),  # nothing is lost
        ((1.0, 1.0, 1.0), True, True),  # GetImageFromArray
        ((1000.0, 0.5, 0.4), True, True),  # SimpleITK's 1 mm between the slices of a TIFF
        ((0.5, 0.5, 0.4), True, False),  # SimpleITK's TIFF
        ((1.0, 0.5, 0.4), True, False),
        ((4.0, 0.5, 0.4), False, False),  # wrong, and no default
        ((0.4, 0.5, 2.0), False, False),  # x and z exchanged
        ((1000.0, 0.6, 0.4), False, False),
    ],
)
def test_a_voxel_size_is_lost_where_a_default_stands_in_its_place(spacing, of_labels, of_images):
    wanted = Header((2, 3, 4), np.dtype(np.uint16), (2.0, 0.5, 0.4), "ZYX")
    found = Header((2, 3, 4), np.dtype(np.uint16), spacing, "ZYX")
    assert lost_spacing(found, wanted, LABELS) == of_labels
    assert lost_spacing(found, wanted, Socket("an-image", "image", "An image")) == of_images


def test_a_plane_loses_its_voxel_size_only_as_a_whole():
    def plane(*spacing):
        return Header((3, 4), np.dtype(np.uint16), spacing, "YX")

    assert lost_spacing(plane(1.0, 1.0), plane(0.5, 0.4), LABELS)
    assert not lost_spacing(plane(1.0, 0.4), plane(0.5, 0.4), LABELS)


def test_leniency_forgives_the_voxel_size_alone(tmp_path):
    wanted = Header((4, 8, 8), np.dtype(np.uint16), (2.0, 0.5, 0.5), "ZYX")
    array = np.ones((4, 8, 8), np.uint16)
    path = _put(tmp_path, array, "a.mha", (1.0, 1.0, 1.0))
    assert check(tmp_path, LABELS, wanted, lenient=True) == path
    with pytest.raises(BadOutput, match="expected spacing"):
        check(tmp_path, LABELS, wanted)
    _put(tmp_path, array[:3], "a.mha", (1.0, 1.0, 1.0))
    with pytest.raises(BadOutput, match="expected shape"):
        check(tmp_path, LABELS, wanted, lenient=True)
    _put(tmp_path, array.astype(np.float32), "a.mha", (1.0, 1.0, 1.0))
    with pytest.raises(BadOutput, match="expected integers"):
        check(tmp_path, LABELS, wanted, lenient=True)


@pytest.mark.parametrize(("value", "words"), [(np.nan, "NaN or infinity"), (2e15, "larger ones")])
def test_every_slab_of_an_image_is_looked_at(tmp_path, monkeypatch, value, words):
    monkeypatch.setattr("cytosuite.benchmark.validate.slabs", partial(slabs, planes=1))
    image = np.zeros((3, 4, 5), np.float32)
    image[2, 3, 4] = value
    path = _put(tmp_path, image, socket=IMAGE)
    with pytest.raises(BadOutput, match=f"expected finite values up to .*, found {words}"):
        check(tmp_path, IMAGE, INPUT)
    image[2, 3, 4] = 0
    path.unlink()
    _put(tmp_path, image, socket=IMAGE)
    assert check(tmp_path, IMAGE, INPUT) == path


def test_pixels_that_are_not_those_of_the_header_are_refused(tmp_path, monkeypatch):
    _put(tmp_path, _labels())
    for parts, words in (
        ([np.zeros((2, 4, 5), np.uint16)], r"pixels are uint16 \(2, 4, 5\)"),
        ([np.zeros((2, 4, 5), np.uint16)] * 2, r"pixels are uint16 \(4, 4, 5\)"),
        ([np.zeros((3, 4, 6), np.uint16)], r"pixels are uint16 \(3, 4, 6\)"),
        ([np.zeros((3, 4, 5), np.float32)], r"pixels are float32 \(3, 4, 5\)"),
    ):
        monkeypatch.setattr("cytosuite.benchmark.validate.slabs", lambda _, own=parts: iter(own))
        with pytest.raises(BadOutput, match=r"the header says uint16 \(3, 4, 5\), the " + words):
            check(tmp_path, LABELS, INPUT)
