"""What the fuzzer found, made small, and a short turn of it."""

import re
import struct
import sys
import zlib

import house
import numpy as np
import pytest
import tifffile
from mistakes import refused
from rasters import counted

from cytosuite.benchmark.scores.cases import measure
from cytosuite.benchmark.scores.facts import case_facts
from cytosuite.datasets.folder.load import load
from cytosuite.files import write_json
from cytosuite.folders.index import index
from cytosuite.formats import read, write
from cytosuite.metrics import board_metrics
from cytosuite.volume import Volume
from tests.hostile.fuzz.mutations import png

PIXELS = counted(3, 4, 5)
SPACING = (2.0, 0.5, 0.4)


def test_an_empty_chunk_of_a_picture_is_one_line(tmp_path, capfd):
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 4, 3, 8, 0, 0, 0, 0)), (b"pHYs", b"")]
    path = tmp_path / "a.png"
    path.write_bytes(png([*chunks, (b"IDAT", zlib.compress(bytes(15))), (b"IEND", b"")]))
    error = refused("a.png: cannot be read as a picture (cut or broken", read, path)
    assert str(error).isprintable()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("size", [5e-324, 1e-310, 1e-200, 1e15])
def test_an_output_too_faint_or_bright_to_be_squared_is_scored(size):
    ramp = np.arange(12.0**3).reshape(12, 12, 12)
    pair = Volume(ramp, SPACING), Volume(ramp / ramp.max() * size, SPACING)
    for truth, answer in (pair, pair[::-1]):
        values = {"truth": lambda one=truth: one, "prediction": lambda one=answer: one}
        scores = measure("a", "b", board_metrics("fuse"), case_facts(values, lambda: 1.0))
        assert scores.refused == {}
        assert all(isinstance(value, float) for value in scores.values.values())


def test_a_deep_description_is_a_warning(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, PIXELS, photometric="minisblack", metadata=None, description='{"axes": ' + "[" * 10**5
    )
    volume = read(path)
    assert volume.spacing_is_assumed
    assert "no JSON and does not count" in volume.origin.warnings[0]


def test_a_name_that_is_no_utf8_can_be_said(tmp_path):
    write(tmp_path / "a.tif", Volume(PIXELS, SPACING))
    (tmp_path / "\udcff.tif").write_bytes((tmp_path / "a.tif").read_bytes())
    listing = index(tmp_path)
    write_json(tmp_path / "found.json", [listing.count, [item.name for item in listing.items]])
    assert all(load(item).sockets for item in listing.items)


@pytest.mark.long
@pytest.mark.slow
def test_altered_files_are_read_or_refused_in_one_line(tmp_path):
    words = ["--inputs", "330", "--seed", "0", "--out", tmp_path]
    done = house.ran(sys.executable, "-m", "tests.hostile.fuzz", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []
    row = r"^(\w[\w ]*?) {2,}(\d+) +(\d+) +(\d+) +\d+ +0$"
    rows = re.findall(row, done.stdout, re.MULTILINE)
    assert len(rows) > 15
    for name, inputs, accepted, denied in rows:
        assert 0 < int(accepted) + int(denied) <= int(inputs), name
    (total,) = (row for row in rows if row[0] == "all")
    assert min(int(total[2]), int(total[3])) > 50  # accepted and refused
