"""Broken, odd and hostile files: each is one line, or the right image."""

import os
import socket
import struct
import zlib

import h5py
import numpy as np
import pytest
from PIL import Image

from cytosuite import large, memory
from cytosuite.errors import InputError, plain
from cytosuite.formats import channels, header, read

PIXELS = np.arange(60, dtype=np.uint16).reshape(3, 4, 5)
HUGE = (10**6, 10**4, 2 * 10**4)  # 364 TiB of 16 bits


def _pipe(folder):
    """expected a file, found a folder, a pipe or a device"""
    os.mkfifo(folder / "a.tif")
    return folder / "a.tif"


def _folder(folder):
    """expected a file, found a folder, a pipe or a device"""
    (folder / "a.h5").mkdir()
    return folder / "a.h5"


def _device(folder):
    """expected a file, found a folder, a pipe or a device"""
    (folder / "a.mha").symlink_to("/dev/zero")
    return folder / "a.mha"


def _socket(folder):
    """cannot be opened (No such device or address)"""
    place = os.open(folder, os.O_RDONLY)  # the name of a socket is short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"/proc/self/fd/{place}/a.png")
    os.close(place)
    return folder / "a.png"


def _link_to_nothing(folder):
    """no such file"""
    (folder / "a.tif").symlink_to("b.tif")
    return folder / "a.tif"


def _link_to_itself(folder):
    """cannot be opened (Too many levels of symbolic links)"""
    (folder / "a.tif").symlink_to("a.tif")
    return folder / "a.tif"


def _long_name(folder):
    """cannot be opened (File name too long)"""
    return folder / f"{'a' * 300}.tif"


def _nul_in_the_name(folder):
    """cannot be opened (embedded null byte)"""
    return folder / "a\0.tif"


def _hdf5(folder, name="image", array=PIXELS, **attributes):
    """Write an HDF5 file with one dataset, and return its path."""
    with h5py.File(folder / "a.h5", "w") as file:
        dataset = file.create_dataset(name, data=array)
        for key, value in attributes.items():
            dataset.attrs[key] = value
    return folder / "a.h5"


def _null_space(folder):
    """expected 2 to 5 dimensions, found shape None"""
    return _hdf5(folder, array=h5py.Empty("u2"))


def _scalar(folder):
    """expected 2 to 5 dimensions, found shape ()"""
    return _hdf5(folder, array=5)


def _row(folder):
    """expected 2 to 5 dimensions, found shape (60,)"""
    return _hdf5(folder, array=PIXELS.ravel())


def _records(folder):
    """expected numbers, found dtype [('a', '<u2'), ('b', '<f4')]"""
    return _hdf5(folder, array=np.zeros((3, 4), [("a", "<u2"), ("b", "<f4")]))


def _texts(folder):
    """expected numbers, found dtype object"""
    return _hdf5(folder, array=np.full((3, 4), "a", h5py.string_dtype()))


def _complex(folder):
    """expected numbers, found dtype complex64"""
    return _hdf5(folder, array=np.ones((3, 4), np.complex64))


def _dates(folder):
    """expected numbers, found dtype |V8"""
    return _hdf5(folder, array=np.ones((3, 4), np.dtype("V8")))


def _size_of_one_number(folder):
    """expected a list of µm as spacing, found 0.5"""
    return _hdf5(folder, spacing=0.5)


def _size_of_digits(folder):
    """expected a list of µm as spacing, found '123'"""
    return _hdf5(folder, spacing="123")


def _size_of_words(folder):
    """expected a list of µm as spacing, found ['1', '2', '3']"""
    return _hdf5(folder, spacing=np.array(["1", "2", "3"], h5py.string_dtype()))


def _no_size(folder):
    """expected a list of µm as spacing, found Empty(dtype=dtype('<f8'))"""
    return _hdf5(folder, spacing=h5py.Empty("f8"))


def _size_of_nan(folder):
    """spacing must be 3 positive numbers in µm (z, y, x), found [1.0, nan, 1.0]"""
    return _hdf5(folder, spacing=[1, np.nan, 1])


def _short_size(folder):
    """spacing must be 3 positive numbers in µm (z, y, x), found [1.0, 1.0]"""
    return _hdf5(folder, spacing=[1.0, 1.0])


def _axes_of_numbers(folder):
    """expected the axes of shape (3, 4, 5) as a text, found [0, 1, 2]"""
    return _hdf5(folder, axes=[0, 1, 2])


def _unknown_axes(folder):
    """axes must be an ordered subset of TCZYX that ends in YX, found 'QYX'"""
    return _hdf5(folder, axes=b"QYX")


def _group(folder):
    """expected a dataset named image or raw or data or labels or label, found image (a group)"""
    return _hdf5(folder, "image/deep")


