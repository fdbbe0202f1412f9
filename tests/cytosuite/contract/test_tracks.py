import pytest
from mistakes import refused

from cytosuite.contract.tracks import LARGEST, Track, read_tracks, write_tracks

HEAD = "label,begin,end,parent\n"


def test_a_table_of_tracks_is_read_as_written(tmp_path):
    tracks = [Track(1, 0, 3), Track(7, 4, 5, 1)]
    write_tracks(tmp_path / "tracks.csv", tracks)
    assert (tmp_path / "tracks.csv").read_text() == f"{HEAD}1,0,3,0\n7,4,5,1\n"
    assert read_tracks(tmp_path / "tracks.csv") == tracks


@pytest.mark.parametrize(
    "text, message",
    {
        "1 0 3 0\n": "expected the first line label,begin,end,parent, found '1 0 3 0'",
        "": "expected the first line label,begin,end,parent, found ''",
        f"{HEAD}1,0,x,0\n": "expected whole numbers L B E P, found '1,0,x,0'",
        f"{HEAD}1,0,3\n": "expected whole numbers L B E P, found '1,0,3'",
        f"{HEAD}{LARGEST + 1},0,3,0\n": "label 65536: over 65535",
        HEAD
        + "1,0,0,0\n" * (LARGEST + 1): "65536 rows, expected at most one for each of 65535 labels",
    }.items(),
    ids=["another head", "no line", "a word", "three columns", "a large label", "too many"],
)
def test_refuses(tmp_path, text, message):
    (tmp_path / "tracks.csv").write_text(text)
    refused(message, read_tracks, tmp_path / "tracks.csv")
