from math import nan

import pytest

from cytosuite.metrics.labels.ctc import (
    det,
    det_without_penalty,
    missed,
    op_csb,
    seg,
    splits,
    spurious,
)
from cytosuite.metrics.labels.overlap import overlap

RIGHT = (1, 1, 1, 0, 0, 0)
# SEG, DET, the same without penalty, splits, missed, spurious: by hand from the sizes in the builders' documentation
BY_HAND = {
    **dict.fromkeys(("one_cell", "one_voxel", "perfect", "touching"), RIGHT),
    **dict.fromkeys(("touching_border", "in_two_pieces"), RIGHT),
    "shifted": (48 / 80, 1, 1, 0, 0, 0),
    "split": (48 / 64, 1 - 1 / 10, 1, 0, 0, 1),
    "split_in_halves": (
        0,
        0,
        0,
        0,
        1,
        2,
    ),  # half exactly is no match; 12 points of 10, DET 0 at least
    "merged": (64 / 128, 1 - 5 / 20, 1 - 5 / 20, 1, 0, 0),
    "spurious": (1, 1 - 1 / 10, 1, 0, 0, 1),
    "missed": (1 / 2, 1 / 2, 1 / 2, 0, 1, 0),
    "nothing_predicted": (0, 0, 0, 0, 2, 0),
    "nothing_to_find": (nan, nan, nan, 0, 0, 1),
    "empty": (nan, nan, nan, 0, 0, 0),
}


def test_scores_by_hand(situations):
    assert set(BY_HAND) == set(situations.ALL)
    for name, expected in BY_HAND.items():
        table = overlap(*situations.ALL[name]())
        scores = [
            metric.of(table) for metric in (seg, det, det_without_penalty, splits, missed, spurious)
        ]
        assert scores == pytest.approx(expected, abs=1e-15, nan_ok=True), name
        assert op_csb.of(table) == pytest.approx(sum(expected[:2]) / 2, nan_ok=True)
