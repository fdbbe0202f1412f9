"""Ranks that a reader weighs anew in the page, beside those of `cytosuite.ranking`."""

from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from cytosuite.benchmark.report import write_report
from cytosuite.benchmark.scores.results import Condition, Group
from cytosuite.metrics import board_metrics
from cytosuite.metrics.boards import CONTROLS
from cytosuite.ranking.by_measure import rank_measures
from cytosuite.ranking.scores import measures

pytestmark = pytest.mark.slow

CASES = tuple(f"c{n:02}" for n in range(16))
EVERY = list(range(len(CASES)))
LEVELS = {"a": 0.9, "b": 0.88, "c": 0.7, "d": 0.7, "e": 0.4, "f": 0.8}


@pytest.fixture(params=[50, 3])
def most(request, monkeypatch):
    """Set the number of algorithms up to which all pairs are tested."""
    monkeypatch.setattr("cytosuite.ranking.contests.MANY", request.param)
    monkeypatch.setattr("cytosuite.benchmark.report.sections.weigh.MANY", request.param)


@pytest.fixture
def run(make):
    """Return a run with two groups of cases; "f" failed the first group, all but "a" its first case."""
    failed = [("b", "c03"), *product("bcde", CASES[:1]), *product("f", CASES[:9])]
    results = make(cases=CASES, algorithms=tuple(LEVELS), failed=failed)
    scores = results.scores.copy()
    rng = np.random.default_rng(4)
    for name, level in LEVELS.items():
        for metric, wide in (("SEG", 0.08), ("DET", 0.2), ("AP50", 0.1)):
            rows = (scores["algorithm"] == name) & (scores["metric"] == metric)
            rows &= scores["status"] == "ok"
            values = np.round(level + wide * rng.normal(size=int(rows.sum())), 2).clip(0, 1)
            scores.loc[rows, "value"] = values
    halves = [
        Group(word, list(part), 1, {}) for word, part in (("low", CASES[:9]), ("high", CASES[9:]))
    ]
    results = replace(results, scores=scores, conditions=[Condition("density", "%", True, halves)])
    return replace(results, ranking=ranking(results, scores))


@pytest.fixture
def enhanced(make):
    """Return a run that is ranked by a metric of cases and by one of the whole set."""
    results = make(cases=CASES, algorithms=tuple(LEVELS), task="enhance")
    (ssim,) = (metric for metric in board_metrics("enhance") if metric.name == "SSIM")
    rng = np.random.default_rng(5)
    rows = results.scores[results.scores["metric"] == ""]
    level = rows["algorithm"].map(LEVELS).fillna(0.5) + 0.1 * rng.normal(size=len(rows))
    rows = rows.assign(metric="SSIM", value=level.round(2) * 1e-9)  # a small unit
    scores = pd.concat([results.scores, rows])
    results = replace(
        results, scores=scores, metrics=(ssim, *results.metrics), primary=["SSIM", "W1_by_std"]
    )
    return replace(results, ranking=ranking(results, scores))


def ranking(results, scores, primary=None):
    return rank_measures(scores, measures(results.metrics), primary or results.primary, CONTROLS)


def rows(contest):
    """Return what the page shows of a contest."""
    return [
        {
            "algorithm": name,
            "rank": contest.ranks["mean"][name],
            "place": contest.places[name],
            "tier": contest.tier.get(name),
            "interval": list(contest.interval[name]) if contest.interval else None,
            "first": contest.shares[name][0] if contest.shares else None,
        }
        for name in contest.algorithms
    ]


@pytest.fixture
def opened(tmp_path, window):
    """Return a function that opens the page of a run in a browser."""

    def show(results, fragment=""):
        window.open(write_report(results, tmp_path / "report"), fragment)
        window.wait("document.getElementById('weigh').dataset.ready === ''")
        return window

    return show


@pytest.fixture
def page(run, opened):
    """Return the page of the run in a browser."""
    return opened(run, "#weigh?SEG=0&cases=density+%5B%25%5D%3A+high")


def weigher(page):
    """Return the names of the metrics on a page, and a function that ranks by weights."""
    names = page.run(
        "JSON.parse(document.querySelector('[data-part=scores]').textContent).metrics.map((m) => m.name)"
    )
    return names, lambda weights, cases: page.run(
        f"weigh.outcome({[weights.get(name, 0) for name in names]}, {cases})"
    )


def test_metrics_of_the_whole_set_rank_all_cases_as_in_python(most, enhanced, opened):
    names, outcome = weigher(opened(enhanced))
    assert names == ["SSIM", "W1_by_std", "lateral_spectrum_distance", "patch_KID"]
    assert outcome({"SSIM": 1, "W1_by_std": 1}, EVERY) == rows(enhanced.ranking.overall)
    for metric in ("SSIM", "W1_by_std"):
        assert outcome({metric: 1}, EVERY) == rows(enhanced.ranking.metrics[metric])
    assert outcome({"W1_by_std": 1}, EVERY[:9]) == []
    assert outcome({"SSIM": 1, "W1_by_std": 1}, EVERY[:9]) == outcome({"SSIM": 1}, EVERY[:9])


def test_ranks_intervals_and_tiers_are_those_of_python(most, run, page):
    names, outcome = weigher(page)
    assert names[:2] == list(run.ranking.metrics)
    assert outcome({"SEG": 1, "DET": 1}, EVERY) == rows(run.ranking.overall)
    for metric in ("SEG", "DET"):
        assert outcome({metric: 2.5}, EVERY) == rows(run.ranking.metrics[metric])
    whole, part = (outcome(dict.fromkeys(names[:4], weight), EVERY) for weight in (1, 0.3))
    for row, same in zip(part, whole, strict=True):  # rounding of 0.3 breaks no tie
        assert row == same | {"rank": pytest.approx(same["rank"])}
    assert outcome({"AP50": 1}, EVERY) == rows(ranking(run, run.scores, ["AP50"]).overall)
    for cases in (9, 1):
        part = rows(ranking(run, run.scores[run.scores["case"].isin(CASES[:cases])]).overall)
        for shown, expected in zip(outcome({"SEG": 1, "DET": 1}, EVERY[:cases]), part, strict=True):
            assert shown["first"] == pytest.approx(expected["first"], abs=0.05)  # other samples
            keys = ("algorithm", "rank", "place", "tier")
            assert [shown[key] for key in keys] == [expected[key] for key in keys]
    assert outcome({}, EVERY) == []


def test_the_address_holds_the_choice_and_the_table_follows(page):
    value = "document.querySelector('#weigh [data-metric]').value"
    said = "document.querySelector('#weigh [data-part=said]').textContent"
    assert page.run(value) == "0"
    assert page.run(said).startswith("7 cases; first: ")
    page.run("document.querySelector('#weigh [data-part=reset]').click()")
    assert (page.run(value), page.run("location.hash")) == ("1", "#weigh")
    assert page.run(said).startswith("16 cases; first: a")
    page.run(
        f"{value} = 3; document.querySelector('#weigh [data-metric]').dispatchEvent(new Event('input', {{bubbles: true}}))"
    )
    assert page.run("location.hash") == "#weigh?SEG=3"
    assert page.complaints == []


def test_the_tail_of_the_normal_distribution(page):
    z = [-3.5, -1.0, 0.0, 0.3, 1.959963984540054, 2.9, 3.1, 6.0]
    assert page.run(f"{z}.map(weigh.tail)") == pytest.approx(norm.sf(z).tolist(), rel=1e-12)
