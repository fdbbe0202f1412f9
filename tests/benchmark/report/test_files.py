import json
import math
from dataclasses import replace

import pytest

from cytosuite.benchmark.record import Record
from cytosuite.benchmark.report import files
from cytosuite.benchmark.report.index import index
from cytosuite.errors import InputError


def platform_metrics(results):
    return files.platform_metrics(index(results))


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
    assert "AP50" not in layout["case"]["a"]
    assert layout["aggregates"]["AP50"]["n"] == 2
    assert layout["aggregates"]["SEG"]["n"] == 3


def test_failed_cases_are_named_and_count_with_the_worst(make):
    layout = platform_metrics(make(failed=[("good", "b")]))
    assert layout["failed"] == ["b"]
    assert layout["case"]["b"]["SEG"] == 0.0
    assert layout["aggregates"]["SEG"]["min"] == 0.0


def test_a_failure_without_scores_is_named(make):
    results = make()
    lost = Record(
        algorithm="good", version="1", case="z", key="k", status="engine error", message="gone"
    )
    records = {**results.records, ("good", "z"): lost}
    layout = platform_metrics(replace(results, records=records))
    assert layout["failed"] == ["z"]
    assert layout["case"]["z"] == {}


def test_no_name_holds_a_dot(make):
    assert all("." not in name for name in platform_metrics(make())["aggregates"])


def test_refuses_names_that_fall_together(make):
    twins = [replace(make().metrics[0], name=name) for name in ("AP.5", "AP_5")]
    with pytest.raises(InputError, match="must differ once dots are written as _"):
        platform_metrics(replace(make(), metrics=twins))


def test_an_empty_run(empty):
    assert platform_metrics(empty) == {"case": {}, "aggregates": {}, "failed": []}


def test_scores_of_a_whole_set_belong_to_no_case(make):
    layout = platform_metrics(make(task="enhance"))
    assert layout["aggregates"]["W1_by_std"] == {"set": 0.8}
    assert layout["case"] == {"a": {}, "b": {}, "c": {}}


def test_infinite_values_are_left_out(make):
    results = make(task="fuse", algorithms=("good",))
    scores = results.scores.copy()
    scores.loc[(scores["metric"] == "PSNR") & (scores["case"] == "a"), "value"] = math.inf
    layout = platform_metrics(replace(results, scores=scores))
    assert layout["aggregates"]["PSNR"]["n"] == 2
    assert "PSNR" not in layout["case"]["a"]