def _group_of_others(folder):
    """expected a dataset named image or instance or raw_image in data, found boundary, deep (a group), seeds"""
    with h5py.File(folder / "a.h5", "w") as file:
        for name in ("data/boundary", "data/seeds", "data/deep/image"):
            file.create_dataset(name, data=PIXELS)
    return folder / "a.h5"


def _group_with_a_link_out(folder):
    """expected a dataset named image or instance or raw_image in data, found image (a link)"""
    _hdf5(folder).rename(folder / "b.h5")
    with h5py.File(folder / "a.h5", "w") as file:
        file["data/image"] = h5py.ExternalLink("b.h5", "/image")
    return folder / "a.h5"


def _group_in_itself(folder):
    """expected a dataset named image or instance or raw_image in data, found data (a group)"""
    with h5py.File(folder / "a.h5", "w") as file:
        group = file.create_group("data")
        group["data"] = group
    return folder / "a.h5"


def _nothing(folder):
    """expected a dataset named image or raw or data or labels or label, found none"""
    h5py.File(folder / "a.h5", "w").close()
    return folder / "a.h5"


def _link_out(folder):
    """expected a dataset named image or raw or data or labels or label, found image (a link)"""
    _hdf5(folder).rename(folder / "b.h5")
    with h5py.File(folder / "a.h5", "w") as file:
        file["image"] = h5py.ExternalLink("b.h5", "/image")
    return folder / "a.h5"


def _link_around(folder):
    """expected a dataset named image or raw or data or labels or label, found image (a link), x (a link)"""
    _hdf5(folder).rename(folder / "b.h5")
    with h5py.File(folder / "a.h5", "w") as file:
        file["x"] = h5py.ExternalLink("b.h5", "/")
        file["image"] = h5py.SoftLink("/x/image")
    return folder / "a.h5"


def _pixels_of_a_virtual_dataset(folder):
    """expected pixels in the file itself, found them in other files"""
    layout = h5py.VirtualLayout(HUGE, "u2")
    layout[:3, :4, :5] = h5py.VirtualSource(
        _hdf5(folder).rename(folder / "b.h5"), "image", (3, 4, 5)
    )
    with h5py.File(folder / "a.h5", "w") as file:
        file.create_virtual_dataset("image", layout)
    return folder / "a.h5"


def _pixels_in_another_file(folder):
    """expected pixels in the file itself, found them in other files"""
    (folder / "secret").write_bytes(PIXELS.tobytes())
    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("image", (3, 4, 5), "u2", external=[(folder / "secret", 0, 120)])
    return folder / "a.h5"


def _more_than_it_holds(folder):
    """claims 3.73e+05 GiB of pixels in 1400 bytes, more than 32768 times as many; write all parts"""
    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("image", HUGE, "u2", chunks=(1, 100, 100))
    return folder / "a.h5"


def _a_chunk_of_more_than_the_memory(folder):
    """needs 3 GiB of memory, 2 GiB are free; crop it, or give more memory"""
    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("image", (2, 2), "u1", chunks=(2**16, 3 * 2**14), maxshape=(None, None))
    return folder / "a.h5"


def _foreign_filter(folder):
    """the pixels are packed by the filter 32015 (deflate), which is not installed; save them with gzip"""
    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("image", data=PIXELS, compression="gzip")
    content = (folder / "a.h5").read_bytes()
    assert content.count(b"\1\0\x08\0\1\0\1\0deflate") == 1
    foreign = struct.pack("<4H", 32015, 8, 1, 1) + b"deflate"
    (folder / "a.h5").write_bytes(content.replace(b"\1\0\x08\0\1\0\1\0deflate", foreign))
    return folder / "a.h5"


