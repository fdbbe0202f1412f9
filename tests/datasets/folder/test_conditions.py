import re

import pytest

from cytosuite.datasets.folder.conditions import read_conditions
from cytosuite.errors import InputError

CASES = {"a.tif": "a", "a": "a", "b b": "b_b", "b_b": "b_b", "c": "c"}


@pytest.fixture
def read(tmp_path):
    """Return a function that reads a table from its text."""

    def read(text):
        path = tmp_path / "conditions.csv"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return read_conditions(path, CASES)

    return read


def test_columns_of_numbers_are_numbers_and_the_rest_are_words(read):
    found = read("name,group,depth [µm],lot\na.tif,fixed,20,1\nb b,live,7.5,x\n")
    assert found == {
        "a": {"group": "fixed", "depth [µm]": 20.0, "lot": "1"},
        "b_b": {"group": "live", "depth [µm]": 7.5, "lot": "x"},
    }


def test_empty_cells_and_missing_rows_are_unknown(read):
    assert read("name,group,depth\na,,3\nb_b,live\n\n") == {
        "a": {"depth": 3.0},
        "b_b": {"group": "live"},
    }


@pytest.mark.parametrize("word", ["nan", "inf", "1e400", "9" * 190 + "e200", "1_000", "٣", "0x10"])
def test_what_no_number_can_be_is_a_word(read, word):
    assert read(f"name,x\na,{word}\nb_b,1\n") == {"a": {"x": word}, "b_b": {"x": "1"}}


@pytest.mark.parametrize("number", ["1", "-1.", "+.5", "1e3", "1.5E-3"])
def test_numbers_have_a_decimal_point(read, number):
    assert read(f"name,x\na,{number}\n") == {"a": {"x": float(number)}}


def test_a_cell_is_one_line(read):
    assert read('name,"depth\n[µm]",x\na,2,"b\r\n c"\n') == {"a": {"depth [µm]": 2.0, "x": "b c"}}


def test_a_table_from_a_spreadsheet_is_read(read):
    assert read(b'\xef\xbb\xbfname, group\r\na,"x, y"\r\n') == {"a": {"group": "x, y"}}


def _no_name(read):
    """the first line must have the column 'name', separated by commas, found 'name;group'"""
    read("name;group\na;x\n")


def _nothing(read):
    """the first line must have the column 'name', separated by commas, found ''"""
    read("")


def _twin_columns(read):
    """columns need different names, found 'name,x,x'"""
    read("name,x,x\na,1,2\n")


def _nameless_column(read):
    """columns need different names, found 'name,'"""
    read("name,\na,1\n")


def _too_many_cells(read):
    """expected 2 cells as in the head, found 3 in 'a,1,5'"""
    read("name,depth\na,1,5\n")


def _stranger(read):
    """no image is named 'z'; expected for example a.tif"""
    read("name,x\nz,1\n")


def _twice(read):
    """'a' has two rows; keep one"""
    read("name,x\na.tif,1\na,2\n")


def _other_encoding(read):
    """expected a table with commas in UTF-8, found 'utf-8' codec"""
    read("name,depth [µm]\n".encode("latin-1"))


def _nul(read):
    """expected printable cells of at most 200 characters, found 'b\\x00'"""
    read("name,x\na,b\0\n")


def _nul_in_the_head(read):
    """expected printable cells of at most 200 characters, found 'x\\x00'"""
    read("name,x\0\na,1\n")


def _colours_of_a_terminal(read):
    """expected printable cells of at most 200 characters, found '\\x1b[31mred'"""
    read("name,x\na,\x1b[31mred\n")


def _long_cell(read):
    """expected printable cells of at most 200 characters, found 'bbb"""
    read(f"name,x\na,{'b' * 5000}\n")


def _endless_cell(read):
    """expected a table with commas in UTF-8, found field larger than field limit (131072)"""
    read(f"name,x\na,{'b' * 200000}\n")


def _open_quotation(read):
    """expected a table with commas in UTF-8, found unexpected end of data"""
    read('name,x\na,"1\n')


@pytest.mark.parametrize(
    "mistake",
    [
        _no_name,
        _nothing,
        _twin_columns,
        _nameless_column,
        _too_many_cells,
        _stranger,
        _twice,
        _other_encoding,
        _nul,
        _nul_in_the_head,
        _colours_of_a_terminal,
        _long_cell,
        _endless_cell,
        _open_quotation,
    ],
)
def test_explains(read, mistake):
    with pytest.raises(InputError, match="conditions.csv: " + re.escape(mistake.__doc__)):
        mistake(read)
