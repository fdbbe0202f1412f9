"""Comparison of two runs: regressions, and all that is none."""

import json

import numpy as np
import pandas as pd
import pytest

from cytosuite.benchmark.comparison.comparison import compare
from cytosuite.benchmark.comparison.scored import read_scored
from cytosuite.benchmark.comparison.summary import as_json, change_rows, headline, markdown
from cytosuite.benchmark.comparison.thresholds import Thresholds, read_thresholds
from cytosuite.errors import InputError

SCORES = np.linspace(0.5, 0.9, 12)


def compared(before, after, thresholds=None, metrics=()):
    runs = read_scored(before), read_scored(after)
    return compare(*runs, thresholds or read_thresholds(), metrics)


def edited(folder, change):
    """Change the table of scores of a run."""
    path = folder / "report" / "scores.csv"
    table = pd.read_csv(path)
    table = change(table) if callable(change) else table
    table.to_csv(path, index=False)
    return folder


def test_a_run_is_identical_to_itself(made):
    found = compared(made("a"), made("b"))
    assert found.identical == "identical: 72 values of 1 algorithms in 12 cases, bit by bit"
    assert headline(found) == found.identical
    assert not found.regressions
    assert not found.warnings


def test_a_loss_in_all_cases_is_a_regression_with_its_numbers(made):
    found = compared(made("a", SCORES), made("b", SCORES - 0.05))
    assert len(found.regressions) == 2
    assert "net: SEG 0.7 -> 0.65, worse by 0.05 in the mean of 12 cases" in found.regressions[0]
    assert "one-sided Wilcoxon p = 0.00053 after Holm" in found.regressions[0]  # of ties, twice
    seg = found.changes[0]
    assert (seg.median, seg.low, seg.high) == pytest.approx((-0.05, -0.05, -0.05))
    assert seg.p == pytest.approx(2 * seg.p_worse)


def test_a_significant_loss_that_nobody_would_notice_is_none(made):
    found = compared(made("a", SCORES), made("b", SCORES - 0.001))
    assert found.changes[0].p_worse < 0.001
    assert not found.regressions
    strict = Thresholds(metrics={"SEG": 0.0005})
    (line,) = compared(made("c", SCORES), made("d", SCORES - 0.001), strict).regressions
    assert "net: SEG" in line


def test_noise_is_no_regression(made):
    for seed in range(20):
        noise = np.random.default_rng(seed).normal(0, 0.05, 12)
        noise -= noise.mean() + 0.004  # a little worse, less than what is relevant
        assert not compared(made(f"a{seed}", SCORES), made(f"b{seed}", SCORES + noise)).regressions


def test_one_case_that_is_much_worse_is_shown_and_not_a_regression(made):
    worse = SCORES.copy()
    worse[3] -= 0.4
    found = compared(made("a", SCORES), made("b", worse))
    assert not found.regressions
    assert found.changes[0].loss == pytest.approx(0.4 / 12)
    assert found.changes[0].p_worse == pytest.approx(1.0)  # 2 tests of p = 0.5
    assert [row["case"] for row in found.cases] == ["case_03", "case_03"]
    assert found.cases[0]["difference"] == pytest.approx(-0.4)


def test_an_improvement_is_better_and_no_regression(made):
    found = compared(made("a", SCORES), made("b", SCORES + 0.05))
    assert [change.verdict for change in found.changes] == ["better", "better"]
    assert headline(found) == "no regression in 2 comparisons, 2 better"


@pytest.mark.parametrize("cases", [1, 5])
def test_with_few_cases_the_mean_decides(made, cases):
    scores = np.full(cases, 0.8)
    found = compared(made("a", scores), made("b", scores - 0.02))
    assert len(found.regressions) == 2
    assert "too few cases for a test, the mean decides" in found.regressions[0]
    assert np.isnan(found.changes[0].p)
    assert not compared(made("c", scores), made("d", scores - 0.009)).regressions


def test_a_test_that_could_never_be_significant_is_not_made(made):
    scores = np.linspace(0.5, 0.9, 6)
    found = compared(made("a", scores), made("b", scores * 0.97), Thresholds(alpha=0.03))
    assert all(np.isnan(change.p_worse) for change in found.changes)  # 2 * 2**-6 > 0.03
    assert len(found.regressions) == 2
    less = compared(made("c", scores), made("d", scores * 0.97), Thresholds(alpha=0.05))
    assert less.changes[0].p_worse == pytest.approx(2 * 2**-6)


def test_a_new_failure_is_a_regression_and_a_mended_one_is_told(made):
    one, two = made("a", SCORES), made("b", SCORES, status={4: "time-out"})
    assert "net: 1 new failed case (case_04)" in compared(one, two).regressions
    found = compared(two, one)
    assert not found.regressions
    assert "net: 1 cases no longer fail (case_04)" in found.remarks


def test_cases_of_other_images_are_never_paired(made):
    names = [f"case_{n:02d}" for n in range(12)]
    facts = {"fingerprint": "b" * 64, "cases": dict.fromkeys(names, "e")}
    with pytest.raises(InputError, match="same data, found none of 12 cases the same") as caught:
        compared(made("a", SCORES), made("b", SCORES, facts=facts))
    assert caught.value.exit_code == 2
    facts["cases"] = dict.fromkeys(names[:4], "e") | dict.fromkeys(names[4:], "d")
    worse = np.where(np.arange(12) < 4, 0.0, SCORES)
    found = compared(made("e", SCORES), made("f", worse, status={0: "time-out"}, facts=facts))
    assert not found.regressions
    assert {change.cases for change in found.changes} == {8}
    assert not found.identical
    assert (
        "data: different (cells aaaaaaaaaaaa -> cells bbbbbbbbbbbb); of 12 cases with the same "
        "names 8 are the same images and labels, and compared" in found.remarks
    )
    same = made("c", SCORES, facts={"fingerprint": "b" * 64})
    assert "data: the same images and labels, made by other code" in (
        compared(made("d", SCORES), same).remarks
    )


