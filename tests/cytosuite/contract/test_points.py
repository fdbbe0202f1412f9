import json

import numpy as np
import pytest
from mistakes import refused
from numpy.testing import assert_array_equal

from cytosuite.benchmark.runs.validate import JSON_BYTES
from cytosuite.contract.points import MOST, Points, points_of, read_points
from cytosuite.files import write_json

SPACING = (0.5, 0.1, 0.2)
GOOD = {"type": "Multiple points", "points": [], "version": {"major": 1, "minor": 0}}


def test_places_are_millimetres_from_the_first_voxel_as_x_y_z():
    assert Points(np.array([[2, 10, 30]]), SPACING).document() == GOOD | {
        "points": [{"name": "1", "point": [0.006, 0.001, 0.001]}]
    }


@pytest.mark.parametrize("axes", [2, 3])
def test_what_is_written_is_read(tmp_path, axes, rng):
    points = Points(
        rng.uniform(0, 99, (50, axes)),
        SPACING[3 - axes :],
        [f"spot {n} of = 50" for n in range(50)],
        rng.integers(0, 3, 50),
        rng.uniform(0, 1, 50).round(3),
        np.where(rng.uniform(size=50) < 0.5, np.nan, rng.integers(0, 10**5, 50)),
    )
    write_json(tmp_path / "p.json", points.document())
    stored = read_points(tmp_path / "p.json", points.spacing)
    np.testing.assert_allclose(stored.um, points.um, atol=1e-6)
    assert stored.names == points.names
    assert_array_equal(stored.cells, points.cells)
    assert_array_equal(stored.confidence, points.confidence)
    assert_array_equal(stored.photons, points.photons)


def test_points_of_other_programs_are_read_with_what_they_lack():
    entries = [{"point": [0, 0, 0.5]}, {"name": "a", "type": "Point", "point": [0.001, 0, 0]}]
    points = points_of(GOOD | {"name": "Spots", "points": entries}, (1.0, 1.0))
    assert (points.array.tolist(), points.names) == ([[0, 0], [0, 1]], ("1", "a"))
    assert np.isnan(points.confidence).all()
    assert not points.cells.any()
    assert len(points_of(GOOD, SPACING)) == 0


def test_the_longest_list_fits_into_an_output(rng):
    number = rng.uniform(0, 1e5, MOST // 100)
    places = rng.uniform(0, 5000, (number.size, 3))
    some = Points(places, SPACING, confidence=number / 1e5, photons=number, cells=number)
    assert 100 * len(json.dumps(some.document(), indent=2)) < JSON_BYTES


@pytest.mark.parametrize(
    "change, message",
    [
        ({"type": "Point"}, 'expected an object with "type": "Multiple points"'),
        ({"version": 1}, 'expected "version"'),
        ({"points": None}, "a list of at most 100000, found no list"),
        ({"points": [{}] * (MOST + 1)}, "found 100001"),
        ({"more": 1}, "found 'more'"),
        ({"points": [1]}, r"points\[0\]: expected an object"),
        ({"points": [{"point": [1, 2, 3], "cell": 4}]}, "keys name, point, probability, type"),
        ({"points": [{"point": [1, 2]}]}, "three numbers in mm"),
        ({"points": [{"point": [1, 2, True]}]}, "three numbers in mm"),
        ({"points": [{"point": [1, 2, float("nan")]}]}, "three numbers in mm"),
        ({"points": [{"point": [1, 2, 1e300]}]}, "three numbers in mm"),
        ({"points": [{"point": [1, 2, 10**400]}]}, "three numbers in mm"),
        ({"points": [{"point": [1, 2, 3], "probability": 1.5}]}, "from 0 to 1"),
        ({"points": [{"point": [1, 2, 3], "name": "x" * 201}]}, "at most 200 characters"),
    ],
)
def test_other_values_are_refused_with_their_place(change, message):
    refused(message, points_of, GOOD | change, SPACING)


def test_a_broken_file_is_named(tmp_path):
    (tmp_path / "p.json").write_text("[]")
    refused(r"p\.json: expected", read_points, tmp_path / "p.json", SPACING)


@pytest.mark.parametrize(
    "message, columns",
    {
        "shape": {"array": [[1, 2]]},
        "finite": {"array": [[1, np.inf, 2]]},
        "keep the best": {"array": np.zeros((MOST + 1, 3))},
        "from 0 to 1": {"confidence": [2.0]},
        "0 or more": {"cells": [-1]},
        "expected 1 names, found 2": {"names": ("a", "b")},
    }.items(),
)
def test_columns_that_are_no_points_are_refused(columns, message):
    refused(message, Points, **{"array": [[1, 2, 3]], "spacing": SPACING, **columns})
