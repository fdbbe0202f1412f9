import math
from dataclasses import replace

import pytest

from cytosuite.benchmark.report.verdict import found_share, readings, verdict, weakness

BOTH = "SEG 0.81 against 0.61 and DET 0.81 against 0.61"
WON = [("good", "fair")]


def facts(results):
    return dict(readings(results))


def test_names_the_best_and_says_by_how_much(make):
    assert verdict(make()) == f"good ranks first of 2, before fair: {BOTH}."
    assert facts(make())["What it reaches"] == (
        "finds 50 % of the objects (DET 0.81) and outlines them with a mean overlap of 0.81 (SEG)"
    )


def test_without_a_test_that_could_tell_the_resamples_speak(make, ranked):
    results = ranked(make(), WON, cases=5)
    overall = replace(
        results.ranking.overall, shares={"good": (1.0, 0.0)}, interval={"good": (1, 1)}
    )
    certain = replace(results, ranking=replace(results.ranking, overall=overall))
    for run, words in ((results, "80 % of"), (certain, "all")):
        assert verdict(run) == (
            f"good ranks first of 2, before fair, and is first in {words} resamples: {BOTH}; "
            "5 cases cannot separate 2 algorithms by this test (needs 6)."
        )
    assert facts(certain)["How sure"] == "first in all 100 resamples of the cases"
    assert verdict(ranked(make(), draws=0, cases=3)).endswith(
        "3 cases cannot separate 2 algorithms by this test (needs 6), so the order may be chance."
    )
    assert "one value for the whole set allows no test" in verdict(ranked(make(), p=math.nan))


def test_an_algorithm_without_results_is_never_indistinguishable(make, ranked):
    lost = [("fair", case) for case in "abc"]
    assert "indistinguishable from poor on 12 cases" in verdict(
        ranked(make(algorithms=("good", "fair", "poor"), failed=lost))
    )
    assert verdict(ranked(make(failed=lost))).startswith(
        "good is the only one of 2 with a valid result: it finds 50 % of the objects"
    )
    assert verdict(ranked(make(failed=[("good", case) for case in "abc"]))).startswith(
        "fair is the only one of 2 with a valid result: it finds"
    )


def test_a_significant_lead_has_difference_and_p(make, ranked):
    test = "0.81 against 0.61 (median difference 0.200, p = 0.016)"
    assert verdict(ranked(make(), WON)) == (
        f"good is significantly ahead of fair in SEG and DET: SEG {test} and DET {test}."
    )


def test_a_lead_in_one_metric_alone_says_so(make, ranked):
    results = ranked(make(), WON)
    metrics = {**results.ranking.metrics}
    metrics["DET"] = replace(metrics["DET"], better=frozenset())
    results = replace(results, ranking=replace(results.ranking, metrics=metrics))
    assert "ahead of fair in SEG, not in DET: SEG 0.81" in verdict(results)
    assert verdict(results).endswith("p = 0.016) and DET 0.81 against 0.61.")
    none = {name: replace(metrics["DET"], better=frozenset()) for name in metrics}
    results = replace(results, ranking=replace(results.ranking, metrics=none))
    assert verdict(results).endswith(f"before fair: {BOTH}; significant by the rule.")


def test_says_where_the_best_fails_what_it_costs_and_how_sure_it_is(make, ranked, conditions):
    results = replace(ranked(make(), WON), conditions=conditions())
    answers = facts(results)
    assert list(answers) == ["What it reaches", "Where it fails", "What it costs", "How sure"]
    assert answers["Where it fails"] == "SEG 0.80 for a, 0.82 for c"  # alike in all groups
    assert answers["What it costs"] == "2.5 s per case and 286 MiB at its peak"
    assert answers["How sure"] == (
        "first in 80 % of 100 resamples of the cases, place 1 to 2 in 95 %"
    )
    first, second, *controls = results.standings
    quick = replace(results, standings=[first, second._replace(median_seconds=0.25), *controls])
    assert facts(quick)["What it costs"].endswith("; the fastest, fair, takes 250 ms")
    few = facts(ranked(make(), draws=0, cases=3))
    assert few["How sure"] == "3 cases: too few to say how sure the places are"
    assert few["Where it fails"] == "SEG 0.80 for a, 0.82 for c"


def test_the_worst_group_is_that_of_the_condition_with_the_greatest_difference(make, conditions):
    density, drug = conditions()  # 0.7 and 0.4 by density, 0.9 and 0.7 by drug

    def found(cases):
        parts = [replace(group, cases=cases) for group in density.groups]
        return weakness(replace(make(), conditions=[replace(density, groups=parts), drug]), "fair")

    assert found("abc") == "SEG 0.40 for density 20 or more %, 0.70 for density below 20 %"
    assert found("ab") == "SEG 0.60 for a, 0.62 for c"  # two cases are no group


def test_the_share_found_counts_failed_cases_as_missed(make):
    # 3 cases of 2 objects, 1 of each found
    assert found_share(make(), "good") == pytest.approx(0.5)
    assert found_share(make(failed=[("good", "a")]), "good") == pytest.approx(2 / 6)
    assert found_share(replace(make(), matches={}), "good") is None
    assert found_share(make(task="fuse"), "good") is None
