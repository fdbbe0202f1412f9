import numpy as np
import pytest

from cytosuite.datasets.nuclei.parameters import Parameters


def test_the_overlap_of_discs_is_that_of_balls_at_the_same_distance():
    u = np.roots(
        [
            1,
            0,
            -3,
            2
            - 2 * Parameters(shape=(30, 40), spacing_um=(0.5, 0.5), max_overlap=0.3).packed_overlap,
        ]
    )
    u = float(u[(u.imag == 0) & (u > 0) & (u < 1)].real[0])
    x, y = np.meshgrid(np.linspace(-1, 1, 1001), np.linspace(-1, 1, 1001))
    disc = x**2 + y**2 < 1
    other = (x - 2 * u) ** 2 + y**2 < 1
    assert (disc & other).sum() / disc.sum() == pytest.approx(0.3, abs=0.005)
    assert Parameters(max_overlap=0.3).packed_overlap == 0.3
