import re
from dataclasses import replace

import jinja2
import pytest

from cytosuite.benchmark.report import page
from cytosuite.benchmark.report.page import views
from cytosuite.benchmark.report.sections import arms, failures
from cytosuite.benchmark.report.sections.models import reasons
from cytosuite.benchmark.runs.record import ModelChoice

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
    "track": (*UNPAIRED, "the input handed in"),
    "count": ("oracle", *UNPAIRED, *LABELS, "mean over the cases", "95 %"),
}


def shown(results):
    """Return the page without style, script and glossary, its text, and the Markdown."""
    by_section = views(results)
    html = page.html(results, by_section)
    html = re.sub(r"<(style|script)\b.*?</\1>", "", html, flags=re.S)
    prose = re.sub(r'<section id="measures">.*?</section>', "", html, flags=re.S)
    text = " ".join(re.sub(r"<[^>]+>", " ", prose).split())
    lines = page.markdown(results, by_section).split("## What the measures mean")[0]
    return html, text, lines.replace("\\", "")


@pytest.mark.parametrize("task", FOREIGN)
def test_no_sentence_belongs_to_another_task_and_controls_have_a_legend(make, task):
    results = make(task=task, failed=[("fair", "b")])
    _, text, lines = shown(results)
    for word in FOREIGN[task]:
        for place in (text, lines):
            assert word not in place, place[max(0, place.find(word) - 80) :][:160]
    there = {entry.algorithm for entry in results.standings if entry.control}
    for name, words in LEGEND.items():
        for place in (text, lines):
            assert (f"{name}, {words}" in place) == (name in there)
    assert ("controls" in text) == bool(there)


def test_failures_with_one_message_stand_together(make):
    results = make(failed=[("fair", "a"), ("fair", "b"), ("good", "c")])
    groups = failures.view(results)
    titles = {name: [alike.title for alike in group] for name, group in groups.items()}
    assert titles == {"good": ["c"], "fair": ["2 cases"]}
    assert groups["fair"][0].paths == ["fair/a/log.txt", "fair/b/log.txt"]
    html, *_ = shown(results)
    assert "<code>fair/b/log.txt</code>" in html
    assert 'href="#failures">3</a>' in html
    other = {
        k: record.model_copy(update={"message": k[1]}) for k, record in results.records.items()
    }
    apart = failures.view(replace(results, records=other))
    assert [alike.title for alike in apart["fair"]] == ["a", "b"]


EVIL = "<b>a|b</b>"
OTHERS = (
    {"model": "far", "cost": 5.0, "terms": {"study": 3.0}, "broken": ("axes", "channel")},
    {"model": "near", "cost": 4.0},
    {"model": EVIL, "cost": 0.0, "left_out": f"did not beat {EVIL}: 0.01 <= 0.03"},
)


@pytest.mark.parametrize(
    "choice, expected",
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


def test_a_section_is_found_by_its_module(tmp_path, monkeypatch, make):
    package = tmp_path / "benchmark_sections"
    package.mkdir()
    (package / "extra.py").write_text(
        "from cytosuite.benchmark.report.page import ReportSection\n"
        "SECTION = ReportSection(5, 'Extra', 'An extra', lambda index: 7,\n"
        "    '<p>{{ view }} of {{ results.case_order|length }}</p>', lambda results, view: [str(view)])\n"
    )
    import cytosuite.benchmark.report.sections as home

    monkeypatch.setattr(home, "__path__", [*home.__path__, str(package)])
    page.sections.cache_clear()
    html, _, lines = shown(make())
    page.sections.cache_clear()
    assert html.index("<p>7 of 3</p>") < html.index('id="leaderboard"')
    assert "## An extra\n\n7" in lines


def test_models_of_one_algorithm_differ_by_case_with_an_interval(make):
    cases = tuple("abcdef")
    names = ("net:after", "net:before")
    results = make(cases=cases, algorithms=names)
    scores = results.scores.copy()
    rows = scores["metric"].eq("SEG") & scores["algorithm"].eq("net:before")
    before = scores.loc[scores["metric"].eq("SEG") & scores["algorithm"].eq("net:after"), "value"]
    scores.loc[rows, "value"] = before.to_numpy() - [0.1, 0.1, 0.1, 0.1, 0.1, 0.4]
    net = arms.view(replace(results, scores=scores))["net"]
    assert net.gains[0] == ["metric", "after", "minus before"]
    gains = {row[0]: row[2] for row in net.gains[1:]}
    assert gains.keys() == {"SEG", "DET", "AP50"}
    assert re.fullmatch(r"0\.150 \(0\.0\d\d to 0\.\d{3}\)", gains["SEG"])
    assert "(" not in arms.view(make(cases=cases[:3], algorithms=names))["net"].gains[1][2]


@pytest.mark.parametrize("number, first", {1: 0, 2: 2, 7: 7, 8: 6, 24: 6}.items())
def test_six_measures_are_offered_and_many_others_behind_a_word(number, first):
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(page.FOLDER), autoescape=True)
    environment.globals.update(long_names={}, sealed=lambda style: style)
    macro = '{% from "macros.html" import tabs %}{{ tabs("tab", titles) }}'
    text = environment.from_string(macro).render(titles=[f"<{n}>" for n in range(number)])
    shown, _, others = text.partition("<style>")[0].partition("<details")
    most = number if number > 1 else 0
    assert (shown.count("<input"), others.count("<input")) == (first, most - first)
    ids = re.findall('id="(tab-[0-9]+)"', text)
    assert ids == [f"tab-{n}" for n in range(most)]
    assert all(f"#{tab}:checked) .{tab} " in text for tab in ids)
    assert text.count(" checked>") == (number > 1)
