"""Every sentence of the reports of all tasks, and the sections as modules."""

import re
from dataclasses import replace

import pytest

from cytosuite.benchmark.record import ModelChoice
from cytosuite.benchmark.report import page, section
from cytosuite.benchmark.report.index import index
from cytosuite.benchmark.report.section import sections, views
from cytosuite.benchmark.report.sections.models import reasons

TASKS = ("segment", "enhance", "synthesise", "fuse", "count")
LEGEND = {
    "oracle": "the truth handed in as the answer",
    "blank": "an empty answer",
    "identity": "the input handed in as the answer",
    "real": "one half of the real images against the other",
}
PAIRED = ("truth", "oracle")
UNPAIRED = ("real image", "compared with the real")
LABELS = ("object", "overlap", "outlines", "an empty answer", "prediction", "missed")
FOREIGN = {
    "segment": (*UNPAIRED, "the input handed in", "brighter than"),
    "enhance": PAIRED + LABELS,
    "synthesise": PAIRED + LABELS,
    "fuse": UNPAIRED + LABELS,
    "count": ("oracle", *UNPAIRED, *LABELS, "mean over the cases", "95 %"),
}


def shown(results):
    """Return the page without style, script and glossary, its text, and the Markdown."""
    indexed = index(results)
    found = views(indexed)
    html = page.html(indexed, found)
    html = re.sub(r"<(style|script)\b.*?</\1>", "", html, flags=re.S)
    prose = re.sub(r'<section id="measures">.*?</section>', "", html, flags=re.S)
    text = " ".join(re.sub(r"<[^>]+>", " ", prose).split())
    lines = page.markdown(indexed, found).split("## What the measures mean")[0]
    return html, text, lines.replace("\\", "")


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("failed", [(), [("fair", "b")]], ids=["well", "failed"])
def test_no_sentence_belongs_to_another_task(make, task, failed):
    _, text, lines = shown(make(task=task, failed=failed))
    for word in FOREIGN[task]:
        for place in (text, lines):
            assert word not in place, place[max(0, place.find(word) - 80) :][:160]


@pytest.mark.parametrize("task", TASKS)
def test_the_legend_names_the_controls_that_are_there(make, task):
    results = make(task=task)
    _, text, lines = shown(results)
    there = {entry.algorithm for entry in results.standings if entry.control}
    for name, words in LEGEND.items():
        for place in (text, lines):
            assert (f"{name}, {words}" in place) == (name in there)
    assert ("controls" in text) == bool(there)


def test_means_and_sets_are_distinguished(make):
    _, text, _ = shown(make(task="fuse"))
    assert "Dots are means over the cases, failed ones included with the worst value; lines" in text
    assert "diamonds" not in text
    assert "diamonds the value of all cases pooled" in shown(make())[1]
    _, text, _ = shown(make(task="enhance"))
    assert "W1_by_std and lateral_spectrum_distance: one value for all outputs together" in text
    assert "Dots are means" not in text
    assert "mean over the cases, or one value for all outputs together" not in shown(make())[1]


def test_values_of_a_whole_set_are_in_no_table_of_cases(make):
    html, _, lines = shown(make(task="enhance"))
    assert 'id="spread"' not in html
    cases = re.search(r'<section id="cases">.*?</section>', html, re.S).group()
    assert "W1_by_std" not in cases
    assert "Blue is good" not in cases
    assert "## Case by case" not in lines


def test_a_metric_without_worst_value_is_explained_where_cases_failed(make):
    results = replace(make(task="fuse", failed=[("fair", "b")]), primary=["NRMSE"])
    sentence = "NRMSE: cases without a value are not in the mean; the more of them, the lower"
    assert sentence in shown(results)[1]
    assert "included with the worst value" not in shown(results)[1]
    assert sentence not in shown(replace(make(task="fuse"), primary=["NRMSE"]))[1]


def test_an_infinite_mean_is_shown_as_such(make):
    html, text, _ = shown(replace(make(task="fuse"), primary=["PSNR"]))
    assert "∞" in text
    assert "inf" not in re.findall(r'data-key="(inf\w*)"', html)
    assert 'data-key="Infinity"' in html


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("segment", "A prediction matches an object when it covers more than half of it"),
        ("enhance", "Differences are orange where the output is brighter than the input"),
        ("fuse", "Differences are orange where the output is brighter than the truth"),
    ],
)
def test_pictures_are_explained(make, task, words):
    assert words in shown(make(task=task))[1]


