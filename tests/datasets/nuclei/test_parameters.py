import numpy as np
import pytest
from rasters import away_from

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
    disc, other = (
        away_from((500, 500 + 1000 * shift), (1001, 1001), 1 / 500) < 1 for shift in (0, u)
    )
    assert (disc & other).sum() / disc.sum() == pytest.approx(0.3, abs=0.005)
    assert Parameters(max_overlap=0.3).packed_overlap == 0.3
