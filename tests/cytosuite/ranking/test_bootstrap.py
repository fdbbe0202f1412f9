import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from cytosuite.ranking.intervals import (
    draw_counts,
    kendall_tau,
    percentiles,
    place_intervals,
    place_shares,
    varied,
)


def test_each_dataset_keeps_its_number_of_cases():
    strata = ["b", "a", "b", "c", "a", "b", "a", "a"]
    counts = draw_counts(strata, 500, 1)
    for name in "abc":
        places = [place for place, stratum in enumerate(strata) if stratum == name]
        assert (counts[:, places].sum(axis=1) == len(places)).all()
    assert (counts[:, 3] == 1).all()  # the only case of its dataset
    assert varied(strata) == 7
    assert varied([]) == 0


@pytest.mark.parametrize("seed, size", [(0, 9), (1, 9), (2, 50), (3, 60)])
def test_tau_is_that_of_scipy(seed, size):
    first, *others = np.random.default_rng(seed).integers(0, 5, (21, size)).astype(float)
    expected = [stats.kendalltau(first, other, variant="b").statistic for other in others]
    assert_allclose(kendall_tau(first, np.stack(others)), expected)


def test_shares_and_intervals_by_hand():
    places = np.array([[1, 2], [1, 2], [1, 2], [2, 1], [1, 1]], float)
    assert place_shares("ab", places) == {"a": (0.8, 0.2), "b": (0.4, 0.6)}
    assert place_intervals("ab", places) == {"a": (1, 2), "b": (1, 2)}
    many = np.repeat([[1.0], [2.0]], [990, 10], axis=0)
    assert place_intervals("a", many) == {"a": (1, 1)}  # 1 % is outside of 95 %
    assert percentiles(np.array([np.nan, 2.0, 2.0])) == (2.0, 2.0, 2.0)
