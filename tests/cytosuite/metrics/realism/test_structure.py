from math import isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from mistakes import refused
from rasters import away_from
from scipy import ndimage

from cytosuite.metrics.realism.structure import (
    label_auc,
    label_auc_change,
    structure,
    structure_correlation,
)

SPACING = (2.0, 0.5, 0.5)
quick = settings(max_examples=50)


def nuclei(seed=0):
    """Return labels of a few balls, and a blurred image of them with noise."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((8, 40, 40), np.uint16)
    for label, place in enumerate([(4, 10, 10), (4, 12, 28), (4, 28, 18)], 1):
        labels[away_from(place, labels.shape, (4, 1, 1)) < 6] = label
    image = ndimage.gaussian_filter((labels > 0) * 100.0, (0.5, 1, 1))
    return labels, (image + rng.normal(20, 5, labels.shape)).astype(np.float32)


@given(arrays.arrays(np.uint8, (3, 5, 6), elements=st.integers(0, 9)), st.floats(0.5, 3))
@quick
def test_probability_is_that_of_all_pairs(volume, radius):
    labels = np.zeros(volume.shape, np.int32)
    labels[1, 1:3, 1:3] = 1
    labels[2, 4, 5] = 7
    away = ndimage.distance_transform_edt(labels == 0, SPACING)
    difference = volume[labels > 0][:, None] - volume[(away > 0) & (away <= radius)].astype(float)
    expected = ((difference > 0) + 0.5 * (difference == 0)).mean()
    scores = structure(volume, volume, labels, SPACING, surround_um=radius)
    assert scores.auc == pytest.approx(expected, abs=1e-12)


def test_by_hand():
    labels = np.array([[0, 0, 1, 1, 0, 0, 0, 0]])
    image = np.array([[9, 1, 3, 2, 2, 0, 9, 9]])  # within 2 µm: 9 1 | 3 2 | 2 0
    change = label_auc_change(image, -image, labels, (1, 1), surround_um=2.0)
    assert change == (3 + 2.5) / 8 - (1 + 1.5) / 8


@given(st.integers(0, 20))
@quick
def test_an_increasing_map_changes_no_probability_and_the_input_correlates_fully(seed):
    labels, image = nuclei(seed)
    scores = structure(np.exp(image / 50), image, labels, SPACING)
    assert scores.auc == scores.image_auc
    assert 0.9 < scores.auc <= 1
    assert 0.9 < scores.correlation < 1
    for unchanged in (image, 3 * image + 7):
        assert structure_correlation(unchanged, image, labels, SPACING) == pytest.approx(1)


def test_undefined_without_objects_surroundings_or_contrast():
    labels, image = nuclei()
    for no_contrast in (np.zeros_like(labels), np.ones_like(labels)):
        assert isnan(label_auc(image, image, no_contrast, SPACING))
        assert isnan(label_auc_change(image, image, no_contrast, SPACING))
    assert isnan(structure_correlation(image, image, np.zeros_like(labels), SPACING))
    assert isnan(structure_correlation(image * 0, image, labels, SPACING))
    assert label_auc(image * 0, image, labels, SPACING) == 0.5


def test_explains():
    labels, image = nuclei()
    sources = {"prediction": image, "image": image, "labels": labels, "spacing": SPACING}
    for message, change in {
        "shape of the image, (8, 40, 40), found float64": {"labels": labels * 1.0},
        "surround_um must be a positive length in µm, found 0.0": {"surround_um": 0.0},
        "spacing must be a positive number in µm": {"spacing": (np.nan, 1.0, 1.0)},
    }.items():
        refused(message, structure, **sources | change)
