"""Broken and hostile OME-Zarr: each is one line."""

import os
import struct
import zipfile
import zlib

import numpy as np
import pytest
from mistakes import explained, refused
from numcodecs import Zstd
from rasters import counted, same

from cytosuite.files import read_json, write_json
from cytosuite.formats import header, read, slabs, write
from cytosuite.volume import Volume

ONE = Volume(counted(5, 6, 7), (2.0, 0.5, 0.4))
BOMB = 2**25  # bytes
HUGE = [10**6, 10**4, 10**4]
CHUNK = "0/c/0/0/0"


@pytest.fixture
def image(tmp_path):
    write(tmp_path / "a.ome.zarr", ONE)
    return tmp_path / "a.ome.zarr"


def _alter(path, change):
    data = read_json(path)
    changed = change(data)
    write_json(path, data if changed is None else changed)


def _put(image, name, content=None):
    (image / name).unlink()
    if content is not None:
        (image / name).write_bytes(content)


def _array(image, **values):
    _alter(image / "0/zarr.json", lambda data: data.update(values))


def _scales(image, change):
    _alter(image / "zarr.json", lambda data: change(data["attributes"]["ome"]["multiscales"][0]))


def _ome(image, **values):
    _alter(image / "zarr.json", lambda data: data["attributes"]["ome"].update(values))


def _v2(image, **values):
    _put(image, "0/zarr.json")
    meta = {"zarr_format": 2, "shape": [5, 6, 7], "chunks": [5, 6, 7], "dtype": "<u2", "order": "C"}
    meta |= {"compressor": None, "fill_value": 0, "filters": None} | values
    write_json(image / "0/.zarray", meta)


def _too_few_axes(image):
    def fewer(scale):
        scale["axes"].pop(0)
        scale["datasets"][0].pop("coordinateTransformations")

    _scales(image, fewer)


def _nested_shards(image):
    index = [{"name": "bytes"}, {"name": "crc32c"}]
    configuration = {"chunk_shape": [5, 6, 7], "codecs": [{"name": "bytes"}], "index_codecs": index}
    inner = {"name": "sharding_indexed", "configuration": configuration}
    outer = {"name": "sharding_indexed", "configuration": {**configuration, "codecs": [inner]}}
    _array(image, codecs=[outer])


def _grid(*shape):
    return {"name": "regular", "configuration": {"chunk_shape": list(shape)}}


def _link_outside(image):
    _put(image, CHUNK)
    (image / CHUNK).symlink_to("/etc/passwd")


def _folder_of_links(image):
    (image / "0").rename(image.parent / "elsewhere")
    (image / "0").symlink_to(image.parent / "elsewhere")


def _pipe(image):
    _put(image, "zarr.json")
    os.mkfifo(image / "zarr.json")


def _array_alone(image):
    (image / "0/zarr.json").rename(image / "zarr.json")


