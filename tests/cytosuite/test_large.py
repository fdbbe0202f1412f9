import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cytosuite import large
from cytosuite.errors import InputError
from cytosuite.large import blank, is_mapped, release, room, slabs, thinned


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
