from math import isnan

import films
import numpy as np
import pytest

from cytosuite.metrics.tracks.biology import bc1, cca, tf
from cytosuite.metrics.tracks.lineage import Track, TrackedSequence


def lineage(*rows):
    """Return a film of rows L B E P in which track L is always voxel L."""
    frames = np.zeros((max(row[2] for row in rows) + 1, 9), int)
    for label, begin, end, *_ in rows:
        frames[begin : end + 1, label] = label
    return TrackedSequence([Track(*row) for row in rows], frames)


def test_tracks_of_lower_labels_keep_what_it_has_given():
    # Half of the second track is lost, so that it is not complete and uses up nothing.
    truth = films.sequence([(1, 0, 3), (2, 4, 5)], *["1111"] * 4, *["2222"] * 2)
    result = films.sequence([(7, 1, 5), (8, 0, 0)], "8888", *["7777"] * 5)
    assert tf(truth, result) == pytest.approx((3 / 4 + 1) / 2)


def test_a_true_division_is_found_once():
    # The mother is broken, and each of her parts has daughters at about the right time.
    truth = lineage((1, 0, 4), (2, 5, 8, 1), (3, 5, 8, 1))
    rows = [(1, 0, 3), (4, 4, 4), (2, 5, 5, 1), (3, 5, 5, 1), (5, 6, 8, 4), (6, 6, 8, 4)]
    labels = truth.frames.copy()
    labels[4][1] = 4
    labels[6:, 2] = 5
    labels[6:, 3] = 6
    assert bc1(truth, films.sequence(rows, *labels)) == pytest.approx(2 / 3)


def family(*lengths):
    """Return a mother of two daughters that divide after so many frames each."""
    one, two = lengths
    return lineage(
        (1, 0, 0),
        (2, 1, one, 1),
        (3, 1, two, 1),
        (4, one + 1, 9, 2),
        (5, one + 1, 9, 2),
        (6, two + 1, 9, 3),
        (7, two + 1, 9, 3),
    )


def test_is_undefined_without_a_true_cycle():
    truth = lineage((1, 0, 2), (2, 3, 9, 1), (3, 3, 9, 1))
    assert isnan(cca(truth, family(3, 4)))
    assert cca(family(3, 4), truth) == 0.0


def test_a_track_after_a_gap_is_no_cycle():
    rows = [(1, 0, 0), (2, 1, 4, 1), (3, 5, 9, 2), (4, 5, 9, 2)]
    assert isnan(cca(lineage(*rows), lineage(*rows)))
