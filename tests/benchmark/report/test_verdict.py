from dataclasses import replace

import pytest

from cytosuite.benchmark.report import verdict as module
from cytosuite.benchmark.report.index import index
from cytosuite.benchmark.report.verdict import found_share


def verdict(results):
    return module.verdict(index(results))


def test_names_the_best_and_says_what_it_reaches(make):
    assert verdict(make()) == (
        "Of 2 algorithms good ranks first: it finds 50 % of the objects (DET 0.81) and outlines "
        "them with a mean overlap of 0.81 (SEG); none of its cases failed."
    )


def test_says_nothing_about_objects_it_did_not_count(make):
    results = make(algorithms=("good",))
    assert verdict(replace(results, matches={})).startswith(
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
    results = make()
    standings = [replace(entry, rank=None if entry.control else 1.5) for entry in results.standings]
    assert verdict(replace(results, standings=standings)).startswith(
        "good and fair share the first rank of 2: good finds"
    )


def test_without_metrics(make):
    results = replace(make(algorithms=("good",)), metrics=[], cases=[])
    assert verdict(results) == (
        "good finished 3 of 3 cases; there is no truth to score them against."
    )


def test_nothing_has_run(empty):
    assert verdict(empty) == "No algorithm has run on set yet."


def test_outputs_that_no_measure_ranks(make):
    assert verdict(make(algorithms=("good",), task="count")) == (
        "good finished 3 of 3 cases; no measure ranks them."
    )
    assert verdict(replace(make(algorithms=("good",)), metrics=[])).endswith(
        "no measure ranks them."
    )


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("fuse", "reaches 0.81 in SSIM (Structural similarity; 1 is best) and"),
        ("enhance", "(Wasserstein distance of intensities; 0 is best) and"),
    ],
)
def test_any_other_metric_is_explained(make, task, words):
    found = verdict(make(task=task))
    assert words in found
    assert "objects" not in found


def test_a_metric_without_best_end_names_its_direction(make):
    results = replace(make(task="fuse"), primary=["PSNR"])
    assert "more is better" in verdict(results)


def test_the_share_found_counts_failed_cases_as_missed(make):
    # 3 cases of 2 objects, 1 of each found
    assert found_share(index(make()), "good") == pytest.approx(0.5)
    assert found_share(index(make(failed=[("good", "a")])), "good") == pytest.approx(2 / 6)
    assert found_share(index(replace(make(), matches={})), "good") is None
    assert found_share(index(make(task="fuse")), "good") is None
