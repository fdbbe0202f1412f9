import math
import re
from dataclasses import replace

import pytest

from cytosuite.benchmark.report import latex, page
from cytosuite.benchmark.report.files import leaderboard
from cytosuite.benchmark.report.index import index
from cytosuite.benchmark.report.section import views
from cytosuite.benchmark.report.sections.ranks import matrix, pairs, remarks, schemes, view

WON = [("good", "fair")]


def html(results):
    indexed = index(results)
    return page.html(indexed, views(indexed))


def section(results):
    found = re.search(r'<section id="ranks">.*?</section>', html(results), re.S)
    return found.group() if found else ""


def text_of(results):
    indexed = index(results)
    return page.markdown(indexed, views(indexed))


def test_one_algorithm_and_no_ranking_have_no_section(make, ranked):
    assert view(index(make())) is None
    assert view(index(ranked(make(algorithms=("good",))))) is None


def test_all_metrics_together_come_first(make, ranked):
    assert list(view(index(ranked(make())))["tabs"]) == ["all together", "SEG", "DET"]
    single = replace(make(), primary=["SEG"])
    assert list(view(index(ranked(single)))["tabs"]) == ["SEG"]


def test_few_cases_have_a_sentence_and_no_empty_figure(make, ranked):
    found = section(ranked(make(), draws=0, cases=3))
    assert "3 cases are too few to resample" in found
    assert 'class="blob"' not in found
    drawn = ranked(make(), cases=3)
    assert "Significant differences" not in section(drawn)
    power = "3 cases cannot separate 2 algorithms by this test (needs 6)"
    assert f"{power}: no tiers, and no difference is significant." in section(drawn)
    assert "Significant differences" not in text_of(drawn)
    assert f"% no tiers: {power}\n" in latex.leaderboard(index(drawn))


def test_the_matrix_marks_who_is_better_than_whom(make, ranked):
    contest = ranked(make(), WON).ranking.metrics["SEG"]
    (first, one), (second, two) = matrix(contest)
    assert (first, second) == ("good", "fair")
    assert 'class="same"' in one[0]
    assert 'class="won"' in one[1]
    assert ">+</td>" in one[1]
    assert "p = 0.016" in one[1]
    assert 'class="lost"' in two[0]
    assert 'class="open"' in matrix(ranked(make()).ranking.metrics["SEG"])[0][1][1]


def test_each_pair_stands_once_with_its_difference(make, ranked):
    results = ranked(make(algorithms=("a1", "b2", "c3")), WON)
    rows = pairs(results.ranking.metrics["SEG"])
    assert [(a, b) for a, b, _ in rows] == [("a1", "b2"), ("a1", "c3"), ("b2", "c3")]
    assert "0.200<small>0.100 to 0.300</small>" in rows[0][2][0]
    assert pairs(results.ranking.overall) == []  # no unit of its own


def test_every_scheme_and_the_places_without_failures(make, ranked):
    plain = schemes(ranked(make()).ranking.overall)
    assert [name for name, _ in plain] == ["good", "fair"]
    assert [len(cells) for _, cells in plain] == [3, 3]
    (_, cells), _ = schemes(ranked(make(), failed=2).ranking.overall)
    assert len(cells) == 4
    assert 'data-key="1"' in cells[3]


def test_remarks_say_how_stable_and_how_alike(make, ranked):
    found = remarks(ranked(make(), failed=2).ranking)
    assert "Kendall's tau of 0.80 (95 % interval 0.60 to 1.00)" in found[0]
    assert found[1].startswith("2 cases of 12 failed for at least one algorithm")
    assert "most alike in SEG and DET (tau 0.90), least in DET and AP50 (-0.20)" in found[2]
    assert len(remarks(ranked(make()).ranking)) == 2


def test_the_rule_is_on_the_page_and_in_the_text_as_text(make, ranked):
    results = ranked(make(), WON)
    assert "The rule &lt;of&gt; the ranking." in html(results)
    assert text_of(results).count("The rule \\<of\\> the ranking.") == 2


def test_tiers_are_parted_where_a_test_was_possible(make, ranked):
    results = ranked(make(), WON)
    found = html(results)
    assert found.count('class="tier"') == 2
    assert "significantly behind one of tier 1" in found
    assert 'class="tier"' not in html(ranked(make(), WON, cases=3))
    assert "| 1 (1 to 2) | 1 | good |" in text_of(results)


def test_tables_have_tier_and_interval(make, ranked):
    rows = leaderboard(index(ranked(make(), WON)))
    assert [(r["rank_low"], r["rank_high"], r["tier"]) for r in rows[:2]] == [(1, 2, 1), (1, 2, 2)]
    assert {row["tier"] for row in rows[2:]} == {None}
    assert {row["tier"] for row in leaderboard(index(make()))} == {None}
    text = latex.leaderboard(index(ranked(make(), WON)))
    assert r"Failed & s per case & Places & Tier \\" in text
    assert r"& 0 & 2.00 & 1--2 & 2 \\" in text
    assert text.count(r"\addlinespace") == 1
    columns = {line.count(" & ") for line in text.splitlines() if line.endswith(r"\\")}
    assert columns == {6}


def test_a_tau_that_is_not_defined_is_no_number(make, ranked):
    results = ranked(make())
    ranking = replace(results.ranking, agreement={("SEG", "DET"): math.nan, ("SEG", "F1"): 0.5})
    found = section(replace(results, ranking=ranking))
    assert "nan" not in found
    assert "most alike" not in found


@pytest.mark.parametrize("name", ["<b>x", '"><script>alert(1)</script>'])
def test_names_cannot_become_code(make, ranked, name):
    found = section(ranked(make(algorithms=(name, "fair")), [(name, "fair")]))
    assert name not in found
    assert found
