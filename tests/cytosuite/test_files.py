import os

import pytest

from cytosuite.errors import InputError
from cytosuite.files import atomic, digest, link, read_json, write_json


def test_a_file_is_there_only_when_it_is_whole(tmp_path):
    path = tmp_path / "deep" / "a.json"
    with pytest.raises(KeyError), atomic(path) as temporary:
        temporary.write_text("half")
        raise KeyError
    assert list(path.parent.iterdir()) == []


def test_what_was_there_survives_a_failure(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(KeyError), atomic(path) as temporary:
        temporary.write_text("new")
        raise KeyError
    assert path.read_text() == "old"


def test_a_folder_replaces_a_folder(tmp_path):
    path = tmp_path / "case"
    path.mkdir()
    (path / "stale").touch()
    with atomic(path) as temporary:
        temporary.mkdir()
        (temporary / "fresh").touch()
    assert [child.name for child in path.iterdir()] == ["fresh"]


def test_the_temporary_name_keeps_the_suffix_and_is_hidden(tmp_path):
    with atomic(tmp_path / "a.tif") as temporary:
        assert temporary.suffix == ".tif"
        assert temporary.name.startswith(".")
        temporary.touch()


def test_json_returns_as_it_was(tmp_path):
    write_json(tmp_path / "a.json", {"µm": [1, 2.5, None]})
    assert read_json(tmp_path / "a.json") == {"µm": [1, 2.5, None]}


def test_json_has_no_nan(tmp_path):
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", float("nan"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b""])
def test_broken_json_is_one_line(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.json: expected JSON, found .+"):
        read_json(tmp_path / "a.json")


def test_missing_json_is_one_line(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_json(tmp_path / "a.json")


def test_digest_sees_names_and_contents_but_not_order_or_caches(tmp_path):
    (tmp_path / "a").write_text("1")
    (tmp_path / "b").write_text("2")
    first = digest([tmp_path / "a", tmp_path / "b"], tmp_path)
    assert digest([tmp_path / "b", tmp_path / "a"], tmp_path) == first
    assert digest([tmp_path], tmp_path) == first
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "c.pyc").touch()
    (tmp_path / ".hidden").touch()
    assert digest([tmp_path], tmp_path) == first
    os.utime(tmp_path / "a", (0, 0))
    assert digest([tmp_path], tmp_path) == first
    (tmp_path / "b").rename(tmp_path / "c")
    assert digest([tmp_path], tmp_path) != first
    (tmp_path / "c").rename(tmp_path / "b")
    (tmp_path / "b").write_text("3")
    assert digest([tmp_path], tmp_path) != first


def test_a_link_is_relative_so_that_both_ends_can_move_together(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "target.txt").write_text("here")
    link(tmp_path / "a" / "b" / "c.txt", tmp_path / "a" / "target.txt")
    (tmp_path / "a").rename(tmp_path / "moved")
    assert (tmp_path / "moved" / "b" / "c.txt").read_text() == "here"
