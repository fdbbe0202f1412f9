import pytest
from rasters import away_from

from cytosuite.datasets.nuclei.parameters import Parameters
from cytosuite.datasets.physics.packing import shrinkage


def test_the_overlap_of_discs_is_that_of_balls_at_the_same_distance():
    flat = Parameters(shape=(30, 40), spacing_um=(0.5, 0.5), max_overlap=0.3)
    apart = 1000 * shrinkage(flat.packed_overlap)
    disc, other = (away_from((500, 500 + x), (1001, 1001), 1 / 500) < 1 for x in (0, apart))
    assert (disc & other).sum() / disc.sum() == pytest.approx(0.3, abs=0.005)
    assert Parameters(max_overlap=0.3).packed_overlap == 0.3
