import json
import math
from dataclasses import replace

import pandas as pd
import pytest

from benchmark.results.ranking import COLUMNS
from benchmark.report import Failure, MetricInfo
from benchmark.report.tables import (
    aggregate,
    algorithm_metrics,
    attempts,
    case_names,
    found_share,
    platform_metrics,
    tidy,
)
from cytosuite.errors import InputError


def leaves(tree):
    if isinstance(tree, dict):
        return [leaf for branch in tree.values() for leaf in leaves(branch)]
    return [tree] if isinstance(tree, float | int) else []


def test_all_numbers_are_finite(make):
    layout = platform_metrics(make(failed=[("fair", "b")]))
    json.dumps(layout, allow_nan=False)
    assert all(math.isfinite(leaf) for leaf in leaves(layout))


def test_the_best_stands_on_top_and_all_below(make):
    layout = platform_metrics(make())
    assert layout["best"] == "good"
    assert list(layout["algorithms"]) == ["good", "fair"]
    assert layout["aggregates"] == layout["algorithms"]["good"]["aggregates"]


def test_one_algorithm_is_the_plain_layout(make):
    layout = platform_metrics(make(algorithms=("good",)))
    assert set(layout) == {"case", "aggregates", "failed"}
    assert layout["case"]["b"]["SEG"] == pytest.approx(0.81)


def test_undefined_values_are_left_out_and_not_counted(make):
    layout = platform_metrics(make(algorithms=("good",)))
    assert "AP@0_5" not in layout["case"]["a"]
    assert layout["aggregates"]["AP@0_5"]["n"] == 2
    assert layout["aggregates"]["SEG"]["n"] == 3


def test_failed_cases_are_named_and_count_with_the_worst(make):
    layout = algorithm_metrics(make(failed=[("good", "b")]), "good")
    assert layout["failed"] == ["b"]
    assert layout["case"]["b"]["SEG"] == 0.0
    assert layout["aggregates"]["SEG"]["min"] == 0.0


def test_a_failure_without_scores_is_named(make):
    content = make()
    lost = Failure("good", "z", "engine error", "gone")
    layout = algorithm_metrics(replace(content, failures=[lost]), "good")
    assert layout["failed"] == ["z"]
    assert layout["case"]["z"] == {}


def test_no_name_holds_a_dot(make):
    assert all("." not in name for name in platform_metrics(make())["aggregates"])


def test_refuses_names_that_fall_together(make):
    twins = [MetricInfo(name, "", "", 1.0, 0.0) for name in ("AP.5", "AP_5")]
    with pytest.raises(InputError, match="must differ once dots are written as _"):
        platform_metrics(replace(make(), metrics=twins))


def test_aggregates():
    assert aggregate([]) == {"n": 0}
    assert aggregate([0.25]) == {
        "mean": 0.25, "std": 0.0, "median": 0.25, "min": 0.25, "max": 0.25, "n": 1,
    }  # fmt: skip
    assert aggregate([0.0, 1.0])["std"] == 0.5


def test_an_empty_run(empty):
    assert platform_metrics(empty) == {"case": {}, "aggregates": {}, "failed": []}
    assert list(tidy(empty.scores).columns) == list(COLUMNS)
    assert case_names(empty) == []
    assert attempts(empty).empty


def test_cases_keep_their_order_and_stand_once(make):
    assert case_names(make(cases=("c", "a", "b"))) == ["c", "a", "b"]


def test_scores_of_a_whole_set_are_no_case(make):
    content = make()
    row = dict.fromkeys(COLUMNS) | {"case": "", "algorithm": "good", "metric": "KID"}
    scores = pd.concat([content.scores.astype(object), pd.DataFrame([row]).astype(object)])
    assert case_names(replace(content, scores=scores)) == ["a", "b", "c"]


def test_the_share_found_counts_failed_cases_as_missed(make):
    # 3 cases of 2 cells, 1 of each missed
    assert found_share(make(), "good") == pytest.approx(0.5)
    assert found_share(make(failed=[("good", "a")]), "good") == pytest.approx(1 - 4 / 6)
    content = make()
    kept = content.scores[content.scores["metric"] != "missed"]
    assert found_share(replace(content, scores=kept), "good") is None
