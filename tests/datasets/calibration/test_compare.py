import numpy as np
import pytest

from cytosuite.datasets.calibration.compare import (
    RELATIVE,
    as_text,
    compare,
    likeness,
    poor,
    relative_distance,
)
from cytosuite.datasets.calibration.measure import measure


def test_distance_of_shifted_values():
    values = np.array([1.0, 2.0, 3.0])
    assert relative_distance(values, values) == 0
    assert relative_distance(values, values + 1) == pytest.approx(0.5)  # 1 of a mean of 2
    assert relative_distance(values, 0 * values) == pytest.approx(1)
    assert relative_distance(values, 4 * values) == pytest.approx(3)
    gap = np.array([4.0, np.nan, 6.0])
    assert relative_distance(gap, np.array([5.0, 7.0])) == pytest.approx(0.2)
    assert np.isnan(relative_distance(np.array([np.nan]), np.array([1.0])))
    assert np.isnan(relative_distance(np.zeros(2), np.ones(2)))


def side(toy, seeds, **changes):
    return measure([toy(toy.recipe(**changes), seed) for seed in seeds])


@pytest.fixture(scope="module")
def real(toy):
    return side(toy, range(4))


@pytest.fixture(scope="module")
def small(toy):
    return side(toy, range(10, 13), diameter=7.0)


def by_name(*sides):
    return {row.name: row for row in compare(*sides)}


def test_the_nearer_images_are_more_like_the_real_ones(toy):
    rows = by_name(*[side(toy, range(2), photons=photons) for photons in (40, 10, 38)])
    for name in ("grey_inside", "signal", "snr"):
        assert rows[name].distance < 0.2 < rows[name].distance_before
    assert rows["grey_inside"].real[1] == pytest.approx(160, rel=0.25)  # 40 photons, dark taken off
    before, after = likeness(list(rows.values()))
    assert before < after < 1


def test_stacks_are_like_themselves(real):
    rows = compare(real, None, real)
    assert all(row.distance == 0 for row in rows if np.isfinite(row.distance))
    assert poor(rows) == []
    assert likeness(rows)[1] == 1


def test_a_good_fit_is_nearer_than_real_stacks_are_to_each_other(real, toy):
    alike = side(toy, range(10, 13))
    rows = by_name(real, None, alike)
    assert rows["size"].distance < 0.1
    assert not any(line.startswith("volume of an object") for line in poor(rows.values()))
    assert as_text(list(rows.values())).startswith("| property | real | before | after |")
    assert 0 < np.nanmean([rows[name].floor for name in RELATIVE]) < 0.5
    assert rows["lateral_db"].floor > 0
    assert rows["signal"].floor < 0.2
    assert np.isnan([row.floor for row in compare(real.part([0, 1, 2]), None, alike)]).all()


def test_a_poor_fit_is_said(real, small):
    rows = by_name(real, None, small)
    assert rows["size"].distance == pytest.approx(1 - 0.343, abs=0.08)
    lines = poor(rows.values())
    assert any(line.startswith("volume of an object, ratio of medians: median ") for line in lines)
    assert any(line.startswith("per object: volume, µm³: median ") for line in lines)


def test_arrangement_is_compared_with_its_floor(small, toy):
    crowded = side(toy, range(4), diameter=17.0)  # layers of balls 15 µm apart
    rows = [row for row in compare(crowded, None, crowded) if row.name.startswith("placed_")]
    finite = {row.name: row for row in rows if np.isfinite(row.distance)}
    assert {"placed_contact", "placed_relative_brightness", "placed_valley"} <= set(finite)
    assert all(row.distance == 0 < row.floor for row in finite.values())
    rows = by_name(crowded, None, small)
    assert rows["placed_contact"].real[1] > 0.03
    assert rows["placed_contact"].after[1] == 0
    (line,) = (line for line in poor(rows.values()) if line.startswith("share of an object's"))
    assert line.endswith("are allowed")


def test_a_threshold_has_no_arrangement(toy):
    bare = measure([(toy(toy.recipe(), 0)[0], None)])
    assert not any(name.startswith("placed_") for name in by_name(bare, None, bare))
