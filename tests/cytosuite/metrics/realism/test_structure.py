import re
from math import isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from cytosuite.errors import InputError
from cytosuite.metrics.evidence import Facts
from cytosuite.metrics.realism.structure import (
    STRUCTURE,
    label_auc,
    label_auc_change,
    structure,
    structure_correlation,
)

SPACING = (2.0, 0.5, 0.5)
quick = settings(max_examples=50, deadline=None)


def nuclei(seed=0):
    """Return labels of a few balls, and a blurred image of them with noise."""
    rng = np.random.default_rng(seed)
    z, y, x = np.indices((8, 40, 40))
    labels = np.zeros((8, 40, 40), np.uint16)
    for label, (b, a) in enumerate([(10, 10), (12, 28), (28, 18)], 1):
        labels[(4 * (z - 4)) ** 2 + (y - b) ** 2 + (x - a) ** 2 < 36] = label
    image = ndimage.gaussian_filter((labels > 0) * 100.0, (0.5, 1, 1))
    return labels, (image + rng.normal(20, 5, labels.shape)).astype(np.float32)


def slowly(volume, labels, spacing, radius):
    """Return the probability pair by pair, the surroundings voxel by voxel."""
    places = np.argwhere(labels > 0) * spacing
    inside = volume[labels > 0].astype(float)
    around = [
        float(volume[tuple(at)])
        for at in np.argwhere(labels == 0)
        if (np.linalg.norm(places - at * spacing, axis=1) <= radius).any()
    ]
    difference = inside[:, None] - np.array(around)
    return ((difference > 0) + 0.5 * (difference == 0)).mean()


@given(
    arrays.arrays(np.uint8, (3, 5, 6), elements=st.integers(0, 9)),
    st.floats(0.5, 3),
)
@quick
def test_probability_is_that_of_all_pairs(volume, radius):
    labels = np.zeros(volume.shape, np.int32)
    labels[1, 1:3, 1:3], labels[2, 4, 5] = 1, 7
    expected = slowly(volume, labels, np.array(SPACING), radius)
    for kind in (np.uint8, np.float32):
        found = structure(volume.astype(kind), volume, labels, SPACING, surround_um=radius)
        assert found.auc == pytest.approx(expected, abs=1e-12)


def test_by_hand():
    labels = np.array([[0, 0, 1, 1, 0, 0, 0, 0]])
    image = np.array([[9, 1, 3, 2, 2, 0, 9, 9]])  # within 2 µm: 9 1 | 3 2 | 2 0
    found = structure(image, image, labels, (1, 1), surround_um=2.0)
    assert found.auc == found.image_auc == (3 + 2.5) / 8
    assert label_auc_change(image, -image, labels, (1, 1), surround_um=2.0) == 2 * found.auc - 1


@given(st.integers(0, 20))
@quick
def test_an_increasing_map_changes_no_probability_and_the_input_correlates_fully(seed):
    labels, image = nuclei(seed)
    found = structure(np.exp(image / 50), image, labels, SPACING)
    assert found.auc == found.image_auc
    assert 0.9 < found.auc <= 1
    assert 0.9 < found.correlation < 1
    for unchanged in (image, 3 * image + 7):
        assert structure_correlation(unchanged, image, labels, SPACING) == pytest.approx(1)


def test_identity_has_the_neutral_values():
    labels, image = nuclei()
    known = {"prediction": image, "image": image, "labels": labels, "spacing": SPACING}
    evidence = STRUCTURE.of(Facts({name: lambda v=v: v for name, v in known.items()}))
    for metric in (label_auc_change, structure_correlation):
        assert metric.of(evidence) == pytest.approx(metric.neutral, abs=metric.tolerance)
    assert (label_auc.neutral, label_auc.scope, label_auc.higher_is_better) == (None, "case", True)
    assert structure_correlation.higher_is_better is None


def test_a_prediction_that_moves_or_invents_structure_correlates_less():
    labels, image = nuclei()
    noise = np.random.default_rng(1).normal(20, 5, image.shape).astype(np.float32)
    moved = structure(np.roll(image, 8, 2), image, labels, SPACING)
    empty = structure(noise, image, labels, SPACING)
    assert moved.correlation < 0.5
    assert moved.auc < 0.8
    assert abs(empty.correlation) < 0.5
    assert empty.auc == pytest.approx(0.5, abs=0.05)


def test_denoising_raises_the_probability_and_keeps_the_structure():
    labels, image = nuclei()
    clean = ndimage.gaussian_filter((labels > 0) * 1.0, (0.5, 1, 1))
    assert label_auc_change(clean, image, labels, SPACING) > 0
    assert structure_correlation(clean, image, labels, SPACING) > 0.95


def test_far_background_does_not_count():
    labels, image = nuclei()
    image = image.copy()
    image[:, 36:, 36:] = 1e6
    assert label_auc(image, image, labels, SPACING, surround_um=1.0) > 0.9


def test_undefined_without_objects_surroundings_or_contrast():
    labels, image = nuclei()
    for no_contrast in (np.zeros_like(labels), np.ones_like(labels)):
        assert isnan(label_auc(image, image, no_contrast, SPACING))
        assert isnan(label_auc_change(image, image, no_contrast, SPACING))
    assert isnan(structure_correlation(image, image, np.zeros_like(labels), SPACING))
    assert isnan(structure_correlation(image * 0, image, labels, SPACING))
    assert label_auc(image * 0, image, labels, SPACING) == 0.5


def _floats(arguments):
    """labels must be integers of the shape of the image, (8, 40, 40), found float64"""
    arguments["labels"] = arguments["labels"] * 1.0


def _other_shape(arguments):
    """prediction and image must have the same shape"""
    arguments["prediction"] = arguments["prediction"][1:]


def _two_axes(arguments):
    """spacing, surround_um and smoothing_um must be positive lengths in µm, found (0.5, 0.5)"""
    arguments["spacing"] = (0.5, 0.5)


def _no_length(arguments):
    """3.0 and 0.0 for 3 axes"""
    arguments["smoothing_um"] = 0.0


@pytest.mark.parametrize("mistake", [_floats, _other_shape, _two_axes, _no_length])
def test_explains(mistake):
    labels, image = nuclei()
    arguments = {"prediction": image, "image": image, "labels": labels, "spacing": SPACING}
    mistake(arguments)
    with pytest.raises(InputError, match=re.escape(mistake.__doc__)):
        structure(**arguments)
