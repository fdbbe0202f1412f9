import re
from dataclasses import replace

from rendered import html

from cytosuite.benchmark.report import files
from cytosuite.benchmark.report.files import leaderboard
from cytosuite.benchmark.report.sections.ranks import over_datasets, remarks
from cytosuite.ranking.ranking import Consensus

WON = [("good", "fair")]


def section(results):
    match = re.search(r'<section id="ranks">.*?</section>', html(results), re.S)
    return match.group() if match else ""


def test_the_matrix_marks_who_is_better_than_whom(make, ranked):
    cells = re.findall(
        r'<td class="(same|won|lost|open)"(?: title="(.*?)">(.))?',
        section(ranked(make(algorithms=("good", "fair", "poor")), WON)),
    )
    same, won, still, lost, *_ = cells[9:]  # the first nine are of all metrics
    assert (same[0], still[0], lost[::2]) == ("same", "open", ("lost", "-"))
    assert won == ("won", "good better than fair, p = 0.016", "+")


def test_each_pair_stands_once_with_its_difference(make, ranked):
    results = ranked(make(algorithms=("a1", "b2", "c3")), WON)
    text = section(results)
    assert text.count("Differences of 3 pairs") == len(results.ranking.metrics)  # none of all
    assert "0.200<small>0.100 to 0.300</small>" in text


def test_remarks_say_how_stable_and_how_alike(make, ranked):
    lines = remarks(ranked(make(algorithms=("good", "fair", "poor")), failed=2).ranking)
    assert "Kendall's tau of 0.80 (95 % interval 0.60 to 1.00)" in lines[0]
    assert lines[1].startswith("2 cases of 12 failed for at least one algorithm")
    assert "most alike in SEG and DET (tau 0.90), least in DET and AP50 (-0.20)" in lines[2]


def test_the_orders_of_two_algorithms_have_no_tau(make, ranked):
    results = ranked(make())
    said = "good is first in 80 % of 100 resamples of the cases, place 1 to 2 in 95 %."
    assert remarks(results.ranking) == [said]
    assert "tau" not in re.sub("<(script|style).*?</", "", html(results), flags=re.S)
    assert "tau" in section(ranked(make(algorithms=("good", "fair", "poor"))))


def test_tables_have_tier_and_interval(make, ranked):
    results = ranked(make(), WON)
    rows = leaderboard(results)
    assert [(r["rank_low"], r["rank_high"], r["tier"]) for r in rows[:2]] == [(1, 2, 1), (1, 2, 2)]
    assert {row["tier"] for row in rows[2:]} == {None}
    assert {row["tier"] for row in leaderboard(make())} == {None}
    text = files.latex_board(results)
    assert r"Failed & s per case & Places & Tier \\" in text
    assert r"& 0 & 2.50 & 1--2 & 2 \\" in text
    assert text.count(r"\addlinespace") == 1
    assert {line.count(" & ") for line in text.splitlines() if line.endswith(r"\\")} == {6}


def test_the_consensus_says_on_which_datasets_it_hangs(make, ranked):
    consensus = Consensus(
        algorithms=["good", "fair"],
        ranks={"good": 1.25, "fair": 1.75},
        interval={"good": (1, 2), "fair": (1, 2)},
        shares={"good": 0.8, "fair": 0.3},
        places={"s": {"good": 1, "fair": 2}, "t": {"good": 2, "fair": 1}},
        tau={"s": 1.0, "t": -1.0},
        first_without={"s": "fair", "t": "good"},
        fixed=["t"],
    )
    shown = over_datasets(consensus, ["good", "fair"])
    assert "Without s another one is first. The order of t differs most" in shown["sentence"]
    assert shown["sentence"].endswith("t: too few cases to be drawn.")
    assert shown["rows"][0] == ("good", ["1.25", "1 to 2", "80 %", "1", "2"])
    alike = over_datasets(replace(consensus, tau={"s": 1.0, "t": 1.0}), [])
    assert "differs" not in alike["sentence"]
    results = ranked(make())
    results = replace(results, ranking=replace(results.ranking, consensus=consensus))
    assert "<td>1 to 2</td><td>80 %</td>" in section(results)
