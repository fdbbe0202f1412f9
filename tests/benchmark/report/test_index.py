import math
from dataclasses import replace

import pytest

from cytosuite.benchmark.report.index import index


def test_cases_keep_the_order_of_the_dataset_and_stand_once(make):
    assert list(index(make(cases=("c", "a", "b"))).cases) == ["c", "a", "b"]


def test_a_set_is_no_case(make):
    found = index(make(task="enhance"))
    assert list(found.cases) == ["a", "b", "c"]
    assert found.by_case == []
    assert found.values == {}


def test_the_leaderboard_has_the_primary_metrics_or_the_first_two(make):
    assert [metric.name for metric in index(make(task="fuse")).board] == ["SSIM", "N_SSIM"]
    bare = replace(make(task="fuse"), primary=[])
    assert [metric.name for metric in index(bare).board] == ["SSIM", "N_SSIM"]
    assert [m.name for m in index(replace(bare, primary=["PSNR", "AJI"])).board] == ["PSNR"]


def test_the_unranked_stand_last(make):
    results = make()
    first, second, *controls = results.standings
    found = index(replace(results, standings=[replace(first, rank=None), second, *controls]))
    assert [entry.algorithm for entry in found.ranked] == ["fair", "good"]
    assert [entry.algorithm for entry in found.controls] == ["oracle", "blank"]


def test_undefined_values_are_left_out_and_infinite_ones_kept(make):
    found = index(make())
    assert "a" not in found.values["good", "AP50"]
    assert index(make(task="fuse")).values["oracle", "PSNR"]["a"] == math.inf


def test_goodness_is_the_mean_over_the_leaderboard_and_none_for_failures(make):
    goodness = index(make(failed=[("good", "b")])).goodness("good")
    assert goodness == {"a": pytest.approx(0.8), "b": -math.inf, "c": pytest.approx(0.82)}
    assert set(index(make(task="enhance")).goodness("good").values()) == {-math.inf}


def test_an_empty_run(empty):
    found = index(empty)
    assert not found.cases
    assert not found.ranked
