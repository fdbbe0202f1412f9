"""Threshold, declumping, sizes and propagation in drawn planes."""

import cards
import numpy as np
import pytest
from mistakes import refused
from rasters import away_from

from cytosuite.algorithms.cellprofiler_like.predict import (
    Parameters,
    Secondary,
    predict,
    primary,
    secondary,
    threshold,
)
from cytosuite.contract.progress import gathered
from cytosuite.contract.weights import Model
from cytosuite.metrics.labels.ctc import seg
from cytosuite.volume import Volume

OWN = {"smoothing_px": 1, "threshold": "otsu", "factor": 1, "adaptive_px": 0, "declump": "distance"}
OWN |= {"declump_px": 1, "apart_px": 5, "diameter_px": (6, 60)}


def card(**changes):
    return Model(cards.card(algorithm="cellprofiler_like", parameters={**OWN, **changes}))


def discs(*middles, radius=9):
    """Return labels of discs; where they overlap the first keeps the pixels."""
    labels = np.zeros((60, 80), np.uint16)
    for number, middle in enumerate(middles, 1):
        labels[(away_from(middle, labels.shape) < radius) & (labels == 0)] = number
    return labels


def plane(labels):
    """Return an image of labels with noise."""
    noise = np.random.default_rng(0).normal(100, 4, labels.shape)
    return Volume((noise + 200 * (labels > 0)).astype(np.uint16), (1.0, 1.0), "YX")


@pytest.mark.parametrize("kind", ["otsu", "li"])
@pytest.mark.parametrize("adaptive_px", [0, 31])
def test_touching_objects_come_apart(kind, adaptive_px):
    truth = discs((20, 20), (20, 36), (42, 60))
    model = card(threshold=kind, adaptive_px=adaptive_px)
    with gathered() as facts:
        labels = predict({"microscopy-image": plane(truth)}, model)["instance-labels"]
    assert labels.array.max() == 3
    assert seg(truth, labels.array) > 0.8
    assert facts.words["size"] == "given: 6-60 px"
    assert facts.words["tool"].startswith("scikit-image ")


def test_intensity_separates_what_distance_cannot():
    mask = np.zeros((20, 60), bool)
    mask[5:15, 5:55] = True
    x = np.arange(60)
    bright = np.where(
        mask, np.maximum(np.exp(-((x - 15) ** 2) / 50), np.exp(-((x - 45) ** 2) / 50)), 0
    )
    settings = Parameters(**{**OWN, "declump": "intensity", "apart_px": 12})
    labels = primary(bright.astype(np.float32), mask, settings)
    assert labels.max() == 2
    assert (labels[10, 10], labels[10, 50]) in {(1, 2), (2, 1)}


def test_objects_of_another_size_are_left_out_and_holes_filled():
    mask = discs((30, 30), radius=12) > 0
    mask[28:32, 28:32] = False
    mask[2:5, 2:5] = True  # a disc of its area has a diameter of 3.4
    labels = primary(mask.astype(np.float32), mask, Parameters(**{**OWN, "apart_px": 20}))
    assert labels[30, 30] == 1
    assert labels[3, 3] == 0
    assert labels.max() == 1


def test_an_adaptive_threshold_stays_near_the_global_one():
    signal = np.zeros((40, 40), np.float32)
    signal[:, 20:] = 100
    level = threshold(signal, Parameters(**OWN))
    adaptive = threshold(signal, Parameters(**{**OWN, "adaptive_px": 9}))
    assert 0 <= level < 100
    assert adaptive.min() == pytest.approx(0.7 * level)
    assert adaptive.max() == pytest.approx(1.5 * level)


def test_cells_grow_from_their_seeds_within_reach_up_to_the_edge_in_between():
    signal = np.full((30, 61), 10, np.float32)
    signal[:, 30] = 2  # a dark line between two cells
    seeds = np.zeros((30, 61), np.int32)
    seeds[14:17, 8:11] = 1
    seeds[14:17, 50:53] = 2
    settings = Secondary(factor=1, reach_px=1000, compactness=0)
    grown = secondary(signal, signal > 0, seeds, settings)
    assert (grown[:, :29] == 1).all()
    assert (grown[:, 32:] == 2).all()
    near = secondary(signal, signal > 0, seeds, settings.model_copy(update={"reach_px": 4.0}))
    assert (near[15, 4], near[15, 3], near[15, 14], near[15, 15]) == (1, 0, 1, 0)


def test_volumes_channels_and_unknown_parameters_are_refused():
    for axes in ("ZYX", "CYX"):
        image = Volume(np.zeros((2, 9, 9), np.uint16), (1.0,) * (2 if axes == "CYX" else 3), axes)
        refused(f"found {axes}", predict, {"microscopy-image": image}, card())
    refused(
        "threshold: input should be 'otsu' or 'li'",
        predict,
        {"microscopy-image": plane(discs((20, 20)))},
        card(threshold="mean"),
    )
