"""Broken and hostile OME-Zarr: each is one line; the docstring of a mistake is its message."""

import json
import os
import re
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from numcodecs import BZ2, LZ4, Zstd

from cytosuite import memory
from cytosuite.errors import InputError
from cytosuite.formats import header, read, slabs, write, zarrhome
from cytosuite.volume import Volume

ONE = Volume(np.arange(5 * 6 * 7, dtype=np.uint16).reshape(5, 6, 7), (2.0, 0.5, 0.4))
BOMB = 2**27  # bytes


@pytest.fixture
def image(tmp_path):
    """Return the folder of a whole image."""
    write(tmp_path / "a.ome.zarr", ONE)
    return tmp_path / "a.ome.zarr"


def _alter(path, change):
    """Alter the JSON in a file."""
    found = json.loads(path.read_text())
    changed = change(found)
    path.write_text(json.dumps(found if changed is None else changed))


def _array(image, **values):
    _alter(image / "0" / "zarr.json", lambda found: found.update(values))


def _scales(image, change):
    _alter(image / "zarr.json", lambda found: change(found["attributes"]["ome"]["multiscales"][0]))


def _v2(image, **values):
    """Make the array one of zarr v2."""
    (image / "0" / "zarr.json").unlink()
    own = {"zarr_format": 2, "shape": [5, 6, 7], "chunks": [5, 6, 7], "dtype": "<u2", "order": "C"}
    own |= {"compressor": None, "fill_value": 0, "filters": None} | values
    (image / "0" / ".zarray").write_text(json.dumps(own))


def _empty_folder(image):
    """expected OME-Zarr, found neither zarr.json nor .zattrs in it"""
    (image / "zarr.json").unlink()


def _no_json(image):
    """zarr.json: expected JSON, found Expecting value"""
    (image / "zarr.json").write_text("hello")


def _deep_json(image):
    """zarr.json: expected JSON, found more than 64 lists and objects in each other"""
    (image / "zarr.json").write_text("[" * 10000)


def _a_list(image):
    """zarr.json: expected a JSON object, found list"""
    (image / "zarr.json").write_text("[]")


def _array_alone(image):
    """expected a group with multiscales, found a single array of zarr"""
    (image / "0" / "zarr.json").rename(image / "zarr.json")


def _plate(image):
    """expected an image, found a plate; give one of its wells, as in A/1/0"""
    _alter(image / "zarr.json", lambda found: found["attributes"]["ome"].update(plate={}))


def _no_multiscales(image):
    """expected OME-Zarr, found no multiscales in its metadata"""
    _alter(image / "zarr.json", lambda found: found.update(attributes={}))


def _multiscales_of_texts(image):
    """expected a list of objects as multiscales, found ['a']"""
    _alter(image / "zarr.json", lambda f: f["attributes"]["ome"].update(multiscales=["a"]))


def _path_outside(image):
    """expected datasets with a path in the image, found [{'path': '../b'"""
    _scales(image, lambda scale: scale["datasets"][0].update(path="../b"))


def _absolute_path(image):
    """expected datasets with a path in the image, found [{'path': '/etc'"""
    _scales(image, lambda scale: scale["datasets"][0].update(path="/etc"))


def _no_dataset(image):
    """expected datasets with a path in the image, found []"""
    _scales(image, lambda scale: scale.update(datasets=[]))


def _no_array(image):
    """0: expected the array of the image, found none"""
    (image / "0" / "zarr.json").unlink()


def _unknown_axis(image):
    """expected axes of t, c, z, y, x, found z, y, \\x1b[31mq"""
    _scales(image, lambda scale: scale["axes"][2].update(name="\x1b[31mq"))


def _axis_twice(image):
    """expected axes of t, c, z, y, x, found z, y, y"""
    _scales(image, lambda scale: scale["axes"][2].update(name="y"))


def _too_few_axes(image):
    """the axes y, x contradict the shape (5, 6, 7)"""

    def fewer(scale):
        scale["axes"].pop(0)
        scale["datasets"][0].pop("coordinateTransformations")

    _scales(image, fewer)


