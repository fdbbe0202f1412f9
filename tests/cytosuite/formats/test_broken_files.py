"""Broken, odd and hostile files: each is one line, or the right image."""

import os
import struct
import zlib

import h5py
import numpy as np
import pytest
from imagecodecs import lzf_encode
from mistakes import explained, refused
from PIL import Image
from rasters import counted

from cytosuite.formats import channels, header, read

PIXELS = counted(3, 4, 5)
HUGE = (10**6, 10**4, 2 * 10**4)  # 364 TiB of 16 bits


def _pipe(path):
    os.mkfifo(path.with_suffix(".tif"))
    return path.with_suffix(".tif")


def _device(path):
    path.with_suffix(".mha").symlink_to("/dev/zero")
    return path.with_suffix(".mha")


def _hdf5(path, name="image", array=PIXELS, options=(), **attributes):
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset(name, data=array, **dict(options))
        for key, value in attributes.items():
            dataset.attrs[key] = value


def _group_of_others(path):
    with h5py.File(path, "w") as file:
        for name in ("data/boundary", "data/seeds", "data/deep/image"):
            file.create_dataset(name, data=PIXELS)


def _a_group_of_thousands(path):
    with h5py.File(path, "w") as file:
        one = file.create_dataset("0", data=PIXELS)
        for number in range(1, 2**14 + 1):
            file[str(number)] = one


def _link_out(path):
    _hdf5(path.with_name("b.h5"))
    with h5py.File(path, "w") as file:
        file["image"] = h5py.ExternalLink("b.h5", "/image")


def _pixels_of_a_virtual_dataset(path):
    layout = h5py.VirtualLayout(HUGE, "u2")
    _hdf5(source := path.with_name("b.h5"))
    layout[:3, :4, :5] = h5py.VirtualSource(source, "image", (3, 4, 5))
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("image", layout)


def _pixels_in_another_file(path):
    (secret := path.with_name("secret")).touch()
    _hdf5(path, options={"external": [(secret, 0, PIXELS.nbytes)]})


def _claimed(path, **options):
    """Write a dataset of a shape without its pixels."""
    _hdf5(path, array=None, options=options)


def _more_than_its_chunk(path, times):
    content = os.urandom(2**19) + bytes(2**24)
    shape = (512, 1024)
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk(shape)
    if times > 1:
        properties.set_filter(h5py.h5z.FILTER_LZF)
    properties.set_deflate(1)
    content = zlib.compress(content)
    with h5py.File(path, "w") as file:
        kind = h5py.h5t.NATIVE_UINT8
        dataset = h5py.h5d.create(
            file.id, b"image", kind, h5py.h5s.create_simple(shape), properties
        )
        dataset.write_direct_chunk((0, 0), content)


def _a_chunk_of_lzf_that_grows(path):
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("image", (64, 64), "u1", chunks=(64, 64), compression="lzf")
        dataset.id.write_direct_chunk((0, 0), lzf_encode(bytes(2**20)))


def _an_attribute_as_large_as_an_image(path):
    with h5py.File(path, "w", libver="latest") as file:
        file.create_dataset("image", data=PIXELS).attrs["spacing"] = np.ones(2**18)


def _a_jpeg_of_many_scans(path):
    path = path.with_suffix(".jpg")
    Image.fromarray(PIXELS[0].astype(np.uint8)).save(path, progressive=True)
    content = path.read_bytes()
    last = content.rindex(b"\xff\xda")
    path.write_bytes(content[:last] + content[last:-2] * 100 + content[-2:])
    return path


def _foreign_filter(path):
    _hdf5(path, options={"compression": "gzip"})
    content = path.read_bytes()
    deflate = b"\1\0\x08\0\1\0\1\0deflate"
    assert content.count(deflate) == 1
    path.write_bytes(content.replace(deflate, struct.pack("<4H", 32015, 8, 1, 1) + b"deflate"))


