import numpy as np
import pytest

from cytosuite.datasets.calibration.compare import (
    compare,
    floor,
    judge,
    mean_scores,
    misplaced,
    placed,
    realism,
    similarity,
)
from cytosuite.datasets.calibration.measure import measure


def stacks(toy, photons):
    return measure([toy(toy.recipe(photons), seed) for seed in range(2)])


@pytest.fixture
def three(toy):
    return stacks(toy, 40), stacks(toy, 10), stacks(toy, 38)


def test_similarity_of_shifted_values():
    values = np.array([1.0, 2.0, 3.0])
    assert similarity(values, values) == 1
    assert similarity(values, values + 1) == pytest.approx(0.5)  # 1 of a mean of 2
    assert similarity(values, 0 * values) == pytest.approx(0)
    assert similarity(values, 4 * values) == pytest.approx(-2)
    assert similarity(np.array([4.0, np.nan, 6.0]), np.array([5.0, 7.0])) == pytest.approx(0.8)
    assert np.isnan(similarity(np.array([np.nan]), np.array([1.0])))
    assert np.isnan(similarity(np.zeros(2), np.ones(2)))


def test_the_nearer_images_score_higher(three):
    rows = {row.name: row for row in compare(*three)}
    for name in ("grey_inside", "signal", "snr"):
        assert rows[name].score_after > 0.8 > rows[name].score_before
    assert rows["grey_inside"].real[1] == pytest.approx(160, rel=0.25)  # 40 photons, dark taken off
    before, after = mean_scores(list(rows.values()))
    assert after > before


def side(toy, seeds, **changes):
    stacks = [toy(toy.recipe(**changes), seed) for seed in seeds]
    return [image for image, _ in stacks], measure(stacks)


@pytest.fixture(scope="module")
def real(toy):
    return side(toy, range(4))


@pytest.fixture(scope="module")
def alike(toy):
    return side(toy, range(10, 13))


@pytest.fixture(scope="module")
def small(toy):
    return side(toy, range(10, 13), diameter=7.0)


def test_stacks_are_like_themselves(real):
    found, rows = realism(real, real)
    assert found == pytest.approx((1, 0, 0, 0, 1, 1))
    assert all(row.score_after == 1 for row in rows if np.isfinite(row.score_after))


def test_real_stacks_differ_from_each_other(real, alike):
    between, similar = floor(*real)
    assert 0.5 < between.similarity < 1
    assert between.lateral_db > 0
    assert similar["signal"] > 0.8
    few, none = floor(real[0][:3], real[1].part([0, 1, 2]))
    assert np.isnan(few.similarity)
    assert none == {}


def test_a_poor_fit_is_said_and_a_good_one_is_not(real, small, alike):
    found = judge(real, small)
    assert found.after.size == pytest.approx(0.343, abs=0.08)
    assert any(line.startswith("median volume of simulated objects is 0.3") for line in found.poor)
    assert any(line.startswith("per object: volume, µm³: similarity ") for line in found.poor)
    found = judge(real, alike)
    assert found.after.size == pytest.approx(1, abs=0.1)
    assert not any("objects is" in line for line in found.poor)
    assert "W1 / std, simulated" in found.as_text()


@pytest.fixture(scope="module")
def crowded(toy):
    return side(toy, range(4), diameter=17.0)  # layers of balls 15 µm apart


def test_arrangement_is_compared_with_its_floor(crowded, small):
    rows = {row.name: row for row in placed(crowded[1], crowded[1])}
    known = {name: row for name, row in rows.items() if np.isfinite(row.distance)}
    assert {"contact", "relative_brightness", "valley"} <= set(known)
    assert all(row.distance == 0 < row.floor for row in known.values())
    found = placed(crowded[1], small[1])
    assert found[0].real[1] > 0.03
    assert found[0].simulated[1] == 0
    (line,) = (line for line in misplaced(found) if line.startswith("share of the surface"))
    assert line.endswith("are allowed (after the fit)")


def test_a_threshold_has_no_arrangement(toy):
    images = [toy(toy.recipe(), 0)[0]]
    found = measure([(image, None) for image in images])
    assert placed(found, found) == ()
    assert "W1 / std, simulated" not in judge((images, found), (images, found)).as_text()
