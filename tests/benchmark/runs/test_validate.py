import re
from contextlib import nullcontext
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import tifffile

from cytosuite.benchmark.runs.validate import JSON_BYTES, BadOutput, check, lost_spacing
from cytosuite.contract.tasks import TRACKS, Socket
from cytosuite.formats import opened, write
from cytosuite.volume import Header, Volume

LABELS = Socket("instance-labels", "labels", "Labels")
IMAGE = Socket("image", "image", "Image")
INPUT = Header((3, 4, 5), np.dtype(np.uint16), (2.0, 0.5, 0.5), "ZYX")


def _put(folder, array, name="a.tif", spacing=(2.0, 0.5, 0.5), socket=LABELS):
    path = folder / socket.relative_path / name
    write(path, Volume(array, spacing[-array.ndim :], "ZYX"[-array.ndim :]))
    return path


def bad(message, *arguments, **named):
    """Return status and line by which an output is refused, in which an expression is found."""
    with pytest.raises(BadOutput, match=message) as caught:
        check(*arguments, **named)
    return f"{caught.value.status}: {caught.value}"


def _labels(dtype=np.uint16):
    labels = np.zeros((3, 4, 5), dtype)
    labels[1, 2] = 7
    return labels


@pytest.mark.parametrize("name", ["other name.tiff", "0-1.mha", "a.ozx"])
def test_a_valid_output_is_returned(tmp_path, name):
    path = _put(tmp_path, _labels(np.int32), name)
    assert check(tmp_path, LABELS, INPUT) == path
    coloured = replace(INPUT, shape=(2, *INPUT.shape), axes=f"C{INPUT.axes}")
    assert check(tmp_path, LABELS, coloured) == path


def _two(folder):
    """bad output: images/instance-labels: expected one image, found 2"""
    _put(folder, _labels())
    _put(folder, _labels(), "b.tif")


def _other_shape(folder):
    """bad output: images/instance-labels/a.tif: expected shape (3, 4, 5), found (3, 5, 4)"""
    _put(folder, np.zeros((3, 5, 4), np.uint16))


def _other_spacing(folder):
    """bad output: images/instance-labels/a.tif: expected spacing (2.0, 0.5, 0.5), found (1.0, 0.5, 0.5)"""
    _put(folder, _labels(), spacing=(1.0, 0.5, 0.5))


def _float_labels(folder):
    """bad output: images/instance-labels/a.tif: expected integers, found dtype float32"""
    _put(folder, _labels(np.float32))


def _negative(folder):
    """bad output: images/instance-labels/a.tif: expected labels >= 0, found -7"""
    _put(folder, -_labels(np.int32))


def _cut(folder):
    """bad output: images/instance-labels/a.tif: cannot be read as TIFF, cut or broken"""
    path = _put(folder, np.random.default_rng(0).integers(0, 9, (3, 4, 5), np.uint16))
    path.write_bytes(path.read_bytes()[:-20])


def _colourful(folder):
    """bad output: images/instance-labels/a.tif: expected axes ZYX, found CYX"""
    write(folder / LABELS.relative_path / "a.tif", Volume(_labels(), (0.5, 0.5), "CYX"))


def _folder(folder):
    """bad output: images/instance-labels/a.ozx: expected a file, .mha, .tif, .tiff, .ozx"""
    _put(folder, _labels(), "a.ome.zarr").rename(folder / LABELS.relative_path / "a.ozx")


@pytest.mark.parametrize(
    "mistake",
    [_folder, _two, _other_shape, _other_spacing, _float_labels, _negative, _cut, _colourful],
)
def test_finds(tmp_path, mistake):
    mistake(tmp_path)
    assert mistake.__doc__ in bad(".", tmp_path, LABELS, INPUT)


def test_a_small_file_that_claims_many_voxels_is_not_decoded(tmp_path, monkeypatch):
    _put(tmp_path, np.zeros((200, 64, 64), np.uint16))
    monkeypatch.setattr(tifffile.TiffPageSeries, "asarray", None)
    bad(re.escape("found (200, 64, 64)"), tmp_path, LABELS, INPUT)


SUMMARY = Socket("cell-summary", "json", "Summary")


@pytest.mark.parametrize(
    "content, message",
    {
        "[1, 2]": "expected a JSON object",
        '{"a": NaN}': "expected JSON, found NaN",
        " " * (JSON_BYTES + 1): f"more than {JSON_BYTES} bytes",
        None: "missing output: cell-summary.json: expected a JSON object",
    }.items(),
)
def test_a_json_output_is_an_object(tmp_path, content, message):
    path = tmp_path / "cell-summary.json"
    path.write_text('{"total": 3}')
    assert check(tmp_path, SUMMARY, None) == path
    path.unlink() if content is None else path.write_text(content)
    assert message in bad(".", tmp_path, SUMMARY, None)


