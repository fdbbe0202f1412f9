import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cytosuite.volume import memory
from cytosuite.volume.pieces import percentiles

REAL = ["?", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", "g", ">u2", ">f4"]
RANKS = st.lists(st.floats(0, 100), min_size=1, max_size=3)


@given(
    arrays.arrays(
        st.sampled_from([np.uint8, np.int8, np.uint16, np.int16, np.int32, np.float32, np.float64]),
        st.integers(1, 50),
        elements=st.integers(-100, 100).map(abs),
    ),
    RANKS,
    st.booleans(),
)
@settings(max_examples=100)
def test_percentiles_are_those_of_numpy(values, ranks, negative):
    if negative and values.dtype.kind != "u":
        values = -values
    expected = np.percentile(values.astype(np.float64), ranks)
    np.testing.assert_allclose(percentiles(values, tuple(ranks)), expected, rtol=1e-12, atol=1e-12)


@given(
    st.sampled_from(REAL).flatmap(
        lambda dtype: arrays.arrays(
            dtype,
            st.integers(1, 60),
            elements={"allow_nan": False, "allow_infinity": False}
            if np.dtype(dtype).kind == "f"
            else None,
        )
    ),
    RANKS,
)
@settings(max_examples=200)
def test_percentiles_on_disk_lie_between_neighbours_in_order(values, ranks):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "fits", lambda _: False)
        patch.setattr(memory, "SLAB", 7)
        moved = memory.room(values.shape, values.dtype)
    moved[...] = values
    ordered = np.append(np.sort(values), values.max()).astype(float)
    places = [rank / 100 * (values.size - 1) for rank in ranks]
    assert percentiles(moved, tuple(ranks)) == tuple(
        ordered[int(place)] + (ordered[int(place) + 1] - ordered[int(place)]) * (place % 1)
        for place in places
    )
