import re
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from rendered import html, macro, text_of
from scipy import stats

from cytosuite.benchmark.report import write_report
from cytosuite.benchmark.report.files import by_condition
from cytosuite.benchmark.report.sections.conditions import difficulty, theil_sen, view


def tabs(results):
    return (view(results) or {"tabs": {}})["tabs"]


@pytest.fixture
def results(make, conditions):
    return replace(make(), conditions=conditions())


def test_without_conditions_nothing_is_shown_or_written(make, results, tmp_path):
    report = tmp_path / "report"
    write_report(results, report)
    assert (report / "by_condition.csv").is_file()
    write_report(make(), report)
    assert not (report / "by_condition.csv").exists()
    assert "By condition" not in (report / "index.html").read_text()
    assert "By condition" not in text_of(make())
    assert tabs(make()) == {}


def cells(results, metric, condition):
    """Return the cells of a panel's table, a list for each algorithm and control."""
    table = f"<caption>{metric} by {condition}</caption>.*?<tbody>(.*?)</tbody>"
    (rows,) = re.findall(table, html(results), re.DOTALL)
    return [re.findall(r"<td.*?</td>", row) for row in rows.split("</tr>")[:-1]]


def bold(rows):
    return [["<b>" in cell for cell in row] for row in rows]


def test_the_trend_is_that_of_scipy_where_places_repeat():
    at, scores = np.arange(41) // 3, np.sin(np.arange(41))
    assert_allclose(theil_sen(at, scores), stats.theilslopes(scores, at)[:2])


def test_algorithms_stand_by_rank_and_controls_below_without_colour(results):
    assert [entry.algorithm for entry in results.standings] == ["good", "fair", "blank", "oracle"]
    density, drug = (cells(results, "SEG", name) for name in ("density", "drug"))
    assert ["style=" in row[0] for row in density] == [True, True, False, False]
    rows = re.findall(r'<tr( class="control")?[^>]*><th scope="row">(<svg)?', html(results))
    assert set(rows) == {("", "<svg"), (' class="control"', ""), ("", "")}
    assert bold(drug) == [[False, True], [True, False], [False, False], [False, False]]
    assert "1 failed" in density[1][1]
    alone = replace(results, standings=[e for e in results.standings if e.algorithm == "good"])
    assert bold(cells(alone, "SEG", "density")) == [[False, False]]


def test_the_table_of_values_holds_every_score(results):
    table = by_condition(results.conditions)
    assert list(table.columns) == [
        "condition", "unit", "group", "cases", "objects", "algorithm", "failed", "metric", "pooled",
        "low", "high",
    ]  # fmt: skip
    assert len(table) == 2 * 2 * 3 * 5  # conditions, groups, algorithms and control, metrics
    (row,) = table.query(
        "group == '20 or more' and algorithm == 'fair' and metric == 'SEG'"
    ).to_dict("records")
    assert row["pooled"] == pytest.approx(0.4)
    assert (row["unit"], row["cases"], row["objects"], row["failed"]) == ("%", 2, 12, 1)


def test_a_number_is_drawn_case_by_case_with_a_trend(make, conditions):
    cases = tuple("abcdef")
    density = replace(conditions()[0], values={case: 10.0 - n for n, case in enumerate(cases)})
    results = replace(make(cases=cases), conditions=[density])
    figure, words = difficulty(results, density, results.metrics[0])
    drawn = macro("draw", "plots.html")(figure)
    assert drawn.count("<title>good, ") == drawn.count("<title>fair, ") == 6
    assert drawn.count('class="trend') == 2
    assert words == "Rank correlation with density (n = 6 cases): good -1.00, fair -1.00."
    assert tabs(results)["SEG"][0]["plot"] == figure
    assert tabs(results)["AP50"][0]["plot"] is None  # not of the leaderboard
