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
    found = thresholds or read_thresholds()
    return compare(read_scored(before), read_scored(after), found, metrics, without)


def edited(folder, change):
    path = folder / "report/scores.csv"
    change(pd.read_csv(path)).to_csv(path, index=False)
    return folder


def test_a_loss_in_all_cases_is_a_regression_with_its_numbers(made):
    found = compared(made("a"), made("b", SCORES - 0.05))
    assert len(found.regressions) == 2
    assert "net: SEG 0.7 -> 0.65, worse by 0.05 in the mean of 12 cases" in found.regressions[0]
    assert "one-sided Wilcoxon p = 0.00053 after Holm" in found.regressions[0]  # of ties, twice
    seg = found.changes.iloc[0]
    assert (seg["median"], seg.low, seg.high) == pytest.approx((-0.05, -0.05, -0.05))
    assert seg.p == pytest.approx(2 * seg.p_worse)


@pytest.mark.parametrize("cases", [1, 5])
def test_with_few_cases_the_mean_decides(made, cases):
    scores = np.full(cases, 0.8)
    found = compared(made("a", scores), made("b", scores - 0.02))
    assert len(found.regressions) == 2
    assert "too few cases for a test, the mean decides" in found.regressions[0]
    assert np.isnan(found.changes.iloc[0].p)
    assert not compared(made("c", scores), made("d", scores - 0.009)).regressions


def test_a_new_failure_is_a_regression_and_a_mended_one_is_told(made):
    one = made("a")
    two = made("b", status={4: "time-out"})
    assert "net: 1 new failed case (case_04)" in compared(one, two).regressions
    found = compared(two, one)
    assert not found.regressions
    assert "net: 1 cases no longer fail (case_04)" in found.remarks


def test_cases_of_other_images_are_never_paired(made):
    names = [f"case_{n:02d}" for n in range(12)]
    facts = {"fingerprint": "b" * 64, "cases": dict.fromkeys(names, "e")}
    refused(
        "same data, found none of 12 cases the same",
        compared,
        made("a"),
        made("b", facts=facts),
    )
    facts["cases"] = dict.fromkeys(names[:4], "e") | dict.fromkeys(names[4:], "d")
    worse = np.where(np.arange(12) < 4, 0.0, SCORES)
    found = compared(made("e"), made("f", worse, status={0: "time-out"}, facts=facts))
    assert not found.regressions
    assert {*found.changes["cases"]} == {8}
    assert not found.identical
    assert (
        "data: different (cells aaaaaaaaaaaa -> cells bbbbbbbbbbbb); of 12 cases with the same "
        "names 8 are the same images and labels, and compared" in found.remarks
    )
    assert "data: the same images and labels, made by other code" in (
        compared(made("d"), made("c", facts={"fingerprint": "b" * 64})).remarks
    )


def test_cases_algorithms_and_metrics_that_came_or_went_are_named(made):
    def more(table):
        table = table[table["case"] != "case_00"]
        extra = table[table["algorithm"] == "net"].assign(algorithm="new_net")
        return pd.concat([table, extra])

    found = compared(made("a"), edited(made("b"), more), metrics=["SEG"])
    assert {"new algorithm: new_net", "missing case: case_00"} <= set(found.remarks)
    assert not found.identical
    assert found.changes[["metric", "cases"]].to_numpy().tolist() == [["SEG", 11]]


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
def test_what_a_later_run_lacks_is_a_regression_unless_it_is_named(made, gone, sentences):
    def twin(table):
        return pd.concat([table, table[table["algorithm"] == "net"].assign(algorithm="twin")])

    def lacking(table):
        return twin(table)[
            ~pd.concat([twin(table)[k] == v for k, v in gone.items()], axis=1).all(axis=1)
        ]

    runs = edited(made("a"), twin), edited(made("b"), lacking)
    regressions = compared(*runs).regressions
    assert len(regressions) == len(sentences)
    assert all(map(str.startswith, regressions, sentences))
    assert not compared(*runs, without=[*gone.values()][-1:]).regressions
    assert not compared(*runs[::-1]).regressions


