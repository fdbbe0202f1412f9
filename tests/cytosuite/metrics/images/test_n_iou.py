from math import isnan

import numpy as np
import pytest
from mistakes import refused
from scipy import ndimage

from cytosuite.metrics import n_iou
from cytosuite.metrics.boards import BOARDS

SPACING = (1.0, 1.0, 1.0)


@pytest.fixture
def threshold(monkeypatch):
    """Put a segmenter in place of all: pieces above zero; return the names that were asked for."""
    asked = []

    def apply(algorithm, volume, *, model):
        asked.append((algorithm, model, volume.spacing))
        return {"instance-labels": volume.like(ndimage.label(volume.array > 0)[0])}

    monkeypatch.setattr("cytosuite.apply.apply", apply)
    return asked


def boxes(*lengths):
    """Return a volume with bright rods of some lengths at fixed places."""
    volume = np.zeros((5, 20, 20), np.uint16)
    for row, length in enumerate(lengths):
        volume[2, 4 * row + 1, 1 : 1 + length] = 100
    return volume


def test_is_the_gain_in_overlap_of_a_hand_made_volume(threshold):
    truth, image, answer = boxes(10, 10), boxes(5, 0), boxes(10, 5)
    # of two objects: 0.5 and 0 in the input, 1 and 0.5 in the answer: means 0.25 and 0.75
    assert n_iou(truth, answer, image, SPACING) == pytest.approx((0.75 - 0.25) / (1 - 0.25))
    assert n_iou(truth, boxes(0, 0), image, SPACING) == pytest.approx(-0.25 / 0.75)
    assert n_iou(truth, answer, image, SPACING, "other:mine") == n_iou(
        truth, answer, image, SPACING
    )
    assert set(threshold) == {
        ("watershed", "spheroid-nuclei-3d", SPACING), ("other", "mine", SPACING)
    }  # fmt: skip


def test_ends_of_the_range_and_none_where_nothing_can_be_restored(threshold):
    truth = boxes(10, 10)
    image = boxes(5, 0)
    assert isnan(n_iou(truth, image, truth, SPACING))
    assert isnan(n_iou(boxes(), truth, image, SPACING))
    assert [n_iou(truth, answer, image, SPACING) for answer in (truth, image)] == [1, 0]


def test_a_segmenter_is_an_algorithm():
    truth = boxes(10)
    refused("no such algorithm here", n_iou, truth, truth, truth, SPACING, "nobody")


def test_no_board_shows_what_takes_a_segmenter():
    shown = [task for task, board in BOARDS.items() if "images" in board.families]
    assert len(shown) == 3
    assert all("N_IOU" in BOARDS[task].without for task in shown)
