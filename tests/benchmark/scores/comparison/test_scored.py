"""Reading of scored runs: each mistake is a function, its docstring the message."""

import re

import numpy as np
import pytest
from mistakes import refused

from cytosuite.benchmark.scores.comparison.scored import read_scored, some

HEAD = "case,algorithm,metric,value\n"


def test_a_table_of_four_columns_suffices(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text(f"status;{HEAD.replace(',', ';')};a;n;SEG;0.5\n OK ;b;n;SEG;\nLate;c;n;SEG;\n")
    assert [*read_scored(path).scores["status"]] == ["ok", "ok", "late"]
    path.write_text(HEAD + "NA,null,SEG,0.5\nb,null,SEG,\n\n")
    run = read_scored(path)
    assert run.facts == {}
    assert run.cases == {"NA", "b"}
    assert run.algorithms == ["null"]
    assert np.isnan(run.scores["value"].iloc[1])
    assert set(run.scores["status"]) == {"ok"}
    assert some("badc") == "a, b, c and 1 more"


BAD = {
    "expected a finished run (report/scores.csv) or a table of scores, found none": None,
    "expected the column case, found none": "",
    "expected the column metric, found algorithm, case, value": "case,algorithm,value\na,n,0.5\n",
    "row 3: expected 4 cells, found 6": HEAD + "a,net,SEG,0.5\na,net,DET,0.5,0.4,0.3\n",
    "row 3: expected a number as value, found 'good'": HEAD + "a,n,SEG,0.5\na,n,DET,good\n",
    "expected each value once, found two of dataset '', case 'a', algorithm 'net', metric 'SEG'": (
        HEAD.replace(",", ", ") + "a,net,SEG,0.5\na, net,SEG ,0.6\n"
    ),
    "expected a text in UTF-8, found the byte 0x89 at 0": "\x89PNG\xff\xfe",
}


@pytest.mark.parametrize("message", BAD)
def test_mistakes_are_one_line(message, tmp_path):
    path = tmp_path / "scores.csv"
    if BAD[message] is not None:
        path.write_text(BAD[message], encoding="latin-1")
    assert str(path) in str(refused(re.escape(message), read_scored, path))
