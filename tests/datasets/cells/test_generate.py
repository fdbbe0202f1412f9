"""Cells, nuclei and spots belong together: numbers, places, light."""

import numpy as np
import pytest

from cytosuite.contract.points import points_of
from cytosuite.contract.tasks import IMAGE, LABELS, POINTS
from cytosuite.datasets.cells.generate import generate
from cytosuite.datasets.cells.parameters import Parameters

SMALL = {
    "image": {"shape": (240, 240), "spacing_um": (0.25, 0.25), "margin_um": 10.0},
    "cells": {"n_cells": (5, 8)},
    "dyes": {"background_photons": (0.0, 0.0)},
    "spots": [{"place": "nucleus", "count": (20.0, 20.0), "law": "given"}],
    "shown": {"image": "spots"},
}


def _made(seed=3, **changes):
    return generate(np.random.default_rng(seed), Parameters.model_validate(SMALL | changes))


@pytest.fixture(scope="module")
def sample():
    return _made()


def test_nuclei_have_the_numbers_of_their_cells_and_lie_in_them(sample):
    cells = sample.volume(LABELS.slug).array
    nuclei = sample.companions["nucleus-labels"].array
    assert cells.max() >= 3
    assert np.array_equal(nuclei[nuclei > 0], cells[nuclei > 0])


def test_every_spot_lies_in_the_nucleus_of_its_cell_and_is_bright_there(sample):
    image = sample.volume(IMAGE.slug)
    spots = points_of(sample.sockets[POINTS.slug], image.spacing)
    nuclei = sample.companions["nucleus-labels"].array
    at = tuple(np.floor(spots.array + 0.5).astype(int).T)
    assert len(spots) >= 40
    assert (nuclei[at] == spots.cells).mean() > 0.9  # a place between two pixels may round out
    assert np.median(image.array[at]) > 3 * np.median(image.array)


def test_one_seed_gives_one_result(sample):
    again, other = _made(), _made(4)
    assert np.array_equal(sample.volume(IMAGE.slug).array, again.volume(IMAGE.slug).array)
    assert sample.sockets[POINTS.slug] == again.sockets[POINTS.slug]
    assert sample.sockets[POINTS.slug] != other.sockets[POINTS.slug]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"spots": []}, "shown.image is spots, but there are none"),
        ({"image": {"shape": (8, 8), "spacing_um": (1.0, 1.0, 1.0)}}, "image.shape has 2 axes"),
        ({"cells": {"two_nuclei": 0.6, "dying": 0.6}}, "shares of at most 1 in all"),
    ],
)
def test_contradictions_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        _made(**changes)
