"""Long tables as arrays."""

import numpy as np
import pandas as pd
import pytest

from cytosuite.benchmark.ranking import scores as module
from cytosuite.benchmark.ranking.as_json import ranking_json
from cytosuite.benchmark.ranking.scores import (
    ABSENT,
    FAILED,
    VALID,
    Measure,
    failed_cells,
    measures,
    score_arrays,
    without_rounding,
)
from cytosuite.errors import InputError
from cytosuite.files import parse_json
from cytosuite.metrics import board_metrics


def test_a_table_becomes_arrays_in_alphabetical_order(table):
    scores = pd.concat(
        [table(datasets=["y", "x"], b=[0.1, 0.2], a=[None, ...]), table("W1", of_set=True, a=[3.0])]
    )
    found = score_arrays(scores.sample(frac=1, random_state=0))
    assert list(found.algorithms) == ["a", "b"]
    assert list(found.cases) == [("cells", ""), ("x", "001"), ("y", "000")]
    values, states = found.of("SEG", False)
    np.testing.assert_array_equal(values, [[np.nan, np.nan], [0.2, 0.1]])
    assert states.tolist() == [[ABSENT, FAILED], [VALID, VALID]]
    assert found.of("W1", True)[0].tolist() == [[3.0], [pytest.approx(np.nan, nan_ok=True)]]
    assert found.strata == ["x", "y"]


def test_an_unknown_metric_has_no_values(table):
    values, states = score_arrays(table(a=[0.1, 0.2])).of("other", False)
    assert np.isnan(values).all()
    assert states.tolist() == [[ABSENT, ABSENT]]


def test_the_same_case_of_two_datasets_is_two_cases(table):
    scores = pd.concat([table(a=[0.2]), table(a=[0.4]).assign(dataset="other")])
    assert len(score_arrays(scores).cases) == 2


def test_a_value_that_is_there_twice_is_refused(table):
    scores = pd.concat([table(a=[0.2, 0.3]), table(a=[0.4])])
    with pytest.raises(InputError, match="case 000, algorithm a, metric SEG: expected one row"):
        score_arrays(scores)


def test_a_table_that_does_not_fit_is_refused(table, monkeypatch):
    monkeypatch.setattr(module, "LARGEST", 3)
    with pytest.raises(InputError, match="2 algorithms x 2 cases x 1 metrics are more than"):
        score_arrays(table(a=[0.1, 0.2], b=[0.1, 0.2]))


def test_a_case_that_nobody_has_is_failed_by_nobody():
    states = np.array([[VALID, ABSENT, FAILED], [ABSENT, ABSENT, VALID]], np.int8)
    assert failed_cells(states).tolist() == [[False, False, True], [True, False, False]]


def test_measures_are_the_metrics_with_a_direction():
    found = {measure.name: measure for measure in measures(board_metrics("enhance"))}
    assert found["SSIM"] == Measure("SSIM", True, board_metrics("enhance")[0].worst)
    assert found["W1_by_std"].of_set
    assert not found["W1_by_std"].higher_is_better
    described = {m.name for m in board_metrics("segment") if m.higher_is_better is None}
    assert described
    assert not described & {measure.name for measure in measures(board_metrics("segment"))}


def test_rounding_is_relative_to_the_largest_value():
    values = np.array([1e6, -np.inf])
    numbers = np.array([0.1 + 0.2, 0.3, -np.inf])
    small = without_rounding(numbers, np.zeros(0))
    assert small[0] == small[1]
    assert without_rounding(numbers, values)[2] == -np.inf
    assert without_rounding(np.array([1e-8]), values)[0] == 0.0


def test_a_ranking_as_json_is_whole_and_finite(ranking):
    import json

    found = ranking(a=[0.5, None, 0.9], b=[0.1, 0.2, 0.3])
    text = json.dumps(ranking_json(found), allow_nan=False)
    value = parse_json(text)
    assert [row["algorithm"] for row in value["overall"]["algorithms"]] == ["a", "b"]
    (one, _) = value["metrics"]["SEG"]["differences"]
    assert (one["algorithm"], one["other"]) == ("a", "b")
    assert "low" not in one  # three cases have no interval
    assert value["overall"]["tau_b"] == {}
    assert value["means"][0] == {"algorithm": "a", "metric": "SEG", "mean": pytest.approx(1.4 / 3)}