def test_runs_without_common_cases_are_refused_in_one_line(made):
    other = edited(made("b"), lambda t: t.assign(case="x_" + t["case"]))
    with pytest.raises(
        InputError, match="have no case in common .*case_00, case_01, case_02 and 9"
    ):
        compared(made("a"), other)


def test_runs_without_common_algorithms_are_refused(made):
    with pytest.raises(InputError, match=r"no algorithm in common \(net against other\)"):
        compared(made("a"), made("b", algorithm="other"))


def test_a_folder_may_have_another_name(made):
    other = edited(made("b", SCORES - 0.05), lambda t: t.assign(dataset="renamed"))
    assert len(compared(made("a", SCORES), other).regressions) == 2


def test_cases_algorithms_and_metrics_that_came_or_went_are_named(made):
    def more(table):
        extra = table[table["algorithm"] == "net"].assign(algorithm="new_net")
        kept = table[table["case"] != "case_00"]
        return pd.concat([kept, extra[extra["case"] != "case_00"]])

    found = compared(made("a"), edited(made("b"), more), metrics=["SEG"])
    assert {"new algorithm: new_net", "missing case: case_00"} <= set(found.remarks)
    assert not found.identical
    assert not found.regressions
    assert [(change.metric, change.cases) for change in found.changes] == [("SEG", 11)]


def test_a_changed_ruler_is_named(made):
    def bent(table):
        at = (table["algorithm"] == "blank") & (table["metric"] == "SEG")
        return table.assign(value=table["value"].mask(at, 0.25))

    (line,) = compared(made("a"), edited(made("b"), bent)).regressions
    assert line.startswith("changed ruler: SEG of blank 0 -> 0.25 on case_00 and 11 other cases")


def test_a_broken_ruler_is_named(made):
    def broken(table):
        return table.assign(value=table["value"].mask(table["algorithm"] == "oracle", 0.9))

    found = compared(made("a"), edited(made("b"), broken))
    assert any(
        "broken ruler in " in line and "the truth itself 0.9" in line for line in found.regressions
    )


def test_time_warns_and_fails_only_when_asked(made):
    one, two = made("a"), made("b", seconds=2.0)
    found = compared(one, two)
    assert not found.regressions
    assert found.warnings == ["net: 2.00 times the time (1 -> 2 s) per case, in the median"]
    asked = Thresholds.model_validate({"cost": {"fails": True}})
    assert compared(one, two, asked).regressions == found.warnings
    assert compared(two, one).costs[0].time_ratio == 0.5


def test_weights_and_versions_that_changed_are_named(made):
    one = made("a", facts={"models": {"net": {"m": "1"}}})
    two = made("b", facts={"models": {"net": {"m": "2"}}, "versions": {"net": "0.2.0"}})
    found = compared(one, two)
    assert "net: version 0.1.0 -> 0.2.0, other weights or parameters of m" in found.remarks


def test_a_metric_that_is_lost_is_a_warning(made):
    def lost(table):
        at = (
            (table["algorithm"] == "net")
            & (table["metric"] == "SEG")
            & (table["case"] == "case_02")
        )
        return table.assign(value=table["value"].mask(at))

    found = compared(made("a"), edited(made("b"), lost))
    assert found.warnings == ["net: SEG is no longer defined in case_02"]
    assert found.changes[0].cases == 11


def test_an_unknown_metric_is_shown_and_not_judged(made):
    def renamed(table):
        return table.assign(metric=table["metric"].replace("DET", "mystery"))

    one, two = (
        edited(made(name, own), renamed) for name, own in (("a", SCORES), ("b", SCORES - 0.2))
    )
    found = compared(one, two, metrics=["mystery"])
    assert not found.regressions
    assert np.isnan(found.changes[0].loss)
    assert found.changes[0].p < 0.01
    with pytest.raises(
        InputError, match="no metric 'nothing' in both runs; there are SEG, mystery"
    ):
        compared(one, two, metrics=["nothing"])


def test_lower_is_better_for_errors(made):
    def errors(table):
        own = table.assign(metric="missed").drop_duplicates(["case", "algorithm"])
        return own.assign(value=own["value"].where(own["algorithm"] == "net", 0.0))

    one, two = (edited(made(n, own), errors) for n, own in (("a", SCORES), ("b", SCORES * 1.2)))
    (line,) = compared(one, two, metrics=["missed"]).regressions
    assert "worse by 0.14 in the mean" in line
    assert "relevant: above 0.035" in line  # 5 % of the mean, as its range is open
    assert not compared(two, one, metrics=["missed"]).regressions


def test_names_of_strangers_are_escaped_in_markdown_and_json(made):
    name = "a|b<script>alert(1)</script>`[x](y)\x1b"
    one, two = (made(n, own, algorithm=name) for n, own in (("a", SCORES), ("b", SCORES - 0.1)))
    found = compared(one, two)
    text = markdown(found)
    assert "<script" not in text.replace("\\<script", "")
    assert "\x1b" not in text
    (row, _) = (line for line in text.splitlines() if line.endswith("| 12 |"))
    assert row.count(" | ") == 12
    assert row.startswith("| a\\|b\\<script\\>")
    assert not any("\x1b" in line for line in (*found.regressions, *found.remarks))
    loaded = json.loads(json.dumps(as_json(found), allow_nan=False))
    assert loaded["result"] == "2 regressions"
    assert "\x1b" not in change_rows(found)[0]["algorithm"]
