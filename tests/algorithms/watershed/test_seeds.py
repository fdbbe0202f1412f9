import numpy as np
import pytest

from cytosuite.algorithms.watershed.seeds import (
    blob_response,
    border_distance,
    seed_map,
    typical_radius,
)


def gaussian_blob(sigma, shape=(41, 41, 41), spacing=(1.0, 1.0, 1.0)):
    middle = [(n - 1) / 2 * s for n, s in zip(shape, spacing, strict=True)]
    grid = np.meshgrid(
        *[np.arange(n) * s for n, s in zip(shape, spacing, strict=True)], indexing="ij"
    )
    squares = sum((axis - m) ** 2 for axis, m in zip(grid, middle, strict=True))
    return np.exp(-squares / 2 / sigma**2).astype(np.float32)


def test_the_response_is_largest_in_the_middle_of_a_blob():
    response = blob_response(gaussian_blob(4.0), (1.0, 1.0, 1.0), (6.0,), 1.0)
    assert np.unravel_index(response.argmax(), response.shape) == (20, 20, 20)


def test_the_response_to_a_gaussian_is_that_of_theory():
    sigma, width = 4.0, 3.0
    response = blob_response(gaussian_blob(sigma), (1.0, 1.0, 1.0), (width * 3**0.5,), 1.0)
    total = sigma**2 + width**2
    expected = 3 * width**2 / total * (sigma**2 / total) ** 1.5
    assert response.max() == pytest.approx(expected, rel=0.03)


def test_the_response_does_not_depend_on_the_grid():
    fine = blob_response(gaussian_blob(4.0), (1.0, 1.0, 1.0), (6.0,), 1.0)
    spacing = (2.0, 1.0, 1.0)
    coarse = blob_response(gaussian_blob(4.0, (21, 41, 41), spacing), spacing, (6.0,), 1.0)
    assert coarse.max() == pytest.approx(fine.max(), rel=0.05)


def test_more_radii_never_lower_the_response():
    image = gaussian_blob(4.0)
    one = blob_response(image, (1.0, 1.0, 1.0), (4.0,), 1.0)
    two = blob_response(image, (1.0, 1.0, 1.0), (4.0, 7.0), 1.0)
    assert (two >= one).all()


@pytest.mark.parametrize("shape", [(1, 9, 9), (9, 1), (1, 1)])
def test_axes_of_one_voxel_are_allowed(shape):
    response = blob_response(np.ones(shape, np.float32), (1.0,) * len(shape), (2.0,), 1.0)
    np.testing.assert_allclose(response, 0, atol=1e-5)


@pytest.mark.parametrize("radius", [6.0, 12.0])
def test_the_typical_radius_of_a_disc_is_its_radius(radius):
    grid = np.indices((64, 64)) - 32
    disc = (grid**2).sum(0) <= radius**2
    assert typical_radius(disc, (1.0, 1.0), 1.0) == pytest.approx(radius, abs=1.2)
    assert typical_radius(disc, (0.5, 0.5), 1.0) == pytest.approx(radius / 2, abs=0.6)


def test_distances_along_z_are_divided_by_the_elongation():
    slab = np.zeros((9, 40, 40), bool)
    slab[2:7] = True
    plain = border_distance(slab, (2.0, 1.0, 1.0), 1.0)
    np.testing.assert_allclose(border_distance(slab, (2.0, 1.0, 1.0), 2.0), plain / 2)
    assert plain.max() == 6.0


def test_the_seed_map_is_positive_inside_and_zero_outside():
    mask = np.zeros((12, 12), bool)
    mask[3:9, 3:9] = True
    response = np.random.default_rng(0).normal(0, 1, mask.shape).astype(np.float32)
    height = seed_map(response, mask, (1.0, 1.0), distance_weight=1.0, elongation=1.0)
    assert (height[mask] > 0).all()
    assert not height[~mask].any()
