import json

import numpy as np
import pandas as pd
import pytest
from mistakes import refused

from cytosuite.benchmark.scores.comparison.changes import Thresholds, read_thresholds
from cytosuite.benchmark.scores.comparison.comparison import compare
from cytosuite.benchmark.scores.comparison.scored import read_scored

SCORES = np.linspace(0.5, 0.9, 12)


def compared(before, after, thresholds=None, metrics=(), without=()):
    limits = thresholds or read_thresholds()
    return compare(read_scored(before), read_scored(after), limits, metrics, without)


def edited(folder, change):
    path = folder / "report/scores.csv"
    change(pd.read_csv(path)).to_csv(path, index=False)
    return folder


def test_a_loss_in_all_cases_is_a_regression_with_its_numbers(make_run):
    comparison = compared(make_run("a"), make_run("b", SCORES - 0.05))
    assert len(comparison.regressions) == 2
    first = comparison.regressions[0]
    assert "net: SEG 0.7 -> 0.65, worse by 0.05 in the mean of 12 cases" in first
    assert "one-sided Wilcoxon p = 0.00053 after Holm" in first  # of ties, twice
    seg = comparison.changes.iloc[0]
    assert (seg["median"], seg.low, seg.high) == pytest.approx((-0.05, -0.05, -0.05))
    assert seg.p == pytest.approx(2 * seg.p_worse)


@pytest.mark.parametrize("cases", [1, 5])
def test_with_few_cases_the_mean_decides(make_run, cases):
    scores = np.full(cases, 0.8)
    comparison = compared(make_run("a", scores), make_run("b", scores - 0.02))
    assert len(comparison.regressions) == 2
    assert "too few cases for a test, the mean decides" in comparison.regressions[0]
    assert np.isnan(comparison.changes.iloc[0].p)
    assert not compared(make_run("c", scores), make_run("d", scores - 0.009)).regressions


def test_a_new_failure_is_a_regression_and_a_mended_one_is_told(make_run):
    one = make_run("a")
    two = make_run("b", status={4: "time-out"})
    assert "net: 1 new failed case (case_04)" in compared(one, two).regressions
    comparison = compared(two, one)
    assert not comparison.regressions
    assert "net: 1 cases no longer fail (case_04)" in comparison.remarks


def test_cases_of_other_images_are_never_paired(make_run):
    names = [f"case_{n:02d}" for n in range(12)]
    facts = {"fingerprint": "b" * 64, "cases": dict.fromkeys(names, "e")}
    refused(
        "same data, found none of 12 cases the same",
        compared,
        make_run("a"),
        make_run("b", facts=facts),
    )
    facts["cases"] = dict.fromkeys(names[:4], "e") | dict.fromkeys(names[4:], "d")
    worse = np.where(np.arange(12) < 4, 0.0, SCORES)
    comparison = compared(make_run("e"), make_run("f", worse, status={0: "time-out"}, facts=facts))
    assert not comparison.regressions
    assert {*comparison.changes["cases"]} == {8}
    assert not comparison.identical
    assert (
        "data: different (cells aaaaaaaaaaaa -> cells bbbbbbbbbbbb); of 12 cases with the same "
        "names 8 are the same images and labels, and compared" in comparison.remarks
    )
    assert "data: the same images and labels, made by other code" in (
        compared(make_run("d"), make_run("c", facts={"fingerprint": "b" * 64})).remarks
    )


def test_cases_algorithms_and_metrics_that_came_or_went_are_named(make_run):
    def more(table):
        table = table[table["case"] != "case_00"]
        return pd.concat([table, table[table["algorithm"] == "net"].assign(algorithm="new_net")])

    comparison = compared(make_run("a"), edited(make_run("b"), more), metrics=["SEG"])
    assert {"new algorithm: new_net", "missing case: case_00"} <= set(comparison.remarks)
    assert not comparison.identical
    assert comparison.changes[["metric", "cases"]].to_numpy().tolist() == [["SEG", 11]]


@pytest.mark.parametrize(
    "gone, sentences",
    [
        ({"algorithm": "net"}, ["net: missing in "]),
        ({"algorithm": "net", "metric": "DET"}, ["net: no DET in 12 of 12 cases (case_00"]),
        (
            {"algorithm": "net", "case": "case_03"},
            ["net: no SEG in 1 of 12", "net: no DET in 1 of 12"],
        ),
        ({"metric": "DET"}, ["net: no DET in 12 of 12", "twin: no DET in 12 of 12"]),
    ],
)
def test_what_a_later_run_lacks_is_a_regression_unless_it_is_named(make_run, gone, sentences):
    def twin(table):
        return pd.concat([table, table[table["algorithm"] == "net"].assign(algorithm="twin")])

    def lacking(table):
        return twin(table)[
            ~pd.concat([twin(table)[k] == v for k, v in gone.items()], axis=1).all(axis=1)
        ]

    runs = edited(make_run("a"), twin), edited(make_run("b"), lacking)
    regressions = compared(*runs).regressions
    assert len(regressions) == len(sentences)
    assert all(map(str.startswith, regressions, sentences))
    assert not compared(*runs, without=[*gone.values()][-1:]).regressions
    assert not compared(*runs[::-1]).regressions


