import io
import json
from dataclasses import replace
from math import inf, nan
from pathlib import Path

import pytest
from mistakes import refused
from rich.console import Console

from cytosuite.benchmark.commands.terminal import table as tables
from cytosuite.benchmark.commands.terminal.options import TableOptions
from cytosuite.benchmark.commands.terminal.table import give, show


def table_of(names, rows, **more):
    rows = [dict(zip(names, row, strict=True)) for row in rows]
    return tables.ValueTable(names, rows, **more)


NAMES = ["case", *(f"metric_{n}" for n in range(20))]
WIDE = table_of(NAMES, [["a", *(n / 20 for n in range(20))], ["b", *[1.0] * 20]])


def on_terminal(table, width, **options):
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    show(table, console, **options)
    return console.file.getvalue().splitlines()


@pytest.fixture(autouse=True)
def no_width(monkeypatch):
    """Take the width of a log from the program."""
    monkeypatch.delenv("COLUMNS", raising=False)


def in_pipe(table, **options):
    console = Console(file=io.StringIO(), width=10_000)
    show(table, console, **options)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [40, 80, 120])
def test_a_terminal_gets_whole_columns_from_the_first_on(width):
    head, a, b, *rest = on_terminal(WIDE, width)
    shown = head.split()
    assert shown == NAMES[: len(shown)]
    assert len(shown) == 1 + (width - 4) // 10
    assert a.split() == ["a", *(f"{n / 20:.3f}" for n in range(len(shown) - 1))]
    assert all(len(line) <= width for line in (head, a, b))
    assert " ".join(rest).startswith(f"not shown: {NAMES[len(shown)]}, ")
    assert "--wide" in " ".join(rest)


def test_a_pipe_gets_the_columns_that_fit_into_a_line(monkeypatch):
    head, a, _, rest = in_pipe(WIDE)
    assert head.split() == NAMES[:10]
    assert len(head) == len(a) <= 100
    assert rest.startswith(f"not shown: {NAMES[10]}, ")
    monkeypatch.setenv("COLUMNS", "150")
    assert in_pipe(WIDE)[0].split() == NAMES[:15]


def test_nothing_is_cut_when_all_is_asked_for():
    for lines in (in_pipe(WIDE, wide=True), on_terminal(WIDE, 80, wide=True)):
        assert lines[0].split() == NAMES
        assert lines[1].split()[-1] == "0.950"
        assert len(lines) == 3
        assert lines[0] == lines[0].rstrip()


def test_the_main_columns_are_enough_until_all_are_asked_for():
    table = replace(WIDE, main=3)
    assert in_pipe(table)[0].split() == NAMES[:3]
    assert in_pipe(table, wide=True)[0].split() == NAMES
    assert on_terminal(table, 500)[-1].startswith("not shown: metric_2, metric_3, metric_4")
    assert "and 12 more" in on_terminal(table, 500)[-1]
    assert table.csv().splitlines()[0].split(",") == NAMES


def test_ranks_are_no_scores():
    table = table_of(
        ["rank", "SEG"], [[1.0, 1.0], [2.5, 0.5], [4 / 3, 0.0], [None, None], [3, nan]]
    )
    assert [line.split()[0] for line in in_pipe(table)[1:]] == ["1", "2.5", "1.33", "-", "3"]


def test_the_keys_and_one_value_are_shown_however_narrow_it_is():
    lines = on_terminal(
        table_of(["rank", "algorithm", "SEG", "DET"], [[1, "x" * 70, 0.5, 0.25]], keys=2), 40
    )
    assert lines[0].split() == ["rank", "algorithm", "SEG"]
    assert "".join(lines).count("x") == 70  # folded, not cut
    assert "0.500" in lines[1]


def test_sentences_are_cut_in_a_pipe():
    name = "a " * 30  # a key is whole
    table = table_of(["name", "purpose", "n"], [[name, "word " * 40, 7]])
    head, row = in_pipe(table)
    assert row.startswith(f"{name}  word word")
    assert row.endswith("word…  7")
    assert max(map(len, (head, row))) == 100
    assert in_pipe(table, wide=True)[1].count("word") == 40


def test_decimals_are_fixed_within_a_column():
    rows = [["a", 1.0, 366.0, 0.00042, 3], ["b", 0.5, 2.5, 0.0001, 12], ["c", nan, inf, 0.0, None]]
    lines = in_pipe(table_of(["case", "SEG", "count", "small", "n"], rows))
    assert [line.split() for line in lines[1:]] == [
        ["a", "1.000", "366.0", "0.000420", "3"],
        ["b", "0.500", "2.5", "0.000100", "12"],
        ["c", "-", "inf", "0.000000", "-"],
    ]
    assert len({len(line) for line in lines}) == 1  # right-justified


def test_columns_without_a_value_are_left_out_but_stay_in_the_file():
    table = table_of(["case", "SEG", "low"], [["a", 0.5, nan], ["b", 0.25, None]])
    assert in_pipe(table)[0].split() == ["case", "SEG"]
    assert table.csv() == "case,SEG,low\na,0.5,\nb,0.25,\n"
    assert table.records() == [{"case": "a", "SEG": 0.5}, {"case": "b", "SEG": 0.25}]


def test_cells_are_text_and_not_markup():
    table = table_of(["case"], [["[mean]"], ["[/bold]"], ["\x1b[2Ja\nb"]])
    assert "[mean]" in in_pipe(table)[1]
    assert "[/bold]" in on_terminal(table, 80)[2]
    assert len(in_pipe(table)) == 4
    assert "\x1b" not in "".join(in_pipe(table) + on_terminal(table, 80))


def test_a_wide_character_takes_two_cells():
    lines = in_pipe(table_of(["case", "SEG"], [["細胞", 0.5], ["abcd", 0.25]]))
    assert lines[1:] == ["細胞  0.500", "abcd  0.250"]


def test_stdout_holds_data_alone_if_it_is_asked_for(capsys):
    console = Console(file=io.StringIO(), width=80)
    give(WIDE, TableOptions(csv=Path("-")), console)
    assert capsys.readouterr().out == WIDE.csv()
    give(WIDE, TableOptions(json=Path("-")), console, {"own": 1})
    assert json.loads(capsys.readouterr().out) == {"own": 1}
    assert console.file.getvalue() == ""
    refused(
        "--csv and --json -: expected one of them here",
        lambda: give(WIDE, TableOptions(json=Path("-"), csv=Path("-")), console),
    )