def _no_plane(image):
    """axes must be an ordered subset of TCZYX that ends in YX, found 'CZY'"""

    def other(scale):
        for axis, name in zip(scale["axes"], "czy", strict=True):
            axis["name"] = name

    _scales(image, other)


def _unknown_unit(image):
    """the axis z has the unit 'parsnip', which is no length; expected micrometer"""
    _scales(image, lambda scale: scale["axes"][0].update(unit="parsnip"))


def _short_scale(image):
    """expected a scale of 3 numbers, found [1]"""
    _scales(image, lambda s: s["datasets"][0]["coordinateTransformations"][0].update(scale=[1]))


def _scale_of_texts(image):
    """expected a scale of 3 numbers, found ['a', True, 1]"""
    bad = ["a", True, 1]
    _scales(image, lambda s: s["datasets"][0]["coordinateTransformations"][0].update(scale=bad))


def _objects(image):
    """expected real numbers of at most 64 bits, found '|O'"""
    _v2(image, dtype="|O")


def _pickle(image):
    """filters are not read, found [{'id': 'pickle'}]"""
    _v2(image, filters=[{"id": "pickle"}])


def _pickle_as_compressor(image):
    """pixels packed by 'pickle' are not read; expected one of blosc, bz2, gzip, lz4, zlib, zstd"""
    _v2(image, compressor={"id": "pickle"})


def _record(image):
    """expected real numbers of at most 64 bits, found [['a', '<u2']]"""
    _v2(image, dtype=[["a", "<u2"]])


def _strings(image):
    """expected real numbers of at most 64 bits, found 'string'"""
    _array(image, data_type="string")


def _unknown_codec(image):
    """pixels packed by 'numcodecs.pickle' are not read; expected one of"""
    _array(image, codecs=[{"name": "bytes"}, {"name": "numcodecs.pickle"}])


def _codec_of_a_list(image):
    """pixels packed by [1] are not read; expected one of"""
    _array(image, codecs=[{"name": [1]}])


def _nested_shards(image):
    """expected shards of plain chunks with a plain index, found others"""
    index = [{"name": "bytes"}, {"name": "crc32c"}]
    own = {"chunk_shape": [5, 6, 7], "codecs": [{"name": "bytes"}], "index_codecs": index}
    inner = {"name": "sharding_indexed", "configuration": own}
    outer = {"name": "sharding_indexed", "configuration": {**own, "codecs": [inner]}}
    _array(image, codecs=[outer])


def _negative_shape(image):
    """expected 2 to 5 positive integers as shape, found [-5, 6, 7]"""
    _array(image, shape=[-5, 6, 7])


def _a_million_million_chunks(image):
    """12500000000000 chunks, more than 2097152; write larger ones"""
    _array(image, shape=[10**6, 10**4, 10**5], chunk_grid=_grid(1, 8, 10))


def _a_chunk_of_more_than_the_memory(image):
    """needs 3.73e+05 GiB of memory,"""
    _array(image, shape=[10**6, 10**4, 10**4], chunk_grid=_grid(10**6, 10**4, 10**4))


def _more_than_it_holds(image):
    """claims 1.86e+05 GiB of pixels in"""
    _array(image, shape=[10**6, 10**4, 10**4], chunk_grid=_grid(64, 1000, 1000))


def _grid(*shape):
    return {"name": "regular", "configuration": {"chunk_shape": list(shape)}}


def _other_grid(image):
    """expected a regular grid of chunks, found {'name': 'rectangular'}"""
    _array(image, chunk_grid={"name": "rectangular"})


def _fill_value_of_another_kind(image):
    """expected a fill value of uint16, found -1.5"""
    _array(image, fill_value=-1.5)


def _fill_value_beyond(image):
    """expected a fill value of uint16, found 70000"""
    _array(image, fill_value=70000)


def _separator(image):
    """expected / or . between the numbers of a chunk, found '../'"""
    _v2(image, dimension_separator="../")


def _link_outside(image):
    """0/c/0/0/0: a link that leads out of the image's folder"""
    chunk = image / "0" / "c" / "0" / "0" / "0"
    chunk.unlink()
    chunk.symlink_to("/etc/passwd")


