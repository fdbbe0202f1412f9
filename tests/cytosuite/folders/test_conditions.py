import re
from pathlib import Path

import pytest
from mistakes import refused

from cytosuite.folders.conditions import read_conditions

CASES = {Path("a.tif"): "a", Path("b b.tif"): "b_b", Path("c.tif"): "c"}


@pytest.fixture
def read(tmp_path):
    """Return a function that reads a table from its text."""

    def read(text):
        path = tmp_path / "conditions.csv"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return read_conditions(path, CASES)

    return read


def test_columns_of_numbers_are_numbers_and_the_rest_are_words(read):
    assert read("name,group,depth [µm],lot\na.tif,fixed,20,1\nb b,live,7.5,x\n") == {
        "a": {"group": "fixed", "depth [µm]": 20.0, "lot": "1"},
        "b_b": {"group": "live", "depth [µm]": 7.5, "lot": "x"},
    }


def test_empty_cells_and_missing_rows_are_unknown(read):
    assert read("name,group,depth\na,,3\nb_b,live\n\n") == {
        "a": {"depth": 3.0},
        "b_b": {"group": "live"},
    }


@pytest.mark.parametrize(
    "table, conditions",
    {
        "name,x\na,nan\nb_b.tif,1\n": {"a": {"x": "nan"}, "b_b": {"x": "1"}},
        "name,x\na,1e400\n": {"a": {"x": "1e400"}},
        "name,x\na,1_000\n": {"a": {"x": "1_000"}},
        "name,x\na,٣\n": {"a": {"x": "٣"}},
        "name,x,y\na,-1.,1.5E-3\n": {"a": {"x": -1.0, "y": 0.0015}},
        'name,"depth\n[µm]",x\na,+.5,"b\r\n c"\n': {"a": {"depth [µm]": 0.5, "x": "b c"}},
        "name,x,y\na,001,0.1\nb_b,2,0\n": {
            "a": {"x": "001", "y": 0.1},
            "b_b": {"x": "2", "y": 0.0},
        },
        "name,x\na,20231124093010\n": {"a": {"x": "20231124093010"}},
        b'\xef\xbb\xbfname, group\r\na,"x, y"\r\n': {"a": {"group": "x, y"}},
    }.items(),
)
def test_a_cell_is_a_number_or_one_line(read, table, conditions):
    assert read(table) == conditions


@pytest.mark.parametrize(
    "message, table",
    {
        "the column 'name', separated by commas, found 'name;group'": "name;group\na;x\n",
        "the first line must have the column 'name', separated by commas, found ''": "",
        "columns need different names, found 'name,x,x'": "name,x,x\na,1,2\n",
        "columns need different names, found 'name,'": "name,\na,1\n",
        "expected 2 cells as in the head, found 3 in 'a,1,5'": "name,depth\na,1,5\n",
        "no image is named 'z'; expected for example a.tif": "name,x\nz,1\n",
        "'a' has two rows; keep one": "name,x\na.tif,1\na,2\n",
        "a text in UTF-8, found the byte 0xb5 at 12": "name,depth [µm]\n".encode("latin-1"),
        "expected printable cells of at most 200 characters, found 'x\\x00'": "name,x\0\na,1\n",
        "at most 200 characters, found '\\x1b[31mred'": "name,x\na,\x1b[31mred\n",
        "at most 200 characters, found 'bbb": f"name,x\na,{'b' * 5000}\n",
        "found field larger than field limit (131072)": f"name,x\na,{'b' * 200000}\n",
        "expected a table, found unexpected end of data": 'name,x\na,"1\n',
    }.items(),
)
def test_explains(read, table, message):
    refused("conditions.csv: .*" + re.escape(message), read, table)
