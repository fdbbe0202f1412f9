"""Images in slabs, and images larger than the memory: the same pixels as in one piece."""

import os
import sys

import numpy as np
import pytest
import tifffile
from house import ran
from mistakes import refused
from numpy.testing import assert_array_equal
from rasters import counted

from cytosuite.formats import read, slabs, write
from cytosuite.volume import Header, Volume, memory
from cytosuite.volume.memory import is_mapped
from cytosuite.volume.pieces import gathered, planes_in

in_each_format = pytest.mark.parametrize("suffix", [".tif", ".mha", ".h5", ".ome.zarr", ".ozx"])
RAMP = counted(7, 40, 30)
GREY = {"photometric": "minisblack"}


@pytest.fixture
def small_memory(monkeypatch, tight, tmp_path):
    """Make every array too large for the memory; arrays on disk lie in a folder of their own."""
    (tmp_path / "scratch").mkdir()
    monkeypatch.setenv(memory.SCRATCH, str(tmp_path / "scratch"))
    tight()


def _mapped(array, folder):
    mapping = np.memmap(folder / "raw", array.dtype, "w+", shape=array.shape)
    mapping[...] = array
    return mapping


@pytest.mark.parametrize("planes", [None, 2, 7, 99])
@pytest.mark.parametrize("compress", [True, False])
@in_each_format
def test_slabs_are_the_image(tmp_path, suffix, compress, planes):
    write(tmp_path / f"a{suffix}", Volume(RAMP, (2.0, 0.5, 0.5)), compress=compress)
    parts = [*slabs(f"{tmp_path}/a{suffix}", planes)]
    assert_array_equal(np.concatenate(parts), RAMP)
    assert [len(part) for part in parts[:-1]] == [planes] * (len(parts) - 1)
    assert len(parts) == (1 if planes is None else -(-7 // min(planes, 7)))
    assert not any(map(is_mapped, parts))


@pytest.mark.parametrize("compress", [True, False])
@in_each_format
@pytest.mark.parametrize("axes", ["YX", "ZYX", "CZYX"])
@pytest.mark.parametrize("dtype", ["u1", ">u2", "f4"])
def test_images_larger_than_the_memory_lie_on_disk(
    tmp_path, small_memory, suffix, compress, axes, dtype
):
    if axes == "CZYX" and suffix == ".mha":
        pytest.skip("MetaImage holds no channels")
    array = (RAMP if axes != "CZYX" else np.stack([RAMP, RAMP + 1])).astype(dtype)
    one = Volume(array[3] if axes == "YX" else array, (2.0, 0.5, 0.5)[-min(3, len(axes)) :], axes)
    path = tmp_path / f"a{suffix}"
    streamed = tmp_path / f"b{suffix}"
    write(path, one, compress=compress)
    volume = read(path)
    assert is_mapped(volume.array)
    assert volume.array.dtype == np.dtype(dtype).newbyteorder("=")
    assert_array_equal(volume.array, one.array)
    write(streamed, Volume(_mapped(one.array, tmp_path), one.spacing, axes), compress=compress)
    again = read(streamed)
    assert_array_equal(again.array, one.array)
    assert (again.axes, again.spacing) == (volume.axes, volume.spacing)
    assert again.metadata == volume.metadata
    assert [*(tmp_path / "scratch").iterdir()] == []  # their files have no names


def test_the_order_of_bytes_is_that_of_this_machine(tif, small_memory):
    tifffile.imwrite(tif, RAMP, byteorder=">", metadata={"axes": "ZYX"}, **GREY)
    for array in (read(tif).array, *slabs(tif, 99)):
        assert array.dtype.isnative
        assert_array_equal(array, RAMP)


OTHERS = {
    "tiles": {"tile": (16, 16), "compression": "zlib"},
    "planes in one page": {"tile": (4, 16, 16), "volumetric": True, "compression": "zlib"},
    "strips": {"rowsperstrip": 7, "compression": "lzw", "predictor": True},
    "gaps": {"contiguous": False},
}


@pytest.mark.parametrize("kind", OTHERS)
def test_tiffs_of_others_are_read_in_slabs(tif, small_memory, kind):
    tifffile.imwrite(tif, RAMP, **{"metadata": {"axes": "ZYX"}, **GREY, **OTHERS[kind]})
    assert_array_equal(np.concatenate([*slabs(tif, 2)]), RAMP)
    assert_array_equal(read(tif).array, RAMP)


@in_each_format
def test_a_cut_file_is_told_in_its_slab(tmp_path, suffix, rng):
    path = tmp_path / f"a{suffix}"
    write(path, Volume(rng.integers(0, 2**16, (40, 40, 30), np.uint16), (2.0, 0.5, 0.5)))
    for file in [path] if path.is_file() else sorted(path.rglob("c/*/*/*"))[-1:]:
        os.truncate(file, file.stat().st_size - 5000)
    refused(f"a{suffix}: ", list, slabs(path, 4))


def test_planes_of_a_slab():
    head = Header((100, 1024, 1024), np.dtype(np.uint16), (1.0, 1.0, 1.0), "ZYX")
    assert planes_in(head) == 32  # of 2 MiB each
    assert (planes_in(head, 5), planes_in(head, 0)) == (5, 1)
    assert planes_in(Header((100, 2**15, 2**15), np.dtype(np.uint16), (1.0, 1.0, 1.0), "ZYX")) == 1


def test_an_array_of_wrong_slabs_is_refused():
    with pytest.raises(ValueError, match="6 planes of 7"):
        gathered(RAMP.shape, RAMP.dtype, [RAMP[:4], RAMP[:2]])
    with pytest.raises(ValueError, match="0 planes of 7"):
        gathered(RAMP.shape, RAMP.dtype, [])
    assert not gathered((0,), "u1", []).size


MEMORY = """
import resource, sys
from pathlib import Path
import numpy as np
from cytosuite.volume import memory, pieces
from cytosuite.formats import read, slabs, write
from cytosuite.volume import Volume
import zarr, h5py, imagecodecs, scipy.ndimage
memory.fits = lambda size: size < 2**22
folder, suffix = Path(sys.argv[1]), sys.argv[2]
def peak():
    return int(next(l.split()[1] for l in open('/proc/self/status') if l.startswith('VmHWM'))) // 1024
array = memory.room((256, 1024, 512), np.uint16)
for part in pieces.slabs(array):
    array[part] = np.arange(part.stop - part.start)[:, None, None] + np.arange(512)
open('/proc/self/clear_refs', 'w').write('5')
before = peak()
write(folder / f'a{suffix}', Volume(array, (1.0, 1.0, 1.0)))
found = read(folder / f'a{suffix}')
for part in pieces.slabs(found.array, array):
    assert (found.array[part] == array[part]).all()
total = sum(len(part) for part in slabs(folder / f'a{suffix}', 7))
assert total == 256
print(peak() - before)
"""


@pytest.mark.long
@in_each_format
def test_256_mib_are_written_and_read_in_far_less_memory(tmp_path, suffix):
    done = ran(sys.executable, "-c", MEMORY, tmp_path, suffix, **{memory.SCRATCH: str(tmp_path)})
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 230, "MiB"
