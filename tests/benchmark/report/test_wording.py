from dataclasses import replace

import pytest

from benchmark.report import MetricInfo
from benchmark.report.wording import verdict


def test_names_the_best_and_says_what_it_reaches(make):
    assert verdict(make()) == (
        "Of 2 algorithms good ranks first: it finds 50 % of the objects (DET 0.81) and outlines "
        "them with a mean overlap of 0.81 (SEG); none of its cases failed."
    )


def test_says_nothing_about_objects_it_did_not_count(make):
    content = make(algorithms=("good",))
    scores = content.scores[content.scores["metric"] != "missed"]
    assert verdict(replace(content, scores=scores)).startswith(
        "good detects the objects with an accuracy of 0.81 (DET) and"
    )


def test_counts_failures(make):
    assert verdict(make(algorithms=("good",), failed=[("good", "b")])).endswith(
        "; 1 of 3 cases failed."
    )


@pytest.mark.parametrize(
    ("algorithms", "start"),
    [(("good",), "good gave no valid"), (("good", "fair"), "None of 2 algorithms gave a valid")],
)
def test_all_failed(make, algorithms, start):
    failed = [(name, case) for name in algorithms for case in "abc"]
    assert verdict(make(algorithms=algorithms, failed=failed)).startswith(start)


def test_equal_ranks_are_shared(make):
    content = make()
    standings = [replace(entry, rank=None if entry.control else 1.5) for entry in content.standings]
    assert verdict(replace(content, standings=standings)).startswith(
        "good and fair share the first rank of 2: good finds"
    )


def test_without_metrics(make):
    content = replace(make(algorithms=("good",)), metrics=[])
    assert verdict(content) == (
        "good finished 3 of 3 cases; there is no truth to score them against."
    )


def test_nothing_has_run(empty):
    assert verdict(empty) == "No algorithm has run on set yet."


def test_any_other_metric_is_explained(make):
    content = make(algorithms=("good",))
    metrics = [MetricInfo("SEG", "Structural similarity", "", 1.0, 0.0, primary=True)]
    metrics[0] = replace(metrics[0], name="missed", best=0.0, worst=None)
    assert "reaches a structural similarity of 1.00 (missed, where 0 is best)" in verdict(
        replace(content, metrics=metrics)
    )