def _folder_of_links(image):
    """0/zarr.json: a link that leads out of the image's folder"""
    (image / "0").rename(image.parent / "elsewhere")
    (image / "0").symlink_to(image.parent / "elsewhere")


def _pipe(image):
    """zarr.json: expected a file, found a folder, a pipe or a device"""
    (image / "zarr.json").unlink()
    os.mkfifo(image / "zarr.json")


def _large_chunk(image):
    """0/c/0/0/0: expected at most 66392 bytes, found 1000000"""
    os.truncate(image / "0" / "c" / "0" / "0" / "0", 10**6)


def _cut_chunk(image):
    """cannot be read as OME-Zarr ("""
    chunk = image / "0" / "c" / "0" / "0" / "0"
    chunk.write_bytes(chunk.read_bytes()[:-9])


def _empty_chunk(image):
    """0/c/0/0/0: a chunk that is cut"""
    (image / "0" / "c" / "0" / "0" / "0").write_bytes(b"")


def _noise(image):
    """cannot be read as OME-Zarr ("""
    (image / "0" / "c" / "0" / "0" / "0").write_bytes(np.random.default_rng(0).bytes(300))


MISTAKES = [value for name, value in globals().items() if name.startswith("_") and value.__doc__]
MISTAKES = [
    m for m in MISTAKES if callable(m) and m.__module__ == __name__ and m not in (_alter, _v2)
]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_explains(image, mistake):
    mistake(image)
    for use in (
        read,
        lambda path: [*slabs(path)],
    ):
        with pytest.raises(InputError) as caught:
            use(image)
        assert str(caught.value).startswith(f"{image}: {mistake.__doc__}")
        assert len(str(caught.value)) < len(str(image)) + 300


@pytest.mark.parametrize("mistake", [_empty_folder, _plate, _objects, _path_outside, _link_outside])
def test_headers_are_held_to_the_same(image, mistake):
    mistake(image)
    if mistake is _link_outside:  # of a pixel
        assert header(image).shape == (5, 6, 7)
        return
    with pytest.raises(InputError, match=re.escape(mistake.__doc__)):
        header(image)


def _zstd():
    return {"name": "zstd", "configuration": {}}, Zstd(level=1).encode(bytes(BOMB))


def _gzip():
    state = zlib.compressobj(9, wbits=31)
    return {"name": "gzip", "configuration": {}}, state.compress(bytes(BOMB)) + state.flush()


def _blosc():
    # A header that names another size than the chunk's.
    return {"name": "blosc"}, struct.pack("<4B3I", 2, 1, 0x21, 2, BOMB, 2**18, 16) + bytes(64)


def _lz4():
    return {"name": "numcodecs.lz4"}, LZ4().encode(bytes(BOMB))


def _bz2():
    return {"name": "numcodecs.bz2"}, BZ2().encode(bytes(BOMB))


def _zlib():
    return {"name": "numcodecs.zlib"}, zlib.compress(bytes(BOMB), 9)


@pytest.mark.parametrize("bomb", [_zstd, _gzip, _blosc, _lz4, _bz2, _zlib])
def test_a_chunk_gives_no_more_than_its_size(image, bomb, monkeypatch):
    import tracemalloc

    codec, data = bomb()
    _array(image, codecs=[{"name": "bytes", "configuration": {"endian": "little"}}, codec])
    monkeypatch.setattr("cytosuite.formats.zarrarray.OVERHEAD", 2**20)
    (image / "0" / "c" / "0" / "0" / "0").write_bytes(data)
    tracemalloc.start()
    with pytest.raises(InputError, match="cannot be read as OME-Zarr"):
        read(image)
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()


def test_a_link_within_the_folder_and_to_it_is_followed(image, tmp_path):
    chunk = image / "0" / "c" / "0" / "0" / "0"
    chunk.rename(image / "chunk")
    chunk.symlink_to(image / "chunk")
    (tmp_path / "b.zarr").symlink_to(image)
    np.testing.assert_array_equal(read(tmp_path / "b.zarr").array, ONE.array)


