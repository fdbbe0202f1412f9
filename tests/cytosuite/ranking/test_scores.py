from math import nan

import numpy as np
import pandas as pd
import pytest
from mistakes import refused

from cytosuite.files import json_text, parse_json
from cytosuite.ranking.ranking import ranking_json
from cytosuite.ranking.scores import (
    ABSENT,
    FAILED,
    VALID,
    Measure,
    missing_rows,
    score_arrays,
    table_measures,
    without_rounding,
)


def test_a_table_becomes_arrays_in_alphabetical_order(table):
    scores = pd.concat(
        [table(datasets=["y", "x"], b=[0.1, 0.2], a=[None, ...]), table("W1", of_set=True, a=[3.0])]
    )
    arrays = score_arrays(scores.sample(frac=1, random_state=0))
    assert list(arrays.algorithms) == ["a", "b"]
    assert list(arrays.cases) == [("cells", ""), ("x", "001"), ("y", "000")]
    values, states = arrays.of("SEG", False)
    np.testing.assert_array_equal(values, [[np.nan, np.nan], [0.2, 0.1]])
    assert states.tolist() == [[ABSENT, FAILED], [VALID, VALID]]
    assert arrays.of("W1", True)[0].tolist() == [[3.0], [pytest.approx(np.nan, nan_ok=True)]]
    assert arrays.strata == ["x", "y"]


def test_a_value_that_is_there_twice_is_refused(table):
    scores = pd.concat([table(a=[0.2, 0.3]), table(a=[0.4])])
    refused("case 000, algorithm a, metric SEG: expected one row", score_arrays, scores)


def test_a_table_that_does_not_fit_is_refused(table, monkeypatch):
    monkeypatch.setattr("cytosuite.ranking.scores.LARGEST", 3)
    refused(
        "2 algorithms x 2 cases x 1 metrics are more than",
        score_arrays,
        table(a=[0.1, 0.2], b=[0.1, 0.2]),
    )


def test_rounding_is_relative_to_the_largest_value():
    values = np.array([1e6, -np.inf])
    numbers = np.array([0.1 + 0.2, 0.3, -np.inf])
    small = without_rounding(numbers, np.zeros(0))
    assert small[0] == small[1]
    assert without_rounding(numbers, values)[2] == -np.inf
    assert without_rounding(np.array([1e-8]), values)[0] == 0.0
    one, other, _ = without_rounding(numbers * 1e-12, numbers * 1e-12)
    assert one == other > 0
    assert without_rounding(np.array([1e-17]), np.array([1e-17])) == 0


def test_a_ranking_as_json_is_whole_and_finite(ranking):
    value = parse_json(json_text(ranking_json(ranking(a=[0.5, None, 0.9], b=[0.1, 0.2, 0.3]))))
    assert [row["algorithm"] for row in value["overall"]["algorithms"]] == ["a", "b"]
    (one, _) = value["metrics"]["SEG"]["differences"]
    assert (one["algorithm"], one["other"]) == ("a", "b")
    assert "low" not in one  # three cases have no interval
    assert value["overall"]["tau_b"] == {}
    assert value["means"][0] == {"algorithm": "a", "metric": "SEG", "mean": pytest.approx(1.4 / 3)}


def chosen(scores, by=(), **directions):
    return table_measures(scores, by=by, **directions)[1]


def several(table, *names):
    return pd.concat([table(name, a=[0.1, 0.2], b=[0.3, 0.4]) for name in names])


def test_a_board_ranks_by_its_primary_metrics_and_other_tables_by_all_with_a_direction(table):
    assert chosen(several(table, "F1", "DET", "SEG", "truth_count")) == ["SEG", "DET"]
    assert chosen(several(table, "PSNR", "N_SSIM", "SSIM")) == ["SSIM", "N_SSIM"]
    assert chosen(several(table, "F1", "AP50")) == ["F1", "AP50"]  # of no board: all
    scores = several(table, "SEG", "Dice", "HD95")
    assert chosen(scores, higher=["Dice"], lower=["HD95"]) == ["SEG", "Dice", "HD95"]
    assert chosen(scores, by=["HD95"], lower=["HD95"]) == ["HD95"]
    ends, _ = table_measures(scores, ["Dice"], ["HD95"])
    assert [measure.higher_is_better for measure in ends] == [True, True, False]


@pytest.mark.parametrize(
    "values, directions, by, message",
    [
        ({"SEG": [0.1]}, {}, ["DET"], "metric DET: not in the table, expected one of SEG"),
        ({"Dice": [0.1]}, {"higher": ["Dice"], "lower": ["Dice"]}, [], "--lower, found both"),
        ({"Dice": [0.1, nan]}, {"higher": ["Dice"]}, [], "case 001: expected a finite number"),
    ],
)
def test_a_mistake_is_one_clear_line(table, values, directions, by, message):
    scores = pd.concat([table(name, a=numbers) for name, numbers in values.items()])
    refused(message, chosen, scores, by, **directions)


def test_a_metric_is_of_cases_or_of_the_set(table):
    refused(
        "algorithm b: expected a case in every row or in none",
        chosen,
        pd.concat([table(a=[0.1]), table(of_set=True, b=[0.1])]),
    )


def test_missing_rows_are_counted_and_the_first_are_named(table):
    measures = [Measure("SEG", True, 0.0)]
    scores = table(a=[0.1] * 5, b=[0.1, ..., ..., ..., ...], oracle=[1.0] * 6)
    assert missing_rows(scores, measures, {"oracle"}) == (
        "4 results missing, counted as failed: b on cells/001, b on cells/002, b on cells/003 and "
        "1 more"
    )
    # a failure of ours has the worst value
    assert missing_rows(table(a=[0.1, 0.0]).assign(status="done"), measures, ()) == (
        "1 result with a value and no status ok, counted as failed: a on cells/000"
    )
    assert missing_rows(table(a=[0.1], b=[0.1]), measures, ()) == ""
