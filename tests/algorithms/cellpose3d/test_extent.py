import numpy as np
import pytest

from cytosuite.algorithms.cellpose3d import extent
from cytosuite.algorithms.cellpose3d.extent import Whole, above, measure, smoothed
from cytosuite.algorithms.cellpose3d.parameters import Parameters

SPACING = (2.0, 1.0, 1.0)


def parameters(**given):
    return Parameters(network={"widths": [4, 4, 4], "fold": 2}, **given)


def two_classes(background=1000.0, bright=1100.0):
    image = np.full((12, 40, 40), background, np.float32)
    image[4:8, 10:20, 10:20] = bright
    return image


def test_smoothing_is_in_micrometres_and_longer_along_z():
    point = np.zeros((21, 41, 41), np.float32)
    point[10, 20, 20] = 1
    blurred = smoothed(point, SPACING, parameters(smoothing_um=1.5, axial_elongation=2.0))
    grid = np.indices(point.shape)
    variance = [(blurred * (g - c) ** 2).sum() for g, c in zip(grid, (10, 20, 20), strict=True)]
    assert np.sqrt(variance) == pytest.approx([1.5, 1.5, 1.5], rel=0.02)  # voxels


def test_background_and_threshold_lie_between_the_classes():
    whole = measure(two_classes(), SPACING, parameters(smoothing_um=0))
    assert whole.background == pytest.approx(1000)
    assert 0 < whole.threshold < 100


def test_offset_and_gain_go_with_the_image():
    rng = np.random.default_rng(0)
    image = two_classes() + rng.normal(0, 3, (12, 40, 40)).astype(np.float32)
    one = measure(image, SPACING, parameters())
    other = measure(image * 4 + 700, SPACING, parameters())
    assert other.background == pytest.approx(4 * one.background + 700, rel=1e-4)
    assert other.threshold == pytest.approx(4 * one.threshold, rel=0.02)


def test_a_constant_image_has_no_threshold_and_nothing_is_above_it():
    image = np.full((3, 8, 8), 7, np.float32)
    whole = measure(image, SPACING, parameters())
    assert whole == Whole(7.0, 0.0)
    assert (above(image - 7, np.zeros_like(image)) < 0).all()


def test_large_images_are_smoothed_in_slabs_with_the_same_result(monkeypatch):
    image = np.random.default_rng(1).gamma(2, 50, (30, 16, 16)).astype(np.float32)
    settings = parameters(smoothing_um=2.0)
    once = measure(image, SPACING, settings)
    monkeypatch.setattr(extent, "_SLAB", 4 * 256)
    assert measure(image, SPACING, settings) == once


def test_the_margin_is_relative_and_nothing_is_above_zero():
    signal, level = np.array([[[30.0, 10.0, 5.0]]], np.float32), np.array([[[20, 20, 0]]])
    np.testing.assert_allclose(above(signal, level.astype(np.float32)), [[[0.5, -0.5, -1]]])
