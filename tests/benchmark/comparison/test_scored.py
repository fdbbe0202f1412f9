"""Reading of scored runs: each mistake is a function, its docstring the message."""

import re

import numpy as np
import pytest

from cytosuite.benchmark.comparison.scored import known_metrics, read_scored
from cytosuite.errors import InputError

HEAD = "case,algorithm,metric,value\n"


def test_run_report_and_table_are_the_same(made):
    folder = made("a")
    places = (folder, folder / "report", folder / "report" / "scores.csv")
    for run in map(read_scored, places):
        assert run.algorithms == ["net"]
        assert len(run.cases) == 12
        assert run.said("dataset") == "cells"


def test_a_table_of_four_columns_suffices(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text(HEAD + "NA,null,SEG,0.5\nb,null,SEG,\n\n")
    run = read_scored(path)
    assert run.facts == {}
    assert run.cases == {"NA", "b"}
    assert run.algorithms == ["null"]
    assert np.isnan(run.scores["value"].iloc[1])
    assert set(run.scores["status"]) == {"ok"}


def no_such_run(path):
    """expected a finished run (report/scores.csv) or a table of scores, found none"""


def an_empty_file(path):
    """expected the column case, found none"""
    path.write_text("")


def bytes_of_an_image(path):
    """expected a CSV table in UTF-8, found"""
    path.write_bytes(b"\x89PNG\xff\xfe\x00\x01")


def too_many_cells(path):
    """row 3: expected 4 cells, found 6"""
    path.write_text(HEAD + "a,net,SEG,0.5\na,net,DET,0.5,0.4,0.3\n")


def a_row_that_is_cut(path):
    """row 3: expected 4 cells, found 3"""
    path.write_text(HEAD + "a,net,SEG,0.5\na,net,D")


def a_quotation_without_an_end(path):
    """expected a CSV table in UTF-8, found unexpected end of data"""
    path.write_text(HEAD + 'a,net,SEG,"0.5')


def a_column_twice(path):
    """expected each column once, found algorithm, case, metric, value, value"""
    path.write_text("case,algorithm,metric,value,value\na,net,SEG,0.5,0.6\n")


def a_column_is_missing(path):
    """expected the column metric, found algorithm, case, value"""
    path.write_text("case,algorithm,value\na,net,0.5\n")


def a_word_in_place_of_a_number(path):
    """row 3: expected a number as value, found 'good'"""
    path.write_text(HEAD + "a,net,SEG,0.5\na,net,DET,good\n")


def the_same_value_twice(path):
    """expected each value once, found two of dataset '', case 'a', algorithm 'net', metric 'SEG'"""
    path.write_text(HEAD + "a,net,SEG,0.5\na,net,SEG,0.6\n")


MISTAKES = (
    *(
        no_such_run,
        an_empty_file,
        bytes_of_an_image,
        too_many_cells,
        a_column_is_missing,
        a_row_that_is_cut,
    ),
    *(a_word_in_place_of_a_number, the_same_value_twice),
)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_one_line(mistake, tmp_path):
    path = tmp_path / "scores.csv"
    mistake(path)
    with pytest.raises(InputError, match=re.escape(mistake.__doc__)) as caught:
        read_scored(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_run_json_that_is_no_object_is_refused(made):
    folder = made("a")
    (folder / "run.json").write_text("[1]")
    with pytest.raises(InputError, match=r"run.json: expected an object, found list"):
        read_scored(folder)


def test_facts_of_another_kind_are_passed_over(made):
    run = read_scored(made("a", facts={"engine": 5, "models": [1]}))
    assert run.said("engine") == ""
    assert run.table("models") == {}


def test_metrics_of_a_task_and_of_all():
    assert known_metrics("segment")["SEG"].family == "labels"
    assert "N_SSIM" in known_metrics("fuse")
    assert {"SEG", "SSIM", "TRA"} <= known_metrics("").keys()
