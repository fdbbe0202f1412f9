"""What many algorithms, cases and failures leave on the page, and what the words are."""

import math
from dataclasses import replace

import pytest

from cytosuite.benchmark.report import page
from cytosuite.benchmark.report.index import index
from cytosuite.benchmark.report.section import views
from cytosuite.benchmark.report.sections import cases, cost, failures, spread
from cytosuite.benchmark.report.sections.measures import meaning
from cytosuite.benchmark.report.wording import against, decimals, fixed
from cytosuite.metrics import board_metrics


def html(results):
    indexed = index(results)
    return page.html(indexed, views(indexed))


@pytest.fixture
def many(make):
    """Return a run of 20 algorithms and 200 cases."""
    names = tuple(f"algorithm{n:02d}" for n in range(20))
    return replace(make(algorithms=names, cases=tuple(f"c{n:03d}" for n in range(200))), cases=[])


def test_a_large_run_shows_the_leaderboards_metrics_case_by_case(many, make):
    assert [title for title, _, _ in cases.view(index(many))] == ["SEG", "DET"]
    assert "too many for this page, which shows 2 of 5 measures" in html(many)
    assert len(cases.view(index(make()))) == 5
    assert "too many" not in html(make())


def test_a_large_run_has_densities_in_place_of_the_dots_of_other_metrics(many, make):
    found = spread.view(index(many))
    assert [metric.name for metric in found["first"]] == ["SEG", "DET"]
    assert not found["dots"]
    assert not cost.view(index(many))["dots"]
    assert spread.view(index(make()))["dots"]
    assert len(html(many)) < 6_000_000


def test_failures_with_one_message_stand_together(make):
    lost = [("fair", "a"), ("fair", "b"), ("good", "c")]
    results = make(failed=lost)
    found = failures.view(index(results))
    assert {name: [alike.title for alike in own] for name, own in found.items()} == {
        "good": ["c"],
        "fair": ["2 cases"],
    }
    assert found["fair"][0].paths == ["fair/a/log.txt", "fair/b/log.txt"]
    assert failures.total(found) == 3
    text = html(results)
    assert "<code>fair/b/log.txt</code>" in text
    assert 'href="#failures">3</a>' in text
    other = {
        key: record.model_copy(update={"message": key[1]})
        for key, record in results.records.items()
    }
    apart = failures.view(index(replace(results, records=other)))
    assert [alike.title for alike in apart["fair"]] == ["a", "b"]


def test_a_report_without_logs_names_no_path(make):
    results = replace(make(failed=[("fair", "a")]), logs={})
    assert "log.txt" not in html(results)


def test_scores_have_a_price_where_there_are_two(make):
    found = cost.view(index(make()))
    assert list(found["prices"]) == ["SEG", "DET"]
    assert [title for title, _ in found["prices"]["SEG"]] == [
        "time per case in s, median",
        "peak memory in MiB",
    ]
    assert cost.view(index(make(algorithms=("good",))))["prices"] == {}


@pytest.mark.parametrize("task", ["segment", "enhance", "fuse"])
def test_no_definition_begins_as_a_docstring(task):
    for metric in board_metrics(task):
        words = meaning(metric)
        assert "Return " not in words, metric.name
        assert "``" not in words
        assert words[0].isupper() or words[0] in "`N"


def test_every_sentence_of_a_definition_is_bare():

    class Spoken:
        """A metric with a docstring of two sentences."""

        description, undefined = "Return the  mean. Return ``a * b`` of all.", ""
        best, worst = 1.0, 0.0

    assert meaning(Spoken()).startswith("The mean. `a * b` of all; 0 worst, 1 best.")


@pytest.mark.parametrize(
    "values", [[0.82, 0.000905], [1234.5, 3.0], [0.7312, 0.7284], [0.004, 0.0]]
)
def test_the_values_of_a_column_align(values):
    digits = decimals(values)
    shown = [fixed(value, digits).lstrip("<") for value in values]
    assert len({len(text.partition(".")[2]) for text in shown}) == 1
    assert all("e" not in text for text in shown)


def test_a_small_value_is_not_shown_as_zero():
    assert fixed(0.000905, 2) == "<0.01"
    assert fixed(math.inf, 2) == "∞"


@pytest.mark.parametrize("gap", [0.1, 0.01, 1e-3, 1e-4])
def test_two_values_are_told_apart(gap):
    first, second = against(0.73 + gap, 0.73).split(" against ")
    assert first != second
