import math
import re
from dataclasses import replace

import pytest
from markupsafe import escape
from rendered import html, text_of

from cytosuite.benchmark.report import figures, files
from cytosuite.benchmark.report.files import GPU, by_case, leaderboard
from cytosuite.benchmark.report.sections import cases, cost


def test_what_matters_most_comes_first(make):
    first, second, *controls = leaderboard(make())
    heads = ["rank", "algorithm", "SEG", "DET", "failed", "s_per_case", "peak_MiB"]
    assert list(first)[:7] == heads
    assert (first["rank"], first["algorithm"], second["algorithm"]) == (1, "good", "fair")
    assert (first["place"], second["place"]) == (1, 2)
    assert first["SEG"] == pytest.approx(0.81)
    assert (first["SEG_low"], first["SEG_high"]) == (pytest.approx(0.76), pytest.approx(0.86))
    assert {row["control"] for row in controls} == {1}
    assert {row["rank"] for row in controls} == {None}
    assert len({tuple(row) for row in (first, second, *controls)}) == 1


def test_latex_has_the_best_mean_in_bold_and_controls_below(make):
    text = files.latex_board(make(algorithms=("[good_one", "fair")))
    body = text.split("\\midrule\n")
    assert body[0].splitlines()[1] == "\\begin{tabular}{lccrr}"
    assert body[1].splitlines() == [
        "{[}good\\_one & \\textbf{0.810} (0.760--0.860) & \\textbf{0.810} (0.760--0.860) & 0 & 2.50 \\\\",
        "fair & 0.610 (0.560--0.660) & 0.610 (0.560--0.660) & 0 & 2.50 \\\\",
    ]
    assert body[2].startswith("blank & 0.010")
    assert {line.count(" & ") for line in text.splitlines() if line.endswith("\\\\")} == {4}


def test_the_platform_gets_the_best_on_top_and_scores_of_a_set_apart(make):
    layout = files.platform_metrics(make())
    assert layout["best"] == "good"
    assert list(layout["algorithms"]) == ["good", "fair"]
    assert layout["aggregates"] == layout["algorithms"]["good"]["aggregates"]
    layout = files.platform_metrics(make(task="enhance"))
    assert layout["aggregates"]["W1_by_std"] == {"set": 0.8}
    assert layout["case"] == {"a": {}, "b": {}, "c": {}}


def test_columns_without_a_value_are_left_out(make):
    timed = make()
    heads = ("Time per case", "Peak memory", ">AP50<")
    bare = [
        row._replace(
            median_seconds=math.nan,
            peak_memory=None,
            summaries={**row.summaries, "AP50": row.summaries["AP50"]._replace(mean=math.nan)},
        )
        for row in timed.standings
    ]
    for results, there in ((timed, True), (replace(timed, standings=bare), False)):
        board = re.search(r'<section id="leaderboard">.*?</section>', html(results), re.S)[0]
        text = text_of(results).split("\n## ")[1]
        assert [head in board for head in heads] == [there] * 3
        assert [head in text for head in ("time per case", "peak memory", "AP50")] == [there] * 3
        assert ("s per case" in files.latex_board(results)) == there
    untimed = {
        key: record.model_copy(update={"seconds": 0.0, "peak_memory": None})
        for key, record in timed.records.items()
    }
    one = make(algorithms=("good",))
    ((_, heads, *_),) = cases.view(one)["grids"]
    assert heads[-3:] == ["time", "memory", "status"]
    ((_, heads, *_),) = cases.view(replace(one, records=untimed))["grids"]
    assert not {"time", "memory"} & {*heads}


def test_the_board_is_drawn_over_the_range_that_occurs(make):
    results = make()
    axis = results.reach(results.board[0], results.ranked)
    assert (axis.low, axis.high) == (pytest.approx(0.545), pytest.approx(0.875))
    text = html(make())
    assert 'aria-label="mean 0.81, 95 % interval 0.76 to 0.86, pooled 0.81"' in text
    shares = re.search(r'0.76 to 0.86.*?class="ci" x1="([\d.]+)%" x2="([\d.]+)%"', text).groups()
    assert float(shares[1]) - float(shares[0]) > 30  # of the width


def test_rule_and_definitions_are_folded(make, ranked):
    results = ranked(make())
    closed = re.findall(r"<details(?! [^>]*open).*?</details>", html(results), re.S)
    assert any(escape(results.ranking.rule) in text for text in closed)
    assert any('class="glossary"' in text for text in closed)


@pytest.fixture
def on_gpu(make):
    def results(*where):
        plain = make()
        use = {"gpu_memory": 3 * 2**30, "gpu_utilisation": 42.5, "gpu_utilisation_max": 99.0}
        records = {
            ("good", case): plain.records["good", case].model_copy(
                update={"gpu": "NVIDIA L4", **use}
            )
            for case in where
        }
        return replace(plain, records=plain.records | records)

    return results


def test_the_table_of_cases_has_the_use_of_the_gpu(on_gpu):
    results = on_gpu("a", "b")
    table = by_case(results.scores, results.records).set_index(["algorithm", "case"])
    assert list(table.columns)[5:9] == list(GPU)
    assert table.loc[("good", "a"), list(GPU)].tolist() == ["NVIDIA L4", 3 * 2**30, 42.5, 99.0]
    assert table.loc[("good", "c"), list(GPU)].isna().tolist() == [False, True, True, True]


def test_costs_show_memory_and_utilisation_of_the_gpu(on_gpu):
    figures = {title: rest for title, *rest in cost.view(on_gpu("a"))["figures"]}
    axis, values, unit = figures["Peak memory of the GPU per case in GiB"]
    assert (values["good"], values["fair"], unit) == ({"a": 3.0}, {}, " GiB")
    axis, values, unit = figures[cost.SHARE]
    assert (values["good"], axis.low, axis.high, unit) == ({"a": 42.5}, 0.0, 100.0, " %")


def test_the_leaderboard_has_the_primary_metrics_or_the_first_two(make):
    assert [metric.name for metric in make(task="fuse").board] == ["SSIM", "N_SSIM"]
    bare = replace(make(task="fuse"), primary=[])
    assert [metric.name for metric in bare.board] == ["SSIM", "N_SSIM"]
    assert [m.name for m in replace(bare, primary=["PSNR", "AJI"]).board] == ["PSNR"]


def test_goodness_is_the_mean_over_the_leaderboard_and_none_for_failures(make):
    goodness = make(failed=[("good", "b")]).goodness("good")
    assert goodness == {"a": pytest.approx(0.8), "b": -math.inf, "c": pytest.approx(0.82)}
    assert set(make(task="enhance").goodness("good").values()) == {-math.inf}


def test_of_too_many_cases_the_hardest_of_the_first_algorithm_are_shown(make, monkeypatch):
    run = make(cases=("a", "b", "c", "d"), failed=[("good", "c")])
    monkeypatch.setattr(cases, "CELLS", 4 * len(run.board))
    assert list(cases.view(run)["cases"]) == ["a", "c"]  # values rise from case to case
    assert "the 2 hardest cases of good" in html(run)


def test_of_too_many_dots_those_of_the_first_algorithms_are_drawn(make, monkeypatch):
    run = make()
    monkeypatch.setattr(figures, "DOTS", 3 * len(run.board))
    section = re.search(r'<section id="spread">.*?</section>', html(run), re.S)[0]
    drawn = [row.count("<circle") for row in re.findall(r'aria-label="3 cases.*?</div>', section)]
    assert drawn[:4] == [3, 0, 3, 0]
