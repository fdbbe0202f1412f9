import math
from dataclasses import replace

import pytest

from benchmark.report import html, markdown, write_report
from benchmark.report.conditions import COLUMNS, headings, remarks, scored, table, tabs
from benchmark.report.content import Pooled


@pytest.fixture
def content(make, conditions):
    """Return a run of two algorithms with two conditions."""
    return replace(make(), conditions=conditions())


def test_without_conditions_nothing_is_shown_or_written(make, content, tmp_path):
    write_report(content, tmp_path / "report")
    assert (tmp_path / "report" / "by_condition.csv").is_file()
    write_report(make(), tmp_path / "report")
    assert not (tmp_path / "report" / "by_condition.csv").exists()
    assert "By condition" not in (tmp_path / "report" / "index.html").read_text()
    assert "By condition" not in markdown.render(make())
    assert tabs(make()) == []


def test_scores_have_tabs_and_counts_have_none(content):
    assert [tab.metric.name for tab in tabs(content)] == ["SEG", "DET", "AP@0.5"]
    assert [metric.name for metric in scored(content)] == ["SEG", "DET", "AP@0.5"]
    assert [[panel.title for panel in tab.panels] for tab in tabs(content)] == [
        ["density", "drug"]
    ] * 3


def test_algorithms_stand_by_rank_and_controls_below_without_colour(content):
    panel = tabs(content)[0].panels[0]
    assert [(line.name, line.control) for line in panel.lines] == [
        ("good", False),
        ("fair", False),
        ("oracle", True),
    ]
    assert panel.lines[0].scores[0].style
    assert panel.lines[2].mark == panel.lines[2].scores[0].style == ""


def test_the_best_of_each_group_leads_and_a_control_never(content):
    density, drug = tabs(content)[0].panels
    leads = {line.name: [score.best for score in line.scores] for line in drug.lines}
    assert leads == {"good": [False, True], "fair": [True, False], "oracle": [False, False]}
    assert density.lines[1].scores[1].failed == 1
    alone = replace(content, standings=[e for e in content.standings if e.algorithm == "good"])
    assert not any(score.best for score in tabs(alone)[0].panels[0].lines[0].scores)


def test_an_interval_is_shown_where_it_has_a_width(content):
    cell = tabs(content)[0].panels[0].lines[0].scores[0]
    assert (cell.text, cell.interval) == ("0.80", "0.76 to 0.84")
    group = content.conditions[0].groups[0]
    for score in (Pooled(0.8, math.nan, math.nan), Pooled(0.8, 0.8, 0.8)):
        bare = replace(group, scores={("good", "SEG"): score})
        condition = replace(content.conditions[0], groups=[bare, bare])
        line = tabs(replace(content, conditions=[condition]))[0].panels[0].lines[0]
        assert (line.scores[0].text, line.scores[0].interval) == ("0.80", "")


def test_groups_say_unit_and_size(content):
    density, drug = content.conditions
    assert headings(density)[1] == ("20 or more %", "2 cases", "12 objects")
    assert headings(drug)[0][0] == "none"


def test_what_could_be_misread_is_said(content):
    density, drug = content.conditions
    assert remarks(density) == [
        "In these cases it is tied to objects (rank correlation 0.81): one may stand for the other."
    ]
    assert remarks(drug) == ["Not known of 2 cases, which are left out."]


def test_all_figures_of_a_score_have_one_axis_around_what_is_drawn(content):
    for panel in tabs(content)[0].panels:
        assert ">0.4<" in panel.figure  # least 0.4 - 0.04, greatest 0.9 + 0.04
        assert ">1<" in panel.figure
        assert ">0<" not in panel.figure


def test_the_table_of_values_holds_every_score(content):
    found = table(content)
    assert tuple(found.columns) == COLUMNS
    assert len(found) == 2 * 2 * 3 * 5  # conditions, groups, algorithms and control, metrics
    (row,) = found.query(
        "group == '20 or more' and algorithm == 'fair' and metric == 'SEG'"
    ).to_dict("records")
    assert row["pooled"] == pytest.approx(0.4)
    assert (row["unit"], row["cases"], row["objects"], row["failed"]) == ("%", 2, 12, 1)


def test_markdown_has_a_table_for_each_condition_and_primary_score(content):
    lines = markdown.render(content).splitlines()
    start = lines.index("### density: DET")
    assert lines[start + 2].startswith("| algorithm | below 20 % (2 cases, 12 objects) |")
    assert lines[start + 4] == "| good | 0.80 (0.76 to 0.84) | 0.80 (0.76 to 0.84) |"
    assert lines[start + 6] == "| oracle (control) | 1.00 | 1.00 |"
    assert any(line.startswith("In these cases it is tied to objects") for line in lines)


def test_names_of_groups_cannot_become_code(content):
    page = html.render(content)
    assert "<b>taxol" not in page
    assert "&lt;b&gt;taxol" in page


def test_twenty_algorithms_stay_small(make, conditions, tmp_path):
    names = tuple(f"algorithm{n:02d}" for n in range(20))
    content = replace(make(algorithms=names, cases=("a", "b")), pictures=[])
    plain = len(html.render(content))
    assert len(html.render(replace(content, conditions=conditions(names)))) - plain < 400_000
