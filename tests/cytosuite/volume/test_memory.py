from math import inf
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mistakes import refused
from numpy.testing import assert_array_equal

from cytosuite.volume import memory
from cytosuite.volume.memory import blank, is_mapped, put, room, taken
from cytosuite.volume.pieces import converted, slabs, slabs_of, thinned


def test_idle_pages_of_files_count_as_free(monkeypatch):
    monkeypatch.delenv("CYTOSUITE_MEMORY_GIB", raising=False)
    files = {
        "/proc/meminfo": f"MemTotal: 9 kB\nMemAvailable: {4 * 2**20} kB\n",
        "/sys/fs/cgroup/memory.max": f"{3 * 2**30}\n",
        "/sys/fs/cgroup/memory.current": f"{2 * 2**30}\n",
        "/sys/fs/cgroup/memory.stat": f"anon 7\ninactive_file {2**29}\n",
    }
    monkeypatch.setattr(memory.Path, "read_text", lambda path: files[str(path)])
    assert memory.free_gib() == 1.25  # a quarter is left for libraries
    files["/sys/fs/cgroup/memory.max"] = "max\n"
    assert memory.free_gib() == 4.0


def test_the_limit_of_the_caller_counts_less_the_memory_in_use(monkeypatch):
    before = memory.free_gib()
    monkeypatch.setenv("CYTOSUITE_MEMORY_GIB", "2.5")
    assert memory.free_gib() < 2.5
    assert memory.free_gib() <= before


def test_a_file_larger_than_the_memory_is_refused(monkeypatch):
    monkeypatch.setattr(memory, "free_gib", lambda: 2.0)
    memory.check_room(2**31)
    refused("^needs 3 GiB of memory, 2 GiB are free; crop it", memory.check_room, 3 * 2**30)
    monkeypatch.setattr(memory, "free_gib", lambda: inf)
    memory.check_room(2**80)


def test_pixels_are_at_most_so_many_times_their_files():
    memory.check_declared(memory.DECLARED, [])  # whatever its size
    memory.check_declared(2**40, [2**24, 2**24])
    refused(
        "claims 1.02e.03 GiB of pixels in 1000 bytes, more than 32768",
        memory.check_declared,
        2**40,
        [400, 600],
    )


def test_what_fits_is_in_memory_and_the_rest_on_disk(monkeypatch, tight, tmp_path):
    assert not is_mapped(room((3, 4), np.uint8))
    tight()
    monkeypatch.setenv(memory.SCRATCH, str(tmp_path))
    zeros = room((3, 4), np.float32)
    assert is_mapped(zeros)
    assert is_mapped(zeros[1:].reshape(-1).view(np.uint32))
    assert not zeros.any()
    assert not list(tmp_path.iterdir())


@given(st.integers(1, 20), st.integers(1, 9), st.integers(1, 60))
def test_slabs_are_all_planes_once_and_bounded(planes, across, most):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "SLAB", most)
        whole = np.zeros((planes, across))
        assert list(slabs(whole)) == [slice(0, planes)]
        patch.setattr(memory, "fits", lambda _: False)
        parts = list(slabs(whole, room(whole.shape, np.uint8)))
    assert [z for part in parts for z in range(part.start, part.stop)] == list(range(planes))
    assert all(part.stop - part.start <= max(1, most // across) for part in parts)


def test_a_blank_array_of_one_on_disk_takes_no_memory_and_cannot_be_written(mapped):
    array = mapped(np.ones((4, 5), np.uint16))
    zeros = blank(array)
    assert (zeros.shape, zeros.dtype, zeros.any()) == (array.shape, array.dtype, False)
    with pytest.raises(ValueError, match="read-only"):
        zeros[0] = 1
    assert not blank(np.ones(3)).any()


SHAPE = (13, 20, 30)


@pytest.fixture(params=["memory", "disk"])
def array(request, monkeypatch, tight, rng):
    values = rng.integers(0, 1000, SHAPE).astype(np.uint16)
    if request.param == "memory":
        return values
    tight()
    monkeypatch.setattr(memory, "SLAB", 2 * values[0].size)
    stored = memory.room(SHAPE, np.uint16)
    stored[...] = values
    return stored


@pytest.mark.parametrize(
    "box",
    [
        (slice(0, 13), slice(0, 20), slice(0, 30)),
        (slice(3, 10), slice(5, 6), slice(0, 29)),
        (slice(12, None), slice(None), slice(4, 4)),
        (slice(5, 5), slice(None), slice(None)),
    ],
)
def test_a_box_is_read_and_written(array, box):
    before = np.array(array)
    part = taken(array, box)
    assert_array_equal(part, before[box])
    assert not is_mapped(part)
    put(array, box, part + 1)
    before[box] += 1
    assert_array_equal(array, before)


def test_thinned_values_are_those_of_the_flat_array_and_another_dtype_has_room(array):
    for step in (1, 2, 7, 599, 600, 601, 1300, 10**6):
        assert_array_equal(thinned(array, step), np.array(array).ravel()[::step])
    floats = converted(array, np.float32)
    assert_array_equal(floats, array)
    assert floats.dtype == np.float32
    assert is_mapped(floats) == is_mapped(array)
    assert converted(array, "uint16") is array


def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_work_on_a_mapped_array_keeps_no_memory(tight):
    tight()
    stored = memory.room((64, 1024, 1024), np.uint8)
    box = tuple(slice(0, n) for n in stored.shape)
    before = resident()
    put(stored, box, np.broadcast_to(np.uint8(7), stored.shape))
    assert thinned(stored, 4096).sum() == 7 * 64 * 256
    assert sum(int(slab.sum()) for slab in slabs_of(stored)) == 7 * stored.size
    assert resident() - before < stored.nbytes / 2


def test_an_eighth_of_the_free_disk_stays_free(monkeypatch, tight, tmp_path):
    tight()
    monkeypatch.setenv(memory.SCRATCH, str(tmp_path))
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=800))
    assert is_mapped(room((700,), np.uint8))
    line = f"{tmp_path}: an array of .* GiB .* an eighth stays so .* name another folder"
    refused(line, room, (701,), np.uint8)