def test_an_optional_output_may_be_absent_and_no_other(tmp_path):
    assert check(tmp_path, Socket("a", "image", "A", optional=True), INPUT) is None
    assert check(tmp_path, Socket("a", "json", "A", optional=True), INPUT) is None
    bad("images/instance-labels: expected one image, found none", tmp_path, LABELS, INPUT)


def test_an_image_that_no_input_bounds_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr("cytosuite.benchmark.runs.validate.VOXELS", 59)
    _put(tmp_path, _labels(np.float32), socket=IMAGE)
    bad("more than 59 voxels", tmp_path, IMAGE, None)


@pytest.mark.parametrize(
    "spacing, of_labels, of_images",
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
    expected = replace(INPUT, spacing=(2.0, 0.5, 0.4))
    written = replace(INPUT, spacing=spacing)
    assert lost_spacing(written, expected, LABELS) == of_labels
    assert lost_spacing(written, expected, IMAGE) == of_images
    planes = [Header((3, 4), np.dtype(np.uint16), s[1:], "YX") for s in (spacing, expected.spacing)]
    assert lost_spacing(*planes, LABELS) == (spacing == (1.0, 1.0, 1.0))  # only as a whole


def test_leniency_forgives_the_voxel_size_alone(tmp_path):
    path = _put(tmp_path, _labels(), "a.mha", (1.0, 1.0, 1.0))
    assert check(tmp_path, LABELS, INPUT, lenient=True) == path
    _put(tmp_path, _labels()[:2], "a.mha", (1.0, 1.0, 1.0))
    bad("expected shape", tmp_path, LABELS, INPUT, lenient=True)
    _put(tmp_path, _labels(np.float32), "a.mha", (1.0, 1.0, 1.0))
    bad("expected integers", tmp_path, LABELS, INPUT, lenient=True)


@pytest.mark.parametrize("value, words", [(np.nan, "NaN or infinity"), (2e15, "larger ones")])
def test_every_slab_of_an_image_is_looked_at(tmp_path, monkeypatch, value, words):
    monkeypatch.setattr("cytosuite.benchmark.runs.validate.opened", partial(opened, planes=1))
    image = np.zeros((3, 4, 5), np.float32)
    path = _put(tmp_path, image, socket=IMAGE)
    assert check(tmp_path, IMAGE, INPUT) == path
    image[2, 3, 4] = value
    _put(tmp_path, image, socket=IMAGE)
    bad(rf"expected finite values up to 1e\+15, found {words}", tmp_path, IMAGE, INPUT)


def test_pixels_that_are_not_those_of_the_header_are_refused(tmp_path, monkeypatch):
    _put(tmp_path, _labels())
    for words, parts in {
        r"pixels are uint16 \(2, 4, 5\)": [np.zeros((2, 4, 5), np.uint16)],
        r"pixels are uint16 \(4, 4, 5\)": [np.zeros((2, 4, 5), np.uint16)] * 2,
        r"pixels are uint16 \(3, 4, 6\)": [np.zeros((3, 4, 6), np.uint16)],
        r"pixels are float32 \(3, 4, 5\)": [np.zeros((3, 4, 5), np.float32)],
    }.items():
        opening = nullcontext((INPUT, iter(parts)))
        monkeypatch.setattr(
            "cytosuite.benchmark.runs.validate.opened", lambda _, opening=opening: opening
        )
        bad(r"the header says uint16 \(3, 4, 5\), the " + words, tmp_path, LABELS, INPUT)


@pytest.mark.parametrize(
    "rows, words",
    {
        None: "tracks.csv: expected a table of tracks",
        "1,0,3,0\n2,3,5,1": "label 2: begins in frame 3, not after its parent 1",
        "9" * JSON_BYTES: f"tracks.csv: more than {JSON_BYTES} bytes",
    }.items(),
)
def test_tracks_that_contradict_each_other_are_refused(tmp_path, rows, words):
    if rows is not None:
        (tmp_path / "tracks.csv").write_text(f"label,begin,end,parent\n{rows}\n")
    bad(words, tmp_path, TRACKS, None)


def test_a_table_of_tracks_is_returned(tmp_path):
    path = tmp_path / "tracks.csv"
    path.write_text("label,begin,end,parent\n1,0,3,0\n2,4,5,1\n")
    assert check(tmp_path, TRACKS, None) == path
