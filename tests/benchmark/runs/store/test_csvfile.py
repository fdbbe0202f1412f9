import csv
import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cytosuite.benchmark.runs.store.csvfile import (
    as_text,
    frame_parts,
    neutral,
    original,
    read_rows,
    write_rows,
)

FORMULAS = [
    '=HYPERLINK("http://a")', "+1+1", "-", "-1+1", "@SUM(1)", "\t=1", "\r=1", "\n=1", "\uff1d1",
    "a;=1+1", "a\t+1+1", "a;b\n-1+1",
]  # fmt: skip
texts = st.text(st.sampled_from("=+-@'\t\r\n;,\"a1. \uff1d"), max_size=9)


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_of_any_separator_is_a_formula(text):
    for separator in (",", ";", "\t"):
        rows = csv.reader(io.StringIO(as_text([[text, 1]]), newline=""), delimiter=separator)
        assert not [cell for row in rows for cell in row if cell[:1] in {*"=+-@\t\r\n\uff1d"}]


@pytest.mark.parametrize("text", ["-1.5", "+3", "-2e-5", "-.5", "a-b", "x=1", "'", "it's", ""])
def test_numbers_and_other_texts_stay(text):
    assert neutral(text) == text
    assert neutral(-1.5) == -1.5


@given(st.lists(st.lists(texts, min_size=1, max_size=3), max_size=3))
def test_the_reader_gives_the_texts_back(rows):
    assert [*read_rows(io.StringIO(as_text(rows), newline=""))] == rows
    assert all(original(str(neutral(cell))) == cell for row in rows for cell in row)


def test_a_frame_has_the_bytes_of_pandas_but_for_formulas(tmp_path):
    table = pd.DataFrame({"n": ["=1", "b", None], "x": [-1.5, np.nan, -np.inf], "i": [1, 2, 3]})
    table["o"] = pd.Series([3, None, -2], dtype=object)
    assert "".join(frame_parts(table)) == table.to_csv(index=False).replace("=1", "'=1")
    write_rows(tmp_path / "a.csv", [["=a", -1.5]], (row for row in [["b", "-1.5"]]))
    assert (tmp_path / "a.csv").read_bytes() == b"'=a,-1.5\nb,-1.5\n"
