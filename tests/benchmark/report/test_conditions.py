import math
import re
from dataclasses import replace

import pytest

from cytosuite.benchmark.report import page, write_report
from cytosuite.benchmark.report.files import by_condition
from cytosuite.benchmark.report.index import index
from cytosuite.benchmark.report.section import views
from cytosuite.benchmark.report.sections.conditions import difficulty, headings, remarks, view
from cytosuite.benchmark.results.results import Pooled


def tabs(results):
    return (view(index(results)) or {"tabs": {}})["tabs"]


def html(results):
    indexed = index(results)
    return page.html(indexed, views(indexed))


def text_of(results):
    indexed = index(results)
    return page.markdown(indexed, views(indexed))


@pytest.fixture
def results(make, conditions):
    """Return a run of two algorithms with two conditions."""
    return replace(make(), conditions=conditions())


def test_without_conditions_nothing_is_shown_or_written(make, results, tmp_path):
    write_report(results, tmp_path / "report")
    assert (tmp_path / "report" / "by_condition.csv").is_file()
    write_report(make(), tmp_path / "report")
    assert not (tmp_path / "report" / "by_condition.csv").exists()
    assert "By condition" not in (tmp_path / "report" / "index.html").read_text()
    assert "By condition" not in text_of(make())
    assert tabs(make()) == {}


def bold(panel):
    """Return which cells of each row are the best of their group."""
    return [["<b>" in cell for cell in row] for row in panel["rows"]]


def test_scores_have_tabs_and_counts_have_none(results):
    assert list(tabs(results)) == ["SEG", "DET", "AP50"]
    assert [[panel["title"] for panel in panels] for panels in tabs(results).values()] == [
        ["density", "drug"]
    ] * 3


def test_algorithms_stand_by_rank_and_controls_below_without_colour(results):
    names = [entry.algorithm for entry in index(results).standings]
    assert names == ["good", "fair", "oracle", "blank"]
    panel = tabs(results)["SEG"][0]
    assert ["background" in row[0] for row in panel["rows"]] == [True, True, False, False]
    rows = re.findall(r'<tr( class="control")?[^>]*><th scope="row">(<svg)?', html(results))
    assert set(rows) == {("", "<svg"), (' class="control"', ""), ("", "")}


def test_the_best_of_each_group_leads_and_a_control_never(results):
    density, drug = tabs(results)["SEG"]
    assert bold(drug) == [[False, True], [True, False], [False, False], [False, False]]
    assert "1 failed" in density["rows"][1][1]
    alone = replace(results, standings=[e for e in results.standings if e.algorithm == "good"])
    assert bold(tabs(alone)["SEG"][0]) == [[False, False]]


def test_an_interval_is_shown_where_it_has_a_width(results):
    cell = tabs(results)["SEG"][0]["rows"][0][0]
    assert cell.endswith("0.80</b><small>0.76 to 0.84</small></td>")
    group = results.conditions[0].groups[0]
    for score in (Pooled(0.8, math.nan, math.nan), Pooled(0.8, 0.8, 0.8)):
        bare = replace(group, scores={("good", "SEG"): score})
        condition = replace(results.conditions[0], groups=[bare, bare])
        found = tabs(replace(results, conditions=[condition]))["SEG"][0]
        assert found["rows"][0][0].endswith("0.80</b></td>")


def test_groups_say_unit_and_size(results):
    density, drug = results.conditions
    assert headings(density)[1] == ("20 or more %", ["2 cases", "12 objects"])
    assert headings(drug)[0][0] == "none"


def test_remarks_name_facts_that_could_be_misread(results):
    density, drug = results.conditions
    assert remarks(density) == [
        "In these cases it is tied to objects (rank correlation 0.81): one may stand for the other."
    ]
    assert remarks(drug) == ["Not known of 2 cases, which are left out."]


def test_all_figures_of_a_score_have_one_axis_around_the_drawn_values(results):
    for panel in tabs(results)["SEG"]:
        assert ">0.4<" in panel["figure"]  # least 0.4 - 0.04, greatest 0.9 + 0.04
        assert ">1<" in panel["figure"]
        assert ">0<" not in panel["figure"]


