"""The platform's layout of scores; tests of whole runs are in tests/benchmark/report/test_files."""

from dataclasses import replace
from math import inf, nan

import pytest

from cytosuite.benchmark.record import Record
from cytosuite.benchmark.results.platform import (
    aggregate,
    metric_keys,
    platform_layout,
    ranking_path,
)
from cytosuite.benchmark.results.standings import Standing, Summary
from cytosuite.errors import InputError
from cytosuite.metrics import board_metrics, seg


def test_aggregates():
    assert aggregate([]) == {"n": 0}
    assert aggregate([0.25]) == {
        "mean": 0.25, "std": 0.0, "median": 0.25, "min": 0.25, "max": 0.25, "n": 1,
    }  # fmt: skip
    assert aggregate([0.0, 1.0])["std"] == 0.5


def test_a_ranking_path_leads_to_the_number():
    set_metric = next(m for m in board_metrics("enhance") if m.scope == "set")
    entry = Standing(
        "a", False, 1.0, {m.name: Summary(mean=0.25) for m in (seg, set_metric)}, 1, 0, None, None
    )
    metrics = [seg, set_metric]
    layout = platform_layout(entry, metrics, {"SEG": {"c": 0.25}, set_metric.name: {}}, {})
    for metric in metrics:
        found = layout
        for part in ranking_path(metric).split("."):
            found = found[part]
        assert found == 0.25


def test_names_with_dots_become_keys_without():
    odd = replace(seg, name="AP.5")
    assert metric_keys([seg, odd]) == {"SEG": "SEG", "AP.5": "AP_5"}
    assert ranking_path(odd) == "aggregates.AP_5.mean"
    with pytest.raises(InputError, match="must differ once dots"):
        metric_keys([odd, replace(seg, name="AP_5")])


def test_only_finite_numbers_are_written_and_failures_named():
    records = {
        name: Record(algorithm="a", version="1", case=name, key="k", status=status)
        for name, status in (("x", "ok"), ("y", "bad output"))
    }
    entry = Standing("a", False, 1.0, {"SEG": Summary(pooled=nan)}, 2, 1, None, None)
    layout = platform_layout(entry, [seg], {"SEG": {"x": inf, "y": 0.0}}, records)
    assert layout == {
        "case": {"x": {}, "y": {"SEG": 0.0}},
        "aggregates": {"SEG": aggregate([0.0])},
        "failed": ["y"],
    }