def test_metrics_of_others_may_not_go_missing_either(make_run):
    def renamed(table):
        return table.replace({"metric": {"SEG": "dice", "DET": "hd95"}})

    def lacking(table):
        table = renamed(table)
        return table[(table["metric"] != "dice") | (table["case"] != "case_03")]

    runs = edited(make_run("a"), renamed), edited(make_run("b"), lacking)
    comparison = compared(*runs)
    assert comparison.regressions == ["net: no dice in 1 of 12 cases (case_03)"]
    assert comparison.warnings == ["dice, hd95: not judged, as the better end is not known"]
    assert compared(*runs[::-1]).headline == "no regression in 0 comparisons, 0 better"


@pytest.mark.parametrize("most, regressions", [(0, 2), (0.8, 0)])
def test_a_metric_without_any_value_left_is_a_regression_too(make_run, most, regressions):
    comparison = compared(make_run("a"), make_run("b", np.where(most > SCORES, SCORES, np.nan)))
    assert (len(comparison.regressions), len(comparison.warnings)) == (regressions, 2)


def test_an_infinite_value_that_is_lost_is_a_regression(make_run):
    one = make_run("a", np.where(SCORES < 0.6, np.inf, SCORES))
    two = make_run("b")
    lost = "case_00, case_01, case_02"
    worst = make_run("c", np.where(SCORES < 0.6, -np.inf, SCORES))
    assert f"net: SEG is no longer infinite in {lost}" in compared(one, two).regressions
    assert f"net: SEG is no longer finite in {lost}" in compared(two, worst).regressions
    assert not compared(two, one).warnings + compared(worst, two).regressions


def test_a_changed_ruler_is_named(make_run):
    def bent(table):
        at = (table["algorithm"] == "blank") & (table["metric"] == "SEG")
        return table.assign(value=table["value"].mask(at, 0.25))

    (line,) = compared(make_run("a"), edited(make_run("b"), bent)).regressions
    assert line.startswith("changed ruler: SEG of blank 0 -> 0.25 on case_00 and 11 other cases")


def test_time_warns_and_fails_only_when_asked(make_run):
    one = make_run("a")
    two = make_run("b", seconds=2.0)
    comparison = compared(one, two)
    assert not comparison.regressions
    assert comparison.warnings == ["net: in the median case 2.00 times the time (medians 1 -> 2 s)"]
    asked = Thresholds.model_validate({"cost": {"fails": True}})
    assert compared(one, two, asked).regressions == comparison.warnings
    assert compared(two, one).costs.time_ratio[0] == 0.5


def test_cases_of_one_name_in_two_datasets_are_two(make_run):
    def twice(table):
        return pd.concat([table, table.assign(dataset="others")])

    before, after = (edited(make_run(name), twice) for name in "ab")
    assert compared(before, after).identical
    edited(after, lambda t: t[(t["dataset"] == "cells") | (t["case"] != "case_03")])
    assert "net: no SEG in 1 of 24 cases (others/case_03)" in compared(before, after).regressions
    edited(after, lambda t: t[t["dataset"] == "cells"])
    assert "net: no SEG in 12 of 24 cases" in compared(before, after).regressions[0]


def test_names_of_strangers_are_escaped_in_markdown_and_json(make_run):
    name = "a|b<script>alert(1)</script>`[x](y)\x1b"
    one, two = (
        make_run(n, scores, algorithm=name) for n, scores in (("a", SCORES), ("b", SCORES - 0.1))
    )
    comparison = compared(one, two)
    text = comparison.markdown()
    assert "<script" not in text.replace("\\<script", "")
    assert "\x1b" not in text
    (row, _) = (line for line in text.splitlines() if line.endswith("| 12 |"))
    assert row.count(" | ") == 12
    assert row.startswith("| a\\|b\\<script\\>")
    assert not any("\x1b" in line for line in (*comparison.regressions, *comparison.remarks))
    assert (
        json.loads(json.dumps(comparison.as_json(), allow_nan=False))["result"] == "2 regressions"
    )
    assert "\x1b" not in comparison.tables["Changes"][0]["algorithm"]