def test_the_table_of_values_holds_every_score(results):
    found = by_condition(results.conditions)
    assert list(found.columns) == [
        "condition", "unit", "group", "cases", "objects", "algorithm", "failed", "metric", "pooled",
        "low", "high",
    ]  # fmt: skip
    assert len(found) == 2 * 2 * 3 * 5  # conditions, groups, algorithms and control, metrics
    (row,) = found.query(
        "group == '20 or more' and algorithm == 'fair' and metric == 'SEG'"
    ).to_dict("records")
    assert row["pooled"] == pytest.approx(0.4)
    assert (row["unit"], row["cases"], row["objects"], row["failed"]) == ("%", 2, 12, 1)


def test_markdown_has_a_table_for_each_condition_and_primary_score(results):
    lines = text_of(results).splitlines()
    start = lines.index("### density: DET")
    assert lines[start + 2].startswith("| algorithm | below 20 % (2 cases, 12 objects) |")
    assert lines[start + 4] == "| good | 0.80 (0.76 to 0.84) | 0.80 (0.76 to 0.84) |"
    assert lines[start + 6] == "| oracle (control) | 1.00 | 1.00 |"
    assert any(line.startswith("In these cases it is tied to objects") for line in lines)


def test_names_of_groups_cannot_become_code(results):
    text = html(results)
    assert "<b>taxol" not in text
    assert "&lt;b&gt;taxol" in text


def test_twenty_algorithms_stay_small(make, conditions, tmp_path):
    names = tuple(f"algorithm{n:02d}" for n in range(20))
    results = replace(make(algorithms=names, cases=("a", "b")), cases=[])
    plain = len(html(results))
    assert len(html(replace(results, conditions=conditions(names)))) - plain < 400_000


def test_images_have_no_objects_and_the_least_leads_where_less_is_better(make, conditions):
    results = replace(
        make(task="fuse"), conditions=conditions(task="fuse"), primary=["NRMSE", "SSIM"]
    )
    found = view(index(results))
    assert list(found["tabs"]) == ["SSIM", "NRMSE", "N_SSIM"]
    assert headings(results.conditions[0])[0] == ("below 20 %", ["2 cases"])
    assert "object" not in found["lead"]
    assert bold(found["tabs"]["NRMSE"][0])[:2] == [[False, False], [True, True]]


def test_values_of_a_whole_set_have_no_conditions(make, conditions):
    results = replace(make(task="enhance"), conditions=conditions(task="enhance"))
    assert view(index(results)) is None


def test_a_number_is_drawn_case_by_case_with_a_trend(make, conditions):
    cases = tuple("abcdef")
    density = replace(conditions()[0], values={case: 10.0 - n for n, case in enumerate(cases)})
    results = replace(make(cases=cases), conditions=[density])
    figure, words = difficulty(index(results), density, results.metrics[0])
    assert figure.count("<title>good, ") == figure.count("<title>fair, ") == 6
    assert figure.count('class="trend') == 2
    assert words == "Rank correlation with density: good -1.00, fair -1.00."
    panel = tabs(results)["SEG"][0]
    assert panel["plot"] == figure
    assert tabs(results)["AP50"][0]["plot"] == ""  # not of the leaderboard


def test_few_cases_have_groups_alone(results):
    density = replace(results.conditions[0], values={"a": 1.0, "b": 2.0, "c": 3.0})
    assert difficulty(index(results), density, results.metrics[0]) is None
    alike = replace(density, values=dict.fromkeys("abcdefgh", 1.0))
    assert difficulty(index(results), alike, results.metrics[0]) is None


def test_many_algorithms_keep_the_first_metrics_on_the_page(make, conditions):
    names = tuple(f"algorithm{n:02d}" for n in range(24))
    many = replace(make(algorithms=names), conditions=conditions(names) * 20)
    assert list(tabs(many)) == ["SEG", "DET"]