def _png(path, width, height, colour=0, pixels=b""):
    head = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(pixels)), (b"IEND", b"")]
    parts = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    ]
    path.with_suffix(".png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return path.with_suffix(".png")


def _a_program_as_picture(path):
    path.with_suffix(".png").write_text(
        "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n"
    )
    return path.with_suffix(".png")


MISTAKES = [
    ("expected a file, found a folder, a pipe or a device", _pipe),
    ("expected a file, found a folder, a pipe or a device", _device),
    ("cannot be opened (File name too long)", lambda path: path.with_name(f"{'a' * 300}.tif")),
    ("expected 2 to 5 dimensions, found shape None", _hdf5, {"array": h5py.Empty("u2")}),
    ("expected 2 to 5 dimensions, found shape (60,)", _hdf5, {"array": PIXELS.ravel()}),
    ("expected numbers,", _hdf5, {"array": np.zeros((3, 4), [("a", "<u2"), ("b", "<f4")])}),
    ("expected 3 numbers in µm as spacing, found 0.5", _hdf5, {"spacing": 0.5}),
    ("expected 3 numbers in µm as spacing, found [1.0, 2.0]", _hdf5, {"spacing": [1.0, 2.0]}),
    ("expected the axes of shape (3, 4, 5) as a text, found", _hdf5, {"axes": [0, 1, 2]}),
    ("axes must be an ordered subset of TCZYX that ends in YX,", _hdf5, {"axes": b"QYX"}),
    ("expected a dataset named image or raw_image or raw or data", _hdf5, "image/deep"),
    (
        (
            "expected a dataset named image or raw_image or raw or data or labels or label or "
            "segmentation or instance or instances in data, found boundary, deep (a group), seeds; name one by --group to"
        ),
        _group_of_others,
    ),
    (
        "expected at most 16384 members of /, found 16385; save the image",
        _a_group_of_thousands,
    ),
    ("expected a dataset named image or raw_image or raw or data or labels", _link_out),
    ("expected pixels in the file itself, found them in other files", _pixels_of_a_virtual_dataset),
    ("expected pixels in the file itself, found them in other files", _pixels_in_another_file),
    (
        "claims 3.73e+05 GiB of pixels in 1400 bytes, more than 32768 times",
        _claimed,
        {"shape": HUGE, "dtype": "u2", "chunks": (1, 100, 100)},
    ),
    (
        "needs 3 GiB of memory, 2 GiB are free; crop it, or give",
        _claimed,
        {"shape": (2, 2), "dtype": "u1", "chunks": (2**16, 3 * 2**14), "maxshape": (None, None)},
    ),
    ("expected chunks of 524288 bytes, found one that is broken or", _more_than_its_chunk, 1),
    ("expected pixels that are packed once, found them", _more_than_its_chunk, 2),
    ("expected chunks of 4096 bytes, found one that is broken or", _a_chunk_of_lzf_that_grows),
    (
        "expected attributes of at most 1048576 bytes, found spacing of 2097152; take it out",
        _an_attribute_as_large_as_an_image,
    ),
    ("expected a JPEG of at most 100 scans, found 10", _a_jpeg_of_many_scans),
    ("the pixels are packed by the filter 32015 (deflate), which is not", _foreign_filter),
    (
        "the pixels are packed by the filter 6 (scaleoffset), which is not read here; save",
        _claimed,
        {"shape": (4, 5), "dtype": "u2", "scaleoffset": 0},
    ),
    ("expected a picture of at most 268435456", _png, 10**5, 10**5),
    ("expected a grey image, found a palette; give one", _png, 4, 5, 3),
    ("expected 5 rows of pixels, found fewer; save it anew", _png, 4, 5, 0, b"\0wall" * 4),
    ("cannot be read as a picture (neither PNG nor JPEG)", _a_program_as_picture),
]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_explains(h5, monkeypatch, mistake):
    monkeypatch.setattr("cytosuite.volume.memory.free_gib", lambda: 2.0)
    monkeypatch.setattr("cytosuite.volume.memory.free_gib", lambda: 2.0)
    explained(read, h5, mistake)


def test_a_channel_of_a_huge_picture_is_refused(h5):
    refused(
        "expected a picture of at most 268435456 pixels", read, _png(h5, 10**5, 10**4, 2), {"C": 0}
    )


@pytest.mark.parametrize("look", [header, channels])
def test_no_reader_waits_for_what_is_no_file(h5, look):
    refused("expected a file, found a folder, a pipe or a device", look, _pipe(h5))


def test_odd_attributes_describe_nothing(h5):
    odd = {"nan": np.nan, "inf": np.inf, "list": [1, 2], "none": h5py.Empty("f8"), "x\ny": 1}
    _hdf5(h5, channel="DAPI", study=np.int16(4), who=b"\xff", **odd)
    with h5py.File(h5, "a") as file:
        file["image"].attrs["self"] = file["image"].ref
        h5py.h5a.create(
            file["image"].id, b"\xfe", h5py.h5t.NATIVE_INT16, h5py.h5s.create(h5py.h5s.SCALAR)
        )
    volume = read(h5)
    metadata = {"channel": "DAPI", "study": 4, "who": "\\udcff"}
    assert volume.metadata == {**metadata, "spacing_source": "assumed"}
    (line,) = volume.origin.warnings
    assert line == "metadata that no program can hold do not count: inf, nan, x y, ..."


@pytest.mark.parametrize("odd", [0, np.nan, -1])
def test_a_voxel_size_that_is_none_does_not_count(h5, odd):
    for size, guess in [((odd, 0.5, 0.4), (0.5, 0.5, 0.4)), ((2, 0.5, odd), (1, 1, 1))]:
        _hdf5(h5, spacing=np.array(size, float))
        image = read(h5)
        assert (image.spacing, image.origin.sources["spacing"]) == (guess, "assumed")
        line = f"a voxel size of {float(odd)} µm (hdf5) is none and does not count"
        assert image.spacing_is_assumed
        assert image.origin.warnings == (line,)


def test_a_checksum_behind_a_chunk_is_none_of_its_pixels(h5):
    with h5py.File(h5, "w") as file:
        file.create_dataset("image", data=PIXELS, compression="lzf", shuffle=True, fletcher32=True)
    assert (read(h5).array == PIXELS).all()


def test_bytes_behind_a_picture_are_no_scans(tmp_path):
    Image.fromarray(PIXELS[0].astype(np.uint8)).save(tmp_path / "a.jpg")
    with (tmp_path / "a.jpg").open("ab") as file:
        file.write(b"\xff\xda\x80" * 101)
    assert read(tmp_path / "a.jpg").shape == PIXELS[0].shape


@pytest.mark.parametrize("mode, pick", [("L", {}), ("RGB", {"C": 1})])
def test_the_first_picture_of_an_animation_is_read_with_a_remark(tmp_path, mode, pick):
    first, *others = [Image.new(mode, (5, 4), (value,) * len(mode)) for value in (3, 5, 7)]
    first.save(tmp_path / "a.png", save_all=True, append_images=others)
    volume = read(tmp_path / "a.png", pick)
    assert (volume.array == 3).all()
    assert volume.origin.warnings == ("the file holds 3 images, and only the first is read",)
