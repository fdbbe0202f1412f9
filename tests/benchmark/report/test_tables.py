import csv
import math
import re
from dataclasses import replace

import numpy as np
import pytest

from cytosuite.benchmark.report import latex, write_report
from cytosuite.benchmark.report.files import by_case, leaderboard
from cytosuite.benchmark.report.index import index
from cytosuite.benchmark.report.page import html
from cytosuite.benchmark.report.section import views
from cytosuite.benchmark.results.objects import write_objects
from cytosuite.volume import Volume


@pytest.fixture
def objects(tmp_path):
    """Return a table of one object."""
    write_objects(tmp_path / "one.csv", Volume(np.array([[0, 3]]), (1.0, 1.0), "YX"))
    return tmp_path / "one.csv"


def page_of(results):
    indexed = index(results)
    return html(indexed, views(indexed))


def rows_of(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def test_what_matters_most_comes_first(make):
    first, second, *controls = leaderboard(index(make()))
    assert list(first)[:7] == [
        "rank",
        "algorithm",
        "SEG",
        "DET",
        "failed",
        "s_per_case",
        "peak_MiB",
    ]
    assert (first["rank"], first["algorithm"], second["algorithm"]) == (1, "good", "fair")
    assert first["SEG"] == pytest.approx(0.81)
    assert (first["SEG_low"], first["SEG_high"]) == (pytest.approx(0.76), pytest.approx(0.86))
    assert {row["control"] for row in controls} == {1}
    assert {row["rank"] for row in controls} == {None}
    assert len({tuple(row) for row in (first, second, *controls)}) == 1


def test_ranks_that_are_means_keep_their_decimals(make):
    results = make()
    standings = [replace(s, rank=s.rank and s.rank + 0.5) for s in results.standings]
    rows = leaderboard(index(replace(results, standings=standings)))
    assert [row["rank"] for row in rows[:2]] == [1.5, 2.5]


def test_cases_have_a_row_each_and_a_column_per_metric(make):
    results = make(failed=[("fair", "b")])
    table = by_case(results.scores)
    assert table["algorithm"].tolist() == sorted(table["algorithm"])
    own = table[table["algorithm"] == "fair"].set_index("case")
    assert own.index.tolist() == ["a", "b", "c"]
    assert own["SEG"].tolist() == pytest.approx([0.6, 0.0, 0.62])
    assert own.loc["b", "status"] == "time-out"
    assert list(table.columns)[7:] == [metric.name for metric in results.metrics]
    assert math.isnan(own.loc["a", "AP50"])


def test_a_run_without_scores_has_tables_too(make, empty, tmp_path):
    for number, results in enumerate((empty, make(task="count"))):
        write_report(results, tmp_path / str(number))
        assert (tmp_path / str(number) / "leaderboard.tex").read_text().endswith("\\end{tabular}\n")
        assert not (tmp_path / str(number) / "objects.csv").exists()


def test_sets_are_in_the_leaderboard_and_in_no_case(make):
    results = make(task="enhance")
    assert leaderboard(index(results))[0]["W1_by_std"] == pytest.approx(0.8)
    assert by_case(results.scores).empty


def test_latex_has_the_best_mean_in_bold_and_controls_below(make):
    text = latex.leaderboard(index(make(algorithms=("good_one", "fair"))))
    body = text.split("\\midrule\n")
    assert body[0].splitlines()[1] == "\\begin{tabular}{lccrr}"
    assert body[1].splitlines() == [
        "good\\_one & \\textbf{0.810} (0.760--0.860) & \\textbf{0.810} (0.760--0.860) & 0 & 2.00 \\\\",
        "fair & 0.610 (0.560--0.660) & 0.610 (0.560--0.660) & 0 & 2.00 \\\\",
    ]
    assert body[2].startswith("oracle & 1.010")
    columns = {line.count(" & ") for line in text.splitlines() if line.endswith("\\\\")}
    assert columns == {4}


def test_latex_shows_any_name():
    evil = "\\input{x} & 50% #1 $y$ ~^"
    shown = latex.escape(evil)
    assert not re.search(r"(?<!\\)[&%#$_]", shown)
    assert "\\textbackslash{}input\\{x\\}" in shown


def test_the_objects_of_all_cases_are_one_file_that_the_page_links(make, objects, tmp_path):
    results = replace(make(), objects={("good", "a"): objects, ("fair", "=b"): objects})
    write_report(results, tmp_path / "report")
    rows = rows_of(tmp_path / "report" / "objects.csv")
    assert [(row["algorithm"], row["case"], row["label"]) for row in rows] == [
        ("good", "a", "3"), ("fair", "'=b", "3"),
    ]  # fmt: skip
    assert 'href="objects.csv"' in page_of(results)
    assert 'href="objects.csv"' not in page_of(make())
    write_report(make(), tmp_path / "report")
    assert not (tmp_path / "report" / "objects.csv").exists()  # of an earlier report


def test_the_page_links_all_that_lies_beside_it(make, conditions, objects, tmp_path):
    results = replace(make(), objects={("good", "a"): objects}, conditions=conditions())
    write_report(results, tmp_path / "report")
    beside = {path.name for path in (tmp_path / "report").iterdir()} - {"index.html"}
    beside |= {f"figures/{path.name}" for path in (tmp_path / "report/figures").iterdir()}
    page = (tmp_path / "report" / "index.html").read_text()
    assert set(re.findall(r'href="([\w./-]+)"', page)) == beside - {"figures"}


def test_whole_numbers_are_written_as_such(make, tmp_path):
    write_report(make(), tmp_path / "report")
    first = rows_of(tmp_path / "report" / "leaderboard.csv")[0]
    assert (first["rank"], first["failed"], first["cases"]) == ("1", "0", "3")


def test_sections_tell_how_far_they_are(make):
    seen = []
    views(index(make()), lambda *step: seen.append(step))
    assert [number for number, _, _ in seen] == list(range(len(seen)))
    assert {total for _, total, _ in seen} == {len(seen)}
    assert "Leaderboard" in {title for _, _, title in seen}