def test_labels_as_input_have_no_difference(make):
    results = make(task="synthesise")
    labels = [
        replace(case, inputs={"instance-labels": case.inputs["instance-labels"]})
        for case in results.cases
    ]
    html, text, _ = shown(replace(results, cases=labels))
    assert "Differences" not in text
    assert "differences" not in html


def test_numbers_alone_have_no_pictures_and_no_scores(make):
    html, text, _ = shown(make(task="count"))
    for name in ("pictures", "spread", "conditions", "measures"):
        assert f'id="{name}"' not in html
        assert f'href="#{name}"' not in html
    assert "good finished 3 of 3 cases" in text


def test_a_case_that_did_not_run_is_named(make):
    results = make(algorithms=("good",))
    records = {key: record for key, record in results.records.items() if key[1] != "c"}
    assert "did not run" in shown(replace(results, records=records))[1]


def test_models_and_failures_have_their_reasons(make):
    _, text, lines = shown(make(failed=[("fair", "b")]))
    assert "1 case had no model that fits" in text
    assert "1 case with warnings" in text
    assert "fallback model does not fit: channel is x" in text
    assert "the end of the log" in text
    assert "| a | good | card | 4.20 |  | metadata | model does not fit: channel is x |" in lines


EVIL = "<b>a|b</b>"
OTHERS = (
    {"model": "far", "cost": 5.0, "terms": {"study": 3.0}, "broken": ("axes", "channel")},
    {"model": "near", "cost": 4.0},
    {"model": EVIL, "cost": 0.0, "left_out": f"did not beat {EVIL}: 0.01 <= 0.03"},
)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({}, []),
        ({"terms": {"a": 1.5, "b": 0.0}}, ["cost: a 1.50, b 0.00"]),
        ({"others": OTHERS[1:2]}, ["runner-up: near, 4.00"]),
        ({"others": OTHERS[:2]}, ["runner-up: far, 5.00, not for this axes and channel"]),
        ({"others": OTHERS[2:]}, [f"{EVIL} left out: {OTHERS[2]['left_out']}"]),
        ({"others": ({"model": "x"},)}, ["runner-up: x, -"]),
    ],
)
def test_the_reasons_of_a_choice_are_terms_runner_up_and_models_left_out(choice, expected):
    assert reasons(ModelChoice.model_validate(choice)) == expected


def test_each_case_shows_the_reasons_of_its_choice(make):
    """Folded below the cost on the page, in a column of the Markdown; escaped in both."""
    results = make(cases=("a",), algorithms=("good",))
    choice = ModelChoice(cost=1.5, terms={"study": 1.5}, others=OTHERS[1:])
    (record,) = results.records.values()
    record = record.model_copy(update={"selection": choice, "warnings": ()})
    indexed = index(replace(results, records={("good", "a"): record}))
    html = page.html(indexed, views(indexed))
    lines = page.markdown(indexed, views(indexed))
    why = "cost: study 1.50; runner-up: near, 4.00; "
    assert f"<summary>1.50</summary>{why}&lt;b&gt;a|b&lt;/b&gt; left out: did not beat" in html
    assert r"| 1.50 | " + why + r"\<b\>a\|b\</b\> left out: did not beat \<b\>a\|b" in lines
    assert "0.01 &lt;= 0.03" in html
    assert EVIL not in html + lines


def test_a_section_is_found_by_its_module(tmp_path, monkeypatch, make):
    package = tmp_path / "benchmark_sections"
    package.mkdir()
    (package / "extra.py").write_text(
        "from cytosuite.benchmark.report.section import ReportSection\n"
        "SECTION = ReportSection(5, 'Extra', 'An extra', lambda index: 7,\n"
        "    '<p>{{ view }} of {{ index.cases|length }}</p>', lambda index, view: [str(view)])\n"
    )
    import cytosuite.benchmark.report.sections as home

    monkeypatch.setattr(home, "__path__", [*home.__path__, str(package)])
    section.sections.cache_clear()
    html, _, lines = shown(make())
    section.sections.cache_clear()
    assert html.index("<p>7 of 3</p>") < html.index('id="leaderboard"')
    assert "## An extra\n\n7" in lines


def test_sections_stand_in_their_order():
    assert list(sections()) == [
        "leaderboard", "ranks", "pictures", "conditions", "errors", "spread", "cases", "cost", "failures", "models",
        "measures", "provenance",
    ]  # fmt: skip