def _zip(path, compression=zipfile.ZIP_STORED, leave=()):
    """Write an image as a zip file by Python's library."""
    write(path.with_suffix(".ome.zarr"), ONE)
    with zipfile.ZipFile(path, "w", compression) as file:
        for entry in sorted(path.with_suffix(".ome.zarr").rglob("*")):
            name = entry.relative_to(path.with_suffix(".ome.zarr")).as_posix()
            if entry.is_file() and name not in leave:
                file.write(entry, name)
    return path


def test_a_packed_zip_file_is_refused(tmp_path):
    path = _zip(tmp_path / "a.ozx", zipfile.ZIP_DEFLATED)
    with pytest.raises(InputError, match="expected entries that are stored as they are"):
        read(path)
    np.testing.assert_array_equal(read(_zip(tmp_path / "b.ozx")).array, ONE.array)


@pytest.mark.parametrize("content", [b"PK", b"hello", bytes(1000)])
def test_what_is_no_zip_file_is_refused(tmp_path, content):
    (tmp_path / "a.ozx").write_bytes(content)
    with pytest.raises(InputError, match="a.ozx: cannot be read as OME-Zarr"):
        read(tmp_path / "a.ozx")


def test_a_missing_chunk_of_a_zip_file_is_empty(tmp_path):
    path = _zip(tmp_path / "a.ozx", leave={"0/c/0/0/0"})
    assert not read(path).array.any()


def test_a_directory_that_would_fill_the_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(zarrhome, "ENTRIES", 2)
    with pytest.raises(InputError, match="a zip file of 3 entries .* at most 2 entries are read"):
        read(_zip(tmp_path / "a.ozx"))
    monkeypatch.undo()
    # By the longer record at the end of large files.
    name, extra = (
        tmp_path / "b.ozx",
        struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 2**40, 2**41, 0),
    )
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, 0, 1)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 65535, 65535, 2**32 - 1, 2**32 - 1, 0)
    name.write_bytes(extra + locator + end)
    with pytest.raises(InputError, match=f"a zip file of {2**40} entries"):
        read(name)


def test_a_directory_is_counted_and_lies_where_it_says(tmp_path, monkeypatch):
    content = bytearray(_zip(tmp_path / "a.ozx").read_bytes())
    end = content.rfind(b"PK\5\6")
    struct.pack_into("<2H", content, end + 8, 1, 1)  # a false number
    (tmp_path / "a.ozx").write_bytes(content)
    monkeypatch.setattr(zarrhome, "ENTRIES", 2)
    with pytest.raises(InputError, match="a zip file of 3 entries .* at most 2 entries are read"):
        read(tmp_path / "a.ozx")
    monkeypatch.undo()
    (place,) = struct.unpack_from("<L", content, end + 16)
    struct.pack_into("<L", content, end + 16, place - 1)
    (tmp_path / "a.ozx").write_bytes(content)
    with pytest.raises(
        InputError, match=f"its directory at byte {place}, which says .* {place - 1}"
    ):
        read(tmp_path / "a.ozx")


def test_every_cut_of_a_zip_file_is_one_line(tmp_path):
    content = _zip(tmp_path / "a.ozx").read_bytes()
    for length in range(1, len(content), 41):
        (tmp_path / "b.ozx").write_bytes(content[:length])
        with pytest.raises(InputError, match=r"b\.ozx: "):
            read(tmp_path / "b.ozx")


def test_a_folder_by_another_name_is_none(tmp_path):
    (tmp_path / "a.ozx").mkdir()
    with pytest.raises(InputError, match="expected OME-Zarr, found neither"):
        read(tmp_path / "a.ozx")
    (tmp_path / "b.zarr").write_text("x")
    with pytest.raises(InputError, match=r"b.zarr: cannot be read as OME-Zarr"):
        read(tmp_path / "b.zarr")
    with pytest.raises(InputError, match="no such file"):
        read(Path(tmp_path / "c.zarr"))


def test_the_free_memory_is_that_of_the_process(image, monkeypatch):
    monkeypatch.setattr(memory, "free_gib", lambda: 1e-7)
    with pytest.raises(InputError, match=r"a.ome.zarr: needs .* of memory, 1e-07 GiB are free"):
        header(image)