MISTAKES = [
    ("expected OME-Zarr, found neither zarr.json nor", _put, "zarr.json"),
    ("zarr.json: expected JSON, found", _put, "zarr.json", b"hello"),
    ("zarr.json: expected a JSON object, found list", _put, "zarr.json", b"[]"),
    ("expected a group with", _array_alone),
    ("expected an image, found a plate; give one of its wells, as", _ome, {"plate": {}}),
    (
        "expected OME-Zarr, found no multiscales in its metadata",
        _put,
        "zarr.json",
        b'{"node_type": "group"}',
    ),
    ("expected a list of objects as multiscales, found", _ome, {"multiscales": ["a"]}),
    ("expected datasets", _scales, lambda s: s["datasets"][0].update(path="../b")),
    ("0: expected the array of the image, found none", _put, "0/zarr.json"),
    (
        "expected axes of t, c, z, y, x, found z, y, \\x1b[31mq",
        _scales,
        lambda scale: scale["axes"][2].update(name="\x1b[31mq"),
    ),
    ("the axes y, x contradict the shape (5, 6, 7)", _too_few_axes),
    ("the axis z has", _scales, lambda scale: scale["axes"][0].update(unit="parsnip")),
    (
        "expected a scale of 3 numbers, found [1]",
        _scales,
        lambda s: s["datasets"][0]["coordinateTransformations"][0].update(scale=[1]),
    ),
    ("expected real numbers of at most 64 bits, found '|O'", _v2, {"dtype": "|O"}),
    ("filters are not read, found [{'id':", _v2, {"filters": [{"id": "pickle"}]}),
    ("pixels packed by 'pickle' are not read;", _v2, {"compressor": {"id": "pickle"}}),
    (
        "pixels packed by 'numcodecs.pickle' are not read; expected one of",
        _array,
        {"codecs": [{"name": "bytes"}, {"name": "numcodecs.pickle"}]},
    ),
    ("expected at most 16 codecs, found 99", _array, {"codecs": [{"name": "crc32c"}] * 99}),
    ("zarr.json: expected at most 16777216 bytes, found", _put, "zarr.json", bytes(2**24 + 1)),
    ("expected shards of plain chunks with a plain index, found others", _nested_shards),
    ("expected 2 to 5 positive integers as shape, found", _array, {"shape": [-5, 6, 7]}),
    (
        "12500000000000 chunks, more than 2097152; write larger ones",
        _array,
        {"shape": [10**6, 10**4, 10**5], "chunk_grid": _grid(1, 8, 10)},
    ),
    (
        "needs 3.73e+05 GiB of memory,",
        _array,
        {"shape": HUGE, "chunk_grid": _grid(*HUGE)},
    ),
    (
        "claims 1.86e+05 GiB of pixels in",
        _array,
        {"shape": HUGE, "chunk_grid": _grid(64, 1000, 1000)},
    ),
    ("expected a regular grid of", _array, {"chunk_grid": {"name": "rectangular"}}),
    ("expected a fill value of uint16, found -1.5", _array, {"fill_value": -1.5}),
    ("expected / or . between the numbers of a", _v2, {"dimension_separator": "../"}),
    ("0/c/0/0/0: a link that leads out of the image's folder", _link_outside),
    ("0/zarr.json: a link that leads out of the image's folder", _folder_of_links),
    ("zarr.json: expected a file, found a folder, a pipe or a device", _pipe),
    ("0/c/0/0/0: expected at most 66392 bytes, found", _put, CHUNK, bytes(10**6)),
    ("0/c/0/0/0: a chunk that is cut", _put, CHUNK, b""),
    ("cannot be read as", _put, CHUNK, np.random.default_rng(0).bytes(300)),
]


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("use", [read, lambda path: [*slabs(path)]])
def test_explains(image, use, mistake):
    explained(use, image, mistake)


def test_headers_are_held_to_the_same(image):
    _link_outside(image)  # of a pixel
    assert header(image).shape == (5, 6, 7)
    _v2(image, dtype="|O")
    refused("expected real numbers of at most 64 bits", header, image)


def _zstd():
    return {"name": "zstd", "configuration": {}}, Zstd(level=1).encode(bytes(BOMB))


def _gzip():
    state = zlib.compressobj(9, wbits=31)
    return {"name": "gzip", "configuration": {}}, state.compress(bytes(BOMB)) + state.flush()


def _blosc():
    # A header that names another size than the chunk's.
    return {"name": "blosc"}, struct.pack("<4B3I", 2, 1, 0x21, 2, BOMB, 2**18, 16) + bytes(64)


@pytest.mark.parametrize("bomb", [_zstd, _gzip, _blosc])
def test_a_chunk_gives_no_more_than_its_size(image, bomb, monkeypatch):
    import tracemalloc

    codec, data = bomb()
    _array(image, codecs=[{"name": "bytes", "configuration": {"endian": "little"}}, codec])
    monkeypatch.setattr("cytosuite.formats.zarrarray.OVERHEAD", 2**20)
    _put(image, CHUNK, data)
    tracemalloc.start()
    refused("cannot be read as OME-Zarr", read, image)
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()


def _zip(path, compression=zipfile.ZIP_STORED):
    write(path.with_suffix(".ome.zarr"), ONE)
    with zipfile.ZipFile(path, "w", compression) as file:
        for entry in sorted(path.with_suffix(".ome.zarr").rglob("*")):
            name = entry.relative_to(path.with_suffix(".ome.zarr")).as_posix()
            if entry.is_file():
                file.write(entry, name)
    return path


def test_a_zip_file_that_is_packed_or_has_a_huge_directory_is_refused(tmp_path, monkeypatch):
    path = _zip(tmp_path / "a.ozx", zipfile.ZIP_DEFLATED)
    refused("expected entries that are stored as they are", read, path)
    same(read(_zip(tmp_path / "b.ozx")).array, ONE.array)
    monkeypatch.setattr("cytosuite.files.archive.DIRECTORY", 100)
    refused(
        "a zip file with a directory of .* at most 100 are read", read, _zip(tmp_path / "a.ozx")
    )
