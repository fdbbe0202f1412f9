from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cytosuite import large
from cytosuite.errors import InputError
from cytosuite.large import (
    blank,
    converted,
    is_mapped,
    planes,
    put,
    release,
    room,
    slabs,
    taken,
    thinned,
)


def test_what_fits_is_in_memory_and_the_rest_on_disk(monkeypatch, tmp_path):
    assert not is_mapped(room((3, 4), np.uint8))
    monkeypatch.setattr(large, "fits", lambda _: False)
    monkeypatch.setenv(large.SCRATCH, str(tmp_path))
    found = room((3, 4), np.float32)
    assert is_mapped(found)
    assert is_mapped(found[1:].reshape(-1).view(np.uint32))
    assert not found.any()
    assert not list(tmp_path.iterdir())


def test_a_disk_without_room_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(large, "fits", lambda _: False)
    monkeypatch.setenv(large.SCRATCH, str(tmp_path))
    with pytest.raises(InputError, match=f"{tmp_path}: an array of .* GiB .* name another folder"):
        room((2**50,), np.uint8)


def test_an_eighth_of_the_free_disk_stays_free(monkeypatch, tmp_path):
    monkeypatch.setattr(large, "fits", lambda _: False)
    monkeypatch.setenv(large.SCRATCH, str(tmp_path))
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=800))
    assert is_mapped(room((700,), np.uint8))
    with pytest.raises(InputError, match="an eighth stays so"):
        room((701,), np.uint8)


def test_values_outlive_the_memory_that_is_given_back(mapped):
    array = mapped(np.arange(10_000))
    array[5] = -1
    release(array[3:])
    assert array[:7].tolist() == [0, 1, 2, 3, 4, -1, 6]


@given(st.integers(1, 20), st.integers(1, 9), st.integers(1, 60))
def test_slabs_are_all_planes_once_and_bounded(planes, across, most):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(large, "SLAB", most)
        whole = np.zeros((planes, across))
        assert list(slabs(whole)) == [slice(0, planes)]
        patch.setattr(large, "fits", lambda _: False)
        parts = list(slabs(whole, room(whole.shape, np.uint8)))
    assert [z for part in parts for z in range(part.start, part.stop)] == list(range(planes))
    assert all(part.stop - part.start <= max(1, most // across) for part in parts)


@pytest.mark.parametrize("step", [1, 2, 7, 50, 1000])
def test_a_thinned_array_is_the_same_on_disk(mapped, step):
    array = np.arange(7 * 5 * 6).reshape(7, 5, 6)
    expected = array.ravel()[::step]
    assert (thinned(array, step) == expected).all()
    assert (thinned(mapped(array), step) == expected).all()
    turned = mapped(array).transpose(0, 2, 1)
    assert (thinned(turned, step) == array.transpose(0, 2, 1).ravel()[::step]).all()


def test_a_blank_array_of_one_on_disk_takes_no_memory_and_cannot_be_written(mapped):
    array = mapped(np.ones((4, 5), np.uint16))
    found = blank(array)
    assert (found.shape, found.dtype, found.any()) == (array.shape, array.dtype, False)
    with pytest.raises(ValueError, match="read-only"):
        found[0] = 1
    assert not blank(np.ones(3)).any()


SHAPE = (13, 20, 30)


@pytest.fixture(params=["memory", "disk"])
def array(request, monkeypatch):
    """Return the same values in memory, and on disk in slabs of two planes."""
    values = np.random.default_rng(0).integers(0, 1000, SHAPE).astype(np.uint16)
    if request.param == "memory":
        return values
    monkeypatch.setattr(large, "fits", lambda size: False)
    monkeypatch.setattr(large, "SLAB", 2 * values[0].size)
    found = large.room(SHAPE, np.uint16)
    found[...] = values
    return found


BOXES = [
    (slice(0, 13), slice(0, 20), slice(0, 30)),
    (slice(3, 10), slice(5, 6), slice(0, 29)),
    (slice(12, None), slice(None), slice(4, 4)),
    (slice(5, 5), slice(None), slice(None)),
]


def test_slabs_are_the_array_in_order(array):
    found = list(planes(array))
    assert [len(slab) for slab in found] == ([2] * 6 + [1] if is_mapped(array) else [13])
    np.testing.assert_array_equal(np.concatenate(found), array)


@pytest.mark.parametrize("box", BOXES)
def test_a_box_is_read_and_written(array, box):
    before = np.array(array)
    found = taken(array, box)
    np.testing.assert_array_equal(found, before[box])
    assert not is_mapped(found)
    put(array, box, found + 1)
    before[box] += 1
    np.testing.assert_array_equal(array, before)


def test_a_box_of_a_mapped_array_is_a_copy_and_one_in_memory_a_view(array):
    found = taken(array, BOXES[1])
    found += 1
    assert (array[BOXES[1]] == found).all() == (not is_mapped(array))


@pytest.mark.parametrize("step", [1, 2, 7, 599, 600, 601, 1300, 10**6])
def test_thinned_values_are_those_of_the_flat_array(array, step):
    np.testing.assert_array_equal(thinned(array, step), np.array(array).ravel()[::step])


def test_another_dtype_has_room_of_its_own(array):
    found = converted(array, np.float32)
    np.testing.assert_array_equal(found, array)
    assert found.dtype == np.float32
    assert is_mapped(found) == is_mapped(array)
    assert converted(array, "uint16") is array


def resident():
    """Return the memory of this process in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_work_on_a_mapped_array_keeps_no_memory(monkeypatch):
    monkeypatch.setattr(large, "fits", lambda size: False)
    found = large.room((64, 1024, 1024), np.uint8)
    box = tuple(slice(0, n) for n in found.shape)
    before = resident()
    put(found, box, np.broadcast_to(np.uint8(7), found.shape))
    assert thinned(found, 4096).sum() == 7 * 64 * 256
    assert sum(int(slab.sum()) for slab in planes(found)) == 7 * found.size
    assert resident() - before < found.nbytes / 2
