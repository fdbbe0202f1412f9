import pytest
from mistakes import refused

from cytosuite.contract.tracks import LARGEST, Track, read_tracks, write_tracks

HEAD = "label,begin,end,parent\n"


def test_a_table_of_tracks_is_read_as_written(tmp_path):
    tracks = [Track(1, 0, 3), Track(7, 4, 5, 1)]
    write_tracks(tmp_path / "tracks.csv", tracks)
    assert (tmp_path / "tracks.csv").read_text() == f"{HEAD}1,0,3,0\n7,4,5,1\n"
    assert read_tracks(tmp_path / "tracks.csv") == tracks


def _another_head():
    """expected the first line label,begin,end,parent, found '1 0 3 0'"""
    return "1 0 3 0\n"


def _no_line():
    """expected the first line label,begin,end,parent, found ''"""
    return ""


def _a_word():
    """expected whole numbers L B E P, found '1,0,x,0'"""
    return f"{HEAD}1,0,x,0\n"


def _three_columns():
    """expected whole numbers L B E P, found '1,0,3'"""
    return f"{HEAD}1,0,3\n"


def _a_large_label():
    """label 65536: over 65535"""
    return f"{HEAD}{LARGEST + 1},0,3,0\n"


def _too_many():
    """65536 rows, expected at most one for each of 65535 labels"""
    return HEAD + "1,0,0,0\n" * (LARGEST + 1)


@pytest.mark.parametrize(
    "mistake", [_another_head, _no_line, _a_word, _three_columns, _a_large_label, _too_many]
)
def test_refuses(tmp_path, mistake):
    path = tmp_path / "tracks.csv"
    path.write_text(mistake())
    refused(mistake.__doc__, read_tracks, path)
