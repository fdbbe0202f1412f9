import json

import numpy as np
import pytest

from cytosuite.datasets.calibration.compare import (
    as_text,
    compare,
    facts_of,
    for_json,
    mean_scores,
    similarity,
)
from cytosuite.datasets.calibration.measure import measure


def stacks(toy, photons):
    values = {
        "nucleus": {"diameter_um": 10.0},
        "camera": {"photons": photons, "background_photons": 0.5, "gain": 4.0, "offset": 100.0},
    }
    return measure([toy(values, seed) for seed in range(2)])


@pytest.fixture
def three(toy):
    return stacks(toy, 40), stacks(toy, 10), stacks(toy, 38)


def test_similarity_of_shifted_values():
    values = np.array([1.0, 2.0, 3.0])
    assert similarity(values, values) == 1
    assert similarity(values, values + 1) == pytest.approx(0.5)  # 1 of a mean of 2
    assert similarity(values, 0 * values) == pytest.approx(0)
    assert similarity(values, 4 * values) == pytest.approx(-2)


def test_similarity_leaves_out_what_is_no_number():
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


def test_a_missing_side_is_left_out(three):
    rows = compare(three[0], None, three[2])
    before, after = mean_scores(rows)
    assert np.isnan(before)
    assert after > 0.5


def test_text_has_a_row_for_each_property(three):
    rows = compare(*three)
    lines = as_text(rows).splitlines()
    assert len(lines) == len(rows) + 2
    assert len({line.count("|") for line in lines}) == 1


def test_facts_are_json(three):
    rows = compare(three[0], None, three[2])
    text = json.dumps(for_json(rows), allow_nan=False)
    assert "null" in text  # nothing before
    facts = json.loads(json.dumps(for_json(facts_of(three[0])), allow_nan=False))
    assert facts["stacks"] == facts["annotated"] == 2
    assert len(facts["per_stack"]["signal"]) == 3