def _png(folder, width, height, bits=8, colour=0, pixels=b""):
    """Write a PNG of any size, whatever pixels there are, and return its path."""
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(pixels)), (b"IEND", b"")]
    parts = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    ]
    (folder / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return folder / "a.png"


def _png_bomb(folder):
    """expected a picture of at most 268435456 pixels, found 100000 x 100000; crop it, or save it"""
    return _png(folder, 10**5, 10**5)


def _png_of_no_pixels(folder):
    """cannot be read as a picture ("""
    return _png(folder, 0, 5)


def _altered_png(folder):
    """cannot be read as a picture (broken PNG file (bad header checksum in b'IDAT'))"""
    path = _png(folder, 4, 5, pixels=bytes(25))
    content = bytearray(path.read_bytes())
    content[content.index(b"IDAT") + 8] ^= 1
    path.write_bytes(content)
    return path


def _cut_jpeg(folder):
    """cannot be read as a picture (image file is truncated"""
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
    Image.fromarray(noise).save(folder / "a.jpg")
    content = (folder / "a.jpg").read_bytes()
    (folder / "a.jpg").write_bytes(content[: len(content) // 2])
    return folder / "a.jpg"


def _colours_of_a_table(folder):
    """expected a grey image, found a palette; save it as grey"""
    Image.fromarray(np.zeros((4, 5), np.uint8)).convert("P").save(folder / "a.png")
    return folder / "a.png"


def _grey_with_transparency(folder):
    """expected a grey image, found a colour image of shape (4, 5, 2); give one channel"""
    Image.new("LA", (5, 4)).save(folder / "a.png")
    return folder / "a.png"


def _a_program_as_picture(folder):
    """cannot be read as a picture (neither PNG nor JPEG)"""
    (folder / "a.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n")
    return folder / "a.png"


@pytest.mark.parametrize(
    "mistake",
    [
        _pipe,
        _folder,
        _device,
        _socket,
        _link_to_nothing,
        _link_to_itself,
        _long_name,
        _nul_in_the_name,
        _null_space,
        _scalar,
        _row,
        _records,
        _texts,
        _complex,
        _dates,
        _size_of_one_number,
        _size_of_digits,
        _size_of_words,
        _no_size,
        _size_of_nan,
        _short_size,
        _axes_of_numbers,
        _unknown_axes,
        _group,
        _group_of_others,
        _group_with_a_link_out,
        _group_in_itself,
        _nothing,
        _link_out,
        _link_around,
        _pixels_of_a_virtual_dataset,
        _pixels_in_another_file,
        _more_than_it_holds,
        _a_chunk_of_more_than_the_memory,
        _foreign_filter,
        _png_bomb,
        _png_of_no_pixels,
        _altered_png,
        _cut_jpeg,
        _colours_of_a_table,
        _grey_with_transparency,
        _a_program_as_picture,
    ],
)
def test_explains(tmp_path, monkeypatch, mistake):
    monkeypatch.setattr(memory, "free_gib", lambda: 2.0)
    monkeypatch.setattr(large, "free_gib", lambda: 2.0)
    path = mistake(tmp_path)
    with pytest.raises(InputError) as caught:
        read(path)
    assert str(caught.value).startswith(plain(f"{path}: {mistake.__doc__}"))


@pytest.mark.parametrize("look", [header, channels])
@pytest.mark.parametrize("mistake", [_pipe, _device, _link_to_nothing])
def test_no_reader_waits_for_what_is_no_file(tmp_path, look, mistake):
    with pytest.raises(InputError, match=mistake.__doc__):
        look(mistake(tmp_path))


def test_odd_attributes_describe_nothing(tmp_path):
    odd = {"nan": np.nan, "inf": np.inf, "list": [1, 2], "none": h5py.Empty("f8"), "x\ny": 1}
    path = _hdf5(tmp_path, channel="DAPI", study=np.int16(4), who=b"\xff", **odd)
    with h5py.File(path, "a") as file:
        file["image"].attrs["self"] = file["image"].ref
        named = file["image"].id
        one = h5py.h5s.create(h5py.h5s.SCALAR)
        h5py.h5a.create(named, b"\xfe", h5py.h5t.NATIVE_INT16, one)
    found = read(path)
    assert found.metadata == {
        "channel": "DAPI",
        "study": 4,
        "who": "\\udcff",
        "spacing_source": "assumed",
    }
    assert found.origin.warnings == (
        "metadata that no program can hold do not count: inf, nan, x y, ...",
    )


@pytest.mark.parametrize("dtype", [">u2", ">f4", "<f2", "bool"])
def test_numbers_of_any_order_are_those_of_this_machine(tmp_path, dtype):
    found = read(_hdf5(tmp_path, array=PIXELS.astype(dtype)))
    np.testing.assert_array_equal(found.array, PIXELS.astype(dtype))
    assert found.array.dtype.isnative


def test_classes_with_names_are_numbers(tmp_path):
    kinds = h5py.enum_dtype({"background": 0, "cell": 1}, "u1")
    assert read(_hdf5(tmp_path, array=np.ones((4, 5), kinds))).array.sum() == 20


def test_a_large_picture_is_read_where_it_fits(tmp_path):
    size = 13500  # squared, more than Pillow's own limit
    Image.new("1", (size, size), 1).save(tmp_path / "a.png", compress_level=1)
    assert read(tmp_path / "a.png").array.all()


def test_the_first_picture_of_an_animation_is_read_with_a_remark(tmp_path):
    frames = [Image.fromarray(np.full((4, 5), value, np.uint8)) for value in (3, 5, 7)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    found = read(tmp_path / "a.png")
    assert (found.array == 3).all()
    assert found.origin.warnings == ("the file holds 3 images, and only the first is read",)


def test_rubbish_in_exif_changes_no_picture(tmp_path):
    exif = b"Exif\0\0" + b"\xff" * 50
    Image.fromarray(np.full((8, 8), 90, np.uint8)).save(tmp_path / "a.jpg", exif=exif)
    assert (read(tmp_path / "a.jpg").array == 90).all()
