"""What a report shows of GPUs: nothing where no case ran on one."""

import csv
import io
from dataclasses import replace

import pytest

from cytosuite.benchmark.report import page, write_report
from cytosuite.benchmark.report.files import GPU, by_case
from cytosuite.benchmark.report.index import index
from cytosuite.benchmark.report.section import views
from cytosuite.benchmark.report.sections import cases, cost
from cytosuite.benchmark.results.blind import blinded

EVIL = "=HYPERLINK(1)<script>alert(1)</script>"
USE = {"gpu_memory": 3 * 2**30, "gpu_utilisation": 42.5, "gpu_utilisation_max": 99.0}


@pytest.fixture
def on_gpu(make):
    """Return a function that makes results where the algorithm good used a GPU in some cases."""

    def results(*where, name="NVIDIA L4", use=USE, **more):
        found = make(**more)
        own = {("good", case) for case in where}
        return replace(
            found,
            records={
                key: record.model_copy(update={"gpu": name, **use}) if key in own else record
                for key, record in found.records.items()
            },
        )

    return results


def test_without_a_gpu_there_is_no_word_of_it(make, tmp_path):
    results = make()
    write_report(results, tmp_path / "report")
    for name in ("cases.csv", "report.md"):
        assert "gpu" not in (tmp_path / "report" / name).read_text().lower()
    assert [title for title, *_ in cost.view(index(results))["figures"]] == [
        "Time per case in s, without the start of the algorithm",
        "Peak memory per case in GiB",
    ]


def test_the_table_of_cases_has_the_use_of_the_gpu(on_gpu):
    results = on_gpu("a", "b")
    table = by_case(results.scores, results.records).set_index(["algorithm", "case"])
    assert list(table.columns)[5:9] == list(GPU)
    assert table.loc[("good", "a"), list(GPU)].tolist() == ["NVIDIA L4", 3 * 2**30, 42.5, 99.0]
    assert table.loc[("good", "c"), list(GPU)].isna().tolist() == [False, True, True, True]
    text = by_case(results.scores, results.records).to_csv(index=False)
    rows = {(row["algorithm"], row["case"]): row for row in csv.DictReader(io.StringIO(text))}
    assert rows["good", "c"]["gpu"] == rows["fair", "a"]["gpu"] == ""
    assert float(rows["good", "b"]["gpu_memory"]) == 3 * 2**30


def test_costs_show_memory_and_utilisation_of_the_gpu(on_gpu):
    figures = {title: rest for title, *rest in cost.view(index(on_gpu("a")))["figures"]}
    axis, values, unit = figures["Peak memory of the GPU per case in GiB"]
    assert (values["good"], values["fair"], unit) == ({"a": 3.0}, {}, " GiB")
    axis, values, unit = figures[cost.SHARE]
    assert (values["good"], axis.low, axis.high, unit) == ({"a": 42.5}, 0.0, 100.0, " %")


def test_a_gpu_that_was_never_used_is_drawn(on_gpu):
    use = {"gpu_memory": 0, "gpu_utilisation": 0.0, "gpu_utilisation_max": 0.0}
    found = index(on_gpu("a", use=use))
    assert page.html(found, views(found), ())


def test_an_algorithm_alone_has_columns_of_the_gpu(on_gpu):
    (grid,) = cases.view(index(on_gpu("a", algorithms=("good",))))
    assert grid[1][-5:] == ["time", "memory", "GPU memory", "GPU use", "status"]
    assert ">42 %<" in grid[2]["a"]
    counts = {row.count("<td") for row in grid[2].values()}
    assert counts == {len(grid[1])}
    (plain,) = cases.view(index(on_gpu(algorithms=("good",))))
    assert plain[1][-3:] == ["time", "memory", "status"]


def test_unknown_utilisation_is_an_empty_cell(on_gpu):
    use = {"gpu_memory": 1, "gpu_utilisation": None, "gpu_utilisation_max": None}
    found = index(on_gpu("a", use=use, algorithms=("good",)))
    (grid,) = cases.view(found)
    assert " %<" not in grid[2]["a"]
    assert cost.SHARE not in [title for title, *_ in cost.view(found)["figures"]]


def test_a_hostile_name_stays_a_text(on_gpu, tmp_path):
    results = on_gpu("a", name=EVIL)
    results = replace(results, provenance={**results.provenance, "GPU": EVIL})
    write_report(results, tmp_path / "report")
    for path in (tmp_path / "report").glob("*.*"):
        if path.suffix in {".html", ".md"}:
            assert EVIL not in path.read_text(), path
    with (tmp_path / "report" / "cases.csv").open(newline="") as stream:
        found = {row["gpu"] for row in csv.DictReader(stream)}
    assert found == {"", f"'{EVIL}"}  # no formula of a spreadsheet


def test_a_blind_report_says_nothing_of_the_machine(on_gpu):
    hidden = blinded(on_gpu("a", "b", "c"))
    assert not any(record.gpu for record in hidden.records.values())
