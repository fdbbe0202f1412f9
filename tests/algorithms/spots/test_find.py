"""Spots that are found: places of drawn ones, none where there are none, odd images."""

import numpy as np
import pytest
from rasters import away_from
from scipy.ndimage import gaussian_filter

from cytosuite.algorithms.spots.filters import clearest
from cytosuite.algorithms.spots.fits import Parameters
from cytosuite.algorithms.spots.predict import find
from cytosuite.metrics.points.detection import rmse_lateral
from cytosuite.metrics.points.matching import matched_points

SPACING = (0.3, 0.1, 0.1)
SIGMAS = np.array([0.3, 0.13, 0.13])


def _image(shape, places, photons=800.0, glow=0.0):
    """Return an image of Gaussian spots, and of a glow, by photon and read noise, offset 100."""
    spacing = SPACING[-len(shape) :]
    sigmas = SIGMAS[-len(shape) :] / SPACING[-len(shape) :]
    light = np.full(shape, 4.0) + glow
    for place in places:
        away = away_from(place, shape, 1 / sigmas) ** 2
        light += photons * np.exp(-away / 2) / np.prod(np.sqrt(2 * np.pi) * sigmas)
    rng = np.random.default_rng(0)
    noisy = 2 * (rng.poisson(light) + rng.normal(0, 1.5, shape)) + 100
    return noisy.clip(0).astype(np.uint16), spacing


def _pairs(truth, image, spacing):
    return matched_points(truth, find(image, spacing, Parameters()).places, spacing)


@pytest.mark.parametrize("shape", [(96, 96), (12, 48, 48)])
def test_places_are_found_to_a_fraction_of_a_pixel(shape):
    rng = np.random.default_rng(1)
    truth = rng.uniform(np.full(len(shape), 3.0), np.array(shape) - 4.0, (12, len(shape)))
    image, spacing = _image(shape, truth)
    spots = find(image, spacing, Parameters(sigmas_um=(0.13,)))
    pairs = matched_points(truth, spots.places, spacing)
    assert pairs.pairs[-1] >= 10  # of 12, some lie over each other
    assert pairs.predictions <= 13
    assert np.median(abs(pairs.offsets[:, 1:])) < 0.015
    assert spots.gain == pytest.approx(2, rel=0.5)


@pytest.mark.parametrize("photons", [500.0, 2000.0])
def test_lone_spots_lie_near_the_least_error_that_light_allows(photons, rng):
    # Mortensen et al. 2010, doi:10.1038/nmeth.1447: the bound of Cramer and Rao as an integral.
    places = np.stack(np.divmod(np.arange(100), 10), 1) * 20 + rng.uniform(25, 35, (100, 2))
    image, spacing = _image((240, 240), places, photons)
    area = 2 * np.pi * 1.3**2  # pixels; 6.25 is the variance without a spot
    t = (np.arange(10**5) + 0.5) / 10**5
    loss = np.mean(np.log(t) / (1 + t * photons / area / 6.25))
    bound = 0.13 * np.sqrt(2 / photons / (1 + loss))
    assert 0.8 < rmse_lateral.of(_pairs(places, image, spacing)) / bound < 1.2


def test_noise_alone_holds_hardly_a_spot():
    image, spacing = _image((256, 256), [])
    assert len(find(image, spacing, Parameters()).places) == 0


@pytest.mark.parametrize("mean", [0.5, 2])
def test_single_photons_hardly_make_a_spot(mean, rng):
    images = rng.poisson(mean, (5, 256, 256)).astype(np.uint16)
    spots = [find(image, (1, 1), Parameters(in_pixels=True, sigmas_um=(1.5,))) for image in images]
    assert sum(len(of_image.places) for of_image in spots) <= 2


@pytest.mark.parametrize("shape", [(160, 160), (16, 96, 96)])
def test_edges_of_bright_cells_are_no_spots(shape):
    rng = np.random.default_rng(2)
    size = shape[-1]
    cell = away_from((size / 2, size / 3), (size, size)) < size / 4
    glow = np.zeros(shape)
    glow[(slice(4, 12), cell) if len(shape) == 3 else cell] = 15.0
    glow = gaussian_filter(glow, 1.3)
    truth = rng.uniform([3] * len(shape), np.array(shape) - 4, (20, len(shape)))
    pairs = _pairs(truth, *_image(shape, truth, glow=glow))
    assert pairs.pairs[-1] >= 18
    assert pairs.predictions <= 23


def test_two_near_spots_are_two():
    single = np.stack(np.meshgrid(np.arange(12, 120, 12.0), [16.0, 64.0, 112.0]), -1).reshape(-1, 2)
    middle = np.stack(np.meshgrid(np.arange(12, 120, 12.0), [40.0, 88.0]), -1).reshape(-1, 2)
    shift = np.array([1.2, 0.6])
    truth = np.concatenate([single, middle + shift, middle - shift])
    pairs = _pairs(truth, *_image((128, 128), truth))
    assert pairs.pairs[-1] >= len(truth) - 2
    assert pairs.predictions <= len(truth)


def test_hot_pixels_and_tracks_of_rays_are_no_spots():
    rng = np.random.default_rng(2)
    truth = rng.uniform(4, 250, (60, 2))
    image, spacing = _image((256, 256), truth, photons=400.0)
    hot = rng.integers(0, 256, (2, 30))
    image[hot[0], hot[1]] += rng.integers(100, 5000, 30).astype(np.uint16)
    for start in rng.integers(10, 240, (8, 2)):
        steps = np.arange(10)
        image[start[0] + steps, start[1] + steps // 2] += np.uint16(2000)
    pairs = _pairs(truth, image, spacing)
    assert pairs.predictions - pairs.pairs[-1] <= 3
    assert pairs.pairs[-1] >= 45  # others lie under a track


def test_an_edge_of_a_mosaic_holds_no_spots_and_hides_few(rng):
    truth = rng.uniform(4, 250, (60, 2))
    image, spacing = _image((256, 256), truth)
    image[:, 120:] += 400
    pairs = _pairs(truth, image, spacing)
    assert pairs.pairs[-1] >= 55
    assert pairs.predictions - pairs.pairs[-1] <= 1


def test_the_threshold_is_the_one_of_the_largest_expected_f1(rng):
    sigmas = [np.array([0.0, 1.2, 1.2])]
    noise = -np.sort(-rng.normal(3, 0.3, 1000))
    assert clearest(np.array([4.2, *noise.clip(0, 4)]), 1024**2, sigmas) == 0
    assert clearest(np.array([*np.linspace(20, 8, 100), 4.0, 3.5, 3.0]), 1024**2, sigmas) == 100


@pytest.mark.parametrize("shape", [(1, 1), (1, 16, 16), (3, 5, 7)])
def test_a_constant_image_of_any_size_holds_none(shape):
    assert len(find(np.full(shape, 7, np.uint8), SPACING[-len(shape) :], Parameters()).places) == 0


def test_spots_narrower_than_a_pixel_do_no_harm(rng):
    image = rng.poisson(20, (24, 48, 48)).astype(np.uint16)
    image[rng.random(image.shape) < 0.01] += 500
    spots = find(image, (1.0, 0.5, 0.5), Parameters())
    assert np.isfinite(spots.places).all()
    assert np.isfinite(spots.height).all()
