"""The second decision: clear and dim spots by their heights; the search without a voxel size."""

import cards
import numpy as np
import pytest
from mistakes import refused
from scipy.ndimage import gaussian_filter

from cytosuite.algorithms.spots.heights import choose
from cytosuite.algorithms.spots.predict import predict
from cytosuite.contract.tasks import IMAGE
from cytosuite.contract.weights import Model
from cytosuite.volume import Volume


def _heights(*parts, seed=0):
    """Return log-normal heights of parts (number, median, sd of ln)."""
    rng = np.random.default_rng(seed)
    return np.concatenate([middle * np.exp(rng.normal(0, sd, n)) for n, middle, sd in parts])


def _marked(height, **wishes):
    """Return how many of the highest are marked, and the lines."""
    choice = choose(height, height / 0.4, **wishes)
    assert choice.facts["marked"] == f"{choice.marked.sum()}"
    return int(choice.marked.sum()), choice.lines


@pytest.mark.parametrize("seed", range(3))
def test_dim_puncta_of_the_ground_are_not_marked(seed):
    number, (line,) = _marked(_heights((150, 20, 0.3), (600, 2, 0.5), seed=seed))
    assert 135 <= number <= 165
    assert line.endswith("took the clear (--stricter)")


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("clear", [3, 10, 20])
@pytest.mark.parametrize("dim", [(6, 2.0, 0.15), (500, 2.0, 0.45)])
def test_few_clear_spots_are_told_from_dim_puncta(clear, dim, seed):
    number, _ = _marked(_heights((clear, 60, 0.2), dim, seed=seed))
    assert number == clear


@pytest.mark.parametrize("sites", [3, 20, 45])
@pytest.mark.parametrize("single", [1.5, 2, 5, 20])
def test_single_transcripts_below_transcription_sites_are_marked(single, sites):
    number, lines = _marked(_heights((200, single, 0.3), (sites, 8 * single, 0.3)))
    assert number == 200 + sites
    assert all("kept both" in line for line in lines)


@pytest.mark.parametrize("number", [0, 3, 50, 400])
def test_spots_of_one_kind_are_all_marked(number):
    assert _marked(_heights((number, 3, 0.6))) == (number, ())


def test_dirt_above_faint_spots_is_no_population_of_its_own():
    assert _marked(_heights((200, 2.0, 0.45), (2, 90, 0.05)))[0] == 202


def test_users_move_the_least_height_and_name_a_number():
    height = _heights((150, 20, 0.3), (600, 2, 0.5))
    assert _marked(height, stricter=1.5)[0] < _marked(height)[0] < _marked(height, stricter=0.5)[0]
    assert _marked(height, expected=7) == (7, ())
    assert _marked(height, expected=9999)[0] == 750


def test_the_choice_does_not_depend_on_the_unit_of_grey_values():
    height = _heights((150, 20, 0.3), (600, 2, 0.5))
    assert np.array_equal(*[choose(height * unit, height * 2).marked for unit in (1, 1000)])


def _points(sigma, size=None, **metadata):
    """Return the points in an image of 48 spots of a width in px, without or with a pixel size."""
    places = np.stack(np.meshgrid(np.arange(20, 220, 25), np.arange(20, 170, 25)), -1)
    light = np.zeros((180, 220))
    light[tuple(places.reshape(-1, 2)[:, ::-1].T)] = 2 * np.pi * sigma**2 * 400
    light = gaussian_filter(light, sigma) + np.random.default_rng(0).normal(100, 10, light.shape)
    metadata |= {} if size else {"spacing_source": "assumed"}
    image = Volume(light.astype(np.uint16), (size or 1.0,) * 2, "YX", metadata)
    return predict({IMAGE.slug: image}, Model(cards.card(algorithm="spots")))["detected-points"]


@pytest.mark.parametrize("sigma", [1, 1.5, 2.2])
def test_an_image_without_a_voxel_size_is_searched_in_pixels(sigma):
    points = _points(sigma)
    assert 46 <= len(points) <= 50
    assert "spots sought in pixels" in points.warnings[0]


def test_the_diameter_is_the_width_of_spots_at_half_their_height():
    assert 46 <= len(_points(3.5, diameter_um=8.2)) <= 50
    assert 46 <= len(_points(3.5, size=0.5, diameter_um=4.1)) <= 50
    assert len(_points(3.5, size=0.1, diameter_um=0.2)) < 40


def test_spots_narrower_than_half_a_pixel_are_doubted_in_a_line():
    assert any("a spot would be 0.36 px wide" in w for w in _points(1.5, size=0.5).warnings)


@pytest.mark.parametrize("key", ["stricter", "expected", "diameter_um"])
def test_numbers_of_users_are_positive(key):
    refused(f"{key} must be a positive number, found -1", _points, 1.5, **{key: -1})