def test_metrics_of_others_may_not_go_missing_either(made):
    def renamed(table):
        return table.replace({"metric": {"SEG": "dice", "DET": "hd95"}})

    def lacking(table):
        table = renamed(table)
        return table[(table["metric"] != "dice") | (table["case"] != "case_03")]

    runs = edited(made("a"), renamed), edited(made("b"), lacking)
    found = compared(*runs)
    assert found.regressions == ["net: no dice in 1 of 12 cases (case_03)"]
    assert found.warnings == ["dice, hd95: not judged, as the better end is not known"]
    assert compared(*runs[::-1]).headline == "no regression in 0 comparisons, 0 better"


@pytest.mark.parametrize("most, regressions", [(0, 2), (0.8, 0)])
def test_a_metric_without_any_value_left_is_a_regression_too(made, most, regressions):
    found = compared(made("a"), made("b", np.where(most > SCORES, SCORES, np.nan)))
    assert (len(found.regressions), len(found.warnings)) == (regressions, 2)


def test_an_infinite_value_that_is_lost_is_a_regression(made):
    one = made("a", np.where(SCORES < 0.6, np.inf, SCORES))
    two = made("b")
    lost = "case_00, case_01, case_02"
    worst = made("c", np.where(SCORES < 0.6, -np.inf, SCORES))
    assert f"net: SEG is no longer infinite in {lost}" in compared(one, two).regressions
    assert f"net: SEG is no longer finite in {lost}" in compared(two, worst).regressions
    assert not compared(two, one).warnings + compared(worst, two).regressions


def test_a_changed_ruler_is_named(made):
    def bent(table):
        at = (table["algorithm"] == "blank") & (table["metric"] == "SEG")
        return table.assign(value=table["value"].mask(at, 0.25))

    (line,) = compared(made("a"), edited(made("b"), bent)).regressions
    assert line.startswith("changed ruler: SEG of blank 0 -> 0.25 on case_00 and 11 other cases")


def test_time_warns_and_fails_only_when_asked(made):
    one = made("a")
    two = made("b", seconds=2.0)
    found = compared(one, two)
    assert not found.regressions
    assert found.warnings == ["net: in the median case 2.00 times the time (medians 1 -> 2 s)"]
    asked = Thresholds.model_validate({"cost": {"fails": True}})
    assert compared(one, two, asked).regressions == found.warnings
    assert compared(two, one).costs.time_ratio[0] == 0.5


def test_cases_of_one_name_in_two_datasets_are_two(made):
    def twice(table):
        return pd.concat([table, table.assign(dataset="others")])

    before, after = (edited(made(name), twice) for name in "ab")
    assert compared(before, after).identical
    edited(after, lambda t: t[(t["dataset"] == "cells") | (t["case"] != "case_03")])
    lost = "net: no SEG in 1 of 24 cases (others/case_03)"
    assert lost in compared(before, after).regressions
    edited(after, lambda t: t[t["dataset"] == "cells"])
    assert "net: no SEG in 12 of 24 cases" in compared(before, after).regressions[0]


def test_names_of_strangers_are_escaped_in_markdown_and_json(made):
    name = "a|b<script>alert(1)</script>`[x](y)\x1b"
    one, two = (made(n, own, algorithm=name) for n, own in (("a", SCORES), ("b", SCORES - 0.1)))
    found = compared(one, two)
    text = found.markdown()
    assert "<script" not in text.replace("\\<script", "")
    assert "\x1b" not in text
    (row, _) = (line for line in text.splitlines() if line.endswith("| 12 |"))
    assert row.count(" | ") == 12
    assert row.startswith("| a\\|b\\<script\\>")
    assert not any("\x1b" in line for line in (*found.regressions, *found.remarks))
    assert json.loads(json.dumps(found.as_json(), allow_nan=False))["result"] == "2 regressions"
    assert "\x1b" not in found.tables["Changes"][0]["algorithm"]
